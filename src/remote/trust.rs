//! Trust in a server: a pinned key, or one that is remembered.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;
use crate::crypto::Fingerprint;

/// How it is known which key the server has. With any other key an operation fails before anything
/// is sent.
#[derive(Clone)]
#[non_exhaustive]
pub enum Trust {
    /// It has this key: its operator has said so, by another way than the network.
    Pinned(Fingerprint),
    /// The key that it had at first is remembered. **The first connection trusts the network.**
    OnFirstUse(Arc<dyn ServerKeys>),
}

impl Trust {
    pub(super) fn known(&self, server: &str) -> Result<Option<Fingerprint>, Error> {
        match self {
            Self::Pinned(key) => Ok(Some(*key)),
            Self::OnFirstUse(servers) => servers.get(server).map_err(Error::ServerKeys),
        }
    }

    pub(super) fn remember(&self, server: &str, key: Fingerprint) -> Result<(), Error> {
        match self {
            Self::Pinned(_) => Ok(()),
            Self::OnFirstUse(servers) => servers.remember(server, key).map_err(Error::ServerKeys),
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(key) => f.debug_tuple("Pinned").field(key).finish(),
            Self::OnFirstUse(_) => f.write_str("OnFirstUse(..)"),
        }
    }
}

/// Keeps the keys of servers, for [`Trust::OnFirstUse`]: in memory, in a profile
/// (`fss::profile::KnownServers`), or where you like.
pub trait ServerKeys: Send + Sync {
    /// The key of a server (`HOST:PORT`), if it is known.
    ///
    /// # Errors
    /// What was kept cannot be read. It must not be taken for unknown then.
    fn get(&self, server: &str) -> io::Result<Option<Fingerprint>>;

    /// Keeps the key of a server, durably. It must not replace another key of it.
    ///
    /// # Errors
    /// It cannot be kept, or another key is: the operation that was asked for is not begun.
    fn remember(&self, server: &str, key: Fingerprint) -> io::Result<()>;
}

/// The keys of servers for as long as the process lives: for tests, and programs that connect once.
#[derive(Debug, Default)]
pub struct MemoryServerKeys(Mutex<HashMap<String, Fingerprint>>);

impl ServerKeys for MemoryServerKeys {
    fn get(&self, server: &str) -> io::Result<Option<Fingerprint>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(server).copied())
    }

    fn remember(&self, server: &str, key: Fingerprint) -> io::Result<()> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match servers.insert(server.to_owned(), key) {
            Some(other) if other != key => {
                servers.insert(server.to_owned(), other);
                Err(io::Error::other("another key of this server is known"))
            }
            _ => Ok(()),
        }
    }
}
