//! What both sides have in common: how a driver talks to a machine, buffers, the link to the peer, and how a connection
//! ends. Which frames go when is not decided here but in the states of `server` and `client`.

mod buffers;
mod core;
mod ending;
mod greeting;
mod link;
mod pace;

use std::convert::Infallible;
use std::time::Duration;

pub(crate) use self::core::{Core, LastWords, Side, Turn, Wants};
pub(crate) use buffers::{Message, Pool};
pub(crate) use greeting::Greeting;
pub(crate) use link::{Link, Records};

use crate::error::Error;
use crate::time::Time;

/// A pure state machine that speaks for one end of one connection, and never touches a socket or a clock.
///
/// A driver asks [`Machine::poll`] for the one thing to do, does it, and asks again. This one speaks over a blocking
/// socket; the one in `examples/support` has deadlines too:
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{Shutdown, TcpListener, TcpStream};
/// use std::time::Instant;
/// use fss::client::legacy::{ClientSession, FileNeed};
/// use fss::{Config, Error, Machine, MemoryStore, Password, ServerSession, Step, Time};
///
/// fn drive<M: Machine>(
///     machine: &mut M,
///     mut stream: TcpStream,
///     mut serve: impl FnMut(&mut M, M::Need),
///     mut report: impl FnMut(M::Event),
/// ) -> Result<(), Error> {
///     let start = Instant::now();
///     loop {
///         match machine.poll(Time::since(start))? {
///             Step::Send => match stream.write(machine.buffers().1) {
///                 Ok(count) => machine.sent(count),
///                 Err(_) => machine.send_failed(),
///             },
///             Step::Receive => {
///                 let count = stream.read(machine.buffers().0).unwrap_or(0);
///                 machine.received(count);
///             }
///             Step::Wait(time) => std::thread::sleep(time),
///             Step::Need(need) => serve(machine, need),
///             Step::Event(event) => report(event),
///             Step::Yield => {}
///             Step::Shutdown => drop(stream.shutdown(Shutdown::Write)),
///             Step::Close => return Ok(()),
///         }
///     }
/// }
///
/// let store = MemoryStore::new();
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let serving = store.clone();
/// std::thread::spawn(move || {
///     for stream in listener.incoming().flatten() {
///         let _ = drive(&mut ServerSession::new(&serving), stream, |_, need| match need {}, drop);
///     }
/// });
/// let mut file = &b"a file"[..];
/// let mut client = ClientSession::upload(Config::process_wide(), &Password::new("secret")?);
/// let mut last = None;
/// drive(
///     &mut client,
///     TcpStream::connect(address)?,
///     |client, _| {
///         let count = file.read(client.supply()).unwrap_or(0);
///         client.supplied(count);
///     },
///     |event| last = Some(event),
/// )?;
/// println!("{last:?}");
/// assert_eq!(store.len(), 1);
/// # let Some(fss::client::legacy::ClientEvent::Uploaded { cookie, .. }) = last else { panic!("{last:?}") };
/// # let mut client = ClientSession::download(Config::process_wide(), &cookie, &Password::new("secret")?, Some(6));
/// # let mut file = Vec::new();
/// # let take = |client: &mut ClientSession, need| {
/// #     assert_eq!(need, FileNeed::Data);
/// #     file.extend_from_slice(client.data());
/// #     let count = client.data().len();
/// #     client.consumed(count);
/// # };
/// # drive(&mut client, TcpStream::connect(address)?, take, drop)?;
/// # assert_eq!(file, b"a file");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping a driver between any two calls leaves the machine valid. After an error or [`Step::Close`] it gives the same
/// answer for ever.
pub trait Machine {
    /// What it reports.
    type Event;
    /// What it needs beyond the connection; [`Infallible`] if nothing.
    type Need;

    /// The one thing to do now. Does a bounded amount of work: at most as many RSA private operations as
    /// [`Limits::private_operations`](crate::Limits::private_operations) says, by default one.
    ///
    /// `now` must not go backwards; if it does, deadlines come late.
    ///
    /// # Errors
    /// Why the connection failed. It comes last, when the peer has been told: close the connection. It is the same from
    /// then on.
    fn poll(&mut self, now: Time) -> Result<Step<Self::Event, Self::Need>, Error>;

    /// Where to read into, and what to write: split, so that a driver can do both at once.
    ///
    /// If the first slice is empty there is no room now: do not read, for reading nothing would look like the end. With
    /// [`Step::Receive`] there always is room.
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
                self.core.link.received(count);
            }

            fn sent(&mut self, count: usize) {
                self.core.link.sent(count);
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

/// The one thing to do now. `Send`, `Receive`, `Wait` and `Need` stay the same until they are done; an event comes once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<E, N = Infallible> {
    /// Write from the buffer, and read too if you can: the peer may have something to say meanwhile.
    Send,
    /// Read into the buffer, until the deadline. There is room.
    Receive,
    /// Let this much time go by. (There is nothing to read, so a driver must not insist on reading something.)
    Wait(Duration),
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
