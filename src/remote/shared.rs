//! State that the blocking and the asynchronous client have in common: configuration, trust, keys,
//! retries, journal.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bindings::{Bindings, Use};
use super::journal::Journal;
#[cfg(all(unix, feature = "blocking", feature = "filesystem"))]
use super::journal::{Entry, TransferId};
use super::keys::FileKeys;
use super::{Error, Retry, Trust};
use crate::client::ClientSession;
use crate::config::Config;
use crate::crypto::Fingerprint;
use crate::sealed::{Header, Key};
use crate::types::secret::Password;

/// How long to wait for a server to accept a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

pub(super) struct Shared {
    config: Config,
    server: String,
    trust: Trust,
    retry: Retry,
    keys: FileKeys,
    bindings: Bindings,
    journal: Option<Arc<dyn Journal>>,
}

/// A session to be run.
pub(super) struct Begun {
    pub(super) session: ClientSession,
    is_known: bool,
}

impl Begun {
    /// The key of a server that was not known before, and has shown that the key is its own.
    pub(super) fn met(&self) -> Option<Fingerprint> {
        self.session.server_key().filter(|_| !self.is_known)
    }
}

impl Shared {
    pub(super) fn new(config: Config, server: String, trust: Trust) -> Self {
        let (keys, bindings) = (FileKeys::default(), Bindings::default());
        let (retry, journal) = (Retry::default(), None);
        Self { config, server, trust, retry, keys, bindings, journal }
    }

    /// The same with other rules, and no derived keys yet.
    pub(super) fn with_retry(&self, retry: Retry) -> Self {
        Self { retry, ..self.renewed() }
    }

    /// The same with a journal, and no derived keys yet.
    pub(super) fn with_journal(&self, journal: Arc<dyn Journal>) -> Self {
        Self { journal: Some(journal), ..self.renewed() }
    }

    fn renewed(&self) -> Self {
        let (config, server) = (self.config.clone(), self.server.clone());
        let (retry, journal) = (self.retry.clone(), self.journal.clone());
        Self { retry, journal, ..Self::new(config, server, self.trust.clone()) }
    }

    /// The place of a transfer in the journal, if there is one.
    #[cfg(all(unix, feature = "blocking", feature = "filesystem"))]
    pub(super) fn entry(&self, kind: &str, parts: &[&[u8]]) -> Option<Entry> {
        let journal = Arc::clone(self.journal.as_ref()?);
        let owner = self.config.identity().public_key().fingerprint().to_string();
        let mut all: Vec<&[u8]> = vec![kind.as_bytes(), self.server.as_bytes(), owner.as_bytes()];
        all.extend_from_slice(parts);
        Some(Entry { journal, id: TransferId::of(&all) })
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn retry(&self) -> &Retry {
        &self.retry
    }

    #[cfg(all(unix, feature = "blocking"))]
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether there is a key that the server must have. May read a file.
    #[cfg(all(unix, feature = "blocking"))]
    pub(super) fn knows_server(&self) -> Result<bool, Error> {
        self.trust.known(&self.server).map(|key| key.is_some())
    }

    /// A password is about to be used: its first use decides what it is good for.
    pub(super) fn bind(&self, password: &Password, wanted: Use) -> Result<(), Error> {
        self.bindings.bind(password, wanted)
    }

    /// A session with the server that is trusted. May read a file.
    pub(super) fn session(&self) -> Result<Begun, Error> {
        let known = self.trust.known(&self.server)?;
        let session = ClientSession::new(self.config.clone());
        let session = match known {
            Some(key) => session.expecting(key),
            None => session,
        };
        Ok(Begun { session, is_known: known.is_some() })
    }

    /// Remembers a server, before anything was sent to it. May write a file.
    pub(super) fn remember(&self, met: Option<Fingerprint>) -> Result<(), Error> {
        met.map_or(Ok(()), |key| self.trust.remember(&self.server, key))
    }

    /// The header of a new file.
    pub(super) fn new_header(&self, password: &Password) -> Header {
        self.keys.new_header(password)
    }

    /// The key of a file. Takes a large part of a second the first time.
    pub(super) fn key(&self, password: &Password, header: &Header) -> Result<Key, Error> {
        self.keys.key(password, header, &**self.config.provider())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}
