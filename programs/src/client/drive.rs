//! Connects a machine to a server over a blocking socket.

use std::time::Duration;

use fss::Machine;

use crate::client::session_error::{SessionError, cannot_connect};
use fss::driver::Call;
use fss::driver::blocking::{Driver, connect};

/// How long to wait for a server to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects, and runs a machine to its end.
pub fn run<M: Machine>(
    machine: &mut M,
    server: &str,
    serve: impl FnMut(&mut M, Call<M>) -> Result<(), SessionError>,
) -> Result<(), SessionError> {
    let stream = connect(server, CONNECT).map_err(|error| cannot_connect(server, &error))?;
    Driver::new(stream).run(machine, serve)
}
