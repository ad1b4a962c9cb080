//! The driver for blocking streams: a thread for each connection. Unix.
//!
//! It reads while it writes, so that a peer that refuses is heard at once, and waits no longer than
//! the machine allows.
//!
//! A server, and a client on it:
//!
//! ```
//! use std::net::{TcpListener, TcpStream};
//! use std::sync::Arc;
//! use fss::client::{ClientSession, Operation};
//! use fss::driver::Server;
//! use fss::driver::blocking::{Driver, serve_listener};
//! use fss::{Config, MemoryStore};
//!
//! let server = Server::new(Config::generate()?, MemoryStore::new())
//!     .with_observer(|client, event: &_| println!("{client}: {event:?}"));
//! let shutdown = server.shutdown().clone();
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let serving = std::thread::spawn(move || serve_listener(listener, &Arc::new(server)));
//!
//! let mut client = ClientSession::new(Config::generate()?);
//! client.start(Operation::Information);
//! client.finish();
//! let mut driver = Driver::new(TcpStream::connect(address)?);
//! while let Some(call) = driver.next(&mut client)? {
//!     println!("{call:?}");
//! }
//! shutdown.start();
//! serving.join().expect("it does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod listener;
mod proxy;
mod serve;
mod timeouts;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;

pub use listener::serve_listener;
pub use proxy::read_proxy_header;
pub use serve::serve;
pub use timeouts::Timeouts;

use super::Call;
use crate::error::Error;
use crate::session::{Machine, Step};
use crate::types::time::Time;

/// What a socket can do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// [`Read::read`] gives bytes, the end, or an error, at once.
    pub read: bool,
    /// [`Write::write`] takes bytes, or gives an error, at once.
    pub write: bool,
}

/// A connected stream of bytes that can be waited for: a socket, or anything that reads and writes
/// with [`Timeouts`].
pub trait Stream: Read + Write {
    /// Gets ready to be waited for, once, before anything is read or written.
    ///
    /// # Errors
    /// Those of the system.
    fn prepare(&mut self) -> io::Result<()>;

    /// Waits until something that is asked for is ready, for `patience` at most: for ever if that
    /// is `None`.
    ///
    /// # Errors
    /// Those of the system. The driver asks again, so they must not be permanent while reading and
    /// writing go well.
    fn wait(&mut self, wanted: Ready, patience: Option<Duration>) -> io::Result<Ready>;

    /// Ends the sending direction.
    ///
    /// # Errors
    /// Those of the system.
    fn shutdown(&mut self) -> io::Result<()>;
}

macro_rules! sockets {
    ($($socket:ty: $prepare:expr;)*) => {$(
        impl Stream for $socket {
            fn prepare(&mut self) -> io::Result<()> {
                self.set_nonblocking(true).and_then(|()| $prepare(self))
            }

            fn wait(&mut self, wanted: Ready, patience: Option<Duration>) -> io::Result<Ready> {
                wait(self, wanted, patience)
            }

            fn shutdown(&mut self) -> io::Result<()> {
                (*self).shutdown(Shutdown::Write)
            }
        }
    )*};
}

sockets! {
    // Messages go out whole, so waiting for more to send would only delay them.
    TcpStream: |stream: &Self| stream.set_nodelay(true);
    &TcpStream: |stream: &Self| stream.set_nodelay(true);
    UnixStream: |_: &Self| Ok(());
    &UnixStream: |_: &Self| Ok(());
}

fn wait(socket: &impl AsFd, wanted: Ready, patience: Option<Duration>) -> io::Result<Ready> {
    let mut interest = PollFlags::empty();
    interest.set(PollFlags::IN, wanted.read);
    interest.set(PollFlags::OUT, wanted.write);
    let mut sockets = [PollFd::new(socket, interest)];
    poll(&mut sockets, patience.map(timespec).as_ref())?;
    let ready = sockets[0].revents();
    Ok(Ready {
        read: wanted.read && ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
        write: wanted.write && ready.intersects(PollFlags::OUT | PollFlags::ERR),
    })
}

/// Rounded up to a millisecond, so that a deadline has passed when the wait is over.
fn timespec(time: Duration) -> Timespec {
    let time = time.saturating_add(Duration::from_millis(1));
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Connects to `HOST:PORT`, and tries all addresses that the name has, each for `patience` at most.
///
/// # Errors
/// That of the last address; [`ErrorKind::InvalidInput`] if this is no name with a port.
pub fn connect(server: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("its name has no address");
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A connected stream that a machine speaks over.
#[derive(Debug)]
pub struct Driver<S> {
    stream: S,
    start: Instant,
    /// The thread that the machine wakes, once the stream is prepared.
    wakes: Option<ThreadId>,
}

impl<S: Stream> Driver<S> {
    /// Of a stream that was just connected. The machine's time begins now.
    pub fn new(stream: S) -> Self {
        Self { stream, start: Instant::now(), wakes: None }
    }

    /// The time of the machine.
    pub fn now(&self) -> Time {
        Time::since(self.start)
    }

    /// Runs a machine until it has something for its program; `None` at its end. It is always the
    /// same machine.
    ///
    /// # Errors
    /// Why the connection failed. A socket that fails is to the machine one that was closed.
    pub fn next<M: Machine>(&mut self, machine: &mut M) -> Result<Option<Call<M>>, Error> {
        let thread = thread::current();
        if self.wakes.is_none() {
            // A socket that cannot be set up is as good as a closed one: the machine gets to see
            // that.
            let _ = self.stream.prepare();
        }
        if self.wakes.replace(thread.id()) != Some(thread.id()) {
            machine.set_waker(Waker::from(Arc::new(Unpark(thread))));
        }
        loop {
            match machine.poll(self.now())? {
                Step::Send => self.exchange(machine, true),
                Step::Receive => self.exchange(machine, false),
                Step::Sleep(time) => thread::park_timeout(time),
                Step::Request(request) => return Ok(Some(Call::Request(request))),
                Step::Event(event) => return Ok(Some(Call::Event(event))),
                Step::Yield => {}
                Step::Shutdown => drop(self.stream.flush().and_then(|()| self.stream.shutdown())),
                Step::Close => return Ok(None),
            }
        }
    }

    /// Runs a machine to its end. `serve` gets its calls, and stops it by answering with an error
    /// of its own.
    ///
    /// # Errors
    /// Those of `serve`, and why the connection failed.
    pub fn run<M: Machine, E: From<Error>>(
        &mut self,
        machine: &mut M,
        mut serve: impl FnMut(&mut M, Call<M>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(call) = self.next(machine)? {
            serve(machine, call)?;
        }
        Ok(())
    }

    /// Waits until the socket is ready or the deadline has come, and moves what can be moved.
    fn exchange<M: Machine>(&mut self, machine: &mut M, sending: bool) {
        let patience = machine.deadline().map(|deadline| deadline.saturating_since(self.now()));
        let (room, output) = machine.buffers();
        // A signal, say: the machine is asked again.
        let Ok(ready) =
            self.stream.wait(Ready { read: !room.is_empty(), write: sending }, patience)
        else {
            return;
        };
        let read = ready.read.then(|| self.stream.read(room));
        let written = ready.write.then(|| self.stream.write(output));
        match written {
            Some(Ok(count)) => machine.sent(count),
            Some(Err(error)) if !is_transient(error.kind()) => machine.send_failed(),
            _ => {}
        }
        match read {
            Some(Ok(count)) => machine.received(count),
            // A connection that broke has no more to say.
            Some(Err(error)) if !is_transient(error.kind()) => machine.received(0),
            _ => {}
        }
    }
}

fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Ends the parking of a thread, whatever it is parked for: it only polls early.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
