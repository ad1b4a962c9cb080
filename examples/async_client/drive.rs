//! How a machine gets to a server: over a socket of tokio. All else of this program does not know.

use std::io;
use std::time::Duration;

use fss::Machine;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::async_driver::Driver;
use crate::call::Call;
use crate::stopped::{Stopped, cannot_connect};

/// How long to wait for a server to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects, and runs a machine to its end.
pub fn run<M: Machine>(
    machine: &mut M,
    server: &str,
    mut serve: impl FnMut(&mut M, Call<M>) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| cannot_connect(server, &error))?;
    runtime.block_on(async {
        let connected = timeout(CONNECT, TcpStream::connect(server)).await.unwrap_or_else(|late| Err(io::Error::from(late)));
        let mut driver = Driver::new(connected.map_err(|error| cannot_connect(server, &error))?);
        while let Some(call) = driver.next(machine).await? {
            serve(machine, call)?;
        }
        Ok(())
    })
}
