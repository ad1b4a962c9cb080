//! What a server does besides its connections, and what they share: configuration that can be read
//! again, the store and its sweeper, and the signals.
//!
//! SIGTERM and SIGINT end it in peace; SIGHUP makes it read its limits again.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use fss::Config;
use fss::server::{LogLimit, without_cookies};
use fss::store::{EmbeddedStore, Finding, StoreError, StoreErrorKind, Verified};
use ipnet::IpNet;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::open_files;
use crate::server::Runtime;
use crate::server::options::Options;
use crate::terminal::failure::{Failure, code};
use crate::terminal::print;
use fss::text::printable;

/// How long running connections get to finish after a signal.
pub const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait when the operating system has no room for another connection.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// When what is done again and again is done first, at the latest.
const SOON: Duration = Duration::from_secs(10 * 60);
/// How often expired files are removed.
const SWEEP: Duration = Duration::from_secs(60);
/// How often it is looked whether the transport keys are half used up, which they are after 7.5
/// minutes at the latest.
const RENEW: Duration = Duration::from_secs(30);
/// Files that a connection may have open: its socket, and what it is busy with.
const FILES_OF_ONE: u64 = 2;
/// What a process has open beside that: the database, those who read it, pipes, and connections
/// that are turned away.
const OTHER_FILES: u64 = 512;

pub struct Service {
    pub store: EmbeddedStore,
    /// What is written about connections goes through it.
    pub log: Arc<LogLimit>,
    config: Mutex<Config>,
    runtime: Runtime,
    /// Written to when the server is to stop.
    stopper: UnixStream,
    /// Why it cannot go on.
    broken: OnceLock<StoreError>,
    proxies: Vec<IpNet>,
    local_connection: Once,
}

/// What is there once, for whoever serves.
pub struct Start {
    pub listeners: Vec<TcpListener>,
    /// Becomes readable when the server is to stop.
    pub stop: UnixStream,
}

impl Service {
    /// Starts what runs beside the connections, and says that all is ready.
    pub fn start(
        options: &Options,
        runtime: Runtime,
        config: Config,
        store: EmbeddedStore,
        listeners: Vec<TcpListener>,
    ) -> Result<(Arc<Self>, Start), Failure> {
        let wanted = (config.limits().connections as u64)
            .saturating_mul(FILES_OF_ONE)
            .saturating_add(OTHER_FILES);
        match open_files::raise() {
            Ok(most) if most >= wanted => {}
            Ok(most) => tracing::warn!(
                most,
                wanted,
                "open files are limited to fewer than all connections need (ulimit -n)"
            ),
            Err(error) => tracing::warn!(%error, "cannot tell how many files may be open"),
        }
        let (stopper, stop) = UnixStream::pair().map_err(broken)?;
        let key = config.identity().public_key().fingerprint();
        tracing::info!(data = %options.data.display(), %key, versions = ?config.versions(), "serving FSS");
        let service = Arc::new(Self {
            store,
            log: Arc::default(),
            config: Mutex::new(config),
            runtime,
            proxies: options.proxy_protocol.clone(),
            local_connection: Once::new(),
            stopper,
            broken: OnceLock::new(),
        });
        service.tell_leftovers();
        service.watch_signals()?;
        service.every("sweeper", SWEEP, Self::sweep)?;
        // Before the first connection comes, and then long before a key is used up.
        service.renew_transport_keys();
        service.every("keys", RENEW, Self::renew_transport_keys)?;
        if let Some(time) = options.verify_every {
            service.every("verifier", time, Self::verify)?;
        }
        for listener in &listeners {
            print::line(format_args!("listening on {}", listener.local_addr().map_err(broken)?))?;
        }
        Ok((service, Start { listeners, stop }))
    }

    fn renew_transport_keys(&self) {
        if let Err(error) = self.config().renew_transport_keys() {
            tracing::error!(%error, "cannot make a transport key");
        }
    }

    /// The configuration for a connection that begins now.
    pub fn config(&self) -> Config {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops the server if a connection has ended because the store has stopped itself.
    pub fn heed(&self, ended: &Result<(), fss::Error>) {
        if let Err(fss::Error::Store(error)) = ended {
            self.heed_store(error);
        }
    }

    fn heed_store(&self, error: &StoreError) {
        if error.kind() == StoreErrorKind::Stopped && self.broken.set(error.clone()).is_ok() {
            self.stop();
        }
    }

    fn stop(&self) {
        // If nobody reads it, the server has stopped already.
        let _ = (&self.stopper).write_all(&[0]);
    }

    /// What is done when no connection is served any more.
    pub fn rest(&self) {
        if let Err(error) = self.store.checkpoint() {
            tracing::warn!(
                error = without_cookies(&error.to_string()),
                "the database's log stays as it is"
            );
        }
    }

    /// What the server that has stopped says to whoever started it.
    pub fn outcome(&self) -> Result<(), Failure> {
        let Some(error) = self.broken.get() else { return Ok(()) };
        let hint = "start the server again; if it happens again, look at the disk";
        Err(Failure::new(code::OTHER, "the storage has stopped", error.to_string(), hint))
    }

    /// Whether a connection from this address must begin with a PROXY header.
    pub fn is_proxy(&self, peer: SocketAddr) -> bool {
        // A listener for IPv6 may show addresses of IPv4 as a part of its own.
        let address = peer.ip().to_canonical();
        let is_proxy = self.proxies.iter().any(|network| network.contains(&address));
        if address.is_loopback() && !is_proxy {
            self.local_connection.call_once(|| {
                tracing::info!(
                    "a connection comes from this machine; if a proxy here forwards connections, have it send PROXY headers and \
                     name it with --proxy-protocol: without, its clients cannot be told apart, and no limit of one source \
                     holds for them"
                );
            });
        }
        is_proxy
    }

    /// A trusted proxy did not say who its client is: the connection is closed.
    pub fn no_header(&self, proxy: SocketAddr, error: &io::Error) {
        self.log.of_failure(|| {
            tracing::warn!(%proxy, %error, "closed a connection from a proxy, for it has no PROXY header that can be read");
        });
    }

    fn watch_signals(self: &Arc<Self>) -> Result<(), Failure> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(broken)?;
        let service = Arc::clone(self);
        spawn("signals", move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    service.reload();
                } else {
                    service.stop();
                }
            }
        })
    }

    /// Reads command line and options file again, and takes their limits.
    fn reload(&self) {
        match Options::read() {
            Ok(options) => {
                let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
                *config = config.clone().with_limits(options.limits(self.runtime));
                tracing::info!(limits = ?config.limits(), "limits are read again, for new connections");
            }
            Err(failure) => {
                tracing::error!(what = %printable(&failure.what), why = %printable(&failure.why), "the limits stay");
            }
        }
    }

    /// Does something again and again, on a thread of its own.
    fn every(
        self: &Arc<Self>,
        name: &str,
        time: Duration,
        work: impl Fn(&Self) + Send + 'static,
    ) -> Result<(), Failure> {
        let service = Arc::clone(self);
        spawn(name, move || {
            // Not long after the start, or a server that is often restarted would never get to it.
            thread::sleep(time.min(SOON));
            loop {
                work(&service);
                thread::sleep(time);
            }
        })
    }

    fn sweep(&self) {
        self.log.tell_omitted();
        match self.store.remove_expired() {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed expired files"),
            Err(error) => {
                tracing::error!(
                    error = without_cookies(&error.to_string()),
                    "cannot remove expired files"
                );
                self.heed_store(&error);
            }
        }
        self.tell_leftovers();
    }

    fn tell_leftovers(&self) {
        let leftovers = self.store.leftovers();
        if let Some(first) = leftovers.first() {
            let error = without_cookies(&first.to_string());
            tracing::warn!(
                error,
                count = leftovers.len(),
                "cannot remove what is to be removed; the next sweep tries again"
            );
        }
    }

    fn verify(&self) {
        let verified = self.store.verify(|cookie, finding| match finding {
            Finding::Damaged(error) => {
                tracing::error!(error = without_cookies(&error.to_string()), "a file is damaged");
            }
            Finding::Orphan => tracing::error!(cookie = cookie.short(), "a file has no record"),
            Finding::Unreadable(error) => {
                tracing::error!(
                    error = without_cookies(&error.to_string()),
                    "a file cannot be read"
                );
            }
            _ => {}
        });
        match verified {
            Ok(Verified { whole, damaged, orphans, unreadable, .. }) => {
                tracing::info!(whole, damaged, orphans, unreadable, "verified all files");
            }
            Err(error) => tracing::error!(
                error = without_cookies(&error.to_string()),
                "cannot verify the files"
            ),
        }
    }
}

/// Starts a thread that nobody waits for.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(broken)
}

/// Something that a server cannot do without.
#[allow(clippy::needless_pass_by_value, reason = "it is for map_err")]
pub fn broken(error: io::Error) -> Failure {
    Failure::new(code::OTHER, "cannot serve", error.to_string(), "")
}
