//! **FSS, the File Saving Service**: saves people's files on a server and gives them back.
//!
//! A client uploads a file with a password and gets a *cookie*; cookie and password bring the file
//! back. This crate is FSS/2, and the whole of FSS 1.0, compatible to the byte with its peers of
//! 2019, as pure state machines: they consume and emit bytes and never touch a socket, a file or a
//! clock. Storage and crypto plug in at their edges.
//!
//! ```text
//!         ┌ RSA channel ┐
//! bytes ⇄ │      |      │ ⇄ frames ⇄ server or client machine ⇄ storage requests or file data
//!         └   records   ┘                    ↑ time is passed in        ↑ Store
//!                ↑ crypto provider
//! ```
//!
//! Every connection begins with RSA messages. The client's first one chooses the version: FSS 1.0
//! goes on with them, FSS/2 agrees on keys and goes on with records. A server takes both, unless
//! [`Config::with_versions`] says otherwise.
//!
//! # A server and a client
//!
//! The server keeps its files in memory and serves each connection on a thread. A real one has
//! `store::EmbeddedStore` for a directory, keeps its key (`key_file`), and calls
//! [`Config::renew_transport_keys`] once a minute, so that no connection waits for a key to be
//! made.
//!
#![cfg_attr(all(unix, feature = "blocking"), doc = "```")]
#![cfg_attr(not(all(unix, feature = "blocking")), doc = "```ignore")]
//! use fss::driver::blocking::Driver;
//! use fss::remote::{Client, Put, Trust};
//! use fss::{Config, MemoryStore, Password, ServerSession};
//!
//! let (store, config) = (MemoryStore::new(), Config::generate()?);
//! let key = config.identity().public_key().fingerprint();
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?.to_string();
//! std::thread::spawn(move || {
//!     for stream in listener.incoming().flatten() {
//!         let (store, config) = (store.clone(), config.clone());
//!         std::thread::spawn(move || {
//!             let mut session = ServerSession::with_config(store, config);
//!             Driver::new(stream).run(&mut session, |_, call| Ok::<_, fss::Error>(println!("{call:?}")))
//!         });
//!     }
//! });
//!
//! let client = Client::new(Config::generate()?, address, Trust::Pinned(key));
//! let password = Password::new("correct horse battery staple")?;
//! let stored = client.put(&b"a file"[..], &password, &Put::named("notes.txt"))?;
//! let mut file = Vec::new();
//! client.get(&stored, &password, &mut file)?;
//! assert_eq!(file, b"a file");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The machines beneath
//!
//! [`ServerSession`] and [`client::ClientSession`] are [`Machine`]s: a driver asks them for the one thing to do, does it, and asks
//! again. `fss::driver` has drivers for blocking sockets and for tokio; a driver by hand is a page long and stands with
//! [`Machine`]. [`server::ServerEngine`] is the server for storage that answers later.
//!
//! ```
//! use fss::{Machine, MemoryStore, ServerSession, Step, Time};
//!
//! # fn main() {
//! let store = MemoryStore::new();
//! let mut session = ServerSession::new(&store);
//! // The first thing a server does is to send its public key; a driver writes it to a socket.
//! assert_eq!(session.poll(Time::ZERO), Ok(Step::Send));
//! let (_, key) = session.buffers();
//! assert!(key.starts_with(b"-----BEGIN PUBLIC KEY-----"));
//! let count = key.len();
//! session.sent(count);
//! // Then it waits for the client's.
//! assert_eq!(session.poll(Time::ZERO), Ok(Step::Receive));
//! # }
//! ```
//!
//! [`client::legacy`] speaks FSS 1.0. Neither version ever changes to the other by itself.
//!
//! # What FSS/2 gives
//!
//! Files are encrypted by the client ([`sealed`]); the server sees neither password nor content. A change is noticed before
//! a changed byte is released, and a [`chain`] sums a file up for both sides. The server proves its identity by a
//! signature and the client its key, and connections are forward secret. Uploads and downloads that broke off go on. Files
//! expire or are limited to a number of downloads; keys can sign up as users with quotas.
//!
//! # What FSS 1.0 does not protect against
//!
//! Nothing authenticates the server, so whoever stands between can read everything. What the server sends has no
//! forward secrecy. Equal
//! chunks under one password are stored as equal bytes. A changed file is not noticed. The stored verifier has no salt, so
//! whoever steals a server's directory can guess passwords fast. And a transfer costs ten RSA private operations per KiB.
//! Use it where a 2019 peer is at the other end.
//!
//! # Features
//!
//! - `aws-lc` (default): the crypto provider on aws-lc-rs. Needs a C compiler.
//! - `sqlite`, `filesystem` (default): the backends of a server directory, and the administration of its users. Unix.
//! - `profile`: the client's local database: files, passwords, journals of what has begun, known servers; and keys. Unix.
//! - `archive`: directories as tar streams. Linux and macOS.
//! - `compress`: zstd. Needs a C compiler.
//! - `blocking`, `tokio`: drivers for blocking sockets (Unix) and for tokio.
//! - `telemetry`: what happens on a server's connections, for `tracing` and `metrics`.
//! - `conformance`: the tests that any storage backend must pass.
//!
//! Without any of them there is a provider in pure Rust, [`MemoryStore`], and whatever storage you bring.

#![warn(unreachable_pub)]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// The examples of the README are compiled and run.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;

#[cfg(feature = "archive")]
pub mod archive;
pub mod chain;
pub mod client;
#[cfg(feature = "compress")]
pub mod compress;
mod config;
pub mod crypto;
pub mod driver;
#[cfg(feature = "filesystem")]
mod durable;
mod error;
pub mod format;
pub mod key_file;
mod limits;
mod pem;
#[cfg(feature = "profile")]
pub mod profile;
pub mod proxy;
#[cfg(any(all(unix, feature = "blocking"), feature = "tokio"))]
pub mod remote;
#[cfg(any(feature = "archive", feature = "profile"))]
mod remove;
pub mod sealed;
pub mod server;
mod session;
pub mod store;
mod types;
#[doc(hidden)]
pub mod wire;

/// The types of the protocol's wire that the interface of this library uses: how peers refuse, what
/// a server accepts, and why bytes from a peer are invalid (`docs/protocol.md` §13 to §20).
pub mod protocol {
    pub use crate::wire::error_frame::{ErrorCode, ErrorFrame};
    pub use crate::wire::frame::InvalidFrame;
    pub use crate::wire::hello::InvalidHello;
    pub use crate::wire::key_exchange::InvalidKeyExchange;
    pub use crate::wire::legacy_frame::InvalidFrame as InvalidLegacyFrame;
    pub use crate::wire::message::InvalidMessage;
    pub use crate::wire::peer_message::PeerMessage;
    pub use crate::wire::reply::ServerLimits;
    pub use crate::wire::rsa_message::BlockError;
}

pub use config::{Config, Versions};
pub use error::{Blame, Error, Phase, Refusal};
pub use limits::Limits;
pub use sealed::Integrity;
pub use server::ServerSession;
pub use session::{Machine, Step};
pub use store::MemoryStore;
pub use types::cookie::{
    Cookie, CookieSource, InvalidCookie, OpaqueCookie, RandomCookies, SequentialCookies,
};
pub use types::random::SystemRng;
pub use types::secret::{InvalidPassword, Password, Secret};
pub use types::text;
pub use types::time::{MonotonicClock, SystemClock, SystemMonotonicClock, Time, WallClock};
pub use wire::peer_message::PeerMessage;
/// What [`store`] and [`client`] hold bytes in, and where random numbers come from: their versions
/// are part of this interface.
pub use {bytes, rand_core};
