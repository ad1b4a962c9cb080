//! What a session is given: crypto, identity, and limits.

use std::sync::{Arc, OnceLock};

use crate::crypto::{CryptoFailure, CryptoProvider, KeyRejected, PrivateKey, default_provider};
use crate::limits::Limits;
use crate::server::{ConnectionPermit, Connections, Decoys, PasswordThrottle, TransportKeys};
use crate::session::Pool;
use crate::types::random::SystemRng;

/// What all sessions of one side share. Cheap to clone; clones share the counts of connections and
/// of wrong passwords, the transport keys, and the big buffers.
///
/// ```
/// let config = fss::Config::generate()?;
/// println!("our key is {}", config.identity().public_key().fingerprint());
/// # Ok::<(), fss::crypto::KeyRejected>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    provider: Arc<dyn CryptoProvider>,
    identity: Arc<dyn PrivateKey>,
    limits: Arc<Limits>,
    throttle: Arc<PasswordThrottle>,
    connections: Arc<Connections>,
    transport_keys: Arc<TransportKeys>,
    versions: Versions,
    decoys: Arc<OnceLock<Result<Decoys, CryptoFailure>>>,
    pool: Arc<Pool>,
}

/// The versions of the protocol that a server takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// FSS/2 and FSS 1.0, as the client likes.
    #[default]
    All,
    /// FSS 1.0 only.
    Legacy,
    /// FSS/2 only.
    Fss2,
}

impl Config {
    /// Uses a provider and a key of our own, with the default limits. A client opens messages with
    /// the key; a server only signs with it, and makes transport keys to open messages with.
    pub fn new(provider: Arc<dyn CryptoProvider>, identity: Arc<dyn PrivateKey>) -> Self {
        let limits = Limits::default();
        Self {
            provider,
            identity,
            pool: Pool::new(limits.record_buffers),
            limits: Arc::new(limits),
            throttle: Arc::default(),
            connections: Arc::default(),
            transport_keys: Arc::default(),
            versions: Versions::All,
            decoys: Arc::default(),
        }
    }

    /// Uses the default provider and a new key. Making it takes a noticeable part of a second.
    ///
    /// # Errors
    /// [`KeyRejected`] if the provider cannot make one.
    pub fn generate() -> Result<Self, KeyRejected> {
        let provider = default_provider();
        let identity = provider.generate_private_key(&mut SystemRng)?;
        Ok(Self::new(provider, identity))
    }

    /// The configuration that is used where none is given: a new key, made once in a process.
    ///
    /// For tests and demonstrations: the key is gone with the process, so nobody can recognise the
    /// server again.
    ///
    /// # Panics
    /// Where the operating system has no random numbers to make a key of. [`Config::generate`]
    /// reports that.
    pub fn ephemeral() -> Self {
        static CONFIG: OnceLock<Config> = OnceLock::new();
        CONFIG
            .get_or_init(|| {
                Self::generate().expect("a key can be made wherever there are random numbers")
            })
            .clone()
    }

    /// Replaces the limits, for sessions that begin from now on. Those that run keep theirs, and go
    /// on being counted.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        if limits.record_buffers != self.limits.record_buffers {
            self.pool = Pool::new(limits.record_buffers);
        }
        self.limits = Arc::new(limits);
        self
    }

    /// Replaces the counts of wrong passwords: for another clock, or to share them among servers.
    #[must_use]
    pub fn with_throttle(mut self, throttle: Arc<PasswordThrottle>) -> Self {
        self.throttle = throttle;
        self
    }

    /// Replaces the transport keys of a server: for another clock, or with a fixed one in tests.
    #[must_use]
    pub fn with_transport_keys(mut self, keys: Arc<TransportKeys>) -> Self {
        self.transport_keys = keys;
        self
    }

    /// Makes a new modulus for the transport keys of a server if the present one is half used up,
    /// so that no connection waits for it, and none that is too old lies in memory: call it at the
    /// start and then every minute or so, on a thread that may take a noticeable part of a second.
    ///
    /// # Errors
    /// [`KeyRejected`] if the provider cannot make one. The present one is used on.
    pub fn renew_transport_keys(&self) -> Result<(), KeyRejected> {
        self.transport_keys.renew(&*self.provider, &self.limits)
    }

    /// Chooses the versions that a server takes.
    #[must_use]
    pub fn with_versions(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// Replaces what a server makes decoys with, which is else derived from its key
    /// (`docs/protocol.md` §18.2): for a key that cannot leave its provider. Keep it as
    /// long as the key.
    #[must_use]
    pub fn with_decoys(mut self, decoys: Decoys) -> Self {
        self.decoys = Arc::new(OnceLock::from(Ok(decoys)));
        self
    }

    /// The crypto provider.
    pub fn provider(&self) -> &Arc<dyn CryptoProvider> {
        &self.provider
    }

    /// Our own key: what the other side recognises us by.
    pub fn identity(&self) -> &Arc<dyn PrivateKey> {
        &self.identity
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The counts of wrong passwords, of a server.
    pub fn throttle(&self) -> &PasswordThrottle {
        &self.throttle
    }

    /// The versions that a server takes.
    pub fn versions(&self) -> Versions {
        self.versions
    }

    /// How many server sessions there are now, without those that are one too many.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// The key that opens the messages of a connection to a server that begins now.
    pub(crate) fn next_transport_key(&self) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        self.transport_keys.next(&self.provider, &self.limits)
    }

    pub(crate) fn enter(&self) -> ConnectionPermit {
        self.connections.enter(&self.limits)
    }

    pub(crate) fn decoys(&self) -> Result<&Decoys, CryptoFailure> {
        self.decoys
            .get_or_init(|| Decoys::of_server(&*self.identity))
            .as_ref()
            .map_err(|failure| *failure)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}
