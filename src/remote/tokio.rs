//! The client on tokio.

use std::future::Future;
use std::io::SeekFrom;
#[cfg(all(unix, feature = "blocking", feature = "filesystem"))]
use std::path::PathBuf;
use std::sync::Arc;

use ::tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _, AsyncWrite, AsyncWriteExt as _,
};
use ::tokio::net::TcpStream;
use ::tokio::task::spawn_blocking;
use ::tokio::time::{sleep, timeout};

use super::bindings::Use;
use super::put::{Put, Stored};
use super::retry::{Backoff, Retry};
use super::shared::{CONNECT, Shared};
use super::task::{Deleting, Downloading, Effect, Informing, Listing, Task, Uploading};
use super::{Error, Fetched, Get, Journal, Trust};
use crate::client::{ClientEvent, ClientRequest, Operation};
use crate::config::Config;
use crate::driver::Call;
use crate::driver::tokio::Driver;
use crate::store::{Account, Entry, Invite, UserName};
use crate::types::cookie::Cookie;
use crate::types::secret::Password;
use crate::wire::reply::ServerLimits;

/// A client of one server, with an identity of its own (that of its [`Config`]), for programs on
/// tokio. It does what [`Client`](super::Client) does.
///
/// Each call makes a connection, or several if one fails ([`Retry`]). Dropping the future of a call
/// closes the connection. Keys are derived from passwords on tokio's threads for blocking work, and
/// so are the keys of servers looked up.
///
/// ```
/// use fss::remote::{AsyncClient, Put, Trust};
/// # use fss::driver::{Server, tokio::serve_listener};
/// # use fss::{Config, MemoryStore, Password};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let (store, server) = (MemoryStore::new(), Config::generate()?);
/// # let key = server.identity().public_key().fingerprint();
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?.to_string();
/// # tokio::spawn(serve_listener(listener, std::sync::Arc::new(Server::new(server, store))));
/// let client = AsyncClient::new(Config::generate()?, address, Trust::Pinned(key));
/// let password = Password::new("correct horse battery staple")?;
/// let stored = client.put(&b"a file"[..], &password, &Put::named("notes.txt")).await?;
///
/// let mut file = Vec::new();
/// client.get(&stored, &password, &mut file).await?;
/// assert_eq!(file, b"a file");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AsyncClient(Arc<Shared>);

/// What a task reads from and writes to.
trait AsyncIo: Send {
    /// Reads some bytes; 0 at the end.
    fn read(&mut self, _room: &mut [u8]) -> impl Future<Output = Result<usize, Error>> + Send {
        async { Ok(0) }
    }

    /// Whether all can be read again.
    fn can_rewind(&self) -> bool {
        true
    }

    /// Continues to read at this position.
    fn rewind(&mut self, _position: u64) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    fn write(&mut self, _bytes: &[u8]) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// The file is whole: makes it durable.
    fn finish(&mut self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }
}

/// Of tasks without a file.
struct NoFile;

impl AsyncIo for NoFile {}

/// Anything that reads, once.
struct Once<R> {
    source: R,
    is_read: bool,
}

impl<R: AsyncRead + Unpin + Send> AsyncIo for Once<R> {
    async fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        self.is_read = true;
        self.source.read(room).await.map_err(Error::Source)
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

impl<R: AsyncRead + AsyncSeek + Unpin + Send> AsyncIo for Seekable<R> {
    async fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        self.source.read(room).await.map_err(Error::Source)
    }

    async fn rewind(&mut self, position: u64) -> Result<(), Error> {
        let position = self.start.saturating_add(position);
        self.source.seek(SeekFrom::Start(position)).await.map(drop).map_err(Error::Source)
    }
}

/// Anything that writes.
struct Sink<W>(W);

impl<W: AsyncWrite + Unpin + Send> AsyncIo for Sink<W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all(bytes).await.map_err(Error::Sink)
    }

    async fn finish(&mut self) -> Result<(), Error> {
        self.0.flush().await.map_err(Error::Sink)
    }
}

impl AsyncClient {
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

    /// Uploads what `source` returns, sealed with a key that is made of the password. When this
    /// returns the file is durable at the server.
    ///
    /// A source that only reads cannot be read again, so the upload is not resumed when its
    /// connection fails: see [`AsyncClient::put_seekable`].
    ///
    /// # Errors
    /// [`Error`]; [`Error::Source`] if `source` fails. Then there is no such file.
    pub async fn put(
        &self,
        source: impl AsyncRead + Unpin + Send,
        password: &Password,
        put: &Put,
    ) -> Result<Stored, Error> {
        self.upload(Once { source, is_read: false }, password, put).await
    }

    /// As [`AsyncClient::put`], from the present position of a source that is read again from where
    /// the server has it when a connection fails.
    ///
    /// # Errors
    /// As [`AsyncClient::put`].
    pub async fn put_seekable(
        &self,
        mut source: impl AsyncRead + AsyncSeek + Unpin + Send,
        password: &Password,
        put: &Put,
    ) -> Result<Stored, Error> {
        let start = source.stream_position().await.map_err(Error::Source)?;
        self.upload(Seekable { source, start }, password, put).await
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
    pub async fn get(
        &self,
        file: impl Into<Get>,
        password: &Password,
        sink: impl AsyncWrite + Unpin + Send,
    ) -> Result<Fetched, Error> {
        let get = file.into();
        self.0.bind(password, get.password_use())?;
        self.run(&mut Downloading::new(&get, password), &mut Sink(sink), Some(password)).await
    }

    /// Uploads a file or a directory, as `Client::put_path` does, on tokio's threads for blocking
    /// work. It is not ended by dropping the future.
    ///
    /// # Errors
    /// As `Client::put_path`.
    #[cfg(all(unix, feature = "blocking", feature = "filesystem"))]
    pub async fn put_path(
        &self,
        path: impl Into<PathBuf>,
        password: &Password,
        put: &Put,
    ) -> Result<Stored, Error> {
        let (client, path) = (self.blocking(), path.into());
        let (password, put) = (password.clone(), put.clone());
        on_thread(move || client.put_path(&path, &password, &put)).await
    }

    /// Downloads a file or a directory, as `Client::get_path` does, on tokio's threads for blocking
    /// work. It is not ended by dropping the future.
    ///
    /// # Errors
    /// As `Client::get_path`.
    #[cfg(all(unix, feature = "blocking", feature = "filesystem"))]
    pub async fn get_path(
        &self,
        file: impl Into<Get>,
        password: &Password,
        path: impl Into<PathBuf>,
    ) -> Result<Fetched, Error> {
        let (client, path) = (self.blocking(), path.into());
        let (get, password) = (file.into(), password.clone());
        on_thread(move || client.get_path(get, &password, &path)).await
    }

    /// The files that were uploaded with this client's key, oldest first.
    ///
    /// # Errors
    /// [`Error`]; [`Error::EndlessList`] if they are more than 1,000,000.
    pub async fn list(&self) -> Result<Vec<Entry>, Error> {
        self.run(&mut Listing::default(), &mut NoFile, None).await
    }

    /// Deletes a file that was uploaded with this client's key. To delete it once more is no error
    /// for a day.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn delete(&self, cookie: &Cookie) -> Result<(), Error> {
        self.run(&mut Deleting::own(cookie.clone()), &mut NoFile, None).await
    }

    /// Deletes a file whose password is known, whoever uploaded it.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn delete_with_password(
        &self,
        file: impl Into<Get>,
        password: &Password,
    ) -> Result<(), Error> {
        self.run(&mut Deleting::with_password(file.into()), &mut NoFile, Some(password)).await
    }

    /// What the server accepts, and the user that this client's key has signed up as, if it has.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn information(&self) -> Result<(Option<ServerLimits>, Option<Account>), Error> {
        self.run(&mut Informing::new(|| Operation::Information), &mut NoFile, None).await
    }

    /// Makes this client's key a user of the server.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn sign_up(
        &self,
        name: &UserName,
        invite: Option<&Invite>,
    ) -> Result<Option<Account>, Error> {
        let operation = || Operation::SignUp { name: name.clone(), invite: invite.cloned() };
        let mut task = Informing::new(operation);
        self.run(&mut task, &mut NoFile, None).await.map(|(_, account)| account)
    }

    #[cfg(all(unix, feature = "blocking", feature = "filesystem"))]
    fn blocking(&self) -> super::Client {
        super::Client::of(Arc::clone(&self.0))
    }

    async fn upload(
        &self,
        mut source: impl AsyncIo,
        password: &Password,
        put: &Put,
    ) -> Result<Stored, Error> {
        self.0.bind(password, Use::Seals)?;
        let mut task = Uploading::new(put, self.0.new_header(password))?;
        loop {
            match self.run(&mut task, &mut source, Some(password)).await {
                Err(error) if error.is_lost_upload() && task.begin_anew() => {}
                ended => return ended,
            }
        }
    }

    /// Runs a task on one connection after another, until it is done or has failed for good.
    async fn run<T: Task + Send>(
        &self,
        task: &mut T,
        io: &mut impl AsyncIo,
        password: Option<&Password>,
    ) -> Result<T::Outcome, Error> {
        let mut backoff = Backoff::new(self.0.retry());
        loop {
            let ended = self.attempt(task, io, password).await;
            let error = match ended.and_then(|()| task.outcome()) {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            match backoff.after(&error, task.checkpoints()).filter(|_| io.can_rewind()) {
                Some(pause) => sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        task: &mut (impl Task + Send),
        io: &mut impl AsyncIo,
        password: Option<&Password>,
    ) -> Result<(), Error> {
        let shared = Arc::clone(&self.0);
        let mut begun = on_thread(move || shared.session()).await?;
        let mut effect = task.start(&mut begun.session)?;
        let mut driver = None;
        loop {
            match effect {
                Effect::Derive(header) => {
                    let (shared, password) = (Arc::clone(&self.0), password.cloned());
                    let password = password.ok_or(Error::NoAnswer)?;
                    let key = on_thread(move || shared.key(&password, &header)).await?;
                    task.unlocked(&mut begun.session, key);
                }
                Effect::Rewind(position) => io.rewind(position).await?,
                Effect::Finish => io.finish().await?,
                Effect::Nothing | Effect::Begin(_) => {}
            }
            let driver = match &mut driver {
                Some(driver) => driver,
                // The key is there: the server does not wait for it.
                unconnected => unconnected.insert(Driver::new(self.connect().await?)),
            };
            let Some(call) = driver.next(&mut begun.session).await? else { return Ok(()) };
            effect = Effect::Nothing;
            match call {
                Call::Event(ClientEvent::Connected(_)) => {
                    let (shared, met) = (Arc::clone(&self.0), begun.met());
                    on_thread(move || shared.remember(met)).await?;
                }
                Call::Event(event) => effect = task.event(&mut begun.session, event)?,
                Call::Request(ClientRequest::Operation) => begun.session.finish(),
                Call::Request(ClientRequest::Supply) => {
                    while let Some(room) = task.room(&mut begun.session)? {
                        let count = io.read(room).await?;
                        if task.filled(&mut begun.session, count) {
                            break;
                        }
                    }
                }
                Call::Request(ClientRequest::Data) => {
                    while let Some(bytes) = task.output(&mut begun.session)? {
                        io.write(bytes).await?;
                    }
                }
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, Error> {
        let server = self.0.server();
        let connected = timeout(CONNECT, TcpStream::connect(server)).await;
        let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        connected
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| Error::Connect { server: server.to_owned(), source })
    }
}

/// Runs what blocks on a thread for that.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // It ends without a result only when the runtime shuts down, or the work panicked.
    spawn_blocking(work).await.unwrap_or(Err(Error::NoAnswer))
}
