//! A server as both drivers serve it: its configuration and store, the proxies it trusts, its observer,
//! and how it stops.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::observer::{Incident, Observer};
use super::shutdown::Shutdown;
#[cfg(feature = "tokio")]
use super::tokio::StorageThreads;
use crate::error::Error;
use crate::limits::Limits;
use crate::server::ServerState;
use crate::store::Store;

/// How long connections get to finish after the shutdown has started, unless said otherwise. Most
/// requests take less, and a service manager waits longer before it kills.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a server waits after a connection could not be accepted: the operating system has no
/// room for it, and would be asked again and again.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How often it is checked whether the transport keys are half used up, which they are after 7.5
/// minutes at the latest.
pub(super) const RENEWAL: Duration = Duration::from_secs(30);

/// A server, to be served by `blocking::serve_listener` or `tokio::serve_listener`.
///
/// Share one in an [`Arc`], among several listeners too: the limits hold for all of its connections.
///
/// ```
/// use std::sync::Arc;
/// use fss::driver::Server;
/// use fss::{Config, MemoryStore};
///
/// let server = Server::new(Config::generate()?, MemoryStore::new())
///     .with_trusted_proxies(|address| address.is_loopback())
///     .with_observer(|client, event: &_| println!("{client}: {event:?}"));
/// let shutdown = server.shutdown().clone(); // shutdown.start() stops it
/// let server = Arc::new(server);
/// # let _ = (shutdown, server);
/// # Ok::<(), fss::crypto::KeyRejected>(())
/// ```
pub struct Server<S, O = ()> {
    state: Mutex<ServerState>,
    pub(super) store: Arc<S>,
    pub(super) observer: O,
    trusts: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    pub(super) drain: Duration,
    shutdown: Shutdown,
    #[cfg(feature = "tokio")]
    pub(super) threads: StorageThreads,
}

impl<S: Store> Server<S> {
    /// A server that trusts no proxy and is not observed.
    /// `state` is what its connections share, or its [`Config`](crate::Config).
    pub fn new(state: impl Into<ServerState>, store: S) -> Self {
        Self {
            state: Mutex::new(state.into()),
            store: Arc::new(store),
            observer: (),
            trusts: Box::new(|_| false),
            drain: DRAIN,
            shutdown: Shutdown::new(),
            #[cfg(feature = "tokio")]
            threads: StorageThreads::default(),
        }
    }
}

impl<S, O> Server<S, O> {
    /// Replaces the observer.
    #[must_use]
    pub fn with_observer<P: Observer>(self, observer: P) -> Server<S, P> {
        Server {
            state: self.state,
            store: self.store,
            observer,
            trusts: self.trusts,
            drain: self.drain,
            shutdown: self.shutdown,
            #[cfg(feature = "tokio")]
            threads: self.threads,
        }
    }

    /// Sets which addresses are balancers that put a PROXY header before each connection
    /// ([`crate::proxy`]). Such a connection must begin with one, within [`Limits::handshake`]; on
    /// any other it is no header. An IPv4 address in IPv6 form is passed as IPv4.
    #[must_use]
    pub fn with_trusted_proxies(
        mut self,
        trusts: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.trusts = Box::new(trusts);
        self
    }

    /// Replaces how long connections get to finish after the shutdown has started: 10 s by default.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Replaces the shutdown: for one that others have already, or that stops several servers.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Replaces the threads that wait for the store, with tokio.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn with_storage_threads(mut self, threads: StorageThreads) -> Self {
        self.threads = threads;
        self
    }

    /// What stops it.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// What the connections share, with the limits for one that begins now.
    pub fn state(&self) -> ServerState {
        self.current().clone()
    }

    /// Replaces the limits, for connections that begin from now on. Those that run keep theirs, and
    /// continue to be counted.
    pub fn set_limits(&self, limits: Limits) {
        let mut state = self.current();
        *state = state.clone().with_limits(limits);
    }

    /// How many connections there are, without those that are one too many.
    pub fn connections(&self) -> usize {
        self.current().connections()
    }

    pub(super) fn trusts(&self, peer: SocketAddr) -> bool {
        // A listener for IPv6 may show addresses of IPv4 as a part of its own.
        (self.trusts)(peer.ip().to_canonical())
    }

    fn current(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, O: Observer> Server<S, O> {
    /// Makes a new transport key if the present one is half used up.
    pub(super) fn renew_transport_keys(&self) {
        if let Err(error) = self.state().renew_transport_keys() {
            self.observer.incident(&Incident::RenewalFailed(error));
        }
    }

    /// A connection is closed, for its proxy sent no header.
    pub(super) fn no_header(&self, proxy: SocketAddr, error: io::Error) -> ServeError {
        let kind = error.kind();
        self.observer.incident(&Incident::NoProxyHeader { proxy, error });
        ServeError::NoProxyHeader(kind)
    }
}

impl<S, O> fmt::Debug for Server<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("state", &*self.current())
            .field("drain", &self.drain)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

/// Why a connection was not served to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// It comes from a trusted proxy, which sent no valid header: have the proxy send PROXY headers,
    /// or do not trust its address.
    #[error("the proxy sent no valid PROXY header: {0}")]
    NoProxyHeader(io::ErrorKind),
    /// The session failed.
    #[error(transparent)]
    Session(#[from] Error),
}

/// Reports that serving a connection panicked, if it does.
pub(super) struct PanicReport<'a, O: Observer>(pub(super) &'a O);

impl<O: Observer> Drop for PanicReport<'_, O> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.incident(&Incident::Panicked);
        }
    }
}
