//! Files on a server, in a few lines: a client that connects, checks the server's key, seals and
//! uploads, downloads and opens.
//!
//! It is the machine [`ClientSession`] on a blocking socket, with what keeps its user safe: it
//! speaks to no server whose key is not the one that is pinned or remembered, releases no byte that
//! was changed, asks for no more memory and disk than a file says that it takes, and returns every
//! refusal as an error.
//!
//! ```
//! use fss::remote::{Client, Put, Trust};
//! # use fss::{Config, MemoryStore, Password, driver::{Server, blocking::serve_listener}};
//! # let config = Config::generate()?;
//! # let key = config.identity().public_key().fingerprint();
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?.to_string();
//! # let server = std::sync::Arc::new(Server::new(config, MemoryStore::new()));
//! # std::thread::spawn(move || serve_listener(listener, &server));
//! let client = Client::new(Config::generate()?, address, Trust::Pinned(key));
//! let password = Password::new("correct horse battery staple")?;
//! let stored = client.put(&b"a file"[..], &password, &Put::named("notes.txt"))?;
//!
//! let mut file = Vec::new();
//! client.get(&stored, &password, &mut file)?;
//! assert_eq!(file, b"a file");
//! # assert_eq!(client.list()?.len(), 1);
//! # client.delete(&stored.cookie)?;
//! # assert!(client.list()?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`ClientSession`]: crate::client::ClientSession

#![cfg_attr(
    not(all(unix, feature = "blocking", feature = "filesystem")),
    allow(dead_code, reason = "only transfers of paths are noted, and this build has none")
)]

mod bindings;
#[cfg(all(unix, feature = "blocking"))]
mod blocking;
mod compression;
mod error;
mod get;
mod journal;
mod keys;
#[cfg(all(unix, feature = "blocking"))]
mod legacy;
#[cfg(all(unix, feature = "blocking", feature = "filesystem"))]
mod path;
mod progress;
mod put;
mod retry;
mod shared;
mod task;
#[cfg(feature = "tokio")]
mod tokio;
mod trust;

#[cfg(all(unix, feature = "blocking"))]
pub use blocking::Client;
pub use error::Error;
pub use get::{Fetched, Get};
pub use journal::{Journal, MemoryJournal, TransferId};
#[cfg(all(unix, feature = "blocking"))]
pub use legacy::{Legacy, LegacyFetched};
pub use progress::Progress;
pub use put::{Put, Stored};
pub use retry::Retry;
#[cfg(feature = "tokio")]
pub use tokio::AsyncClient;
pub use trust::{MemoryServerKeys, ServerKeys, Trust};
