//! What a session is given: crypto, identity, and limits.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::crypto::decoy::Decoys;
use crate::crypto::{CryptoFailure, CryptoProvider, KeyRejected, PrivateKey, default_provider};
use crate::random::SystemRng;
use crate::server::{Connections, Guesses, Place, TransportKeys};
use crate::session::Pool;

/// Every bound of a session, each with its reason. Change the ones you need:
///
/// ```
/// let mut limits = fss::Limits::default();
/// limits.idle = std::time::Duration::from_secs(10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From the start to the first whole message: who connects wants something. 10 s.
    pub handshake: Duration,
    /// For each whole message after that, coming or going. Bytes that complete no message are no sign of life, so a
    /// peer that dribbles is no better off than a silent one. 60 s.
    pub idle: Duration,
    /// Before a message that no acknowledgement separates from the one before it: 2019 peers take whatever one read
    /// gives for one message (`docs/protocol.md` §3). 50 ms.
    pub pause: Duration,
    /// After a side has said its last word, how long it goes on reading so that the peer gets to hear it: closing with
    /// unread input would reset the connection. 2 s.
    pub linger: Duration,
    /// How many bytes are read and dropped in that time. 1 MiB.
    pub linger_bytes: u64,
    /// Bytes a second that a peer must move while a file is on its way, after a grace of the idle time: tiny records must not
    /// hold a connection for ever. 0 is no limit. 256, which the slowest machines of 2019 keep with the largest keys.
    pub minimum_rate: u64,
    /// Connections of a server at once, in all; one more is told that the server is busy. Each takes memory: 20 KiB at
    /// rest. 16,384.
    pub connections: usize,
    /// Connections of a server at once from one source (an address, or a /64 of IPv6): one source must not take all. The
    /// server's own machine is not one source, for proxies and tunnels. A quarter of those in all: 4,096.
    pub connections_per_source: usize,
    /// The largest file, in stored bytes: none fills a disk by itself. 1 TiB.
    pub largest_file: u64,
    /// How far a client of FSS/2 may send ahead of what is acknowledged, in bytes: fills a link of 1 Gbit/s with a round
    /// trip of 67 ms. At least 4 pieces of a sealed file. 8 MiB.
    pub upload_window: u64,
    /// Records that may be on their way in or out at once, over all sessions of a [`Config`]: each takes 257 KiB of memory
    /// while it is. When all do, sessions wait for each other. 512, so 128.5 MiB.
    pub record_buffers: usize,
    /// For how long new connections to a server get transport keys of the same modulus: what was sent to keys that are gone
    /// stays closed (`docs/protocol.md` §2.9). 15 minutes.
    pub transport_key_lifetime: Duration,
    /// How many connections get one: there are 557,000 exponents, and those that are used must be remembered. 2^17, which is
    /// also the most.
    pub transport_keys: usize,
    /// How long a connection to a server may go on with FSS 1.0: it keeps the modulus of its key in memory. 24 hours.
    pub legacy_connection: Duration,
    /// RSA private operations in one `poll` before it yields: the largest piece of work of FSS 1.0, so that one
    /// connection does not keep a thread from others. 1.
    pub private_operations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            pause: Duration::from_millis(50),
            linger: Duration::from_secs(2),
            linger_bytes: 1024 * 1024,
            minimum_rate: 256,
            connections: 16_384,
            connections_per_source: 4_096,
            largest_file: 1024 * 1024 * 1024 * 1024,
            upload_window: 8 * 1024 * 1024,
            record_buffers: 512,
            transport_key_lifetime: Duration::from_secs(15 * 60),
            legacy_connection: Duration::from_secs(24 * 60 * 60),
            transport_keys: 1 << 17,
            private_operations: 1,
        }
    }
}

/// What all sessions of one side share. Cheap to clone; clones share the counts of connections and of wrong passwords, the
/// transport keys, and the big buffers.
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
    guesses: Arc<Guesses>,
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
    /// Uses a provider and a key of our own, with the default limits. A client opens messages with the key; a server only
    /// signs with it, and makes transport keys to open messages with.
    pub fn new(provider: Arc<dyn CryptoProvider>, identity: Arc<dyn PrivateKey>) -> Self {
        let limits = Limits::default();
        Self {
            provider,
            identity,
            pool: Pool::new(limits.record_buffers),
            limits: Arc::new(limits),
            guesses: Arc::default(),
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
    /// For tests and demonstrations: the key is gone with the process, so nobody can recognise the server again.
    ///
    /// # Panics
    /// Where the operating system has no random numbers to make a key of. [`Config::generate`] reports that.
    pub fn process_wide() -> Self {
        static CONFIG: OnceLock<Config> = OnceLock::new();
        CONFIG.get_or_init(|| Self::generate().expect("a key can be made wherever there are random numbers")).clone()
    }

    /// Replaces the limits, for sessions that begin from now on. Those that run keep theirs, and go on being counted.
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
    pub fn with_guesses(mut self, guesses: Arc<Guesses>) -> Self {
        self.guesses = guesses;
        self
    }

    /// Replaces the transport keys of a server: for another clock, or with a fixed one in tests.
    #[must_use]
    pub fn with_transport_keys(mut self, keys: Arc<TransportKeys>) -> Self {
        self.transport_keys = keys;
        self
    }

    /// Makes a new modulus for the transport keys of a server if the present one is half used up, so that no connection waits
    /// for it, and none that is too old lies in memory: call it at the start and then every minute or so, on a thread that may
    /// take a noticeable part of a second.
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

    /// Replaces what a server makes decoys with, which is else derived from its key (`docs/protocol.md` §18.2): for a key
    /// that cannot leave its provider. Keep it as long as the key.
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
    pub fn guesses(&self) -> &Guesses {
        &self.guesses
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

    pub(crate) fn enter(&self) -> Place {
        self.connections.enter(&self.limits)
    }

    pub(crate) fn decoys(&self) -> Result<&Decoys, CryptoFailure> {
        self.decoys.get_or_init(|| Decoys::of_server(&*self.identity)).as_ref().map_err(|failure| *failure)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}
