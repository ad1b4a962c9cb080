//! Uploads in FSS/2. An interrupted upload resumes from what the server has.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use fss::chain::ChainDigest;
use fss::client::{ClientEvent, ClientRequest, ClientSession, Operation, Resume, Upload};
use fss::profile::{Checkpoint, FileRecord, Format, SourceIdentity, UploadRecord};
use fss::protocol::{ErrorCode, ErrorFrame};
use fss::sealed::Header;
use fss::store::{RetentionTerms, StoreError, StoreErrorKind};
use fss::{Cookie, Integrity, Password};

use crate::client::account::{Account, FILE_PASSWORD};
use crate::client::keyring::Keyring;
use crate::client::options::{Options, Protocol};
use crate::client::report::{Outcome, Progress, Reporter};
use crate::client::session::Session;
use crate::client::session_error::{SessionError, invalid_response, refused};
use crate::client::source::{Compress, Source};
use crate::client::{interrupt, legacy, listing, report};
use crate::terminal::failure::{Failure, code};
use fss::driver::Call;

/// Bytes of the longest name, as of that of a file.
const LONGEST_NAME: usize = 255;

/// Which metadata is sealed with a file: a program that seals other metadata cannot go on with what
/// this one began.
const METADATA: &str = "name,size,mode,mtime,kind,encoding";

/// How a file is uploaded.
pub struct UploadOptions<'a> {
    pub name: Option<&'a str>,
    pub own: Option<Password>,
    pub keep: Option<Duration>,
    pub downloads: Option<u64>,
    pub compress: Compress,
}

impl UploadOptions<'_> {
    /// How the bytes of a file become those that are sealed, and what the server was asked to keep
    /// them for: resumed is only what was begun in the same way.
    fn encoding(&self, source: &Source) -> String {
        let keep = self.keep.map_or_else(String::new, |keep| format!(" keep={}", keep.as_secs()));
        let downloads =
            self.downloads.map_or_else(String::new, |downloads| format!(" downloads={downloads}"));
        format!("{METADATA} {}{keep}{downloads}", source.encoding())
    }
}

/// Uploads all over one connection, even if one fails; the first failure gives the exit code.
pub fn upload_all(
    account: &Account,
    options: &Options,
    paths: &[PathBuf],
    own_password: bool,
    mut how: UploadOptions<'_>,
) -> Result<Outcome, Failure> {
    if how.name.is_some() && paths.len() > 1 {
        return Err(Failure::usage(
            "--name cannot be used",
            "there are several files",
            "one file with --name at a time",
        ));
    }
    if let Some(name) = how.name.filter(|name| name.is_empty() || name.len() > LONGEST_NAME) {
        let why = if name.is_empty() {
            "it is empty".to_owned()
        } else {
            format!("it has more than {LONGEST_NAME} bytes")
        };
        return Err(Failure::usage("--name cannot be used", why, "a name to list the file under"));
    }
    if paths.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(Failure::usage(
            "- cannot be used twice",
            "there is one standard input",
            "each - in a command of its own",
        ));
    }
    let mut tally = Tally::new(account.reporter);
    if paths.iter().all(|path| path.as_os_str() != "-" && path.symlink_metadata().is_err()) {
        // Nobody is asked for a password, nor any server, for nothing.
        paths
            .iter()
            .filter_map(|path| Source::open(path, how.compress, &account.directory).err())
            .for_each(|failure| tally.failed(&failure));
        return Ok(tally.outcome());
    }
    let unlocked = account.unlock()?;
    how.own = own_password.then(|| FILE_PASSWORD.get_new()).transpose()?;
    match options.protocol {
        Protocol::V1 => paths.iter().try_for_each(|path| {
            tally.add(legacy::upload(account, &unlocked, options, path, &how))
        })?,
        Protocol::V2 => {
            let session = Session::new(account, &unlocked, options, None);
            let keyring = Keyring::new(&unlocked, how.own.clone());
            let waiting = paths.iter().cloned().collect();
            Batch {
                session: &session,
                keyring,
                how: &how,
                waiting,
                current: None,
                tally: &mut tally,
            }
            .run()?;
        }
    }
    Ok(tally.outcome())
}

/// A file that is on the server.
pub struct Uploaded {
    pub path: PathBuf,
    pub record: FileRecord,
    /// What became of its place on the list.
    pub listed: Result<(), StoreError>,
}

/// What has become of all files so far.
struct Tally {
    reporter: Reporter,
    done: usize,
    failed: usize,
    first_failure: Option<ExitCode>,
}

impl Tally {
    fn new(reporter: Reporter) -> Self {
        Self { reporter, done: 0, failed: 0, first_failure: None }
    }

    fn add(&mut self, uploaded: Result<Uploaded, Failure>) -> Result<(), Failure> {
        match uploaded {
            Ok(uploaded) => self.done(&uploaded),
            Err(failure) => {
                self.failed(&failure);
                Ok(())
            }
        }
    }

    /// The cookie is printed even if the file could not be listed: it must not get lost.
    fn done(&mut self, Uploaded { path, record, listed }: &Uploaded) -> Result<(), Failure> {
        self.done += 1;
        let mut object = report::record(record);
        object["event"] = "uploaded".into();
        object["path"] = path.to_string_lossy().into();
        object["chain"] = record.chain.map(|chain| chain.to_string()).into();
        self.reporter.result(&record.cookie, object)?;
        if let Err(error) = listed {
            let failure = not_listed(path, record, error);
            self.first_failure = self.first_failure.or(Some(self.reporter.failure(&failure)));
        }
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            done: self.done,
            failed: self.failed,
            code: self.first_failure.unwrap_or(ExitCode::SUCCESS),
        }
    }

    /// Something within a directory is not uploaded; the rest is.
    fn left_out(&mut self, failure: &Failure) {
        let code = self.reporter.failure(failure);
        self.first_failure = self.first_failure.or(Some(code));
    }

    fn failed(&mut self, failure: &Failure) {
        self.failed += 1;
        let code = self.reporter.failure(failure);
        self.first_failure = self.first_failure.or(Some(code));
    }
}

fn not_listed(path: &Path, record: &FileRecord, error: &StoreError) -> Failure {
    let why = if error.kind() == StoreErrorKind::Exists {
        "another of your files has the same cookie, on another server".to_owned()
    } else {
        error.to_string()
    };
    let what = format!("{} is on the server, but not on your list", path.display());
    let size = record.size.unwrap_or(0);
    let hint = match record.format {
        Format::Legacy => {
            format!("write its cookie and its size down: download {} --size {size}", record.cookie)
        }
        Format::Sealed => format!("write its cookie down: download {}", record.cookie),
    };
    let code = if error.kind() == StoreErrorKind::Full { code::NO_ROOM } else { code::OTHER };
    Failure::new(code, what, why, hint)
}

/// Uploads one after another on one connection, and on another one after what ended it.
struct Batch<'a> {
    session: &'a Session<'a>,
    keyring: Keyring<'a>,
    how: &'a UploadOptions<'a>,
    waiting: VecDeque<PathBuf>,
    current: Option<Transfer<'a>>,
    tally: &'a mut Tally,
}

impl Batch<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let session = self.session;
        while !self.waiting.is_empty() {
            if let Err(stopped) = session.run(|machine, call| self.serve(machine, call)) {
                self.stopped(stopped)?;
            }
        }
        Ok(())
    }

    fn serve(
        &mut self,
        machine: &mut ClientSession,
        call: Call<ClientSession>,
    ) -> Result<(), SessionError> {
        match (call, &mut self.current) {
            (Call::Request(ClientRequest::Operation), _) => Ok(self.next(machine)?),
            (Call::Event(ClientEvent::Uploaded { chain, .. }), current) => match current.take() {
                Some(transfer) => Ok(self.done(&transfer.finish(chain))?),
                None => Ok(()),
            },
            (Call::Event(ClientEvent::Refused(refusal)), current) => match current.take() {
                Some(transfer) => Ok(self.refused(&transfer, &refusal)?),
                None => Ok(()),
            },
            (call, Some(transfer)) => transfer.serve(machine, call),
            (_, None) => Ok(()),
        }
    }

    /// Starts the next upload. What cannot be read is told, and left out.
    fn next(&mut self, machine: &mut ClientSession) -> Result<(), Failure> {
        while let Some(path) = self.waiting.pop_front() {
            match Begun::new(self.session, &mut self.keyring, path, self.how, self.tally) {
                Ok(Begun::Transfer(transfer, operation)) => {
                    self.current = Some(*transfer);
                    machine.start(*operation);
                    return Ok(());
                }
                Ok(Begun::Finished(uploaded)) => self.done(&uploaded)?,
                Err(failure) => self.tally.failed(&failure),
            }
        }
        machine.finish();
        Ok(())
    }

    /// Once the user has the cookie, the upload need not be known any more.
    fn done(&mut self, uploaded: &Uploaded) -> Result<(), Failure> {
        self.tally.done(uploaded)?;
        Ok(self.session.account.profile.uploads().abandon(&uploaded.record.cookie)?)
    }

    fn refused(&mut self, transfer: &Transfer<'_>, refusal: &ErrorFrame) -> Result<(), Failure> {
        transfer.progress.clear();
        if transfer.is_resume && refusal.code == Some(ErrorCode::Refused) {
            return self
                .begin_anew(transfer, "the server no longer has it, or it has another password");
        }
        self.tally.failed(&refused(&transfer.what(), refusal));
        Ok(())
    }

    /// What broke off cannot go on: without a note of it the same file is a new one.
    fn begin_anew(&mut self, transfer: &Transfer<'_>, why: &str) -> Result<(), Failure> {
        let path = transfer.path.clone();
        self.session.say(&format!(
            "the interrupted upload of {} cannot be resumed: {why}; it restarts",
            path.display()
        ));
        self.session.account.profile.uploads().abandon(&transfer.record.cookie)?;
        self.waiting.push_front(path);
        Ok(())
    }

    /// The connection has ended, and with it the upload that was going on.
    fn stopped(&mut self, stopped: SessionError) -> Result<(), Failure> {
        let transfer = self.current.take();
        if let Some(transfer) = &transfer {
            transfer.progress.clear();
        }
        if let (SessionError::Session(fss::Error::Integrity(Integrity::Chain)), Some(transfer)) =
            (&stopped, &transfer)
            && transfer.is_resume
        {
            return self.begin_anew(transfer, "what the server has of it is not what was sent");
        }
        let noted = transfer.as_ref().and_then(|transfer| transfer.noted);
        let what = match transfer {
            Some(transfer) => transfer.what(),
            None => {
                format!("cannot upload {}", self.waiting.pop_front().unwrap_or_default().display())
            }
        };
        let mut failure = stopped.failure(&what);
        if let Some(noted) = noted.filter(|_| failure.code == code::NETWORK) {
            failure.hint =
                format!("the same command again: it resumes after {noted} bytes (kept for a day)");
        }
        self.tally.failed(&failure);
        if failure.code == code::NETWORK && !self.waiting.is_empty() {
            self.session.say(&format!("{} more were not tried", self.waiting.len()));
            self.tally.failed += self.waiting.len();
            self.waiting.clear();
        }
        Ok(())
    }
}

/// An upload of the same file that broke off, if one did. What cannot go on is told.
fn find_earlier(
    session: &Session<'_>,
    keyring: &Keyring<'_>,
    source: &Source,
    name: &str,
    how: &UploadOptions<'_>,
) -> Result<Option<UploadRecord>, Failure> {
    let Some(identity) = source.identity() else { return Ok(None) };
    let journal = session.account.profile.uploads();
    let changed = journal.changed(&identity, &session.server)?;
    if !changed.is_empty() {
        session.say(&format!(
            "{} was changed since its upload was interrupted, so the upload restarts",
            source.name
        ));
    }
    for UploadRecord { cookie, .. } in changed {
        journal.abandon(&cookie)?;
    }
    let found = journal.find(&identity, &session.server, &how.encoding(source))?;
    Ok(found.into_iter().find(|earlier| {
        earlier.name == name
            && earlier.own_password == keyring.has_own()
            && (earlier.own_password || earlier.password == keyring.present())
    }))
}

/// The file, if an upload of it is complete and listed, but the command ended before it could tell
/// its cookie. One with a password of its own is not taken for the same: nothing here tells whether
/// the password is.
fn find_finished(
    session: &Session<'_>,
    keyring: &Keyring<'_>,
    source: &Source,
    name: &str,
    how: &UploadOptions<'_>,
) -> Result<Option<FileRecord>, Failure> {
    let Some(identity) = source.identity().filter(|_| !keyring.has_own()) else { return Ok(None) };
    let journal = session.account.profile.uploads();
    for finished in journal.finished(&identity, &session.server, &how.encoding(source))? {
        let is_same = finished.name == name
            && !finished.own_password
            && finished.password == keyring.present();
        let listed = session.account.profile.files().find(finished.cookie.as_str())?;
        if let Some(file) =
            listed.into_iter().find(|file| is_same && file.cookie == finished.cookie)
        {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// What a path on the command line has become.
enum Begun<'a> {
    Transfer(Box<Transfer<'a>>, Box<Operation>),
    /// A command before has uploaded it, and was ended before it could say so.
    Finished(Box<Uploaded>),
}

impl<'a> Begun<'a> {
    fn new(
        session: &'a Session<'a>,
        keyring: &mut Keyring<'_>,
        path: PathBuf,
        how: &UploadOptions<'_>,
        tally: &mut Tally,
    ) -> Result<Self, Failure> {
        let source = Source::open(&path, how.compress, &session.account.directory)?;
        source.warnings.iter().for_each(|warning| session.account.reporter.warn(warning));
        source.unreadable.iter().for_each(|failure| tally.left_out(failure));
        let name = how.name.unwrap_or(&source.name).to_owned();
        if let Some(record) = find_finished(session, keyring, &source, &name, how)? {
            session.say(&format!(
                "{name} is on the server already: the command before could not tell its cookie"
            ));
            return Ok(Self::Finished(Box::new(Uploaded { path, record, listed: Ok(()) })));
        }
        let (transfer, operation) = Transfer::new(session, keyring, path, source, &name, how)?;
        Ok(Self::Transfer(Box::new(transfer), Box::new(operation)))
    }
}

/// One upload.
struct Transfer<'a> {
    session: &'a Session<'a>,
    path: PathBuf,
    source: Source,
    /// What is noted in the journal, for what can be resumed; and whether it is noted already.
    record: UploadRecord,
    is_resume: bool,
    size: u64,
    /// Where it can go on later: sealed bytes up to the last checkpoint.
    noted: Option<u64>,
    /// What was asked of the server, and what it grants.
    asked: RetentionTerms,
    expires: Option<u64>,
    downloads: Option<u64>,
    progress: Progress,
}

impl<'a> Transfer<'a> {
    /// With the operation to start.
    fn new(
        session: &'a Session<'a>,
        keyring: &mut Keyring<'_>,
        path: PathBuf,
        source: Source,
        name: &str,
        how: &UploadOptions<'_>,
    ) -> Result<(Self, Operation), Failure> {
        let progress = session.account.reporter.progress(name, source.size);
        let earlier = find_earlier(session, keyring, &source, name, how)?;
        let header = match &earlier {
            Some(earlier) => earlier.header.clone(),
            None => keyring.new_header(),
        };
        progress.phase("deriving the key");
        let key = keyring.key(&header)?;
        if !keyring.has_own() {
            session.account.bind(keyring.present(), Format::Sealed)?;
        }
        progress.phase("sending");
        let (keep, downloads) = (how.keep.map(|keep| keep.as_secs()), how.downloads);
        let (metadata, size) = (source.sealed_metadata(how.name)?, source.encoded_size());
        let upload = Upload { header: header.clone(), key, metadata, size, keep, downloads };
        let is_resume = earlier.is_some();
        let asked = RetentionTerms { seconds: keep, downloads };
        let (operation, record) = match earlier {
            Some(record) => {
                let cookie = record
                    .cookie
                    .as_str()
                    .parse()
                    .map_err(|_| invalid_response("it sent an invalid cookie"))?;
                let noted = session.account.profile.uploads().checkpoints(&record.cookie)?;
                let noted =
                    noted.into_iter().map(|Checkpoint { offset, chain }| (offset, chain)).collect();
                (Operation::Resume(Resume { upload, cookie, noted }), record)
            }
            None => (
                Operation::Upload(upload),
                new_record(session, keyring, &source, header, name, how),
            ),
        };
        Ok((
            Self {
                session,
                path,
                source,
                record,
                is_resume,
                size: 0,
                noted: None,
                asked,
                expires: None,
                downloads: None,
                progress,
            },
            operation,
        ))
    }

    /// Whether it can be resumed, and so is in the journal.
    fn is_noted(&self) -> bool {
        self.source.identity().is_some()
    }

    fn what(&self) -> String {
        format!("cannot upload {}", self.path.display())
    }

    fn serve(
        &mut self,
        machine: &mut ClientSession,
        call: Call<ClientSession>,
    ) -> Result<(), SessionError> {
        let journal = self.session.account.profile.uploads();
        match call {
            Call::Request(ClientRequest::Supply) => {
                let count = self.source.read(machine.supply())?;
                if count == 0 && self.source.encoded_size().is_some() {
                    return Err(self.changed().into());
                }
                self.size += count as u64;
                self.progress.reach(self.source.position());
                machine.supplied(count);
            }
            Call::Event(ClientEvent::UploadStarted {
                cookie,
                position,
                offset,
                expires,
                keep,
                downloads,
            }) => {
                (self.expires, self.downloads) = (expires, downloads);
                self.tell_less(expires, keep, downloads);
                self.on_start(&cookie, position, offset)?;
            }
            Call::Event(ClientEvent::Checkpoint { offset, chain }) if self.is_noted() => {
                journal
                    .checkpoint(&self.record.cookie, &Checkpoint { offset, chain })
                    .map_err(Failure::from)?;
                self.noted = Some(offset);
                interrupt::hint("what was sent is kept for a day: the same command again resumes");
            }
            Call::Event(ClientEvent::Finishing { offset, chain }) => {
                if !self.source.is_same()? {
                    return Err(self.changed().into());
                }
                if self.is_noted() {
                    journal
                        .checkpoint(&self.record.cookie, &Checkpoint { offset, chain })
                        .map_err(Failure::from)?;
                }
                self.progress.phase("waiting for the server to confirm");
            }
            _ => {}
        }
        Ok(())
    }

    /// The file is safe on the server: it goes onto the list.
    fn finish(self, chain: ChainDigest) -> Uploaded {
        interrupt::hint("");
        let UploadRecord { cookie, name, header, password, own_password, server, .. } = self.record;
        let mut record = FileRecord::sealed(
            cookie,
            name,
            self.source.size.unwrap_or(self.size),
            header,
            chain,
            password,
        );
        record.server = Some(server);
        record.own_password = own_password;
        (record.expires, record.downloads) = (self.expires, self.downloads);
        let listed = self.session.account.profile.uploads().finish(&record);
        Uploaded { path: self.path, record, listed }
    }

    /// What the server grants is told if it is less than what was asked, be that nothing, which is
    /// for ever.
    fn tell_less(&self, expires: Option<u64>, keep: Option<u64>, downloads: Option<u64>) {
        let is_less = |granted: Option<u64>, asked| granted.is_some_and(|granted| granted < asked);
        let mut told = Vec::new();
        if is_less(keep, self.asked.seconds.unwrap_or(u64::MAX)) {
            told.push(format!("until {}", listing::date(expires.unwrap_or(0))));
        }
        if is_less(downloads, self.asked.downloads.unwrap_or(u64::MAX)) {
            told.push(listing::downloads(downloads.unwrap_or(0)));
        }
        if !told.is_empty() {
            let (server, name) = (&self.session.server, &self.record.name);
            self.session
                .account
                .reporter
                .warn(&format!("{server} keeps {name} only {}", told.join(" and ")));
        }
    }

    /// The server says where to go on; what is needed to resume is noted before the first byte.
    fn on_start(
        &mut self,
        cookie: &Cookie,
        position: u64,
        offset: u64,
    ) -> Result<(), SessionError> {
        let journal = self.session.account.profile.uploads();
        self.record.cookie = cookie.clone().into();
        if self.is_resume {
            journal.resume(&self.record.cookie, offset).map_err(Failure::from)?;
            self.session.say(&format!("{} resumes after {position} bytes", self.record.name));
        } else if self.is_noted() {
            journal.begin(&self.record).map_err(Failure::from)?;
        }
        self.source.seek(position)?;
        self.size = position;
        self.progress.start_at(self.source.position());
        Ok(())
    }

    fn changed(&self) -> Failure {
        Failure::new(
            code::OTHER,
            self.what(),
            "the file was changed while it was read",
            "the same command again, when no program writes to it",
        )
    }
}

fn new_record(
    session: &Session<'_>,
    keyring: &Keyring<'_>,
    source: &Source,
    header: Header,
    name: &str,
    how: &UploadOptions<'_>,
) -> UploadRecord {
    let nothing = SourceIdentity { device: 0, inode: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };
    UploadRecord {
        // The server gives the cookie; until then there is no upload to note.
        cookie: Cookie::from_index(0).into(),
        server: session.server.clone(),
        source: source.identity().unwrap_or(nothing),
        header,
        name: name.to_owned(),
        password: keyring.present(),
        own_password: keyring.has_own(),
        encoding: how.encoding(source),
    }
}
