//! A whole server: accepts connections, gives each a thread, and stops in order.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::{serve, timespec};
use crate::driver::observer::{Incident, Observer};
use crate::driver::server::{ACCEPT_RETRY, PanicReport, RENEWAL, Server};
use crate::store::Store;

/// Bytes of a thread's stack. What is not used takes no memory.
const STACK: usize = 512 * 1024;

/// How long connections that were closed have to leave the store: they only do what they have begun.
const LEAVE: Duration = Duration::from_secs(1);

/// Serves all connections of a listener until the server's [`Shutdown`](crate::driver::Shutdown) is
/// started. Then it accepts no more, lets connections finish for the time of
/// [`Server::with_drain`], and closes those that are left.
///
/// Each connection has a thread; how many there are is bounded by
/// [`Limits::connections`](crate::Limits::connections), for those that are too many end at once.
/// Another thread renews the transport keys. For several listeners call it on several threads.
///
/// # Errors
/// Those of the system before anything is served. What fails later is reported to the observer, and
/// a connection that cannot be accepted is tried again after 100 ms.
pub fn serve_listener<S, O>(listener: TcpListener, server: &Arc<Server<S, O>>) -> io::Result<()>
where
    S: Store + 'static,
    O: Observer + 'static,
{
    listener.set_nonblocking(true)?;
    let mut alarm = Alarm::new()?;
    let mut started = pin!(server.shutdown().started());
    let waker = alarm.waker.clone();
    let mut is_started =
        || matches!(started.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
    // Before the first connection, which would wait for it.
    server.renew_transport_keys();
    let running = Arc::new(Running::default());
    thread::scope(|scope| {
        let (stop, upkeep) = std::sync::mpsc::channel::<()>();
        thread::Builder::new().name("transport keys".to_owned()).spawn_scoped(
            scope,
            move || {
                while upkeep.recv_timeout(RENEWAL)
                    == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    server.renew_transport_keys();
                }
            },
        )?;
        while !is_started() {
            let pause = match wait_and_accept(&listener, &alarm) {
                Ok(None) => false,
                Ok(Some((stream, peer))) => {
                    start(stream, peer, server, &running).is_err_and(|error| {
                        server.observer.incident(&Incident::SpawnFailed(error));
                        true
                    })
                }
                Err(error) => {
                    server.observer.incident(&Incident::AcceptFailed(error));
                    true
                }
            };
            if pause {
                alarm.wait(ACCEPT_RETRY);
            }
        }
        drop(stop);
        Ok::<_, io::Error>(())
    })?;
    drop(listener);
    server.observer.incident(&Incident::Stopping { connections: running.count() });
    if !running.drain(server.drain) {
        running.close();
        running.drain(LEAVE);
    }
    Ok(())
}

/// Waits for a connection or the alarm. `None` if there is none after all.
fn wait_and_accept(
    listener: &TcpListener,
    alarm: &Alarm,
) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    let mut ready =
        [PollFd::new(listener, PollFlags::IN), PollFd::new(&alarm.reader, PollFlags::IN)];
    // An error is a signal that came, for its own thread.
    let _ = poll(&mut ready, None);
    if !ready[1].revents().is_empty() {
        return Ok(None);
    }
    match listener.accept() {
        Ok((stream, peer)) => Ok(Some((stream, peer))),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn start<S, O>(
    stream: TcpStream,
    peer: SocketAddr,
    server: &Arc<Server<S, O>>,
    running: &Arc<Running>,
) -> io::Result<()>
where
    S: Store + 'static,
    O: Observer + 'static,
{
    let (stream, server) = (Arc::new(stream), Arc::clone(server));
    let registered = running.register(&stream);
    let builder = thread::Builder::new().name(format!("connection from {peer}")).stack_size(STACK);
    let spawned = builder.spawn(move || {
        // Dropped last: then the store is released too.
        let _registered = registered;
        let (stream, server) = (stream, server);
        let _report = PanicReport(&server.observer);
        // The observer was told how it ended.
        let _ = serve(&*stream, peer, &server);
    });
    spawned.map(drop)
}

/// The connections that run, so that they can be waited for and closed.
#[derive(Default)]
struct Running {
    connections: Mutex<Connections>,
    ended: Condvar,
}

#[derive(Default)]
struct Connections {
    streams: BTreeMap<u64, Arc<TcpStream>>,
    next: u64,
}

impl Running {
    fn register(self: &Arc<Self>, stream: &Arc<TcpStream>) -> Registered {
        let mut connections = self.connections();
        let id = connections.next;
        connections.next += 1;
        connections.streams.insert(id, Arc::clone(stream));
        drop(connections);
        Registered { running: Arc::clone(self), id }
    }

    fn count(&self) -> usize {
        self.connections().streams.len()
    }

    /// Waits until none is left, for so long at most, and says whether none is.
    fn drain(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut connections = self.connections();
        while !connections.streams.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.ended.wait_timeout(connections, left);
            connections = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Ends all streams, which their sessions see.
    fn close(&self) {
        for stream in self.connections().streams.values() {
            // One that is not connected any more is ending already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection among those that run.
struct Registered {
    running: Arc<Running>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.running.connections().streams.remove(&self.id);
        self.running.ended.notify_all();
    }
}

/// Ends a wait for connections.
struct Alarm {
    reader: UnixStream,
    waker: Waker,
}

struct Writer(UnixStream);

impl Wake for Writer {
    fn wake(self: Arc<Self>) {
        // If the pipe is full, its reader is awake anyway.
        let _ = (&self.0).write(&[0]);
    }
}

impl Alarm {
    fn new() -> io::Result<Self> {
        let (writer, reader) = UnixStream::pair()?;
        writer.set_nonblocking(true)?;
        reader.set_nonblocking(true)?;
        Ok(Self { reader, waker: Waker::from(Arc::new(Writer(writer))) })
    }

    /// Waits for so long, or for the alarm.
    fn wait(&mut self, patience: Duration) {
        let _ = poll(&mut [PollFd::new(&self.reader, PollFlags::IN)], Some(&timespec(patience)));
        let _ = self.reader.read(&mut [0; 16]);
    }
}
