//! The server machine that asks for storage, for drivers whose storage is asynchronous or remote.

use std::fmt;

use rand_core::CryptoRng;

use super::ServerEvent;
use super::states::Server;
use crate::config::Config;
use crate::error::Error;
use crate::random::SystemRng;
use crate::session::{Core, Link, Machine, Step};
use crate::store::StoreError;
use crate::store::transfer::{RequestId, StoreReply, StoreRequest};
use crate::time::Time;

/// One connection of a server, as a machine that asks for storage with `Step::Need` and is answered with
/// [`ServerEngine::complete`], at any time later.
///
/// [`super::ServerSession`] is the same with a store that answers at once.
///
/// This walks an upload of one byte through every state, with the client's machine as the other end:
///
/// ```
/// use fss::client::{ClientEvent, ClientSession, FileNeed};
/// use fss::server::{ServerEngine, ServerEvent};
/// use fss::store::transfer::{StoreOperation, StoreReply};
/// use fss::{Config, Machine, Password, Step, Time};
///
/// let config = Config::process_wide();
/// let mut server = ServerEngine::new(config.clone());
/// let mut client = ClientSession::upload(config, &Password::new("secret")?);
/// let mut seen = Vec::new();
/// for tick in 0..100 {
///     let now = Time::ZERO + std::time::Duration::from_millis(50 * tick);
///     match server.poll(now)? {
///         Step::Need(request) => {
///             let reply = match request.operation {
///                 StoreOperation::Create { .. } => StoreReply::Created { cookie: "7".parse()? },
///                 _ => StoreReply::Done,
///             };
///             server.complete(request.id, Ok(reply));
///         }
///         Step::Event(event) => seen.push(event),
///         Step::Send => {
///             let sent = server.buffers().1.to_vec();
///             server.sent(sent.len());
///             client.buffers().0[..sent.len()].copy_from_slice(&sent);
///             client.received(sent.len());
///         }
///         Step::Close => break,
///         Step::Receive | Step::Yield | Step::Shutdown => {}
///     }
///     match client.poll(now)? {
///         Step::Need(FileNeed::Supply) if seen.len() == 2 => {
///             client.supply()[0] = b'x';
///             client.supplied(1);
///             seen.push(ServerEvent::UploadStarted { cookie: "8".parse()? });
///         }
///         Step::Need(FileNeed::Supply) => client.supplied(0),
///         Step::Send => {
///             let sent = client.buffers().1.to_vec();
///             client.sent(sent.len());
///             server.buffers().0[..sent.len()].copy_from_slice(&sent);
///             server.received(sent.len());
///         }
///         Step::Close => server.received(0),
///         _ => {}
///     }
/// }
/// assert_eq!(seen.last(), Some(&ServerEvent::Stored { cookie: "7".parse()?, bytes: 16 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ServerEngine {
    core: Core<Server>,
}

impl ServerEngine {
    /// A new connection, with the operating system's random numbers.
    pub fn new(config: Config) -> Self {
        Self::with_rng(config, SystemRng)
    }

    /// A new connection with random numbers of your own.
    pub fn with_rng(config: Config, rng: impl CryptoRng + Send + 'static) -> Self {
        Self { core: Core::new(Server::new(), Link::new(config, Box::new(rng))) }
    }

    /// Answers the storage request `id`.
    ///
    /// An answer to a request that is not open, or of another kind, is a mistake of the caller's and ends the
    /// connection with [`Error::Misuse`]. After the end answers are ignored.
    pub fn complete(&mut self, id: RequestId, reply: Result<StoreReply, StoreError>) {
        if !self.core.is_ending() {
            self.core.turn(|server, turn| server.on_reply(id, reply, turn));
        }
    }

    /// Whether the connection has come to its end, so that storage will not be asked again.
    pub fn is_ending(&self) -> bool {
        self.core.is_ending()
    }
}

impl Machine for ServerEngine {
    type Event = ServerEvent;
    type Need = StoreRequest;

    fn poll(&mut self, now: Time) -> Result<Step<ServerEvent, StoreRequest>, Error> {
        self.core.poll(now)
    }

    fn buffers(&mut self) -> (&mut [u8], &[u8]) {
        self.core.buffers()
    }

    fn received(&mut self, count: usize) {
        self.core.link.input.filled(count);
    }

    fn sent(&mut self, count: usize) {
        self.core.link.output.sent(count);
    }

    fn send_failed(&mut self) {
        self.core.link.output.clear();
    }

    fn deadline(&self) -> Option<Time> {
        self.core.deadline()
    }
}

impl fmt::Debug for ServerEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEngine").field("ending", &self.is_ending()).finish_non_exhaustive()
    }
}
