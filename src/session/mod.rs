//! What both sides have in common: how a driver talks to a machine, buffers, the link to the peer,
//! and how a connection ends. Which frames go when is not decided here but in the states of
//! `server` and `client`.

mod budget;
mod buffers;
mod ending;
mod greeting;
mod link;
mod pace;
mod runner;

use std::convert::Infallible;
use std::task::Waker;
use std::time::Duration;

pub(crate) use self::runner::{Beginning, Context, Farewell, Protocol, Runner, Waiting};
pub(crate) use buffers::{Message, record_pool};
pub(crate) use greeting::Greeting;
pub(crate) use link::{Link, Records};

use crate::error::Error;
use crate::types::time::Time;

/// A pure state machine that speaks for one end of one connection, and never touches a socket or a
/// clock.
///
/// A driver asks [`Machine::poll`] for the one thing to do, does it, and asks again. This one
/// speaks over a blocking socket, and waits for the peer no longer than the machine's deadline. It
/// does not read while it writes; those in `fss::driver` do:
///
/// ```
/// use std::io::{Error as IoError, ErrorKind, Read, Write};
/// use std::net::{Shutdown, TcpListener, TcpStream};
/// use std::time::{Duration, Instant};
/// use fss::client::legacy::{LegacySession, FileRequest};
/// use fss::{Config, Error, Machine, MemoryStore, Password, ServerSession, Step, Time};
///
/// fn drive<M: Machine>(
///     machine: &mut M,
///     mut stream: TcpStream,
///     mut serve: impl FnMut(&mut M, M::Request),
///     mut report: impl FnMut(M::Event),
/// ) -> Result<(), Error> {
///     let start = Instant::now();
///     let is_over = |error: &IoError| matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock);
///     loop {
///         let step = machine.poll(Time::since(start))?;
///         let left = machine.deadline().map(|deadline| deadline.saturating_since(Time::since(start)));
///         // A timeout of nothing is none; and a socket without one would be waited for without end.
///         let patience = left.map(|left| left.max(Duration::from_millis(1)));
///         if stream.set_read_timeout(patience).and_then(|()| stream.set_write_timeout(patience)).is_err() {
///             machine.received(0); // A socket that cannot be set up is as good as a closed one.
///         }
///         match step {
///             Step::Send => match stream.write(machine.buffers().1) {
///                 Ok(count) => machine.sent(count),
///                 Err(error) if is_over(&error) => {} // The next poll says what becomes of it.
///                 Err(_) => machine.send_failed(),
///             },
///             Step::Receive => match stream.read(machine.buffers().0) {
///                 Ok(count) => machine.received(count),
///                 Err(error) if is_over(&error) => {}
///                 Err(_) => machine.received(0),
///             },
///             Step::Sleep(time) => std::thread::sleep(time),
///             Step::Request(request) => serve(machine, request),
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
///         let _ = drive(&mut ServerSession::new(&serving), stream, |_, request| match request {}, drop);
///     }
/// });
/// let mut file = &b"a file"[..];
/// let mut client = LegacySession::upload(Config::ephemeral(), &Password::new("secret")?);
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
/// # let Some(fss::client::legacy::LegacyEvent::Uploaded { cookie, .. }) = last else { panic!("{last:?}") };
/// # let mut client = LegacySession::download(Config::ephemeral(), &cookie, &Password::new("secret")?, Some(6));
/// # let mut file = Vec::new();
/// # let take = |client: &mut LegacySession, request| {
/// #     assert_eq!(request, FileRequest::Data);
/// #     file.extend_from_slice(client.data());
/// #     let count = client.data().len();
/// #     client.consumed(count);
/// # };
/// # drive(&mut client, TcpStream::connect(address)?, take, drop)?;
/// # assert_eq!(file, b"a file");
/// # // A client that says nothing is waited for no longer than the limit of the handshake.
/// # let mut limits = fss::Limits::default();
/// # limits.handshake = Duration::from_millis(100);
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let silent = TcpStream::connect(listener.local_addr()?)?;
/// # let server = fss::server::ServerState::new(Config::ephemeral().with_limits(limits));
/// # let mut session = ServerSession::with_state(&store, &server);
/// # let ended = drive(&mut session, listener.accept()?.0, |_, request| match request {}, drop);
/// # assert!(matches!(ended, Err(Error::TimedOut(_))), "{ended:?}");
/// # drop(silent);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping a driver between any two calls leaves the machine valid. After an error or
/// [`Step::Close`] each poll returns the same.
pub trait Machine {
    /// What it reports.
    type Event;
    /// What it needs beyond the connection; [`Infallible`] if nothing.
    type Request;

    /// The one thing to do now. Does a bounded amount of work: at most as many RSA private
    /// operations as [`Limits::private_operations`](crate::Limits::private_operations) says, by
    /// default one.
    ///
    /// `now` must not go backwards; if it does, deadlines come late.
    ///
    /// # Errors
    /// Why the connection failed. It comes last, when the peer has been told: close the connection.
    /// It is the same from then on.
    fn poll(&mut self, now: Time) -> Result<Step<Self::Event, Self::Request>, Error>;

    /// Where to read into, and what to write: split, so that a driver can do both at once.
    ///
    /// If the first slice is empty there is no room now: do not read, for reading nothing would
    /// look like the end. With [`Step::Receive`] there always is room.
    fn buffers(&mut self) -> (&mut [u8], &[u8]);

    /// The first `count` bytes of the slice to read into were filled; 0 means that the peer will
    /// send no more.
    fn received(&mut self, count: usize);

    /// The first `count` bytes of the slice to write were written.
    fn sent(&mut self, count: usize);

    /// Writing failed: the peer reads no more. What waits to be written is dropped. Continue polling:
    /// what the peer sent before is still read, since it may say why.
    fn send_failed(&mut self);

    /// Sets the waker for a [`Step::Sleep`] that may end early: sessions wait in a queue for room for
    /// a record. Call it once, before the first poll. Without a waker such a wait is short and
    /// repeated.
    fn set_waker(&mut self, waker: Waker);

    /// When to poll again at the latest, whatever happens; `None` while nothing but the caller is
    /// waited for.
    fn deadline(&self) -> Option<Time>;
}

/// Makes a type that holds a [`Runner`] a [`Machine`]: what it is, with its generics; where its
/// runner is; and what polls it, a method of its own or the runner's.
macro_rules! machine {
    (
        [$($generics:tt)*] $machine:ty, $event:ty, $request:ty,
        $($runner:ident).+, $($poll:ident).+
    ) => {
        impl<$($generics)*> $crate::Machine for $machine {
            type Event = $event;
            type Request = $request;

            fn poll(
                &mut self,
                now: $crate::Time,
            ) -> Result<$crate::Step<$event, $request>, $crate::Error> {
                self.$($poll).+(now)
            }

            fn buffers(&mut self) -> (&mut [u8], &[u8]) {
                let link = &mut self.$($runner).+.link;
                (link.input.room(), link.output.bytes())
            }

            fn received(&mut self, count: usize) {
                self.$($runner).+.link.received(count);
            }

            fn sent(&mut self, count: usize) {
                self.$($runner).+.link.sent(count);
            }

            fn send_failed(&mut self) {
                self.$($runner).+.link.output.clear();
            }

            fn set_waker(&mut self, waker: ::std::task::Waker) {
                self.$($runner).+.link.set_waker(waker);
            }

            fn deadline(&self) -> Option<$crate::Time> {
                self.$($runner).+.deadline()
            }
        }
    };
}
pub(crate) use machine;

/// The one thing to do now. `Send`, `Receive`, `Sleep` and `Request` stay the same until they are
/// done; an event comes once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<E, N = Infallible> {
    /// Write from the buffer, and read too if you can: the peer may send something meanwhile.
    Send,
    /// Read into the buffer, until the deadline. There is room.
    Receive,
    /// Wait for this long, or until the waker is woken ([`Machine::set_waker`]); polling earlier
    /// does no harm. There may be nothing to read meanwhile, so do not wait for the peer.
    Sleep(Duration),
    /// The machine needs something of the caller, and has nothing else to do until then. It asks
    /// again with each poll. A driver that polls ten thousand times within a second without
    /// answering gets [`Error::Misuse`].
    Request(N),
    /// Something happened.
    Event(E),
    /// There is more to do, but let other tasks run first: poll again soon.
    Yield,
    /// Shut down the sending direction, so that the peer sees the end, and continue reading. Comes
    /// once.
    Shutdown,
    /// The connection is over and all went well: close it.
    Close,
}
