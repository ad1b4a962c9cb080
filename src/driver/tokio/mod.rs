//! The driver for tokio: a task for each connection.
//!
//! A server whose store waits for the disk on threads of its own, and a client on it:
//!
//! ```
//! use std::sync::Arc;
//! use fss::client::{ClientSession, Operation};
//! use fss::driver::Server;
//! use fss::driver::tokio::{Driver, serve_listener};
//! use fss::{Config, MemoryStore};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let server = Server::new(Config::generate()?, MemoryStore::new())
//!     .with_observer(|client, event: &_| println!("{client}: {event:?}"));
//! let shutdown = server.shutdown().clone();
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let serving = tokio::spawn(serve_listener(listener, Arc::new(server)));
//!
//! let mut client = ClientSession::new(Config::generate()?);
//! client.start(Operation::Information);
//! client.finish();
//! let mut driver = Driver::new(TcpStream::connect(address).await?);
//! while let Some(call) = driver.next(&mut client).await? {
//!     println!("{call:?}");
//! }
//! shutdown.start();
//! serving.await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod listener;
mod proxy;
mod serve;
mod storage;
mod threads;

pub use listener::serve_listener;
pub use proxy::read_proxy_header;
pub use serve::serve;
pub use storage::Storage;
pub use threads::StorageThreads;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Instant;

use ::tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use ::tokio::sync::Notify;
use ::tokio::time::timeout;

use super::Call;
use crate::error::Error;
use crate::session::{Machine, Step};
use crate::types::time::Time;

/// A connected stream that a machine speaks over.
#[derive(Debug)]
pub struct Driver<S> {
    stream: S,
    start: Instant,
    woken: Arc<Woken>,
}

/// Ends a wait.
#[derive(Debug, Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Of a stream that was just connected; the machine's time begins now. Set `TCP_NODELAY` on a
    /// TCP socket before: messages go out whole, and waiting for more to send would only delay
    /// them.
    pub fn new(stream: S) -> Self {
        Self { stream, start: Instant::now(), woken: Arc::default() }
    }

    /// The time of the machine.
    pub fn now(&self) -> Time {
        Time::since(self.start)
    }

    /// Runs a machine until it has something for its program; `None` at its end. It is always the
    /// same machine. Dropping the future loses nothing: call it again.
    ///
    /// # Errors
    /// Why the connection failed. A socket that fails is to the machine one that was closed.
    pub async fn next<M: Machine>(&mut self, machine: &mut M) -> Result<Option<Call<M>>, Error> {
        machine.set_waker(Waker::from(Arc::clone(&self.woken)));
        loop {
            match machine.poll(self.now())? {
                Step::Send => self.exchange(machine, true).await,
                Step::Receive => self.exchange(machine, false).await,
                Step::Sleep(time) => drop(timeout(time, self.woken.0.notified()).await),
                Step::Request(request) => return Ok(Some(Call::Request(request))),
                Step::Event(event) => return Ok(Some(Call::Event(event))),
                Step::Yield => ::tokio::task::yield_now().await,
                Step::Shutdown => drop(self.stream.shutdown().await),
                Step::Close => return Ok(None),
            }
        }
    }

    /// Waits until the socket is ready or the deadline has come, and moves what can be moved.
    async fn exchange<M: Machine>(&mut self, machine: &mut M, sending: bool) {
        let patience = machine.deadline().map(|deadline| deadline.saturating_since(self.now()));
        let (room, output) = machine.buffers();
        let (mut room, mut stream) = (ReadBuf::new(room), Pin::new(&mut self.stream));
        let moved = poll_fn(|context| {
            let read = if room.capacity() == 0 {
                Poll::Pending
            } else {
                stream.as_mut().poll_read(context, &mut room)
            };
            let written =
                if sending { stream.as_mut().poll_write(context, output) } else { Poll::Pending };
            match (read, written) {
                (Poll::Pending, Poll::Pending) => Poll::Pending,
                moved => Poll::Ready(moved),
            }
        });
        let moved = match patience {
            Some(patience) => timeout(patience, moved).await.ok(),
            None => Some(moved.await),
        };
        let count = room.filled().len();
        let Some((read, written)) = moved else { return };
        match written {
            Poll::Ready(Ok(count)) => machine.sent(count),
            Poll::Ready(Err(_)) => machine.send_failed(),
            Poll::Pending => {}
        }
        match read {
            Poll::Ready(Ok(())) => machine.received(count),
            // A connection that broke has no more to say.
            Poll::Ready(Err(_)) => machine.received(0),
            Poll::Pending => {}
        }
    }
}
