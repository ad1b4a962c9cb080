//! Streams that cannot be waited for, but whose reading and writing end after a time: TLS, a serial
//! line, a pipe to another thread.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{Ready, Stream};

/// The shortest timeout that is set: sockets take none for *for ever*.
const SHORTEST: Duration = Duration::from_millis(1);

/// Anything that reads and writes, and gives up after a timeout with
/// [`WouldBlock`](io::ErrorKind::WouldBlock) or [`TimedOut`](io::ErrorKind::TimedOut). It is a
/// [`Stream`].
///
/// The driver keeps the deadlines of the machine by setting the timeout anew before each call. It
/// writes or reads, one after the other, so it does not hear a peer that refuses while a file is
/// being sent before the piece at hand is written.
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::{Shutdown, TcpStream};
/// use std::time::Duration;
/// use fss::driver::blocking::Timeouts;
///
/// /// Whatever wraps a socket: TLS, say.
/// struct Wrapped(TcpStream);
///
/// # impl Read for Wrapped {
/// #     fn read(&mut self, room: &mut [u8]) -> io::Result<usize> { self.0.read(room) }
/// # }
/// # impl Write for Wrapped {
/// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.0.write(bytes) }
/// #     fn flush(&mut self) -> io::Result<()> { self.0.flush() }
/// # }
/// impl Timeouts for Wrapped {
///     fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
///         self.0.set_read_timeout(timeout)?;
///         self.0.set_write_timeout(timeout)
///     }
///
///     fn shutdown(&mut self) -> io::Result<()> {
///         self.0.shutdown(Shutdown::Write)
///     }
/// }
/// ```
pub trait Timeouts: Read + Write {
    /// Sets how long the next read or write may take, at least a millisecond; `None` is no limit.
    ///
    /// # Errors
    /// Those of the system. The connection is then over.
    fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Tells the peer that no more will be written. Everything is flushed.
    ///
    /// # Errors
    /// Those of the system.
    fn shutdown(&mut self) -> io::Result<()>;
}

impl<T: Timeouts> Stream for T {
    fn prepare(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, wanted: Ready, patience: Option<Duration>) -> io::Result<Ready> {
        // Where it cannot be set, reading or writing reports why.
        let _ = self.set_timeout(patience.map(|patience| patience.max(SHORTEST)));
        // Whichever is tried first may take all of the time, and the peer may wait for ours.
        Ok(Ready { read: wanted.read && !wanted.write, write: wanted.write })
    }

    fn shutdown(&mut self) -> io::Result<()> {
        Timeouts::shutdown(self)
    }
}
