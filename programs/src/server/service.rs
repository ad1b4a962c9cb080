//! What a server does besides its connections, and what they share: configuration that can be read
//! again, the store and its sweeper, and the signals.
//!
//! SIGTERM and SIGINT end it in peace; SIGHUP makes it read its limits again.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Once, OnceLock};
use std::thread;
use std::time::Duration;

use fss::driver::{Incident, Observer, Server, Shutdown};
use fss::server::{LogLimit, ServerEvent, Telemetry, without_cookies};
use fss::store::{EmbeddedStore, Finding, StoreError, StoreErrorKind, UserName, Verified};
use fss::{Config, Time};
use ipnet::IpNet;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::open_files;
use crate::server::Runtime;
use crate::server::options::Options;
use crate::terminal::failure::{Failure, code};
use crate::terminal::print;
use fss::text::printable;

/// How long to wait when the operating system has no room for another connection.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// When what is done again and again is done first, at the latest.
const SOON: Duration = Duration::from_secs(10 * 60);
/// How often expired files are removed.
const SWEEP: Duration = Duration::from_secs(60);
/// Files that a connection may have open: its socket, and what it is busy with.
const FILES_OF_ONE: u64 = 2;
/// What a process has open beside that: the database, those who read it, pipes, and connections
/// that are turned away.
const OTHER_FILES: u64 = 512;

/// What is done beside the connections, and what is told of them.
pub struct Service {
    store: EmbeddedStore,
    /// What is written about connections goes through it.
    log: Arc<LogLimit>,
    runtime: Runtime,
    shutdown: Shutdown,
    /// Why it cannot go on.
    broken: OnceLock<StoreError>,
}

/// The server, as the drivers of the library serve it.
pub type Serving = Server<EmbeddedStore, Arc<Service>>;

impl Service {
    /// Starts what runs beside the connections, and says that all is ready.
    pub fn start(
        options: &Options,
        runtime: Runtime,
        config: Config,
        store: EmbeddedStore,
        listeners: &[TcpListener],
    ) -> Result<(Arc<Self>, Arc<Serving>), Failure> {
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
        let key = config.identity().public_key().fingerprint();
        tracing::info!(data = %options.data.display(), %key, versions = ?config.versions(), "serving FSS");
        let server = Server::new(config, store.clone())
            .with_trusted_proxies(trusts(options.proxy_protocol.clone()));
        let service = Arc::new(Self {
            store,
            log: Arc::default(),
            runtime,
            shutdown: server.shutdown().clone(),
            broken: OnceLock::new(),
        });
        let server = Arc::new(server.with_observer(Arc::clone(&service)));
        service.tell_leftovers();
        service.watch_signals(&server)?;
        service.every("sweeper", SWEEP, Self::sweep)?;
        if let Some(time) = options.verify_every {
            service.every("verifier", time, Self::verify)?;
        }
        for listener in listeners {
            print::line(format_args!("listening on {}", listener.local_addr().map_err(broken)?))?;
        }
        Ok((service, server))
    }

    fn heed_store(&self, error: &StoreError) {
        if error.kind() == StoreErrorKind::Stopped && self.broken.set(error.clone()).is_ok() {
            self.shutdown.start();
        }
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

    fn watch_signals(self: &Arc<Self>, server: &Arc<Serving>) -> Result<(), Failure> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(broken)?;
        let (service, server) = (Arc::clone(self), Arc::clone(server));
        spawn("signals", move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    service.reload(&server);
                } else {
                    service.shutdown.start();
                }
            }
        })
    }

    /// Reads command line and options file again, and takes their limits.
    fn reload(&self, server: &Serving) {
        match Options::read() {
            Ok(options) => {
                let limits = options.limits(self.runtime);
                tracing::info!(?limits, "limits are read again, for new connections");
                server.set_limits(limits);
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
            Finding::Intact | Finding::Unrecorded => {}
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

impl Observer for Service {
    type Connection = Telemetry;

    fn connected(&self, client: SocketAddr) -> Telemetry {
        Telemetry::new(client, Arc::clone(&self.log))
    }

    fn event(&self, telemetry: &mut Telemetry, event: &ServerEvent, now: Time) {
        telemetry.event(event, now);
    }

    fn wants_users(&self) -> bool {
        true
    }

    fn user(&self, telemetry: &mut Telemetry, name: &UserName) {
        telemetry.user(name);
    }

    fn ended(&self, telemetry: Telemetry, outcome: &Result<(), fss::Error>, now: Time) {
        // A store that has stopped itself stops the server.
        if let Err(fss::Error::Store(error)) = outcome {
            self.heed_store(error);
        }
        telemetry.ended(outcome, now);
    }

    fn incident(&self, incident: &Incident) {
        match incident {
            Incident::AcceptFailed(error) => {
                self.log.of_failure(|| tracing::error!(%error, "cannot accept a connection"));
            }
            Incident::SpawnFailed(error) => {
                self.log.of_failure(|| tracing::error!(%error, "cannot start a thread"));
            }
            Incident::NoProxyHeader { proxy, error } => self.log.of_failure(|| {
                tracing::warn!(%proxy, %error, "closed a connection from a proxy, for it has no PROXY header that can be read");
            }),
            Incident::RenewalFailed(error) => {
                tracing::error!(%error, "cannot make a transport key");
            }
            Incident::Panicked => {
                self.log.of_failure(|| tracing::error!("a connection was aborted"));
            }
            Incident::Stopping { connections } => tracing::info!(connections, "stopping"),
            other => tracing::warn!(?other, "something happened"),
        }
    }
}

/// Whether a connection from an address must begin with a PROXY header.
fn trusts(proxies: Vec<IpNet>) -> impl Fn(IpAddr) -> bool {
    let local_connection = Once::new();
    move |address| {
        let is_proxy = proxies.iter().any(|network| network.contains(&address));
        if address.is_loopback() && !is_proxy {
            local_connection.call_once(|| {
                tracing::info!(
                    "a connection comes from this machine; if a proxy here forwards connections, have it send PROXY headers and \
                     name it with --proxy-protocol: without, its clients cannot be told apart, and no limit of one source \
                     holds for them"
                );
            });
        }
        is_proxy
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
