//! The header of the PROXY protocol in front of a connection that comes through a trusted proxy.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use fss::proxy::{Parsed, parse};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Reads the header and nothing else; gives who connected to the proxy, if the proxy says so.
pub async fn source(stream: &mut TcpStream, patience: Duration) -> Result<Option<SocketAddr>> {
    timeout(patience, read(stream)).await?
}

async fn read(stream: &mut TcpStream) -> Result<Option<SocketAddr>> {
    let mut bytes = Vec::new();
    loop {
        let missing = match parse(&bytes).map_err(|invalid| Error::new(ErrorKind::InvalidData, invalid))? {
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
