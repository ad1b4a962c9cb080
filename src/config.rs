//! What a session is given: crypto, identity, and limits.

use std::sync::{Arc, OnceLock};

use crate::crypto::{CryptoProvider, KeyRejected, PrivateKey, default_provider};
use crate::limits::Limits;
use crate::types::random::SystemRng;

/// The identity of a side, and what it allows. It is immutable and cheap to clone: what the connections of a
/// server share and change is [`crate::server::ServerState`].
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
    versions: Versions,
}

/// The versions of the protocol that a server accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// FSS/2 and FSS 1.0, as the client chooses.
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
        Self { provider, identity, limits: Arc::default(), versions: Versions::All }
    }

    /// Uses the default provider and a new key. Generating it takes a noticeable part of a
    /// second.
    ///
    /// # Errors
    /// [`KeyRejected`] if the provider cannot generate one.
    pub fn generate() -> Result<Self, KeyRejected> {
        let provider = default_provider();
        let identity = provider.generate_private_key(&mut SystemRng)?;
        Ok(Self::new(provider, identity))
    }

    /// The configuration that is used where none is given: a new key, generated once per process.
    ///
    /// For tests and demonstrations: the key is gone with the process, so no client can
    /// recognise the server again.
    ///
    /// # Panics
    /// If the operating system has no random numbers to generate a key from. [`Config::generate`]
    /// returns that as an error.
    pub fn ephemeral() -> Self {
        static CONFIG: OnceLock<Config> = OnceLock::new();
        CONFIG
            .get_or_init(|| {
                Self::generate().expect("a key can be made wherever there are random numbers")
            })
            .clone()
    }

    /// Replaces the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// Chooses the versions that a server accepts.
    #[must_use]
    pub fn with_versions(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// The crypto provider.
    pub fn provider(&self) -> &Arc<dyn CryptoProvider> {
        &self.provider
    }

    /// Our own key, by which the peer recognises us.
    pub fn identity(&self) -> &Arc<dyn PrivateKey> {
        &self.identity
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The versions that a server accepts.
    pub fn versions(&self) -> Versions {
        self.versions
    }
}
