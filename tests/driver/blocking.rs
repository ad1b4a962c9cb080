//! The driver for blocking streams.

use std::io;
use std::net::{Shutdown, TcpListener};

use fss::driver::blocking::{Timeouts, serve, serve_listener};
use fss::driver::{ServeError, Shutdown as ServerShutdown};

use super::*;

/// A server on a thread.
struct Running {
    address: SocketAddr,
    shutdown: ServerShutdown,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Running {
    fn start(server: Server<MemoryStore, Notes>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shutdown = server.shutdown().clone();
        let thread = thread::spawn(move || serve_listener(listener, &Arc::new(server)));
        Self { address, shutdown, thread }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("it listens")
    }

    /// Stops it, and says how long that took.
    fn stop(self) -> Duration {
        let start = Instant::now();
        self.shutdown.start();
        self.thread.join().expect("it does not panic").expect("it was served");
        start.elapsed()
    }
}

#[test]
fn an_observer_is_told_who_does_what() {
    let (server, notes) = server(Duration::from_secs(20));
    let running = Running::start(server);
    let stream = running.connect();
    let client = stream.local_addr().expect("it is connected");
    assert_eq!(asks(stream), Ok(()));
    notes.wait_for(&format!("{client} ended Ok(())"));
    let told = notes.all();
    assert_eq!(told.first(), Some(&format!("{client} connected")));
    assert!(notes.has(&format!("{client} Requested {{ request: Information")), "{told:?}");
    running.stop();
    assert_eq!(notes.all().last().map(String::as_str), Some("Stopping { connections: 0 }"));
}

#[test]
fn a_connection_that_runs_may_finish_and_one_that_does_not_is_closed() {
    let (server, notes) = server(PATIENCE);
    let running = Running::start(server.with_drain(Duration::from_millis(500)));
    let (silent, address) = (running.connect(), running.address);
    notes.wait_for("connected");
    let stopping = thread::spawn(move || running.stop());
    notes.wait_for("Stopping { connections: 1 }");
    assert!(TcpStream::connect(address).is_err(), "no more are accepted");
    let took = stopping.join().expect("it stops");
    assert!(took >= Duration::from_millis(500), "it had its time: {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(is_closed(&silent).starts_with(b"-----BEGIN PUBLIC KEY-----"));
    assert!(notes.has("ended Err(Disconnected("), "{:?}", notes.all());
}

#[test]
fn a_server_without_connections_stops_at_once() {
    let running = Running::start(server(PATIENCE).0);
    assert_eq!(asks(running.connect()), Ok(()));
    assert!(running.stop() < Duration::from_secs(5));
    let (server, _) = server(PATIENCE);
    server.shutdown().start();
    assert!(Running::start(server).stop() < Duration::from_secs(5), "it was stopped before");
}

#[test]
fn a_client_behind_a_trusted_proxy_is_who_its_header_says() {
    let (server, notes) = proxied();
    let running = Running::start(server);
    assert_eq!(asks(behind_header(running.address, HEADER)), Ok(()));
    notes.wait_for("192.0.2.7:40000 ended Ok(())");
    assert_eq!(is_closed(&behind_header(running.address, b"GET / HTTP/1.1\r\n\r\n")), b"");
    notes.wait_for("NoProxyHeader");
    assert_eq!(asks(behind_header(running.address, HEADER)), Ok(()), "it goes on");
    running.stop();
}

#[test]
fn a_header_from_elsewhere_is_what_a_client_sent() {
    let (server, notes) = server(Duration::from_secs(20));
    let running = Running::start(server);
    assert!(asks(behind_header(running.address, HEADER)).is_err());
    notes.wait_for("ended Err(InvalidKeyExchange");
    assert!(!notes.has("192.0.2.7"));
    running.stop();
}

#[test]
fn limits_can_be_replaced_while_it_serves() {
    let (server, _) = server(PATIENCE);
    let server = Arc::new(server);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let serving = Arc::clone(&server);
    let thread = thread::spawn(move || serve_listener(listener, &serving));
    let connect = || TcpStream::connect(address).expect("it listens");
    assert_eq!(asks(connect()), Ok(()));
    let mut limits = Limits::default();
    limits.connections = 0;
    server.set_limits(limits);
    assert!(asks(connect()).is_err(), "one too many");
    server.set_limits(Limits::default());
    assert_eq!(asks(connect()), Ok(()));
    server.shutdown().start();
    thread.join().expect("it does not panic").expect("it was served");
}

#[test]
fn a_panic_ends_its_connection_and_no_other() {
    let (server, notes) = proxied();
    let running = Running::start(server);
    let panics = behind_header(running.address, b"PROXY TCP4 192.0.2.7 198.51.100.1 666 954\r\n");
    assert_eq!(is_closed(&panics), b"");
    notes.wait_for("Panicked");
    assert_eq!(asks(behind_header(running.address, HEADER)), Ok(()));
    running.stop();
}

/// A stream that cannot be waited for, as TLS is none.
struct OnlyTimeouts(TcpStream);

impl Read for OnlyTimeouts {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for OnlyTimeouts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Timeouts for OnlyTimeouts {
    fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)?;
        self.0.set_write_timeout(timeout)
    }

    fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

fn connected() -> (TcpStream, OnlyTimeouts) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound"));
    (client.expect("it listens"), OnlyTimeouts(listener.accept().expect("it connects").0))
}

#[test]
fn a_stream_with_timeouts_is_served_and_its_deadlines_hold() {
    let (server, notes) = server(Duration::from_millis(300));
    let (client, stream) = connected();
    let asking = thread::spawn(move || asks(client));
    assert_eq!(serve(stream, LOCAL, &server), Ok(()));
    assert_eq!(asking.join().expect("it does not panic"), Ok(()));
    let ((silent, stream), start) = (connected(), Instant::now());
    let ended = serve(stream, LOCAL, &server);
    assert!(matches!(ended, Err(ServeError::Session(Error::TimedOut(_)))), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(notes.has("127.0.0.1:40000 ended Err(TimedOut("));
    drop(silent);
}

#[test]
fn a_proxy_has_as_long_as_a_client_for_its_header() {
    let (server, notes) = server(Duration::from_millis(300));
    let server = server.with_trusted_proxies(|address| address.is_loopback());
    let (silent, stream) = connected();
    let ended = serve(stream, LOCAL, &server);
    assert_eq!(ended, Err(ServeError::NoProxyHeader(io::ErrorKind::TimedOut)));
    notes.wait_for("NoProxyHeader");
    drop(silent);
}
