//! The asynchronous driver: carries bytes between a machine and a socket of tokio. The whole of it is here.

use std::io;
use std::time::Instant;

use fss::{Machine, Step, Time};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::call::Call;

/// Runs a machine on a connected socket to its end. `serve` gets its calls, and stops it by answering with an error of
/// the program's own.
pub async fn run<M: Machine, E: From<fss::Error>>(
    machine: &mut M,
    stream: &mut TcpStream,
    mut serve: impl AsyncFnMut(&mut M, Call<M>) -> Result<(), E>,
) -> Result<(), E> {
    let start = Instant::now();
    // A socket that cannot be set up is as good as a closed one: the machine gets to see that.
    let _ = stream.set_nodelay(true);
    loop {
        match machine.poll(Time::since(start)) {
            Ok(Step::Send) => exchange(machine, stream, true, start).await,
            Ok(Step::Receive) => exchange(machine, stream, false, start).await,
            Ok(Step::Wait(time)) => tokio::time::sleep(time).await,
            Ok(Step::Need(need)) => serve(machine, Call::Need(need)).await?,
            Ok(Step::Event(event)) => serve(machine, Call::Event(event)).await?,
            Ok(Step::Yield) => tokio::task::yield_now().await,
            Ok(Step::Shutdown) => drop(stream.shutdown().await),
            Ok(Step::Close) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What became of a wait.
enum Moved {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Nothing,
}

/// Waits until the socket is ready or the deadline has come, and moves what can be moved.
async fn exchange<M: Machine>(machine: &mut M, stream: &mut TcpStream, sending: bool, start: Instant) {
    let deadline = machine.deadline();
    let patience = async {
        match deadline {
            Some(deadline) => tokio::time::sleep(deadline.saturating_since(Time::since(start))).await,
            None => std::future::pending().await,
        }
    };
    let (room, output) = machine.buffers();
    let reading = !room.is_empty();
    let (mut reader, mut writer) = stream.split();
    let moved = tokio::select! {
        read = reader.read(room), if reading => Moved::Read(read),
        written = writer.write(output), if sending => Moved::Written(written),
        () = patience => Moved::Nothing,
    };
    match moved {
        // A connection that broke has no more to say.
        Moved::Read(read) => machine.received(read.unwrap_or(0)),
        Moved::Written(Ok(count)) => machine.sent(count),
        Moved::Written(Err(_)) => machine.send_failed(),
        Moved::Nothing => {}
    }
}
