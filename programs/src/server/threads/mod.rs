//! The socket loop of threads: gives each connection a thread, and ends in peace. How many there
//! are is bounded by the sessions: those of connections that are too many end at once.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fss::server::{ServerEvent, Telemetry};
use fss::store::Store as _;
use fss::{ServerSession, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::server::service::{ACCEPT_RETRY, DRAIN, Service, Start, broken};
use crate::terminal::failure::Failure;
use fss::driver::Call;
use fss::driver::blocking::{Driver, read_proxy_header};

/// Bytes of a thread's stack. What is not used takes no memory.
const STACK: usize = 512 * 1024;

/// The connections that run, and how the accepting thread hears that one has ended.
struct Running {
    count: AtomicUsize,
    wake: Mutex<UnixStream>,
}

/// Serves until a signal comes.
pub fn serve(service: &Arc<Service>, start: Start) -> Result<(), Failure> {
    let Start { listeners, stop } = start;
    let (wake, mut woken) = UnixStream::pair().map_err(broken)?;
    wake.set_nonblocking(true).and_then(|()| woken.set_nonblocking(true)).map_err(broken)?;
    let running = Arc::new(Running { count: AtomicUsize::new(0), wake: Mutex::new(wake) });
    let count = || running.count.load(Ordering::Acquire);
    loop {
        let mut listening: Vec<_> =
            listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        listening.push(PollFd::new(&stop, PollFlags::IN));
        // An error is a signal that came, and its thread sees to it.
        let _ = poll(&mut listening, None);
        let ready: Vec<_> =
            listening.iter().map(|listening| !listening.revents().is_empty()).collect();
        if ready.last() == Some(&true) {
            break;
        }
        for (listener, _) in listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            accept(listener, service, &running);
        }
    }
    drop(listeners);
    tracing::info!(connections = count(), "stopping");
    let end = Instant::now() + DRAIN;
    while count() > 0 && Instant::now() < end {
        let rest = timespec(end.saturating_duration_since(Instant::now()));
        let _ = poll(&mut [PollFd::new(&woken, PollFlags::IN)], Some(&rest));
        drain(&mut woken);
    }
    Ok(())
}

fn drain(woken: &mut UnixStream) {
    let mut bytes = [0; 256];
    while woken.read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
}

fn accept(listener: &TcpListener, service: &Arc<Service>, running: &Arc<Running>) {
    let (stream, peer) = match listener.accept() {
        Ok(accepted) => accepted,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
            ) =>
        {
            return;
        }
        Err(error) => {
            service.log.of_failure(|| tracing::error!(%error, "cannot accept a connection"));
            thread::sleep(ACCEPT_RETRY);
            return;
        }
    };
    running.count.fetch_add(1, Ordering::AcqRel);
    let (place, serving) = (ConnectionPermit(Arc::clone(running)), Arc::clone(service));
    let builder = thread::Builder::new().name(format!("connection from {peer}")).stack_size(STACK);
    let spawned = builder.spawn(move || {
        let _place = place;
        serve_connection(&serving, stream, peer);
    });
    if let Err(error) = spawned {
        service.log.of_failure(|| tracing::error!(%error, "cannot start a thread"));
        thread::sleep(ACCEPT_RETRY);
    }
}

/// A connection's place among those that may run at once.
struct ConnectionPermit(Arc<Running>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        // If the pipe is full, the accepting thread is awake anyway.
        let _ = self.0.wake.lock().unwrap_or_else(PoisonError::into_inner).write(&[0]);
    }
}

fn serve_connection(service: &Service, stream: TcpStream, peer: SocketAddr) {
    let config = service.config();
    let handshake = config.limits().handshake;
    let mut session = ServerSession::with_config(&service.store, config);
    let client = if service.is_proxy(peer) && !session.is_ending() {
        match read_proxy_header(&mut &stream, handshake) {
            Ok(told) => told.unwrap_or(peer),
            Err(error) => return service.no_header(peer, &error),
        }
    } else {
        peer
    };
    session = session.with_peer(client.ip());
    let start = Instant::now();
    let mut telemetry = Telemetry::new(client, Arc::clone(&service.log));
    let ended = Driver::new(stream).run(&mut session, |_, Call::Event(event)| {
        telemetry.event(&event, Time::since(start));
        if let ServerEvent::ClientProved(key) = &event
            && let Ok(Some(account)) = service.store.account(key)
        {
            telemetry.user(&account.name);
        }
        Ok::<_, fss::Error>(())
    });
    service.heed(&ended);
    telemetry.ended(&ended, Time::since(start));
}

/// Rounded up to a millisecond.
fn timespec(time: Duration) -> Timespec {
    let time = time.saturating_add(Duration::from_millis(1));
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
