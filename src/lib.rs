//! **FSS, the File Saving Service**, saves people's files on a server and gives them back.
//!
//! A client uploads a file with a password and gets a *cookie*; cookie and password bring the file
//! back. The server sees neither password nor content. This crate has the server and the client, as
//! pure state machines with drivers, storage and a high-level client around them.
//!
//! ```text
//!         ┌ RSA messages ┐
//! bytes ⇄ │      |       │ ⇄ frames ⇄ server or client machine ⇄ storage requests or file data
//!         └   records    ┘                    ↑ time is passed in        ↑ Store
//!                ↑ crypto provider
//! ```
//!
//! # A server and a client
//!
//! The server keeps its files in memory; [`store::EmbeddedStore`](store) keeps them in a directory.
//!
#![cfg_attr(all(unix, feature = "blocking"), doc = "```")]
#![cfg_attr(not(all(unix, feature = "blocking")), doc = "```ignore")]
//! use std::{net::TcpListener, sync::Arc, thread};
//! use fss::driver::{Server, blocking::serve_listener};
//! use fss::remote::{Client, Put, Trust};
//! use fss::{Config, MemoryStore, Password};
//!
//! let config = Config::generate()?;
//! let key = config.identity().public_key().fingerprint();
//! let (server, listener) = (Server::new(config, MemoryStore::new()), TcpListener::bind("127.0.0.1:0")?);
//! let address = listener.local_addr()?.to_string();
//! thread::spawn(move || serve_listener(listener, &Arc::new(server)));
//!
//! let client = Client::new(Config::generate()?, address, Trust::Pinned(key));
//! let password = Password::new("correct horse battery staple")?;
//! let stored = client.put(&b"a file"[..], &password, &Put::named("notes.txt"))?;
//!
//! let mut file = Vec::new();
//! client.get(&stored, &password, &mut file)?;
//! assert_eq!(file, b"a file");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to start
//!
//! | to | see |
//! |---|---|
//! | upload and download | [`remote`]: blocking and asynchronous clients that resume, retry and trust |
//! | serve | [`driver`]: `Server` and `serve_listener`, on threads or on tokio |
//! | keep files elsewhere | [`store`]: the traits, SQLite and the file system, a conformance suite |
//! | use a transport of your own | [`Machine`]: the loop of a driver; [`driver::MessagePump`] |
//! | read it page by page | `guide`: how-to pages |
//!
//! # The machines
//!
//! [`ServerSession`], [`server::ServerEngine`] and [`client::ClientSession`] are [`Machine`]s. They
//! never touch a socket, a file or a clock: a driver asks them for the one thing to do, does it, and
//! asks again. Same random numbers and same times, same bytes.
//!
//! ```
//! use fss::{Machine, MemoryStore, ServerSession, Step, Time};
//!
//! # fn main() {
//! let store = MemoryStore::new();
//! let mut session = ServerSession::new(&store);
//! // A server first sends its public key; a driver writes it to a socket.
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
//! # Versions
//!
//! FSS/2 encrypts files at the client ([`sealed`]); a change is noticed before a changed byte is
//! released. The server proves its identity by a signature and the client its key, connections are
//! forward secret, interrupted transfers resume, files expire, and keys sign up as users with
//! quotas.
//!
//! FSS 1.0 is a design of 2019, supported to the byte for its peers ([`client::legacy`]). **A man in
//! the middle can impersonate its server**, the server sees passwords and content, what it sends has
//! no forward secrecy, and a stolen directory lets passwords be guessed fast. Use it where a peer of
//! 2019 is at the other end. A server accepts both unless [`Config::with_versions`] restricts it;
//! neither side ever changes the version by itself.
//!
//! # Features
//!
//! - `aws-lc` (default): the crypto provider on aws-lc-rs. Needs a C compiler.
//! - `sqlite`, `filesystem` (default): the backends of a server directory, and the administration of
//!   its users. Unix.
//! - `blocking` (default): the driver and the client for blocking sockets. Unix.
//! - `tokio`: the driver and the client for tokio.
//! - `profile`: a client's local database of files, passwords, interrupted transfers and known
//!   servers, and its key. Unix.
//! - `archive`: directories as tar streams. Linux and macOS.
//! - `compress`: zstd. Needs a C compiler.
//! - `telemetry`: what happens on a server's connections, for `tracing` and `metrics`.
//! - `conformance`: the tests that any storage backend must pass.
//!
//! Without any of them there is a provider in pure Rust, [`MemoryStore`], and whatever storage you
//! bring.

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
#[cfg(all(unix, feature = "blocking", feature = "filesystem", feature = "sqlite"))]
pub mod guide;
pub mod key_file;
mod limits;
mod pem;
mod pool;
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
    pub use crate::wire::legacy_frame::InvalidLegacyFrame;
    pub use crate::wire::message::InvalidMessage;
    pub use crate::wire::peer_message::PeerMessage;
    pub use crate::wire::reply::ServerLimits;
    pub use crate::wire::rsa_message::BlockError;
}

pub use config::{Config, Versions};
pub use error::{ApiMisuse, Blame, Error, PeerMisbehaved, Phase, Refusal};
pub use limits::Limits;
pub use sealed::Integrity;
pub use server::ServerSession;
pub use session::{Machine, Step};
pub use store::MemoryStore;
pub use types::cookie::{
    Cookie, CookieSource, InvalidCookie, OpaqueCookie, RandomCookies, SequentialCookies,
};
pub use types::random::SystemRng;
pub use types::report::Report;
pub use types::secret::{InvalidPassword, Password, Secret};
pub use types::text;
pub use types::time::{MonotonicClock, SystemClock, SystemMonotonicClock, Time, WallClock};
pub use wire::peer_message::PeerMessage;
/// What [`store`] and [`client`] hold bytes in, and where random numbers come from: their versions
/// are part of this interface.
pub use {bytes, rand_core};
