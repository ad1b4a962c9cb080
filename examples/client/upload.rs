//! Uploads, in FSS/2: what broke off goes on where it was.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use fss::chain::ChainDigest;
use fss::client::{ClientEvent, ClientNeed, ClientSession, Operation, Resume, Upload};
use fss::profile::{Checkpoint, FileRecord, Format, SourceIdentity, UploadRecord};
use fss::sealed::Header;
use fss::store::{StoreError, StoreErrorKind};
use fss::{Cookie, Integrity, OpaqueCookie, Password};

use crate::account::{Account, FILE_PASSWORD};
use crate::keyring::Keyring;
use crate::options::{Options, Protocol};
use crate::session::Session;
use crate::source::Source;
use crate::stopped::{Stopped, invalid_response, refused};
use crate::support::driver::Call;
use crate::support::failure::{Failure, code};
use crate::{legacy, print};

/// How a file is uploaded.
pub struct How<'a> {
    pub name: Option<&'a str>,
    pub own: Option<Password>,
    pub keep: Option<Duration>,
    pub downloads: Option<u64>,
}

impl How<'_> {
    /// How the bytes of a file become those that are sealed, and what the server was asked to keep them for: resumed is only
    /// what was begun in the same way.
    fn encoding(&self) -> String {
        let keep = self.keep.map_or_else(String::new, |keep| format!(" keep={}", keep.as_secs()));
        let downloads = self.downloads.map_or_else(String::new, |downloads| format!(" downloads={downloads}"));
        format!("identity{keep}{downloads}")
    }
}

/// A file that is on the server, and the exit code if it could not be listed.
pub struct Uploaded {
    pub cookie: OpaqueCookie,
    pub not_listed: Option<ExitCode>,
}

/// Uploads all, even if one fails; the first failure gives the exit code.
pub fn upload_all(
    account: &Account,
    options: &Options,
    paths: &[PathBuf],
    own_password: bool,
    mut how: How<'_>,
) -> Result<ExitCode, Failure> {
    if how.name.is_some() && paths.len() > 1 {
        return Err(Failure::usage("--name cannot be used", "there are several files", "one file with --name at a time"));
    }
    let unlocked = account.unlock()?;
    how.own = own_password.then(|| FILE_PASSWORD.get_new()).transpose()?;
    let session = Session::new(account, &unlocked, options, None);
    let mut keyring = Keyring::new(&unlocked, how.own.clone());
    let mut first_failure = None;
    for path in paths {
        let uploaded = match options.protocol {
            Protocol::V1 => legacy::upload(account, &unlocked, options, path, &how),
            Protocol::V2 => upload(&session, &mut keyring, path, &how),
        };
        match uploaded {
            Ok(uploaded) => {
                print::line(&uploaded.cookie)?;
                first_failure = first_failure.or(uploaded.not_listed);
            }
            Err(failure) => first_failure = first_failure.or(Some(failure.report())),
        }
    }
    Ok(first_failure.unwrap_or(ExitCode::SUCCESS))
}

fn upload(session: &Session<'_>, keyring: &mut Keyring<'_>, path: &Path, how: &How<'_>) -> Result<Uploaded, Failure> {
    let what = format!("cannot upload {}", path.display());
    let journal = session.account.profile.uploads();
    journal.sweep()?;
    let mut source = Source::open(path)?;
    let identity = source.identity()?;
    let name = how.name.unwrap_or(&source.name).to_owned();
    if let Some(earlier) = find_earlier(session, keyring, identity, &name, how)? {
        let resumed = Transfer::new(session, keyring, &mut source, how, &name, Some(earlier.clone()))?.run();
        match resumed {
            Ok(uploaded) => return Ok(uploaded),
            Err(Stopped::CannotResume(why)) => {
                session.say(&format!("the upload of {} that broke off cannot go on: {why}; it begins anew", path.display()));
                journal.abandon(&earlier.cookie)?;
                source.seek(0)?;
            }
            Err(stopped) => return Err(stopped.failure(&what)),
        }
    }
    let uploaded = Transfer::new(session, keyring, &mut source, how, &name, None)?.run();
    uploaded.map_err(|stopped| stopped.failure(&what))
}

/// An upload of the same file that broke off, if one did. What cannot go on is told.
fn find_earlier(
    session: &Session<'_>,
    keyring: &Keyring<'_>,
    identity: Option<SourceIdentity>,
    name: &str,
    how: &How<'_>,
) -> Result<Option<UploadRecord>, Failure> {
    let Some(identity) = identity else { return Ok(None) };
    let journal = session.account.profile.uploads();
    for changed in journal.changed(&identity, &session.server)? {
        session.say(&format!("{name} was changed since its upload broke off, so the upload begins anew"));
        journal.abandon(&changed.cookie)?;
    }
    let found = journal.find(&identity, &session.server, &how.encoding())?;
    Ok(found.into_iter().find(|earlier| {
        earlier.name == name
            && earlier.own_password == keyring.has_own()
            && (earlier.own_password || earlier.password == keyring.present())
    }))
}

/// One upload on one connection.
struct Transfer<'a> {
    session: &'a Session<'a>,
    source: &'a mut Source,
    identity: Option<SourceIdentity>,
    operation: Option<Operation>,
    /// What is noted in the journal, for what can be resumed; and whether it is noted already.
    record: UploadRecord,
    is_resume: bool,
    size: u64,
    done: Option<ChainDigest>,
}

impl<'a> Transfer<'a> {
    fn new(
        session: &'a Session<'a>,
        keyring: &mut Keyring<'_>,
        source: &'a mut Source,
        how: &How<'_>,
        name: &str,
        earlier: Option<UploadRecord>,
    ) -> Result<Self, Failure> {
        let identity = source.identity()?;
        let metadata = source.sealed_metadata(how.name)?;
        let header = match &earlier {
            Some(earlier) => earlier.header.clone(),
            None => keyring.new_header(),
        };
        let key = keyring.key(&header)?;
        let (keep, downloads) = (how.keep.map(|keep| keep.as_secs()), how.downloads);
        let upload =
            Upload { header: header.clone(), key, metadata, size: identity.map(|identity| identity.size), keep, downloads };
        let is_resume = earlier.is_some();
        let (operation, record) = match earlier {
            Some(record) => {
                let cookie = record.cookie.as_str().parse().map_err(|_| invalid_response("it gave a cookie that is none"))?;
                let noted = session.account.profile.uploads().checkpoints(&record.cookie)?;
                let noted = noted.into_iter().map(|Checkpoint { offset, chain }| (offset, chain)).collect();
                (Operation::Resume(Resume { upload, cookie, noted }), record)
            }
            None => (Operation::Upload(upload), new_record(session, keyring, identity, header, name, how)),
        };
        Ok(Self { session, source, identity, operation: Some(operation), record, is_resume, size: 0, done: None })
    }

    fn run(mut self) -> Result<Uploaded, Stopped> {
        let session = self.session;
        let ended = session.run(|machine, call| self.serve(machine, call));
        let chain = match (ended, self.done) {
            // The file is there, whatever happened to the connection afterwards.
            (_, Some(chain)) => chain,
            (Err(Stopped::Session(fss::Error::Integrity(Integrity::Chain))), None) if self.is_resume => {
                return Err(Stopped::CannotResume("what the server has of it is not what was sent".to_owned()));
            }
            (Err(stopped), None) => return Err(stopped),
            (Ok(()), None) => return Err(invalid_response("the server closed before it acknowledged the file").into()),
        };
        let UploadRecord { cookie, name, header, password, own_password, server, .. } = self.record;
        let mut record = FileRecord::sealed(cookie.clone(), name, self.size, header, chain, password);
        record.server = Some(server);
        record.own_password = own_password;
        let not_listed = list(Path::new(&record.name), &record, session.account.profile.uploads().finish(&record));
        Ok(Uploaded { cookie, not_listed })
    }

    fn serve(&mut self, machine: &mut ClientSession, call: Call<ClientSession>) -> Result<(), Stopped> {
        let journal = self.session.account.profile.uploads();
        match call {
            Call::Need(ClientNeed::Operation) => match self.operation.take() {
                Some(operation) => {
                    if !self.record.own_password {
                        self.session.account.bind(self.record.password, Format::Sealed)?;
                    }
                    machine.start(operation);
                }
                None => machine.finish(),
            },
            Call::Need(ClientNeed::Supply) => {
                let count = self.source.read(machine.supply())?;
                if count == 0 && self.identity.is_some() {
                    return Err(self.changed().into());
                }
                self.size += count as u64;
                machine.supplied(count);
            }
            Call::Event(ClientEvent::UploadStarted { cookie, position, offset, .. }) => {
                self.on_start(&cookie, position, offset)?;
            }
            Call::Event(ClientEvent::Checkpoint { offset, chain }) if self.identity.is_some() => {
                journal.checkpoint(&self.record.cookie, &Checkpoint { offset, chain }).map_err(Failure::from)?;
            }
            Call::Event(ClientEvent::Finishing { offset, chain }) => {
                if self.source.identity()? != self.identity {
                    return Err(self.changed().into());
                }
                if self.identity.is_some() {
                    journal.checkpoint(&self.record.cookie, &Checkpoint { offset, chain }).map_err(Failure::from)?;
                }
            }
            Call::Event(ClientEvent::Uploaded { chain, .. }) => self.done = Some(chain),
            Call::Event(ClientEvent::Refused(refusal)) => {
                if self.is_resume && refusal.code == Some(fss::wire::refusal::RefusalCode::Refused) {
                    return Err(Stopped::CannotResume("the server no longer has it, or it has another password".to_owned()));
                }
                return Err(refused(&format!("cannot upload {}", self.record.name), &refusal).into());
            }
            Call::Need(ClientNeed::Data) | Call::Event(_) => {}
        }
        Ok(())
    }

    /// The server says where to go on; what is needed to resume is noted before the first byte.
    fn on_start(&mut self, cookie: &Cookie, position: u64, offset: u64) -> Result<(), Stopped> {
        let journal = self.session.account.profile.uploads();
        self.record.cookie = cookie.clone().into();
        if self.is_resume {
            journal.resume(&self.record.cookie, offset).map_err(Failure::from)?;
            self.session.say(&format!("{} goes on after {position} bytes", self.record.name));
        } else if self.identity.is_some() {
            journal.begin(&self.record).map_err(Failure::from)?;
        }
        self.source.seek(position)?;
        self.size = position;
        Ok(())
    }

    fn changed(&self) -> Failure {
        let what = format!("cannot upload {}", self.record.name);
        Failure::new(
            code::OTHER,
            what,
            "the file was changed while it was read",
            "the same command again, when nobody writes to it",
        )
    }
}

fn new_record(
    session: &Session<'_>,
    keyring: &Keyring<'_>,
    identity: Option<SourceIdentity>,
    header: Header,
    name: &str,
    how: &How<'_>,
) -> UploadRecord {
    let nothing = SourceIdentity { device: 0, inode: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };
    UploadRecord {
        // The server gives the cookie; until then there is no upload to note.
        cookie: Cookie::from_index(0).into(),
        server: session.server.clone(),
        source: identity.unwrap_or(nothing),
        header,
        name: name.to_owned(),
        password: keyring.present(),
        own_password: keyring.has_own(),
        encoding: how.encoding(),
    }
}

/// A file that is safe on the server is to be on the list. Its cookie is printed all the same: it must not get lost.
pub fn list(path: &Path, record: &FileRecord, listed: Result<(), StoreError>) -> Option<ExitCode> {
    let error = listed.err()?;
    let why = match error.kind() {
        StoreErrorKind::Exists => "another of your files has the same cookie, on another server".to_owned(),
        _ => error.to_string(),
    };
    let what = format!("{} is on the server, but not on your list", path.display());
    let size = record.size.unwrap_or(0);
    let hint = match record.format {
        Format::Legacy => format!("write its cookie and its size down: download {} --size {size}", record.cookie),
        Format::Sealed => format!("write its cookie down: download {}", record.cookie),
    };
    Some(Failure::new(code::OTHER, what, why, hint).report())
}
