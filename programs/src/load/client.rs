//! Clients of the server that is loaded, on the machines of the library.

use std::io;
use std::time::{Duration, Instant};

use fss::client::{ClientEvent, ClientRequest, ClientSession, Download, Operation, Upload};
use fss::crypto::default_provider;
use fss::protocol::{ErrorCode, ErrorFrame};
use fss::sealed::{Cost, Header, Key, Metadata};
use fss::{Config, Cookie};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::load::Failure;
use fss::driver::Call;
use fss::driver::tokio::Driver;

/// No wait here is longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody with a key. All have the same password for all files, so each can download what another
/// one has uploaded.
#[derive(Clone)]
pub struct Client {
    config: Config,
    header: Header,
}

/// A connection after the hello.
pub struct Connection {
    client: Client,
    driver: Driver<TcpStream>,
    session: ClientSession,
}

/// What a server did not do.
#[derive(Debug)]
pub enum Trouble {
    /// It said why.
    Refused(ErrorFrame),
    /// The connection failed.
    Failed(Failure),
}

impl Trouble {
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(refused) => refused.code,
            Self::Failed(_) => None,
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refused) => write!(f, "the server says: {}", refused.text),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<fss::Error> for Trouble {
    fn from(error: fss::Error) -> Self {
        if let fss::Error::PeerRefused(refused) = error {
            return Self::Refused(refused);
        }
        Self::Failed(error.into())
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The most uploads at once of somebody: a server has a limit of those that are not complete
/// (`docs/protocol.md` §24).
const UPLOADS_OF_ONE: usize = 50;

impl Client {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            config: Config::generate()?,
            header: Header::from_parts(Cost::DEFAULT, [1; 16], [2; 32]),
        })
    }

    /// As many as it takes for so many uploads at once, for each of those one.
    pub fn for_uploads(uploads: usize) -> Result<impl Iterator<Item = Self>, Failure> {
        let clients = (0..uploads.div_ceil(UPLOADS_OF_ONE))
            .map(|_| Self::new())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(clients.into_iter().cycle().take(uploads))
    }

    /// Connects, and says hello.
    pub async fn connect(&self, address: &str) -> Result<Connection, Trouble> {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .unwrap_or_else(|late| Err(io::Error::from(late)))?;
        let _ = stream.set_nodelay(true);
        let session = ClientSession::new(self.config.clone()).continue_after_refusals();
        let mut connection =
            Connection { client: self.clone(), driver: Driver::new(stream), session };
        connection.until(|call| matches!(call, Call::Request(ClientRequest::Operation))).await?;
        Ok(connection)
    }

    /// One upload on a connection of its own: how long it took.
    pub async fn upload_alone(&self, address: &str, size: usize) -> Result<Duration, Trouble> {
        let start = Instant::now();
        self.connect(address).await?.upload(&vec![7; size]).await?;
        Ok(start.elapsed())
    }
}

impl Connection {
    /// The next call that is looked for; those before it are dropped.
    async fn until(
        &mut self,
        is_it: impl Fn(&Call<ClientSession>) -> bool,
    ) -> Result<Call<ClientSession>, Trouble> {
        loop {
            match self.driver.next(&mut self.session).await? {
                Some(Call::Event(ClientEvent::Refused(refused))) => {
                    return Err(Trouble::Refused(refused));
                }
                Some(call) if is_it(&call) => return Ok(call),
                Some(_) => {}
                None => return Err(Trouble::Failed("the connection has ended".into())),
            }
        }
    }

    /// Uploads a file, and gives its cookie once it is acknowledged. The connection is then at rest
    /// again.
    pub async fn upload(&mut self, content: &[u8]) -> Result<Cookie, Trouble> {
        let (header, metadata) = (self.client.header.clone(), Metadata::named("load"));
        let size = Some(content.len() as u64);
        let upload = Upload { header, key: key(), metadata, size, keep: None, downloads: None };
        self.session.start(Operation::Upload(upload));
        let mut rest = content;
        let cookie = loop {
            let is_next = |call: &Call<ClientSession>| {
                matches!(
                    call,
                    Call::Request(ClientRequest::Supply)
                        | Call::Event(ClientEvent::Uploaded { .. })
                )
            };
            if let Call::Event(ClientEvent::Uploaded { cookie, .. }) = self.until(is_next).await? {
                break cookie;
            }
            let room = self.session.supply();
            let (now, later) = rest.split_at(rest.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            rest = later;
            self.session.supplied(now.len());
        };
        self.until(|call| matches!(call, Call::Request(ClientRequest::Operation))).await?;
        Ok(cookie)
    }

    /// Downloads a file, and says how many bytes it has. The connection is then at rest again.
    pub async fn download(&mut self, cookie: &Cookie) -> Result<u64, Trouble> {
        let (header, key) = (self.client.header.clone(), key());
        self.session.start(Operation::Download(Download {
            cookie: cookie.clone(),
            header,
            key,
            earlier: None,
            chain: None,
        }));
        let mut size = 0;
        loop {
            let is_next = |call: &Call<ClientSession>| {
                matches!(call, Call::Request(ClientRequest::Data | ClientRequest::Operation))
            };
            if let Call::Request(ClientRequest::Operation) = self.until(is_next).await? {
                return Ok(size);
            }
            let count = self.session.data().len();
            size += count as u64;
            self.session.consumed(count);
        }
    }

    /// Deletes a file of ours.
    pub async fn delete(&mut self, cookie: &Cookie) -> Result<(), Trouble> {
        self.session.start(Operation::Delete { cookie: cookie.clone(), verifier: None });
        self.until(|call| matches!(call, Call::Request(ClientRequest::Operation))).await.map(drop)
    }
}

/// The key of all files, as a password would give it, without the time that takes.
fn key() -> Key {
    Key::from_secrets(&[7; 32], &[8; 32], &*default_provider())
}
