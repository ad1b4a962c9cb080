//! The header of the PROXY protocol in front of a connection that comes through a trusted proxy.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Ready, Stream};
use crate::proxy::{Parsed, parse};

/// Reads the header that a trusted proxy puts before a connection, and nothing else, before a
/// [`Driver`](super::Driver) gets the stream. Returns who connected to the proxy, if the proxy says
/// so.
///
/// # Errors
/// Those of the system; [`ErrorKind::InvalidData`] if there is no such header,
/// [`ErrorKind::TimedOut`] if it is not there in time.
pub fn read_proxy_header(
    stream: &mut impl Stream,
    patience: Duration,
) -> Result<Option<SocketAddr>> {
    let end = Instant::now() + patience;
    stream.prepare()?;
    let mut bytes = Vec::new();
    loop {
        let missing =
            match parse(&bytes).map_err(|invalid| Error::new(ErrorKind::InvalidData, invalid))? {
                Parsed::Header { source } => return Ok(source),
                Parsed::Incomplete { missing } => missing,
            };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        match stream.wait(Ready { read: true, write: false }, Some(left)) {
            Ok(Ready { read: true, .. }) => {}
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let start = bytes.len();
        bytes.resize(start + missing, 0);
        let count = match stream.read(&mut bytes[start..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                0
            }
            Err(error) => return Err(error),
        };
        bytes.truncate(start + count);
    }
}
