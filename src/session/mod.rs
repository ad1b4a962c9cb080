//! What both sides have in common: how a driver talks to a machine, buffers, the link to the peer, and how a connection
//! ends. Which frames go when is not decided here but in `server::states` and `client::states`.

mod buffers;
mod core;
mod ending;
mod link;

use std::convert::Infallible;

pub(crate) use self::core::{Core, LastWords, Side, Turn, Wants};
pub(crate) use link::Link;

use crate::error::Error;
use crate::time::Time;

/// A pure state machine that speaks for one end of one connection, and never touches a socket or a clock.
///
/// A driver asks [`Machine::poll`] for the one thing to do, does it, and asks again:
///
/// ```
/// use fss::{Machine, Step, Time};
///
/// /// Speaks over any stream. This is the whole driver; `examples/support` has one with deadlines.
/// fn serve<S: fss::store::Store>(mut session: fss::ServerSession<S>, mut stream: impl std::io::Read + std::io::Write) {
///     let start = std::time::Instant::now();
///     loop {
///         match session.poll(Time::since(start)) {
///             Ok(Step::Send) => match stream.write(session.buffers().1) {
///                 Ok(count) => session.sent(count),
///                 Err(_) => session.send_failed(),
///             },
///             Ok(Step::Receive) => {
///                 let count = stream.read(session.buffers().0).unwrap_or(0);
///                 session.received(count);
///             }
///             Ok(Step::Event(event)) => println!("{event:?}"),
///             Ok(Step::Yield | Step::Shutdown) => {}
///             Ok(Step::Close) => break,
///             Err(error) => break println!("{error}"),
///         }
///     }
/// }
/// ```
///
/// Dropping a driver between any two calls leaves the machine valid. After an error or [`Step::Close`] it gives the same
/// answer for ever.
pub trait Machine {
    /// What it reports.
    type Event;
    /// What it needs beyond the connection; [`Infallible`] if nothing.
    type Need;

    /// The one thing to do now. Does a bounded amount of work: at most one RSA private operation.
    ///
    /// `now` must not go backwards; if it does, deadlines come late.
    ///
    /// # Errors
    /// Why the connection failed. It comes last, when the peer has been told: close the connection. It is the same from
    /// then on.
    fn poll(&mut self, now: Time) -> Result<Step<Self::Event, Self::Need>, Error>;

    /// Where to read into, and what to write: split, so that a driver can do both at once.
    ///
    /// If the first slice is empty there is no room now: do not read, for reading nothing would look like the end.
    fn buffers(&mut self) -> (&mut [u8], &[u8]);

    /// The first `count` bytes of the slice to read into were filled; 0 means that the peer will send no more.
    fn received(&mut self, count: usize);

    /// The first `count` bytes of the slice to write were written.
    fn sent(&mut self, count: usize);

    /// Writing failed: the peer reads no more. What waits to be written is dropped. What the peer may have said before
    /// is still read, for it may be the reason; so go on.
    fn send_failed(&mut self);

    /// When to poll again at the latest, whatever happens; `None` while nothing but the caller is waited for.
    fn deadline(&self) -> Option<Time>;
}

/// Makes a type with a `core` a [`Machine`].
macro_rules! machine_with_core {
    ($machine:ty, $event:ty, $need:ty) => {
        impl $crate::Machine for $machine {
            type Event = $event;
            type Need = $need;

            fn poll(&mut self, now: $crate::Time) -> Result<$crate::Step<$event, $need>, $crate::Error> {
                self.core.poll(now)
            }

            fn buffers(&mut self) -> (&mut [u8], &[u8]) {
                (self.core.link.input.room(), self.core.link.output.bytes())
            }

            fn received(&mut self, count: usize) {
                self.core.link.input.filled(count);
            }

            fn sent(&mut self, count: usize) {
                self.core.link.output.sent(count);
            }

            fn send_failed(&mut self) {
                self.core.link.output.clear();
            }

            fn deadline(&self) -> Option<$crate::Time> {
                self.core.deadline()
            }
        }
    };
}
pub(crate) use machine_with_core;

/// The one thing to do now. `Send`, `Receive` and `Need` stay the same until they are done; an event comes once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<E, N = Infallible> {
    /// Write from the buffer, and read too if you can: the peer may have something to say meanwhile.
    Send,
    /// Read into the buffer, until the deadline; if there is no room, just wait for the deadline.
    Receive,
    /// The machine needs something of you. Until it has that, it has nothing else to do.
    Need(N),
    /// Something happened.
    Event(E),
    /// There is more to do, but others should have a turn: poll again when you can.
    Yield,
    /// Shut down sending, so that the peer sees the end; go on reading. Comes once.
    Shutdown,
    /// The connection is over and all went well: close it.
    Close,
}
