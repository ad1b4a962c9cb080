//! The machines over a transport of your own.
//!
//! [`ServerSession`](crate::ServerSession), [`ServerEngine`](crate::server::ServerEngine),
//! [`ClientSession`](crate::client::ClientSession) and
//! [`LegacySession`](crate::client::legacy::LegacySession) are [`Machine`](crate::Machine)s. A
//! machine never touches a socket and reads no clock. [`poll`](crate::Machine::poll) answers with the
//! one thing to do now, the driver does it and polls again:
//!
//! | step | the driver |
//! |---|---|
//! | `Send` | writes from `buffers().1`, calls `sent(count)` or `send_failed()` |
//! | `Receive` | reads into `buffers().0`, calls `received(count)`, 0 at the end |
//! | `Sleep(time)` | waits, or polls when the waker is woken |
//! | `Request(request)` | does what the machine asks of its program |
//! | `Event(event)` | tells its program |
//! | `Yield` | lets others run |
//! | `Shutdown` | shuts down sending, and goes on reading |
//! | `Close` | closes; all went well |
//!
//! Three rules make a driver right:
//!
//! 1. Poll again at [`deadline`](crate::Machine::deadline) at the latest, whatever happens. That is
//!    how a peer that falls silent is found out.
//! 2. While a `Send` waits for the peer, read if there is room: the peer may be waiting for you.
//! 3. Pass a monotonic time that begins near zero at the start of the connection.
//!
//! The documentation of [`Machine`](crate::Machine) has a whole driver for blocking sockets,
//! `examples/custom_driver.rs` and `examples/custom_async_driver.rs` have one each with a server and
//! a client around it.
//!
//! # Streams
//!
//! `driver::blocking::Driver` runs a machine over anything that reads, writes and knows timeouts,
//! `driver::tokio::Driver` over any `AsyncRead + AsyncWrite`: a TLS stream, a pipe, a tunnel.
//!
//! # Messages
//!
//! [`MessagePump`](crate::driver::MessagePump) is for transports that carry messages, such as
//! WebSocket: `push` what came, do what `next` returns, send what `message` holds. Where messages
//! begin and end has no meaning in the protocol.
//!
//! # Tests
//!
//! Time is a value, so a test of a driver needs no sleeping: poll with the time that you want it to
//! be.
//!
//! ```
//! use fss::{Error, Machine, MemoryStore, ServerSession, Time};
//!
//! let mut session = ServerSession::new(MemoryStore::new());
//! let mut now = Time::ZERO;
//! // A client that connects and says nothing.
//! let ended = loop {
//!     match session.poll(now) {
//!         Ok(fss::Step::Send) => {
//!             let count = session.buffers().1.len();
//!             session.sent(count);
//!         }
//!         Ok(fss::Step::Shutdown) => {}
//!         Ok(_) => now = session.deadline().unwrap_or(now),
//!         Err(error) => break error,
//!     }
//! };
//! assert!(matches!(ended, Error::TimedOut(_)));
//! ```
