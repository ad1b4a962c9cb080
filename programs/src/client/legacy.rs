//! Uploads and downloads in FSS 1.0, only on request: the server sees the password, and its
//! identity is not proved.

use std::path::Path;

use fss::client::legacy::{FileRequest, LegacyEvent, LegacySession};
use fss::profile::{FileRecord, Format, ProtocolVersion};

use crate::client::account::{Account, Unlocked};
use crate::client::download::{DownloadOptions, Found, report};
use crate::client::options::Options;
use crate::client::partial::Partial;
use crate::client::session_error::{NOT_PROCEEDED, SessionError, invalid_response};
use crate::client::source::{Compress, Source};
use crate::client::upload::{UploadOptions, Uploaded};
use crate::client::{disk_space, drive};
use crate::terminal::failure::{Failure, code};
use fss::driver::Call;

/// What must hold before a password is sent: nothing in FSS 1.0 shows that this is the right
/// server, so a fingerprint would promise nothing, and a server that speaks FSS/2 is spoken to in
/// FSS 1.0 only if the user insists: a man in the middle could want that.
fn take_precautions(account: &Account, options: &Options, server: &str) -> Result<(), Failure> {
    if options.fingerprint.is_some() {
        let why = "in FSS 1.0 a server cannot show whose it is";
        return Err(Failure::usage(
            "--fingerprint cannot be used with --protocol 1.0",
            why,
            "no --protocol, or no --fingerprint",
        ));
    }
    let known = account.profile.known_servers().get(server)?;
    if known.is_some_and(|known| known.version >= ProtocolVersion::Fss2) && !options.allow_downgrade
    {
        let why = "this server has spoken FSS/2 before, which protects what FSS 1.0 does not";
        let hint = "no --protocol; or --allow-downgrade if you must";
        return Err(Failure::usage("--protocol 1.0 is not used", why, hint));
    }
    account.reporter.warn(&format!(
        "in FSS 1.0 nothing shows that this is the right {server}, and it gets the password"
    ));
    Ok(())
}

pub fn upload(
    account: &Account,
    unlocked: &Unlocked,
    options: &Options,
    path: &Path,
    how: &UploadOptions<'_>,
) -> Result<Uploaded, Failure> {
    if how.keep.is_some() || how.downloads.is_some() {
        return Err(Failure::usage(
            "--keep and --downloads cannot be used",
            "FSS 1.0 does not know them",
            "no --protocol 1.0",
        ));
    }
    if path.is_dir() {
        let what = format!("cannot upload {}", path.display());
        return Err(Failure::usage(
            what,
            "it is a directory, and FSS 1.0 knows only files",
            "a tar archive of it",
        ));
    }
    let mut source = Source::open(path, Compress::Never, &account.directory)?;
    let server = options.server(None);
    take_precautions(account, options, &server)?;
    let password = match &how.own {
        Some(own) => own,
        None => account.to_send(unlocked)?,
    };
    let mut session = LegacySession::upload(unlocked.config.clone(), password);
    let mut done = None;
    let ended = drive::run(&mut session, &server, |session, call| {
        match call {
            Call::Request(_) => {
                let count = source.read(session.supply())?;
                session.supplied(count);
            }
            Call::Event(LegacyEvent::Uploaded { cookie, size }) => done = Some((cookie, size)),
            Call::Event(_) => {}
        }
        Ok(())
    });
    ended.map_err(|stopped| not_uploaded(stopped, path))?;
    let (cookie, size) =
        done.ok_or_else(|| invalid_response("the server closed before it acknowledged the file"))?;
    let mut record = FileRecord::new(cookie, how.name.unwrap_or(&source.name), size);
    record.server = Some(server.clone());
    record.own_password = how.own.is_some();
    record.password = unlocked.passwords.present_id();
    let listed = account.profile.files().insert(&record);
    Ok(Uploaded { path: path.to_owned(), record, listed })
}

/// What a server of FSS 1.0 says of a file that is not there, another one says to whoever speaks
/// FSS 1.0.
fn not_uploaded(stopped: SessionError, path: &Path) -> Failure {
    let what = format!("cannot upload {}", path.display());
    if let SessionError::Session(fss::Error::PeerRefused(refusal)) = &stopped
        && refusal.text.as_str() == NOT_PROCEEDED
    {
        let why = format!("the server says: {NOT_PROCEEDED}; perhaps it does not take FSS 1.0");
        return Failure::new(code::OTHER, what, why, "no --protocol 1.0");
    }
    stopped.failure(&what)
}

pub fn download(
    account: &Account,
    options: &Options,
    wish: &DownloadOptions<'_>,
) -> Result<(), Failure> {
    let Found { record, cookie, path } = Found::new(account, wish)?;
    if record.as_ref().is_some_and(|record| record.format == Format::Sealed) {
        let why = "it is sealed, and FSS 1.0 knows nothing of sealed files";
        return Err(Failure::usage(
            format!("cannot download {}", wish.file),
            why,
            "no --protocol 1.0",
        ));
    }
    let mut output = wish.output(&path)?;
    let server = options.server(record.as_ref().and_then(|record| record.server.as_deref()));
    take_precautions(account, options, &server)?;
    let unlocked = account.unlock()?;
    let own = wish.own(record.as_ref())?;
    let password = match (&own, &record) {
        (Some(own), _) => own,
        (None, Some(record)) => account.to_send_of(&unlocked, record)?,
        (None, None) => account.to_send(&unlocked)?,
    };
    let size = wish.size.or(record.as_ref().and_then(|record| record.size));
    let mut session = LegacySession::download(unlocked.config.clone(), &cookie, password, size);
    if let (Some(size), Some(_)) = (size, output.replaces()) {
        disk_space::check_free(&path, size)?;
    }
    let mut partial = Partial::new(&account.profile, &output, &server, &cookie, None)?;
    let mut received = None;
    let ended = drive::run(&mut session, &server, |session, call| {
        match call {
            Call::Request(FileRequest::Data) => {
                output.put(session.data())?;
                let count = session.data().len();
                session.consumed(count);
            }
            // Only when the file is durable may the server be told so: it may then forget it.
            Call::Event(LegacyEvent::Downloaded { size, guessed }) => {
                output.finish()?;
                received = Some((size, guessed));
            }
            Call::Event(LegacyEvent::DownloadStarted) => {
                let part = match &mut partial {
                    Some(partial) => Some(partial.begin(&account.profile, &path, None)?),
                    None => None,
                };
                output.create(part)?;
            }
            Call::Request(FileRequest::Supply) | Call::Event(_) => {}
        }
        Ok(())
    });
    drop(output);
    if let Some(partial) = &partial {
        partial.ended(&account.profile)?;
    }
    match (ended, received) {
        // The file is here and whole; that its acknowledgement was lost is the server's concern.
        (_, Some((size, guessed))) => report(account, &path, size, guessed),
        (Err(stopped), None) => Err(stopped.failure(&format!("cannot download {}", wish.file))),
        (Ok(()), None) => Err(invalid_response("the server closed before the end of the file")),
    }
}
