//! Uploads and downloads over a socket.

use std::fs::File;
use std::io::{self, Read};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use fss::client::legacy::{ClientEvent, ClientSession, FileNeed};
use fss::profile::FileRecord;
use fss::store::StoreErrorKind;
use fss::{Cookie, Moment, OpaqueCookie, Password, Refusal};

use crate::account::{Account, FILE_PASSWORD, Unlocked};
use crate::listing::not_listed;
use crate::options::Options;
use crate::output::{Output, local_name};
use crate::print;
use crate::support::driver::{Call, run};
use crate::support::failure::{Failure, code};

/// How long to wait for a server to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Uploads all, even if one fails; the first failure gives the exit code.
pub fn upload_all(
    account: &Account,
    options: &Options,
    paths: &[impl AsRef<Path>],
    name: Option<&str>,
    own: bool,
) -> Result<ExitCode, Failure> {
    if name.is_some() && paths.len() > 1 {
        return Err(Failure::usage("--name cannot be used", "there are several files", "one file with --name at a time"));
    }
    options.warn_of_protocol();
    let unlocked = account.unlock()?;
    let own = own.then(|| FILE_PASSWORD.get_new()).transpose()?;
    let mut first_failure = None;
    for path in paths {
        match upload(account, &unlocked, options, path.as_ref(), name, own.as_ref()) {
            Ok(uploaded) => {
                print::line(&uploaded.cookie)?;
                first_failure = first_failure.or(uploaded.not_listed);
            }
            Err(failure) => first_failure = first_failure.or(Some(failure.report())),
        }
    }
    Ok(first_failure.unwrap_or(ExitCode::SUCCESS))
}

/// A file that is on the server, and the exit code if it could not be listed.
struct Uploaded {
    cookie: OpaqueCookie,
    not_listed: Option<ExitCode>,
}

fn upload(
    account: &Account,
    unlocked: &Unlocked,
    options: &Options,
    path: &Path,
    name: Option<&str>,
    own: Option<&Password>,
) -> Result<Uploaded, Failure> {
    let (mut source, own_name) = open_source(path)?;
    let server = options.server(None);
    let stream = connect(&server)?;
    let mut session = ClientSession::upload(unlocked.config.clone(), own.unwrap_or(&unlocked.password));
    let mut done = None;
    let ended: Result<(), Stopped> = run(&mut session, &stream, |session, call| {
        match call {
            Call::Need(_) => {
                let count = read(&mut source, session.supply()).map_err(|error| Stopped::Program(cannot_read(path, &error)))?;
                session.supplied(count);
            }
            Call::Event(ClientEvent::Uploaded { cookie, size }) => done = Some((cookie, size)),
            Call::Event(_) => {}
        }
        Ok(())
    });
    ended.map_err(|stopped| stopped.failure(&format!("cannot upload {}", path.display())))?;
    let (cookie, size) = done.ok_or_else(|| invalid_response("the server closed before it acknowledged the file"))?;
    let mut record = FileRecord::new(cookie.clone(), name.map_or(own_name, str::to_owned), size);
    record.server = Some(server);
    record.own_password = own.is_some();
    // The file is safe, and its cookie is printed all the same: it must not get lost.
    let not_listed = account.profile.files().insert(&record).err().map(|error| {
        let why = match error.kind() {
            StoreErrorKind::Exists => "another of your files has the same cookie, on another server".to_owned(),
            _ => error.to_string(),
        };
        let what = format!("{} is on the server, but not on your list", path.display());
        let hint = format!("write its cookie and its size down: download {cookie} --size {size}");
        Failure::new(code::OTHER, what, why, hint).report()
    });
    Ok(Uploaded { cookie, not_listed })
}

/// The file to upload, and the name to list it under.
fn open_source(path: &Path) -> Result<(Box<dyn Read>, String), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), "stdin".to_owned()));
    }
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    if file.metadata().map_err(|error| cannot_read(path, &error))?.is_dir() {
        let what = format!("cannot upload {}", path.display());
        return Err(Failure::usage(what, "it is a directory, and FSS 1.0 knows only files", "a tar archive of it"));
    }
    let name = path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
    Ok((Box::new(file), name))
}

fn read(source: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    let hint = "check the name, and that you may read it";
    Failure::new(code::OTHER, format!("cannot read {}", path.display()), error.to_string(), hint)
}

/// What the user wants to download, and where to.
pub struct Wish<'a> {
    pub file: &'a str,
    pub output: Option<&'a Path>,
    pub force: bool,
    pub own_password: bool,
    pub size: Option<u64>,
}

pub fn download(account: &Account, options: &Options, wish: &Wish<'_>) -> Result<(), Failure> {
    let record = account.find(wish.file)?;
    // Somebody else's file is asked for by its cookie.
    let looks_like_a_cookie = wish.file.parse::<Cookie>().is_ok();
    let cookie = match &record {
        Some(record) => record.cookie.clone(),
        None if looks_like_a_cookie || wish.own_password || wish.size.is_some() => {
            OpaqueCookie::parse(wish.file.as_bytes()).map_err(|_| not_listed(wish.file))?
        }
        None => return Err(not_listed(wish.file)),
    };
    let label = record.as_ref().map_or(wish.file, |record| &record.name);
    let path = match wish.output {
        Some(path) => path,
        None => Path::new(local_name(label).ok_or_else(|| {
            let why = format!("its name {label:?} is none to write a file under");
            Failure::usage("there is no place for the file", why, "-o PATH")
        })?),
    };
    let mut output = Output::new(path, wish.force)?;
    options.warn_of_protocol();
    let unlocked = account.unlock()?;
    let own = wish.own_password || record.as_ref().is_some_and(|record| record.own_password);
    let password = if own { FILE_PASSWORD.get()? } else { unlocked.password };
    let size = wish.size.or(record.as_ref().and_then(|record| record.size));
    let stream = connect(&options.server(record.as_ref().and_then(|record| record.server.as_deref())))?;
    let mut session = ClientSession::download(unlocked.config, &cookie, &password, size);
    let mut received = None;
    let ended: Result<(), Stopped> = run(&mut session, &stream, |session, call| {
        match call {
            Call::Need(FileNeed::Data) => {
                output.write(session.data()).map_err(Stopped::Program)?;
                let count = session.data().len();
                session.consumed(count);
            }
            // Only when the file is durable may the server be told so: it may then forget it.
            Call::Event(ClientEvent::Downloaded { size, guessed }) => {
                output.finish().map_err(Stopped::Program)?;
                received = Some((size, guessed));
            }
            Call::Event(ClientEvent::DownloadStarted) => output.create().map_err(Stopped::Program)?,
            Call::Need(FileNeed::Supply) | Call::Event(_) => {}
        }
        Ok(())
    });
    let what = format!("cannot download {}", wish.file);
    match (ended, received) {
        // The file is here and whole; that its acknowledgement was lost is the server's concern.
        (_, Some((size, guessed))) => {
            if path != Path::new("-") {
                options.say(&format!("{} ({size} bytes)", path.display()));
            }
            if guessed {
                options.say("warning: FSS 1.0 does not tell a file's size, so its end is a guess; --size BYTES makes it sure");
            }
            Ok(())
        }
        (Err(stopped), None) => Err(stopped.failure(&what)),
        (Ok(()), None) => Err(invalid_response("the server closed before the end of the file")),
    }
}

fn connect(server: &str) -> Result<TcpStream, Failure> {
    let failed = |why: String| {
        let hint = "check the address and that the server runs; then the same command again";
        Failure::new(code::NETWORK, format!("Server Connection Was Failed: {server}"), why, hint)
    };
    let addresses = server.to_socket_addrs().map_err(|error| {
        if error.kind() == io::ErrorKind::InvalidInput {
            return Failure::usage(format!("{server:?} is no server"), error.to_string(), "--server HOST:PORT");
        }
        failed(error.to_string())
    })?;
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.to_string(),
        }
    }
    Err(failed(last))
}

/// How a transfer ended that did not end well.
enum Stopped {
    /// The connection failed.
    Session(fss::Error),
    /// The program stopped it, and knows why.
    Program(Failure),
}

impl From<fss::Error> for Stopped {
    fn from(error: fss::Error) -> Self {
        Self::Session(error)
    }
}

impl Stopped {
    /// The failure as it is shown; `what` was not done.
    fn failure(self, what: &str) -> Failure {
        let error = match self {
            Self::Program(failure) => return failure,
            Self::Session(error) => error,
        };
        let why = error.to_string();
        match &error {
            fss::Error::PeerRefused(text) => refused(what, text.as_str()),
            fss::Error::Integrity(_) => Failure::new(
                code::INTEGRITY,
                what,
                why,
                "the file on the server is not the one that was stored; look for another copy",
            ),
            fss::Error::Disconnected(Moment::KeyExchange) => {
                Failure::new(code::NETWORK, what, why, "check that this is an FSS server; then the same command again")
            }
            fss::Error::Disconnected(_) | fss::Error::TimedOut(_) => {
                Failure::new(code::NETWORK, what, why, "the same command again")
            }
            fss::Error::Refused(Refusal::FileTooLarge { .. }) | fss::Error::Crypto | fss::Error::Misuse(_) => {
                Failure::new(code::OTHER, what, why, "")
            }
            _ => invalid_response(&why),
        }
    }
}

/// What a server says, by the names of the documentation.
fn refused(what: &str, text: &str) -> Failure {
    match text {
        "Invalid password" => Failure::new(
            code::WRONG_PASSWORD,
            "Wrong Password",
            "the server says: Invalid password",
            "the password that the file was uploaded with; --own-password asks for one of its own",
        ),
        "Invalid cookie" | "Failed to proceed with the selected operation" => Failure::new(
            code::NO_SUCH_FILE,
            "Failed to proceed with the selected operation",
            format!("the server says: {text}; most likely it has no such file, or too many wrong passwords came lately"),
            "check the cookie and --server; after wrong passwords wait half a minute",
        ),
        "illegal user state" => {
            Failure::new(code::OTHER, what, "the server says: illegal user state", "check that both ends speak the same version")
        }
        "cannot upload the file" => Failure::new(
            code::OTHER,
            what,
            "the server says: cannot upload the file; it may have no room, or the file may be too large for it",
            "the same command later, or another server",
        ),
        _ => Failure::new(code::OTHER, "Server error", format!("{what}; the server says: {text}"), "the same command later"),
    }
}

fn invalid_response(why: &str) -> Failure {
    Failure::new(code::OTHER, "Invalid server response", why, "check that this is an FSS server")
}
