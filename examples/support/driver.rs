//! The blocking driver: carries bytes between a machine and a socket. The whole of it is here.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use fss::{Machine, Step, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::call::Call;

/// Runs a machine on a connected socket to its end. `serve` gets its calls, and stops it by answering with an error of
/// the program's own.
pub fn run<M: Machine, E: From<fss::Error>>(
    machine: &mut M,
    mut stream: &TcpStream,
    mut serve: impl FnMut(&mut M, Call<M>) -> Result<(), E>,
) -> Result<(), E> {
    let start = Instant::now();
    // A socket that cannot be set up is as good as a closed one: the machine gets to see that.
    let _ = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
    machine.set_waker(Waker::from(Arc::new(Unpark(thread::current()))));
    loop {
        match machine.poll(Time::since(start)) {
            Ok(Step::Send) => exchange(machine, stream, true, start),
            Ok(Step::Receive) => exchange(machine, stream, false, start),
            Ok(Step::Wait(time)) => thread::park_timeout(time),
            Ok(Step::Need(need)) => serve(machine, Call::Need(need))?,
            Ok(Step::Event(event)) => serve(machine, Call::Event(event))?,
            Ok(Step::Yield) => {}
            Ok(Step::Shutdown) => {
                let _ = stream.flush().and_then(|()| stream.shutdown(std::net::Shutdown::Write));
            }
            Ok(Step::Close) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends the parking of a thread, whatever it is parked for: it only polls early.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until the socket is ready or the deadline has come, and moves what can be moved.
fn exchange<M: Machine>(machine: &mut M, mut stream: &TcpStream, sending: bool, start: Instant) {
    let patience = machine.deadline().map(|deadline| deadline.saturating_since(Time::since(start)));
    let (room, output) = machine.buffers();
    let mut interest = PollFlags::empty();
    interest.set(PollFlags::IN, !room.is_empty());
    interest.set(PollFlags::OUT, sending);
    let mut sockets = [PollFd::new(&stream, interest)];
    if poll(&mut sockets, patience.map(timespec).as_ref()).is_err() {
        return; // A signal came: the machine is asked again.
    }
    let ready = sockets[0].revents();
    let readable = !room.is_empty() && ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
    let read = readable.then(|| stream.read(room));
    let written = (sending && ready.intersects(PollFlags::OUT | PollFlags::ERR)).then(|| stream.write(output));
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

fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Rounded up to a millisecond, so that a deadline has passed when the wait is over.
pub fn timespec(time: Duration) -> Timespec {
    let time = time.saturating_add(Duration::from_millis(1));
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}
