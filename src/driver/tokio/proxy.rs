//! The header of the PROXY protocol in front of a connection that comes through a trusted proxy.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use ::tokio::io::{AsyncRead, AsyncReadExt as _};
use ::tokio::time::timeout;

use crate::proxy::{Parsed, parse};

/// Reads the header that a trusted proxy puts before a connection, and nothing else, before a
/// [`Driver`](super::Driver) gets the stream. Returns who connected to the proxy, if the proxy says
/// so.
///
/// # Errors
/// Those of the system; [`ErrorKind::InvalidData`] if there is no such header,
/// [`ErrorKind::TimedOut`] if it is not there in time.
pub async fn read_proxy_header(
    stream: &mut (impl AsyncRead + Unpin),
    patience: Duration,
) -> Result<Option<SocketAddr>> {
    timeout(patience, read(stream)).await?
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>> {
    let mut bytes = Vec::new();
    loop {
        let missing =
            match parse(&bytes).map_err(|invalid| Error::new(ErrorKind::InvalidData, invalid))? {
                Parsed::Header { source } => return Ok(source),
                Parsed::Incomplete { missing } => missing,
            };
        let start = bytes.len();
        bytes.resize(start + missing, 0);
        let count = stream.read(&mut bytes[start..]).await?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(start + count);
    }
}
