//! The server machine that asks for storage, for drivers whose storage is asynchronous or remote.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand_core::CryptoRng;

use super::admission::Admission;
use super::negotiation::Server;
use super::state::ServerState;
use super::{PeerAddress, ServerEvent};
use crate::error::{Error, Refusal};
use crate::session::{Link, Runner, machine};
use crate::store::StoreError;
use crate::store::transfer::{StoreReply, StoreRequest};
use crate::types::random::SystemRng;

/// How long a connection has for its key that is to be told that it is one too many.
const REFUSED: Duration = Duration::from_secs(2);

/// One connection of a server, as a machine that asks for storage with `Step::Request` and is
/// answered with [`ServerEngine::complete`], at any time later.
///
/// [`super::ServerSession`] is the same with a store that answers at once.
///
/// An upload of one byte, with the client's machine as the other end and storage answered by hand:
///
/// ```
/// use fss::client::legacy::LegacySession;
/// use fss::server::{ServerEngine, ServerState};
/// use fss::store::transfer::{StoreReply, StoreRequest};
/// use fss::{Config, Machine, Password, Step, Time};
///
/// fn carry(from: &mut impl Machine, to: &mut impl Machine) {
///     let bytes = from.buffers().1.to_vec();
///     to.buffers().0[..bytes.len()].copy_from_slice(&bytes);
///     to.received(bytes.len());
///     from.sent(bytes.len());
/// }
///
/// let config = Config::ephemeral();
/// let mut server = ServerEngine::new(&ServerState::new(config.clone()));
/// let mut client = LegacySession::upload(config, &Password::new("secret")?);
/// let (mut now, mut asked) = (Time::ZERO, Vec::new());
/// let mut file = [1, 0].into_iter(); // one byte, then no more
/// loop {
///     now = now + std::time::Duration::from_millis(50);
///     match server.poll(now)? {
///         Step::Send => carry(&mut server, &mut client),
///         Step::Request(request) => {
///             let (name, reply) = match request {
///                 StoreRequest::Create { .. } => ("create", StoreReply::Created { cookie: "7".parse()?, expires: None, granted: Default::default() }),
///                 StoreRequest::Write { .. } => ("write", StoreReply::Done),
///                 StoreRequest::Commit => ("commit", StoreReply::Committed { chain: fss::chain::Chain::new(b"").digest() }),
///                 other => panic!("an upload does not ask for {other:?}"),
///             };
///             asked.push(name);
///             server.complete(Ok(reply));
///         }
///         Step::Close => break,
///         Step::Event(_) | Step::Receive | Step::Sleep(_) | Step::Yield | Step::Shutdown => {}
///     }
///     match client.poll(now)? {
///         Step::Send => carry(&mut client, &mut server),
///         Step::Request(_) => client.supplied(file.next().unwrap_or(0)),
///         Step::Close => server.received(0),
///         Step::Event(_) | Step::Receive | Step::Sleep(_) | Step::Yield | Step::Shutdown => {}
///     }
/// }
/// assert_eq!(asked, ["create", "write", "commit"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ServerEngine {
    pub(super) runner: Runner<Server>,
}

impl ServerEngine {
    /// A new connection of a server, with the operating system's random numbers.
    pub fn new(server: &ServerState) -> Self {
        Self::with_rng(server, SystemRng)
    }

    /// A new connection of a server, with random numbers of your own.
    pub fn with_rng(server: &ServerState, rng: impl CryptoRng + Send + 'static) -> Self {
        let key = server.next_transport_key();
        let has_key = key.is_ok();
        // Without a key nothing is sent, and nothing opened.
        let key = key.unwrap_or_else(|_| Arc::clone(server.config().identity()));
        let pool = Arc::clone(server.pool());
        let link = Link::new(server.config().clone(), pool, key, Box::new(rng));
        let mut engine = Self { runner: Runner::new(Server::new(server.clone()), link) };
        if !has_key {
            engine.runner.fail_at_once(Error::Crypto);
        }
        engine.take_place();
        engine
    }

    /// Sets the address that the client connects from, so that its connections, wrong passwords and
    /// buffers are counted for that source too. Call it before the first poll. Behind a proxy it is
    /// the address in the PROXY header ([`crate::proxy`]). An address of this machine is ignored:
    /// any number of clients may connect through it.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<PeerAddress>) -> Self {
        let peer = peer.into();
        // A tunnel or proxy on this machine has many clients.
        if !peer.is_local() {
            self.runner.protocol.set_peer(peer, self.runner.link.config().limits());
            self.runner.link.set_peer(peer);
            self.take_place();
        }
        self
    }

    /// One connection too many is told so if its key comes soon, and if few others are being told.
    fn take_place(&mut self) {
        match self.runner.protocol.admission() {
            Admission::Admitted => {}
            Admission::Refused => self.runner.link.shorten_handshake(REFUSED),
            Admission::Dropped => self.runner.fail_at_once(Refusal::TooManyConnections.into()),
        }
    }

    /// Answers the storage request that is open.
    ///
    /// An answer while none is open, or of another kind, is a mistake of the caller's and ends the
    /// connection with [`crate::Error::Misuse`]. After the end answers are ignored.
    pub fn complete(&mut self, reply: Result<StoreReply, StoreError>) {
        self.runner.context(|server, context| server.on_reply(reply, context));
    }

    /// Whether the connection has come to its end, so that storage will not be asked again.
    pub fn is_ending(&self) -> bool {
        self.runner.is_ending()
    }
}

machine!([] ServerEngine, ServerEvent, StoreRequest, runner, runner.poll);

impl fmt::Debug for ServerEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEngine").field("ending", &self.is_ending()).finish_non_exhaustive()
    }
}
