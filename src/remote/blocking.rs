//! The client on blocking sockets.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::thread;

use super::bindings::Use;
use super::put::{Put, Stored};
use super::retry::{Backoff, Retry};
use super::shared::{CONNECT, Shared};
use super::task::{Deleting, Downloading, Effect, Informing, Listing, Task, Uploading};
use super::{Error, Fetched, Get, Journal, Trust};
use crate::client::{ClientEvent, ClientRequest, Operation};
use crate::config::Config;
use crate::driver::Call;
use crate::driver::blocking::{Driver, connect};
use crate::sealed::Metadata;
use crate::store::{Account, Entry, Invite, UserName};
use crate::types::cookie::Cookie;
use crate::types::secret::Password;
use crate::wire::reply::ServerLimits;

/// A client of one server, with an identity of its own (that of its [`Config`]).
///
/// Each call makes a connection, or several if one fails ([`Retry`]). Calls may be made from
/// several threads.
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

/// What a task reads from and writes to.
pub(super) trait Io {
    /// Reads some bytes; 0 at the end.
    fn read(&mut self, _room: &mut [u8]) -> Result<usize, Error> {
        Ok(0)
    }

    /// Whether all can be read again.
    fn can_rewind(&self) -> bool {
        true
    }

    /// Continues to read at this position.
    fn rewind(&mut self, _position: u64) -> Result<(), Error> {
        Ok(())
    }

    /// A file with this metadata follows.
    fn begin(&mut self, _metadata: &Metadata) -> Result<(), Error> {
        Ok(())
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    /// Notes how the transfer can be resumed, if there is a journal.
    fn note(&mut self, _note: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    /// The file is whole: makes it durable.
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Of tasks without a file.
struct NoFile;

impl Io for NoFile {}

/// Anything that reads, once.
struct Once<R> {
    source: R,
    is_read: bool,
}

impl<R: Read> Io for Once<R> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        self.is_read = true;
        read_some(&mut self.source, room)
    }

    fn can_rewind(&self) -> bool {
        !self.is_read
    }
}

/// Anything that reads and seeks.
struct Seekable<R> {
    source: R,
    /// Where the file begins in it.
    start: u64,
}

impl<R: Read + Seek> Io for Seekable<R> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        read_some(&mut self.source, room)
    }

    fn rewind(&mut self, position: u64) -> Result<(), Error> {
        let position = self.start.saturating_add(position);
        self.source.seek(SeekFrom::Start(position)).map(drop).map_err(Error::Source)
    }
}

/// Anything that writes.
struct Sink<W>(W);

impl<W: Write> Io for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all(bytes).map_err(Error::Sink)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.0.flush().map_err(Error::Sink)
    }
}

pub(super) fn read_some(source: &mut impl Read, room: &mut [u8]) -> Result<usize, Error> {
    loop {
        match source.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map_err(Error::Source),
        }
    }
}

impl Client {
    /// A client of the server at `HOST:PORT`. Nothing is sent yet.
    ///
    /// The key of `config` owns what is uploaded: keep it, to list and delete files without their
    /// passwords later.
    pub fn new(config: Config, server: impl Into<String>, trust: Trust) -> Self {
        Self(Arc::new(Shared::new(config, server.into(), trust)))
    }

    /// With other rules for when to try again.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self(Arc::new(self.0.with_retry(retry)))
    }

    /// With a journal, so that transfers of paths that another process could not finish are
    /// resumed. Without one they are resumed only while the call lasts.
    #[must_use]
    pub fn with_journal(self, journal: Arc<dyn Journal>) -> Self {
        Self(Arc::new(self.0.with_journal(journal)))
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    #[cfg(all(feature = "tokio", feature = "filesystem"))]
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Uploads what `source` returns, sealed with a key that is made of the password. When this
    /// returns the file is durable at the server.
    ///
    /// A source that only reads cannot be read again, so the upload is not resumed when its
    /// connection fails: see [`Client::put_seekable`].
    ///
    /// # Errors
    /// [`Error`]; [`Error::Source`] if `source` fails. Then there is no such file.
    pub fn put(&self, source: impl Read, password: &Password, put: &Put) -> Result<Stored, Error> {
        self.upload(&mut Once { source, is_read: false }, None, password, put)
    }

    /// As [`Client::put`], from the present position of a source that is read again from where the
    /// server has it when a connection fails.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn put_seekable(
        &self,
        mut source: impl Read + Seek,
        password: &Password,
        put: &Put,
    ) -> Result<Stored, Error> {
        let start = source.stream_position().map_err(Error::Source)?;
        self.upload(&mut Seekable { source, start }, None, password, put)
    }

    /// Downloads a file into `sink`, which is flushed before the server is told that the file has
    /// arrived. When a connection fails the download is resumed.
    ///
    /// Every byte that is written was authenticated, but **only `Ok` means that the file is
    /// whole**: after an error `sink` has a beginning of it, to be thrown away. A directory arrives
    /// as a tar stream.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Sink`] if `sink` fails.
    pub fn get(
        &self,
        file: impl Into<Get>,
        password: &Password,
        sink: impl Write,
    ) -> Result<Fetched, Error> {
        let get = file.into();
        self.download(&mut Downloading::new(&get, password), &mut Sink(sink), &get, password)
    }

    /// The files that were uploaded with this client's key, oldest first.
    ///
    /// # Errors
    /// [`Error`]; [`Error::EndlessList`] if they are more than 1,000,000.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        self.run(&mut Listing::default(), &mut NoFile, None)
    }

    /// Deletes a file that was uploaded with this client's key. To delete it once more is no error
    /// for a day.
    ///
    /// # Errors
    /// [`Error`]
    pub fn delete(&self, cookie: &Cookie) -> Result<(), Error> {
        self.run(&mut Deleting::own(cookie.clone()), &mut NoFile, None)
    }

    /// Deletes a file whose password is known, whoever uploaded it.
    ///
    /// # Errors
    /// [`Error`]
    pub fn delete_with_password(
        &self,
        file: impl Into<Get>,
        password: &Password,
    ) -> Result<(), Error> {
        self.run(&mut Deleting::with_password(file.into()), &mut NoFile, Some(password))
    }

    /// What the server accepts, and the user that this client's key has signed up as, if it has.
    ///
    /// # Errors
    /// [`Error`]
    pub fn information(&self) -> Result<(Option<ServerLimits>, Option<Account>), Error> {
        self.run(&mut Informing::new(|| Operation::Information), &mut NoFile, None)
    }

    /// Makes this client's key a user of the server.
    ///
    /// # Errors
    /// [`Error`]
    pub fn sign_up(
        &self,
        name: &UserName,
        invite: Option<&Invite>,
    ) -> Result<Option<Account>, Error> {
        let operation = || Operation::SignUp { name: name.clone(), invite: invite.cloned() };
        self.run(&mut Informing::new(operation), &mut NoFile, None).map(|(_, account)| account)
    }

    /// `note` is what another process has noted of it.
    pub(super) fn upload(
        &self,
        source: &mut impl Io,
        note: Option<&[u8]>,
        password: &Password,
        put: &Put,
    ) -> Result<Stored, Error> {
        self.0.bind(password, Use::Seals)?;
        let mut task = Uploading::new(put, self.0.new_header(password))?;
        if let Some(note) = note {
            task.resume(note);
        }
        loop {
            match self.run(&mut task, source, Some(password)) {
                Err(error) if error.is_lost_upload() && task.begin_anew() => {}
                ended => return ended,
            }
        }
    }

    pub(super) fn download(
        &self,
        task: &mut Downloading<'_>,
        sink: &mut impl Io,
        get: &Get,
        password: &Password,
    ) -> Result<Fetched, Error> {
        self.0.bind(password, get.password_use())?;
        self.run(task, sink, Some(password))
    }

    /// Runs a task on one connection after another, until it is done or has failed for good.
    fn run<T: Task>(
        &self,
        task: &mut T,
        io: &mut impl Io,
        password: Option<&Password>,
    ) -> Result<T::Outcome, Error> {
        let mut backoff = Backoff::new(self.0.retry());
        loop {
            let error = match self.attempt(task, io, password).and_then(|()| task.outcome()) {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            match backoff.after(&error, task.checkpoints()).filter(|_| io.can_rewind()) {
                Some(pause) => thread::sleep(pause),
                None => return Err(error),
            }
        }
    }

    fn attempt(
        &self,
        task: &mut impl Task,
        io: &mut impl Io,
        password: Option<&Password>,
    ) -> Result<(), Error> {
        let mut begun = self.0.session()?;
        let mut effect = task.start(&mut begun.session)?;
        let mut driver = None;
        loop {
            match effect {
                Effect::Nothing => {}
                Effect::Derive(header) => {
                    let password = password.ok_or(Error::NoAnswer)?;
                    task.unlocked(&mut begun.session, self.0.key(password, &header)?);
                }
                Effect::Rewind(position) => io.rewind(position)?,
                Effect::Begin(metadata) => io.begin(&metadata)?,
                Effect::Finish => io.finish()?,
            }
            let driver = match &mut driver {
                Some(driver) => driver,
                // The key is there: the server does not wait for it.
                unconnected => unconnected.insert(Driver::new(self.connect()?)),
            };
            let Some(call) = driver.next(&mut begun.session)? else { return Ok(()) };
            effect = Effect::Nothing;
            match call {
                Call::Event(ClientEvent::Connected(_)) => self.0.remember(begun.met())?,
                Call::Event(event) => {
                    effect = task.event(&mut begun.session, event)?;
                    if let Some(note) = task.note() {
                        io.note(&note)?;
                    }
                }
                Call::Request(ClientRequest::Operation) => begun.session.finish(),
                Call::Request(ClientRequest::Supply) => {
                    while let Some(room) = task.room(&mut begun.session)? {
                        let count = io.read(room)?;
                        if task.filled(&mut begun.session, count) {
                            break;
                        }
                    }
                }
                Call::Request(ClientRequest::Data) => {
                    while let Some(bytes) = task.output(&mut begun.session)? {
                        io.write(bytes)?;
                    }
                }
            }
        }
    }

    pub(super) fn connect(&self) -> Result<std::net::TcpStream, Error> {
        let server = self.0.server();
        connect(server, CONNECT)
            .map_err(|source| Error::Connect { server: server.to_owned(), source })
    }
}
