//! Servers as the drivers serve them, over real sockets: what an observer is told, proxies, limits,
//! streams of other kinds, and how they stop. What the program `fss-server` makes of it is in
//! `tests/programs/`.

mod async_driver;
mod blocking;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fss::client::{ClientEvent, ClientRequest, ClientSession, Operation};
use fss::driver::{Call, Incident, Observer, Server, blocking::Driver};
use fss::server::ServerEvent;
use fss::{Config, Error, Limits, MemoryStore, Time};
use fss_test_support::harness::PATIENCE;

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 954\r\n";

/// Writes down what a server tells.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn write(&self, note: String) {
        self.0.lock().expect("no test thread panicked").push(note);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no test thread panicked").clone()
    }

    fn has(&self, part: &str) -> bool {
        self.all().iter().any(|note| note.contains(part))
    }

    fn wait_for(&self, part: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.has(part) {
            assert!(Instant::now() < end, "{part} is not in {:?}", self.all());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Observer for Notes {
    type Connection = SocketAddr;

    fn connected(&self, client: SocketAddr) -> SocketAddr {
        self.write(format!("{client} connected"));
        assert_ne!(client.port(), 666, "as the test wants it");
        client
    }

    fn event(&self, client: &mut SocketAddr, event: &ServerEvent, _: Time) {
        self.write(format!("{client} {event:?}"));
    }

    fn ended(&self, client: SocketAddr, outcome: &Result<(), Error>, _: Time) {
        self.write(format!("{client} ended {outcome:?}"));
    }

    fn incident(&self, incident: &Incident) {
        self.write(format!("{incident:?}"));
    }
}

/// A server whose clients have a short time for their first message.
fn server(handshake: Duration) -> (Server<MemoryStore, Notes>, Notes) {
    let mut limits = Limits::default();
    limits.handshake = handshake;
    let notes = Notes::default();
    let config = Config::generate().expect("there are random numbers").with_limits(limits);
    (Server::new(config, MemoryStore::new()).with_observer(notes.clone()), notes)
}

/// One that trusts this machine to be a proxy.
fn proxied() -> (Server<MemoryStore, Notes>, Notes) {
    let (server, notes) = server(Duration::from_secs(20));
    (server.with_trusted_proxies(|address| address.is_loopback()), notes)
}

/// Asks a server for information.
fn asks(stream: TcpStream) -> Result<(), Error> {
    let mut session = ClientSession::new(Config::ephemeral());
    session.start(Operation::Information);
    let mut is_answered = false;
    Driver::new(stream).run(&mut session, |session, call| {
        match call {
            Call::Request(ClientRequest::Operation) => session.finish(),
            Call::Event(ClientEvent::Account { .. }) => is_answered = true,
            Call::Request(_) | Call::Event(_) => {}
        }
        Ok::<_, Error>(())
    })?;
    assert!(is_answered);
    Ok(())
}

/// What a proxy forwards.
fn behind_header(address: SocketAddr, header: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(header).expect("it is read");
    stream
}

/// Waits until a server has closed a connection, and returns what it said before.
fn is_closed(mut stream: &TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let (mut said, mut room) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut room) {
            Ok(0) => return said,
            Ok(count) => said.extend_from_slice(&room[..count]),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                return said;
            }
        }
    }
}
