//! Teaches: the loop of an asynchronous driver, by hand, around the engine of a server and the
//! machine of a client: `cargo run --example custom_async_driver`.
//!
//! [`fss::driver::tokio`] has it ready made. It also reads while it writes, and wakes a machine that
//! waits for a buffer at once. An engine requests its storage, so that it can be as asynchronous as
//! the rest.

use std::error::Error;
use std::time::Instant;

use fss::client::{ClientRequest, ClientSession, Operation};
use fss::server::{ServerEngine, ServerState};
use fss::store::transfer::Transfer;
use fss::{Config, Machine, MemoryStore, Step, Time};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// What stops the loop: the program has something to do, or the connection is over.
enum Stop<M: Machine> {
    Event(M::Event),
    Request(M::Request),
    Close,
}

async fn next<M: Machine>(
    machine: &mut M,
    stream: &mut TcpStream,
    start: Instant,
) -> Result<Stop<M>, fss::Error> {
    loop {
        let now = Time::since(start);
        let step = machine.poll(now)?;
        let deadline = machine.deadline().map(|deadline| deadline.saturating_since(now));
        let patience = deadline.unwrap_or(std::time::Duration::MAX);
        match step {
            Step::Send => match timeout(patience, stream.write(machine.buffers().1)).await {
                Ok(Ok(count)) => machine.sent(count),
                Ok(Err(_)) => machine.send_failed(),
                Err(_) => {} // The next poll says what becomes of it.
            },
            Step::Receive => match timeout(patience, stream.read(machine.buffers().0)).await {
                Ok(Ok(count)) => machine.received(count),
                Ok(Err(_)) => machine.received(0), // What broke has no more to say.
                Err(_) => {}
            },
            Step::Sleep(time) => sleep(time).await,
            Step::Request(request) => return Ok(Stop::Request(request)),
            Step::Event(event) => return Ok(Stop::Event(event)),
            Step::Yield => tokio::task::yield_now().await,
            Step::Shutdown => drop(stream.shutdown().await),
            Step::Close => return Ok(Stop::Close),
        }
    }
}

async fn serve(mut stream: TcpStream, config: Config) -> Result<(), fss::Error> {
    let (mut engine, start) = (ServerEngine::new(&ServerState::new(config)), Instant::now());
    let mut storage = Transfer::new(MemoryStore::new());
    loop {
        match next(&mut engine, &mut stream, start).await? {
            // Await your storage here.
            Stop::Request(request) => engine.complete(storage.answer(request)),
            Stop::Event(event) => println!("server: {event:?}"),
            Stop::Close => return Ok(()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, config) = (listener.local_addr()?, Config::generate()?);
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        serve(stream, config).await.map_err(std::io::Error::other)
    });

    let (mut client, start) = (ClientSession::new(Config::generate()?), Instant::now());
    client.start(Operation::Information);
    let mut stream = TcpStream::connect(address).await?;
    loop {
        match next(&mut client, &mut stream, start).await? {
            Stop::Request(ClientRequest::Operation) => client.finish(),
            Stop::Request(_) => unreachable!("no file is transferred"),
            Stop::Event(event) => println!("client: {event:?}"),
            Stop::Close => break,
        }
    }
    serving.await??;
    println!("both have ended well");
    Ok(())
}
