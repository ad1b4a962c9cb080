//! Teaches: the loop of a blocking driver, by hand, around the machines of a server and a client:
//! `cargo run --example custom_driver`.
//!
//! [`fss::driver::blocking`] has it ready made. It also reads while it writes, so that a refusal is
//! heard at once; this loop does one after the other.

use std::error::Error;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use fss::client::{ClientEvent, ClientRequest, ClientSession, Operation};
use fss::{Config, Machine, MemoryStore, ServerSession, Step, Time};

/// Runs a machine to its end. `perform` gives it what it requests, and `report` gets its events.
fn drive<M: Machine>(
    machine: &mut M,
    mut stream: &TcpStream,
    mut perform: impl FnMut(&mut M, M::Request),
    mut report: impl FnMut(M::Event),
) -> Result<(), fss::Error> {
    let start = Instant::now();
    loop {
        let now = Time::since(start);
        let step = machine.poll(now)?;
        let patience = machine.deadline().map(|deadline| deadline.saturating_since(now));
        match step {
            Step::Send => {
                match prepare(stream, patience).and_then(|()| stream.write(machine.buffers().1)) {
                    Ok(count) => machine.sent(count),
                    Err(error) if is_timeout(&error) => {} // The next poll says what becomes of it.
                    Err(_) => machine.send_failed(),
                }
            }
            Step::Receive => {
                match prepare(stream, patience).and_then(|()| stream.read(machine.buffers().0)) {
                    Ok(count) => machine.received(count),
                    Err(error) if is_timeout(&error) => {}
                    Err(_) => machine.received(0), // What broke has no more to say.
                }
            }
            Step::Sleep(time) => thread::sleep(time),
            Step::Request(request) => perform(machine, request),
            Step::Event(event) => report(event),
            Step::Yield => {}
            Step::Shutdown => drop(stream.shutdown(Shutdown::Write)),
            Step::Close => return Ok(()),
        }
    }
}

/// A socket waits no longer than the machine does. A timeout of nothing would be none.
fn prepare(stream: &TcpStream, patience: Option<Duration>) -> io::Result<()> {
    let patience = patience.map(|patience| patience.max(Duration::from_millis(1)));
    stream.set_read_timeout(patience)?;
    stream.set_write_timeout(patience)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let serving = thread::spawn(move || -> Result<(), Box<dyn Error + Send + Sync>> {
        let (stream, peer) = listener.accept()?;
        let mut session = ServerSession::new(MemoryStore::new()).with_peer(peer.ip());
        // A session with a store requests nothing.
        drive(&mut session, &stream, |_, never| match never {}, |event| println!("{event:?}"))?;
        Ok(())
    });

    let mut client = ClientSession::new(Config::generate()?);
    client.start(Operation::Information);
    let (mut answer, stream) = (None, TcpStream::connect(address)?);
    drive(
        &mut client,
        &stream,
        |client, request| match request {
            ClientRequest::Operation => client.finish(),
            ClientRequest::Supply | ClientRequest::Data => unreachable!("no file is transferred"),
        },
        |event| {
            if let ClientEvent::Connected(limits) = event {
                answer = Some(limits);
            }
        },
    )?;
    serving.join().map_err(|_| "the server panicked")?.map_err(|error| error.to_string())?;
    println!("the server's limits are {answer:?}");
    Ok(())
}
