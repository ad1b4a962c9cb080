//! The socket loop: accepts connections up to a bound, gives each a thread, and ends in peace on SIGTERM and SIGINT.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fss::crypto::Fingerprint;
use fss::server::ServerEvent;
use fss::store::EmbeddedStore;
use fss::{Config, ServerSession};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::call::Call;
use crate::driver::{run, timespec};
use crate::options::Options;
use crate::support::failure::{Failure, code};

/// How often expired files are removed.
const SWEEP: Duration = Duration::from_secs(60);
/// How long running connections get to finish after a signal.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait when the operating system has no room for another connection.
const BREATHER: Duration = Duration::from_millis(100);

/// What the accepting thread and the connections share.
struct Shared {
    config: Config,
    store: EmbeddedStore,
    running: AtomicUsize,
    /// Written to when a connection ends: it wakes the accepting thread.
    wake: Mutex<UnixStream>,
}

/// Serves until a signal comes.
pub fn forever(options: &Options, config: &Config, store: &EmbeddedStore) -> Result<(), Failure> {
    let listener = listen(options.listen)?;
    let broken = |error: io::Error| Failure::new(code::OTHER, "cannot serve", error.to_string(), "");
    let (waker, mut woken) = UnixStream::pair().map_err(broken)?;
    waker.set_nonblocking(true).and_then(|()| woken.set_nonblocking(true)).map_err(broken)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(broken)?;
        signal_hook::low_level::pipe::register(signal, waker.try_clone().map_err(broken)?).map_err(broken)?;
    }
    let address = listener.local_addr().map_err(broken)?;
    let shared =
        Arc::new(Shared { config: config.clone(), store: store.clone(), running: AtomicUsize::new(0), wake: Mutex::new(waker) });
    tracing::info!(data = %options.data.display(), key = %config.identity().public_key().fingerprint(), versions = ?config.versions(), "serving FSS");
    println!("listening on {address}");

    let most = usize::try_from(options.connections).unwrap_or(usize::MAX);
    let mut next_sweep = Instant::now() + SWEEP;
    while !stop.load(Ordering::Relaxed) {
        let full = shared.running.load(Ordering::Acquire) >= most;
        wait(&listener, &mut woken, full, next_sweep.saturating_duration_since(Instant::now()));
        if Instant::now() >= next_sweep {
            next_sweep = Instant::now() + SWEEP;
            sweep(store);
        }
        if !full && !stop.load(Ordering::Relaxed) {
            accept(&listener, &shared);
        }
    }
    drop(listener);
    tracing::info!(connections = shared.running.load(Ordering::Acquire), "stopping");
    let end = Instant::now() + DRAIN;
    while shared.running.load(Ordering::Acquire) > 0 && Instant::now() < end {
        wait_for_wake(&mut woken, end.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|error| {
        let port = address.port();
        let (why, hint) = match error.kind() {
            ErrorKind::PermissionDenied if port < 1024 => (
                "ports below 1024 need root on this system".to_owned(),
                format!(
                    "--listen {}:{}, or allow it: sudo sysctl net.ipv4.ip_unprivileged_port_start={port}",
                    host(address),
                    if port < 1000 { port * 10 } else { port + 8000 }
                ),
            ),
            ErrorKind::AddrInUse => {
                ("another program is listening there".to_owned(), "another port, or stop that program".to_owned())
            }
            ErrorKind::AddrNotAvailable => ("this machine has no such address".to_owned(), format!("--listen 0.0.0.0:{port}")),
            _ => (error.to_string(), "another --listen".to_owned()),
        };
        Failure::new(code::OTHER, format!("cannot listen on {address}: {}", plain(&error)), why, hint)
    })
}

fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::AddrInUse => "address in use".to_owned(),
        _ => error.to_string(),
    }
}

/// Waits for a new connection (unless there is no room for one), a wake-up, or the time to be over.
fn wait(listener: &TcpListener, woken: &mut UnixStream, full: bool, time: Duration) {
    if full {
        wait_for_wake(woken, time);
        return;
    }
    let mut sources = [PollFd::new(listener, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
    // An error is a signal that came, and the flag shows it.
    let _ = poll(&mut sources, Some(&timespec(time)));
    drain(woken);
}

fn wait_for_wake(woken: &mut UnixStream, time: Duration) {
    let _ = poll(&mut [PollFd::new(woken, PollFlags::IN)], Some(&timespec(time)));
    drain(woken);
}

fn drain(woken: &mut UnixStream) {
    let mut bytes = [0; 256];
    while woken.read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
}

fn sweep(store: &EmbeddedStore) {
    match store.remove_expired() {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed expired files"),
        Err(error) => tracing::error!(%error, "cannot remove expired files"),
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let (stream, peer) = match listener.accept() {
        Ok(accepted) => accepted,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {
            return;
        }
        Err(error) => {
            tracing::error!(%error, "cannot accept a connection");
            std::thread::sleep(BREATHER);
            return;
        }
    };
    shared.running.fetch_add(1, Ordering::AcqRel);
    let place = Place(Arc::clone(shared));
    let spawned =
        std::thread::Builder::new().name(format!("connection from {peer}")).spawn(move || serve(&place.0, &stream, peer));
    if let Err(error) = spawned {
        tracing::error!(%error, "cannot start a thread");
        std::thread::sleep(BREATHER);
    }
}

/// A connection's place among those that may run at once.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        // If the pipe is full, the accepting thread is awake anyway.
        let _ = self.0.wake.lock().unwrap_or_else(PoisonError::into_inner).write(&[0]);
    }
}

fn serve(shared: &Shared, stream: &TcpStream, peer: SocketAddr) {
    let started = Instant::now();
    let mut session = ServerSession::with_config(&shared.store, shared.config.clone()).from_source(peer.ip());
    let mut client = None;
    let mut operation = "request";
    let ended = run(&mut session, stream, |_, call| {
        let Call::Event(event) = call;
        match event {
            ServerEvent::UploadStarted { .. } => operation = "upload",
            ServerEvent::DownloadStarted { .. } => operation = "download",
            ServerEvent::ClientProved(_) => operation = "session",
            _ => report(&event, &mut client, peer, started),
        }
        Ok::<_, fss::Error>(())
    });
    if let Err(error) = ended {
        let milliseconds = started.elapsed().as_millis();
        let key = client.map(|key: Fingerprint| key.to_string());
        if error.fault() == fss::Fault::Peer {
            tracing::info!(%peer, key, operation, milliseconds, why = %error, "refused");
        } else {
            tracing::warn!(%peer, key, operation, milliseconds, why = %error, "Server operation was aborted");
        }
    }
}

/// One line for each operation: what, how much, how long, who. Never a whole cookie.
fn report(event: &ServerEvent, client: &mut Option<Fingerprint>, peer: SocketAddr, started: Instant) {
    let milliseconds = started.elapsed().as_millis();
    let key = client.as_ref().map(Fingerprint::to_string);
    match event {
        ServerEvent::ClientKey(key) => *client = Some(*key),
        ServerEvent::Stored { cookie, bytes } => {
            tracing::info!(%peer, key, cookie = cookie.short(), bytes, milliseconds, "stored");
        }
        ServerEvent::Delivered { cookie, bytes } => {
            tracing::info!(%peer, key, cookie = cookie.short(), bytes, milliseconds, "delivered");
        }
        ServerEvent::Deleted { cookie } => tracing::info!(%peer, key, cookie = cookie.short(), milliseconds, "deleted"),
        ServerEvent::SignedUp { name } => tracing::info!(%peer, key, name = name.as_str(), milliseconds, "signed up"),
        ServerEvent::Refused { why } => tracing::info!(%peer, key, milliseconds, %why, "refused"),
        _ => {}
    }
}
