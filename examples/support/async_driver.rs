//! The asynchronous driver: carries bytes between a machine and a socket of tokio. The whole of it is here.

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use fss::{Machine, Step, Time};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::call::Call;

/// A connected socket that a machine speaks over.
pub struct Driver {
    stream: TcpStream,
    start: Instant,
    woken: Arc<Woken>,
}

/// Ends a wait.
#[derive(Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

impl Driver {
    pub fn new(stream: TcpStream) -> Self {
        // A socket that cannot be set up is as good as a closed one: the machine gets to see that.
        let _ = stream.set_nodelay(true);
        Self { stream, start: Instant::now(), woken: Arc::default() }
    }

    /// The time of the machine.
    pub fn now(&self) -> Time {
        Time::since(self.start)
    }

    /// Runs a machine until it has something for its program; `None` at its end.
    pub async fn next<M: Machine>(&mut self, machine: &mut M) -> Result<Option<Call<M>>, fss::Error> {
        machine.set_waker(Waker::from(Arc::clone(&self.woken)));
        loop {
            match machine.poll(self.now())? {
                Step::Send => exchange(machine, &mut self.stream, true, self.start).await,
                Step::Receive => exchange(machine, &mut self.stream, false, self.start).await,
                Step::Wait(time) => drop(timeout(time, self.woken.0.notified()).await),
                Step::Need(need) => return Ok(Some(Call::Need(need))),
                Step::Event(event) => return Ok(Some(Call::Event(event))),
                Step::Yield => tokio::task::yield_now().await,
                Step::Shutdown => drop(self.stream.shutdown().await),
                Step::Close => return Ok(None),
            }
        }
    }
}

/// What became of a wait.
enum Moved {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Nothing,
}

/// Waits until the socket is ready or the deadline has come, and moves what can be moved.
async fn exchange<M: Machine>(machine: &mut M, stream: &mut TcpStream, sending: bool, start: Instant) {
    let deadline = machine.deadline();
    let patience = async {
        match deadline {
            Some(deadline) => tokio::time::sleep(deadline.saturating_since(Time::since(start))).await,
            None => std::future::pending().await,
        }
    };
    let (room, output) = machine.buffers();
    let reading = !room.is_empty();
    let (mut reader, mut writer) = stream.split();
    let moved = tokio::select! {
        read = reader.read(room), if reading => Moved::Read(read),
        written = writer.write(output), if sending => Moved::Written(written),
        () = patience => Moved::Nothing,
    };
    match moved {
        // A connection that broke has no more to say.
        Moved::Read(read) => machine.received(read.unwrap_or(0)),
        Moved::Written(Ok(count)) => machine.sent(count),
        Moved::Written(Err(_)) => machine.send_failed(),
        Moved::Nothing => {}
    }
}
