//! Listening, and what to try where that fails.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use crate::terminal::failure::{Failure, code};

/// Listens at all addresses that an option says, without blocking.
pub fn listen_at_all(addresses: &[SocketAddr], option: &str) -> Result<Vec<TcpListener>, Failure> {
    addresses.iter().map(|&address| listen(address, option)).collect()
}

/// Listens at an address that an option says, without blocking.
pub fn listen(address: SocketAddr, option: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|error| {
        let port = address.port();
        let (why, hint) = match error.kind() {
            ErrorKind::PermissionDenied if port < 1024 => (
                "ports below 1024 need root on this system".to_owned(),
                format!(
                    "{option} {}:{}, or allow it: sudo sysctl net.ipv4.ip_unprivileged_port_start={port}",
                    host(address),
                    if port * 10 > 1023 && port < 1000 { port * 10 } else { port + 8000 }
                ),
            ),
            ErrorKind::AddrInUse => {
                ("another program is listening there".to_owned(), "another port, or stop that program".to_owned())
            }
            ErrorKind::AddrNotAvailable => ("this machine has no such address".to_owned(), format!("{option} 0.0.0.0:{port}")),
            _ => (error.to_string(), format!("another {option}")),
        };
        Failure::new(code::OTHER, format!("cannot listen on {address}: {}", plain(&error)), why, hint)
    })
}

fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::AddrInUse => "address in use".to_owned(),
        _ => error.to_string(),
    }
}
