//! The PROXY protocol, versions 1 and 2: who connected to the proxy that a connection comes from,
//! as the proxy says in front of what it forwards: the specification is `proxy-protocol.txt` of the
//! proxy haproxy.
//!
//! A header counts only from an address that is trusted to send one; from any other it would be a
//! way to pass for anybody. Which addresses those are, and how long a header may take, is the
//! driver's to know: from a trusted address it reads until [`parse`] has a whole header, before the
//! first poll of a session; from any other it does not look.
//!
//! ```
//! use fss::proxy::{Parsed, parse};
//!
//! let mut header = &b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 954\r\n"[..];
//! // A driver reads no more than is missing, so what follows the header stays where it is.
//! let mut read = Vec::new();
//! let source = loop {
//!     match parse(&read)? {
//!         Parsed::Incomplete { missing } => {
//!             read.extend_from_slice(&header[..missing]);
//!             header = &header[missing..];
//!         }
//!         Parsed::Header { source } => break source,
//!     }
//! };
//! assert_eq!(source, Some("192.0.2.7:40000".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, its line end included, as its specification has it.
pub const LONGEST_V1: usize = 107;

/// The longest header of version 2: a TLS certificate's name and what else proxies add to the
/// addresses fit many times. Its length field would allow 64 KiB.
pub const LONGEST_V2: usize = 4096;

const SIGNATURE_V1: &[u8] = b"PROXY ";
const SIGNATURE_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const SHORTEST_V1: usize = b"PROXY UNKNOWN\r\n".len();
/// Signature, version and command, family and protocol, length.
const FIXED_V2: usize = SIGNATURE_V2.len() + 4;

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header.
    Incomplete {
        /// How many bytes are missing at least, never 0. To read no more than that is to read
        /// nothing behind the header.
        missing: usize,
    },
    /// A whole header.
    Header {
        /// Who connected to the proxy. `None` if the proxy speaks for itself (`LOCAL`), or does not
        /// know or say who it was in terms of TCP (`UNKNOWN`): then the connection's own address
        /// holds.
        source: Option<SocketAddr>,
    },
}

/// The bytes are not a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Neither signature is there.
    #[error("there is no PROXY header")]
    Missing,
    /// It is longer than [`LONGEST_V1`] or [`LONGEST_V2`].
    #[error("the PROXY header is too long")]
    TooLong,
    /// Its fields are not what the specification allows, or bytes follow its end.
    #[error("the PROXY header is malformed")]
    Malformed,
}

/// Reads the header at the beginning of a connection. `bytes` are all that came so far, at most a
/// whole header.
///
/// # Errors
/// [`InvalidHeader`], as soon as no header can begin so: close the connection.
pub fn parse(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    let begins =
        |signature: &[u8]| bytes.iter().zip(signature).all(|(byte, expected)| byte == expected);
    if begins(SIGNATURE_V1) {
        parse_v1(bytes)
    } else if begins(SIGNATURE_V2) {
        parse_v2(bytes)
    } else {
        Err(InvalidHeader::Missing)
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        // Both bytes of the line end, or the second.
        let missing = SHORTEST_V1
            .saturating_sub(bytes.len())
            .max(if bytes.last() == Some(&b'\r') { 1 } else { 2 });
        return if bytes.len() + missing > LONGEST_V1 {
            Err(InvalidHeader::TooLong)
        } else {
            Ok(Parsed::Incomplete { missing })
        };
    };
    if end + 2 != bytes.len() {
        return Err(InvalidHeader::Malformed);
    }
    let line = std::str::from_utf8(&bytes[SIGNATURE_V1.len()..end])
        .map_err(|_| InvalidHeader::Malformed)?;
    let fields: Vec<&str> = line.split(' ').collect();
    let source = match fields[..] {
        // What follows UNKNOWN is to be ignored.
        ["UNKNOWN", ..] => None,
        ["TCP4", source, destination, port, destination_port] => {
            address::<Ipv4Addr>(destination, destination_port)?;
            Some(address::<Ipv4Addr>(source, port)?)
        }
        ["TCP6", source, destination, port, destination_port] => {
            address::<Ipv6Addr>(destination, destination_port)?;
            Some(address::<Ipv6Addr>(source, port)?)
        }
        _ => return Err(InvalidHeader::Malformed),
    };
    Ok(Parsed::Header { source })
}

fn address<A: std::str::FromStr + Into<IpAddr>>(
    address: &str,
    port: &str,
) -> Result<SocketAddr, InvalidHeader> {
    let address: A = address.parse().map_err(|_| InvalidHeader::Malformed)?;
    let is_decimal =
        port.bytes().all(|byte| byte.is_ascii_digit()) && (port == "0" || !port.starts_with('0'));
    let port = port.parse().ok().filter(|_| is_decimal).ok_or(InvalidHeader::Malformed)?;
    Ok(SocketAddr::new(address.into(), port))
}

fn parse_v2(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    let Some(fixed) = bytes.first_chunk::<FIXED_V2>() else {
        return Ok(Parsed::Incomplete { missing: FIXED_V2 - bytes.len() });
    };
    let [.., version_and_command, family, high, low] = *fixed;
    let length = FIXED_V2 + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_V2 {
        return Err(InvalidHeader::TooLong);
    }
    let is_proxied = match version_and_command {
        0x20 => false,
        0x21 => true,
        _ => return Err(InvalidHeader::Malformed),
    };
    if let Some(missing) = length.checked_sub(bytes.len()).filter(|&missing| missing > 0) {
        return Ok(Parsed::Incomplete { missing });
    }
    if bytes.len() > length {
        return Err(InvalidHeader::Malformed);
    }
    // The addresses come first; what follows them is for whoever knows it, and is skipped.
    let rest = &bytes[FIXED_V2..];
    let source = match family {
        0x11 => Some(ends::<4>(rest)?),
        0x21 => Some(ends::<16>(rest)?),
        // Unspecified, datagrams, and sockets of one machine: no address of TCP.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => None,
        _ => return Err(InvalidHeader::Malformed),
    };
    Ok(Parsed::Header { source: source.filter(|_| is_proxied) })
}

/// Takes the source from two addresses and two ports.
fn ends<const N: usize>(bytes: &[u8]) -> Result<SocketAddr, InvalidHeader>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = bytes.split_first_chunk::<N>().ok_or(InvalidHeader::Malformed)?;
    let (_, rest) = rest.split_first_chunk::<N>().ok_or(InvalidHeader::Malformed)?;
    let [high, low, _, _] = *rest.first_chunk::<4>().ok_or(InvalidHeader::Malformed)?;
    Ok(SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes([high, low])))
}
