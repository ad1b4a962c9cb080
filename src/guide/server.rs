//! A server in your program.
//!
//! A [`driver::Server`](crate::driver::Server) is a configuration and a store, and
//! `serve_listener` serves it: on threads with [`driver::blocking`](crate::driver), on tokio with
//! [`driver::tokio`](crate::driver). Both hold the limits, renew the transport keys, retry what the
//! system could not accept, and stop in order:
//!
//! ```
//! use std::net::TcpListener;
//! use std::sync::Arc;
//! use fss::Config;
//! use fss::driver::{Server, blocking::serve_listener};
//! use fss::store::EmbeddedStore;
//!
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let store = EmbeddedStore::in_directory(directory)?;
//! let server = Server::new(Config::generate()?, store)
//!     .with_observer(|client, event: &_| println!("{client}: {event:?}"));
//! let (server, listener) = (Arc::new(server), TcpListener::bind("127.0.0.1:0")?);
//! let serving = {
//!     let server = Arc::clone(&server);
//!     std::thread::spawn(move || serve_listener(listener, &server))
//! };
//! // Later, from any thread: no new connections, and those that run have ten seconds to end.
//! server.shutdown().start();
//! serving.join().expect("it does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keep the key
//!
//! Clients know a server by its key, so a new key is another server. Keep it locked in a
//! [`KeyDirectory`](crate::key_file::KeyDirectory), as [the client's page](super::client) shows, with
//! [`KeyRole::Server`](crate::key_file::KeyRole), and tell its fingerprint to those who connect:
//! `config.identity().public_key().fingerprint()`.
//!
//! # Where files are
//!
//! [`EmbeddedStore`](crate::store::EmbeddedStore) is SQLite and files in one directory; one process
//! uses it at a time. [`MemoryStore`](crate::MemoryStore) forgets. [Your own](super::store) keeps
//! them anywhere. [`OpenOptions`](crate::store::OpenOptions) has what a store decides: for how long
//! files are kept, who may upload, how much of the disk stays free.
//!
//! # Limits
//!
//! [`Limits`](crate::Limits) bounds everything a client can make a server do: connections in all and
//! from one address, memory for records, time for a handshake and for silence, the size of a file.
//! The defaults suit a machine with a GiB of memory. A limit that is reached is a refusal that says
//! when to come back. `server.set_limits` changes them while it runs.
//!
//! # Behind a balancer
//!
//! Limits count by address, so a server has to know the client's. A balancer sends it in a PROXY
//! header (version 1 or 2): `with_trusted_proxies` names the addresses of balancers, whose
//! connections must begin with one. From any other address a header is not believed.
//!
//! # Without the drivers
//!
//! [`ServerSession`](crate::ServerSession) answers from a store at once;
//! [`ServerEngine`](crate::server::ServerEngine) asks for storage and is answered later. Make one
//! [`ServerState`](crate::server::ServerState) for a server and each connection from it: a state for
//! each connection would be without common limits. [The page on drivers](super::driver) continues
//! here.
