//! The header of the PROXY protocol in front of a connection that comes through a trusted proxy.

use std::io::{Error, ErrorKind, Read as _, Result};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fss::proxy::{Parsed, parse};

/// Reads the header and nothing else; gives who connected to the proxy, if the proxy says so.
pub fn source(mut stream: &TcpStream, patience: Duration) -> Result<Option<SocketAddr>> {
    let end = Instant::now() + patience;
    stream.set_nonblocking(false)?;
    let mut bytes = Vec::new();
    loop {
        let missing = match parse(&bytes).map_err(|invalid| Error::new(ErrorKind::InvalidData, invalid))? {
            Parsed::Header { source } => return Ok(source),
            Parsed::Incomplete { missing } => missing,
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let start = bytes.len();
        bytes.resize(start + missing, 0);
        let count = match stream.read(&mut bytes[start..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => 0,
            Err(error) => return Err(error),
        };
        bytes.truncate(start + count);
    }
}
