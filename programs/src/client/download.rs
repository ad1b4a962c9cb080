//! Downloads in FSS/2. An interrupted download resumes from the part that is on disk.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use fss::client::{ClientEvent, ClientRequest, ClientSession, Download, LegacyDownload, Operation};
use fss::profile::{FileRecord, Format};
use fss::sealed::{Header, Metadata};
use fss::store::StoredFormat;
use fss::{Cookie, Integrity, OpaqueCookie, Password};
use serde_json::json;

use crate::client::account::{Account, FILE_PASSWORD};
use crate::client::keyring::Keyring;
use crate::client::listing::not_listed;
use crate::client::names::{local_name, suggested_name};
use crate::client::options::{Options, Protocol};
use crate::client::output::Output;
use crate::client::partial::Partial;
use crate::client::report::Progress;
use crate::client::session::Session;
use crate::client::session_error::{SessionError, invalid_response, refused};
use crate::client::sink::{Expected, Sink, is_plain};
use crate::client::{disk_space, legacy};
use crate::terminal::failure::{Failure, code};
use crate::terminal::print;
use fss::driver::Call;

/// What the user wants to download, and where to.
pub struct DownloadOptions<'a> {
    pub file: &'a str,
    pub output: Option<&'a Path>,
    pub force: bool,
    pub own_password: bool,
    pub size: Option<u64>,
}

impl DownloadOptions<'_> {
    /// Where the file goes: to standard output only if the user says so, whatever it is called.
    pub fn output(&self, path: &Path) -> Result<Output, Failure> {
        match self.output {
            Some(output) if output == Path::new("-") => Ok(Output::Standard),
            _ => Output::new(path, self.force),
        }
    }

    /// The password of its own that the file has, if it has one.
    pub fn own(&self, record: Option<&FileRecord>) -> Result<Option<Password>, Failure> {
        let own = self.own_password || record.is_some_and(|record| record.own_password);
        own.then(|| FILE_PASSWORD.get()).transpose()
    }
}

/// Tells that a file is here.
pub fn report(account: &Account, path: &Path, size: u64, guessed: bool) -> Result<(), Failure> {
    let reporter = account.reporter;
    let object = json!({ "event": "downloaded", "path": path.to_string_lossy(), "size": size, "guessed": guessed });
    reporter.done(&format!("{} ({size} bytes)", path.display()), object)?;
    if guessed {
        reporter.warn("FSS 1.0 does not tell a file's size, so its end is a guess; --size BYTES makes it sure");
    }
    Ok(())
}

/// What is known of a file before any server is asked.
pub struct Found {
    pub record: Option<FileRecord>,
    pub cookie: OpaqueCookie,
    pub path: PathBuf,
}

impl Found {
    pub fn new(account: &Account, wish: &DownloadOptions<'_>) -> Result<Self, Failure> {
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
                let why = format!("its name {label:?} cannot be used for a file");
                Failure::usage("there is no place for the file", why, "-o PATH")
            })?),
        };
        let path = path.to_owned();
        Ok(Self { record, cookie, path })
    }
}

pub fn download(
    account: &Account,
    options: &Options,
    wish: &DownloadOptions<'_>,
) -> Result<(), Failure> {
    if options.protocol == Protocol::V1 {
        return legacy::download(account, options, wish);
    }
    let Found { record, cookie, path } = Found::new(account, wish)?;
    let output = wish.output(&path)?;
    let cookie: Cookie = cookie.as_str().parse().map_err(|_| not_listed(wish.file))?;
    let unlocked = account.unlock()?;
    let own = wish.own(record.as_ref())?;
    let session = Session::new(
        account,
        &unlocked,
        options,
        record.as_ref().and_then(|record| record.server.as_deref()),
    );
    let mut transfer = Transfer {
        session: &session,
        keyring: Keyring::new(&unlocked, own.clone()),
        stated: wish.size,
        size: wish.size.or(record.as_ref().and_then(|record| record.size)),
        own,
        is_named: wish.output.is_some(),
        is_confirmed: false,
        record,
        cookie,
        what: format!("cannot download {}", wish.file),
        path: output.path().to_owned(),
        sink: Sink::Waiting(output),
        asked: false,
        partial: None,
        received: None,
        decoded: None,
        progress: session.account.reporter.progress(wish.file, None),
    };
    let mut ended = session.run(|machine, call| transfer.serve(machine, call));
    transfer.progress.clear();
    if let Err(SessionError::Unsure(failure)) = &ended
        && print::can_ask()
        && print::confirms(format_args!("{}: {}. Download it?", failure.what, failure.why))
    {
        transfer.begin_anew();
        ended = session.run(|machine, call| transfer.serve(machine, call));
        transfer.progress.clear();
    }
    // What is not finished is removed, unless it is to go on.
    transfer.sink = Sink::Closed;
    match (ended, transfer.received) {
        // The file is here and whole; that its acknowledgement was lost is the server's concern.
        (_, Some((size, guessed))) => report(account, &transfer.path, size, guessed),
        (Err(stopped), None) => {
            if let Some(partial) = transfer.partial.take() {
                if let SessionError::Session(fss::Error::Integrity(_)) = &stopped {
                    partial.give_up(&account.profile)?;
                } else {
                    partial.ended(&account.profile)?;
                }
            }
            Err(stopped.failure(&transfer.what))
        }
        (Ok(()), None) => Err(invalid_response("the server closed before the end of the file")),
    }
}

/// One download on one connection.
struct Transfer<'a> {
    /// The size in bytes that the user has said.
    stated: Option<u64>,
    session: &'a Session<'a>,
    keyring: Keyring<'a>,
    own: Option<Password>,
    record: Option<FileRecord>,
    cookie: Cookie,
    size: Option<u64>,
    what: String,
    /// Where it goes.
    path: PathBuf,
    sink: Sink,
    /// Whether all is asked for that there is to ask.
    asked: bool,
    /// Whether the user has said what the file is to be called.
    is_named: bool,
    /// The user has been asked, and wants it.
    is_confirmed: bool,
    /// What the journal knows of it, if it goes to a file.
    partial: Option<Partial>,
    received: Option<(u64, bool)>,
    /// Bytes of it when it is decoded, if its metadata says so.
    decoded: Option<u64>,
    progress: Progress,
}

impl Transfer<'_> {
    fn serve(
        &mut self,
        machine: &mut ClientSession,
        call: Call<ClientSession>,
    ) -> Result<(), SessionError> {
        match call {
            Call::Request(ClientRequest::Operation) if self.asked => machine.finish(),
            Call::Request(ClientRequest::Operation) => {
                let operation = self.first_operation()?;
                machine.start(operation);
            }
            Call::Event(ClientEvent::Challenged(format)) => {
                let operation = self.answer(format)?;
                machine.start(operation);
            }
            Call::Event(ClientEvent::DownloadStarted { metadata, size, .. }) => {
                self.check_listed_size(metadata.as_ref(), size)?;
                let before = self.partial.as_ref().map_or(0, |partial| partial.before);
                self.progress.begin(size.or(self.size), before);
                self.start_output(metadata.as_ref(), size)?;
            }
            Call::Request(ClientRequest::Data) => {
                let (data, count) = (machine.data(), machine.data().len());
                self.sink.put(data, &self.path)?;
                if let Some(partial) = &mut self.partial {
                    partial.advance(data);
                }
                self.progress.advance(count as u64);
                machine.consumed(count);
            }
            Call::Event(ClientEvent::Checkpoint { offset, chain }) => {
                if let (Some(partial), Some(output)) = (&mut self.partial, self.sink.output()) {
                    partial.note(&self.session.account.profile, output, offset, chain)?;
                }
            }
            // Only when the file is durable may the server be told so: it may then forget it.
            Call::Event(ClientEvent::Downloaded { size, guessed }) => {
                self.path = self.sink.finish(&self.path)?;
                let before = self.partial.as_ref().map_or(0, |partial| partial.before);
                self.received = Some((self.decoded.unwrap_or(before + size), guessed));
                if let Some(partial) = self.partial.take() {
                    partial.ended(&self.session.account.profile)?;
                }
            }
            Call::Event(ClientEvent::Refused(refusal)) => {
                return Err(refused(&self.what, &refusal).into());
            }
            Call::Request(ClientRequest::Supply) | Call::Event(_) => {}
        }
        Ok(())
    }

    /// All that was learnt on a connection that has ended is learnt again.
    fn begin_anew(&mut self) {
        (self.is_confirmed, self.asked, self.partial) = (true, false, None);
    }

    /// The file is coming; `sent` is how many bytes it has before it is decoded.
    fn start_output(
        &mut self,
        metadata: Option<&Metadata>,
        sent: Option<u64>,
    ) -> Result<(), SessionError> {
        self.choose_name(metadata)?;
        self.decoded = metadata.and_then(Metadata::size).or(self.stated);
        self.check_room(metadata, sent)?;
        let profile = &self.session.account.profile;
        let part = match &mut self.partial {
            None => None,
            Some(partial) => {
                if let (Some((part, position)), Some(output)) =
                    (partial.there(), self.sink.output())
                {
                    output.go_on(part, position)?;
                    output.keep_attributes(metadata);
                    return Ok(());
                }
                Some(partial.begin(profile, &self.path, metadata)?)
            }
        };
        let expected = Expected { own: self.record.is_some(), size: self.decoded };
        Ok(self.sink.open(metadata, expected, part)?)
    }

    /// Where neither the user nor the list names the file its uploader may suggest something. A
    /// listed name may have been cut down to UTF-8; the one that was sealed is whole.
    fn choose_name(&mut self, metadata: Option<&Metadata>) -> Result<(), Failure> {
        let sealed = metadata.and_then(Metadata::name_bytes).filter(|_| !self.is_named);
        let (Some(sealed), Some(output)) = (sealed, self.sink.output()) else { return Ok(()) };
        if self.record.is_some() {
            let name = sealed.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            let is_listed = Path::new(&*String::from_utf8_lossy(name)) == output.path();
            if is_listed && std::str::from_utf8(name).is_err() {
                output.rename(OsStr::from_bytes(name))?;
            }
        } else if let Some(name) = suggested_name(&sealed) {
            output.suggest(&name)?;
            if output.path().file_name() != Some(&name) {
                let (name, path) = (name.display(), output.path().display());
                self.session.say(&format!(
                    "{name} is there already, and only its uploader calls it so: it becomes {path}"
                ));
            }
        }
        self.path = output.path().to_owned();
        Ok(())
    }

    /// Before anything is made: whether there is room for all of it, and whether somebody wants so
    /// much.
    fn check_room(
        &mut self,
        metadata: Option<&Metadata>,
        sent: Option<u64>,
    ) -> Result<(), SessionError> {
        let becomes = if is_plain(metadata) { sent } else { self.decoded.or(sent) };
        let Some(becomes) = becomes.or(self.size) else { return Ok(()) };
        if self.sink.output().is_some_and(|output| output.replaces().is_some()) {
            let before = self.partial.as_ref().map_or(0, |partial| partial.before);
            disk_space::check_free(&self.path, becomes.saturating_sub(before))?;
        }
        let is_wanted = self.is_confirmed || self.record.is_some() || self.stated == Some(becomes);
        let is_archive = metadata.is_some_and(|metadata| metadata.get("kind") == Some("directory"));
        if !is_wanted
            && sent.is_some_and(|sent| disk_space::is_suspicious(becomes, is_archive, sent))
        {
            let why = format!("{} bytes are to become {becomes}", sent.unwrap_or(0));
            let hint = format!("--size {becomes}, if you know whose it is and want it");
            return Err(SessionError::Unsure(Failure::new(code::INTEGRITY, &self.what, why, hint)));
        }
        Ok(())
    }

    /// A listed file has the size that it was uploaded with: before it was encoded, where that was
    /// known then.
    fn check_listed_size(
        &self,
        metadata: Option<&Metadata>,
        stored: Option<u64>,
    ) -> Result<(), SessionError> {
        let listed = self
            .record
            .as_ref()
            .filter(|record| record.format == Format::Sealed)
            .and_then(|record| record.size);
        let sealed = metadata.and_then(Metadata::size).or(stored);
        match listed.zip(sealed) {
            Some((expected, got)) if expected != got => {
                Err(SessionError::Session(Integrity::Size { expected, got }.into()))
            }
            _ => Ok(()),
        }
    }

    /// What is asked for first: the file, if it is known what it is sealed with; else that.
    fn first_operation(&mut self) -> Result<Operation, Failure> {
        match &self.record {
            Some(FileRecord { format: Format::Legacy, .. }) => self.legacy_download(),
            Some(FileRecord { header: Some(header), .. }) => {
                let header = header.clone();
                self.sealed_download(header)
            }
            _ => Ok(Operation::Challenge { cookie: self.cookie.clone() }),
        }
    }

    /// The server has said what the file is sealed with.
    fn answer(&mut self, format: StoredFormat) -> Result<Operation, Failure> {
        match format {
            StoredFormat::Sealed(header) => self.sealed_download(header),
            StoredFormat::Legacy => {
                let why = "it is a file of FSS 1.0, and the proof of its password would let the server guess it";
                Err(Failure::usage(&self.what, why, "--protocol 1.0, if you trust the server"))
            }
        }
    }

    fn sealed_download(&mut self, header: Header) -> Result<Operation, Failure> {
        self.asked = true;
        self.progress.phase("deriving the key");
        let key = match &self.record {
            Some(record) => self.keyring.key_of(&header, record)?,
            None => self.keyring.key(&header)?,
        };
        self.progress.phase("receiving");
        let profile = &self.session.account.profile;
        self.partial = match self.sink.output() {
            Some(output) => {
                Partial::find(profile, output, &self.session.server, &self.cookie, &header)?
            }
            None => None,
        };
        let earlier = self.partial.as_ref().and_then(Partial::earlier);
        if let Some(partial) = self.partial.as_ref().filter(|partial| partial.before > 0) {
            self.session.say(&format!("the download resumes after {} bytes", partial.before));
        }
        let chain = self.record.as_ref().and_then(|record| record.chain);
        Ok(Operation::Download(Download {
            cookie: self.cookie.clone(),
            header,
            key,
            earlier,
            chain,
        }))
    }

    fn legacy_download(&mut self) -> Result<Operation, Failure> {
        self.asked = true;
        if let Some(output) = self.sink.output() {
            let (profile, cookie) = (&self.session.account.profile, self.cookie.clone().into());
            self.partial = Partial::new(profile, output, &self.session.server, &cookie, None)?;
        }
        let password = match (&self.own, &self.record) {
            (Some(own), _) => own.clone(),
            (None, Some(record)) => self.session.unlocked.password_of(record.password)?.clone(),
            (None, None) => self.session.unlocked.passwords.present().clone(),
        };
        Ok(Operation::LegacyDownload(LegacyDownload {
            cookie: self.cookie.clone(),
            password,
            size: self.size,
        }))
    }
}
