//! What the connections of a server share: how many there are, wrong passwords, transport keys,
//! decoys, and the pool of big buffers.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::admission::{ConnectionPermit, Connections};
use super::decoy::Decoys;
use super::throttle::PasswordThrottle;
use super::transport_keys::TransportKeys;
use crate::config::{Config, Versions};
use crate::crypto::{CryptoFailure, KeyRejected, PrivateKey};
use crate::limits::Limits;
use crate::pool::Pool;
use crate::session::record_pool;

/// One server: its [`Config`], and the counts, keys and buffers that its connections share.
///
/// Make one for a server, and each connection from it. Cheap to clone; clones are the same server.
/// Limits of all connections, delays after wrong passwords and transport keys hold only for the
/// connections of one `ServerState`, so a new one for each connection would be without them.
///
/// ```
/// use fss::server::ServerState;
/// use fss::{Config, MemoryStore, ServerSession};
///
/// let (server, store) = (ServerState::new(Config::generate()?), MemoryStore::new());
/// server.renew_transport_keys()?; // then once a minute
/// // For each connection:
/// let session = ServerSession::with_state(&store, &server);
/// assert_eq!(server.connections(), 1);
/// # drop(session);
/// # Ok::<(), fss::crypto::KeyRejected>(())
/// ```
#[derive(Clone)]
pub struct ServerState(Arc<Shared>);

#[derive(Clone)]
struct Shared {
    config: Config,
    throttle: Arc<PasswordThrottle>,
    connections: Arc<Connections>,
    transport_keys: Arc<TransportKeys>,
    decoys: Arc<OnceLock<Result<Decoys, CryptoFailure>>>,
    pool: Arc<Pool>,
}

impl ServerState {
    /// A server without connections. Nothing is counted yet, and the first transport key is made
    /// when it is needed.
    pub fn new(config: Config) -> Self {
        let pool = record_pool(config.limits().record_buffers);
        Self(Arc::new(Shared {
            config,
            throttle: Arc::default(),
            connections: Arc::default(),
            transport_keys: Arc::default(),
            decoys: Arc::default(),
            pool,
        }))
    }

    /// The server that is used where none is given, with [`Config::ephemeral`]: one in a process.
    ///
    /// For tests and demonstrations.
    ///
    /// # Panics
    /// As [`Config::ephemeral`] does.
    pub fn ephemeral() -> Self {
        static SERVER: OnceLock<ServerState> = OnceLock::new();
        SERVER.get_or_init(|| Self::new(Config::ephemeral())).clone()
    }

    /// Replaces the limits, for connections that begin from now on. Those that run keep theirs, and
    /// continue to be counted.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.with(|shared| {
            if limits.record_buffers != shared.config.limits().record_buffers {
                shared.pool = record_pool(limits.record_buffers);
            }
            shared.config = shared.config.clone().with_limits(limits);
        })
    }

    /// Chooses the versions that connections may speak that begin from now on.
    #[must_use]
    pub fn with_versions(self, versions: Versions) -> Self {
        self.with(|shared| shared.config = shared.config.clone().with_versions(versions))
    }

    /// Replaces the counts of wrong passwords: for another clock, or to share them among servers.
    #[must_use]
    pub fn with_throttle(self, throttle: Arc<PasswordThrottle>) -> Self {
        self.with(|shared| shared.throttle = throttle)
    }

    /// Replaces the transport keys: for another clock, or with a fixed one in tests.
    #[must_use]
    pub fn with_transport_keys(self, keys: Arc<TransportKeys>) -> Self {
        self.with(|shared| shared.transport_keys = keys)
    }

    /// Replaces what decoys are made with, which is otherwise derived from the server's key
    /// (`docs/protocol.md` §18.2): for a key that cannot leave its provider. Keep it as long as the
    /// key.
    #[must_use]
    pub fn with_decoys(self, decoys: Decoys) -> Self {
        self.with(|shared| shared.decoys = Arc::new(OnceLock::from(Ok(decoys))))
    }

    /// Makes a new modulus for the transport keys if half of the present one is used up, so that no
    /// connection waits for it, and none that is too old lies in memory: call it at the start and
    /// then every minute or so, on a thread that may take a noticeable part of a second.
    ///
    /// # Errors
    /// [`KeyRejected`] if the provider cannot make one. The present one remains in use.
    pub fn renew_transport_keys(&self) -> Result<(), KeyRejected> {
        let Shared { config, transport_keys, .. } = &*self.0;
        transport_keys.renew(&**config.provider(), config.limits())
    }

    /// The configuration, for connections that begin now.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The counts of wrong passwords.
    pub fn throttle(&self) -> &PasswordThrottle {
        &self.0.throttle
    }

    /// How many connections there are now, without those that are one too many.
    pub fn connections(&self) -> usize {
        self.0.connections.count()
    }

    /// Counts a connection that begins now.
    pub(super) fn admit(&self) -> ConnectionPermit {
        self.0.connections.admit(self.config().limits())
    }

    /// The key that opens the messages of a connection that begins now.
    pub(super) fn next_transport_key(&self) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        self.0.transport_keys.next(self.config().provider(), self.config().limits())
    }

    pub(super) fn decoys(&self) -> Result<&Decoys, CryptoFailure> {
        self.0
            .decoys
            .get_or_init(|| Decoys::of_server(&**self.config().identity()))
            .as_ref()
            .map_err(|failure| *failure)
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.0.pool
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

#[doc(hidden)]
impl From<Config> for ServerState {
    fn from(config: Config) -> Self {
        Self::new(config)
    }
}

impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState")
            .field("config", self.config())
            .field("connections", &self.connections())
            .field("transport_keys", &self.0.transport_keys)
            .field("pool", &self.0.pool)
            .finish_non_exhaustive()
    }
}
