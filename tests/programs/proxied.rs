//! Servers that strangers and honest clients reach through one proxy.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use fss::client::{ClientEvent, ClientRequest, ClientSession, Operation};
use fss::protocol::ErrorCode;
use fss::store::{Invite, UserName};
use fss::{Config, Error};

use fss::driver::Call;
use fss::driver::blocking::Driver;
use fss_test_support::harness::{Harness, Server, fails, succeeds, until};

/// Failures of one source that have no delay (`docs/protocol.md` §16.6).
const FREE: usize = 10;
/// As many as are tried. The delays before the last of them are 1, 2, 4, 8 and 16 s, whole seconds
/// of the clock, of which one or another may be over by chance; not all.
const TRIED: usize = FREE + 6;

/// Forwards connections to a server, each after this header; returns the address to connect to.
fn forward(server: &str, header: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, server) = (listener.local_addr().expect("an address"), server.to_owned());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(mut upstream) = TcpStream::connect(&server) else { return };
            // A server that closes at once may do so before it has read this.
            let _ = upstream.write_all(&header);
            let (mut from, mut to) =
                (client.try_clone().expect("a handle"), upstream.try_clone().expect("a handle"));
            std::thread::spawn(move || pump(&mut from, &mut to));
            std::thread::spawn(move || pump(&mut upstream, &mut &client));
        }
    });
    address
}

fn pump(from: &mut impl Read, to: &mut (impl Write + ShutDown)) {
    let _ = std::io::copy(from, to);
    to.shut_down();
}

trait ShutDown {
    fn shut_down(&self);
}

impl ShutDown for TcpStream {
    fn shut_down(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl ShutDown for &TcpStream {
    fn shut_down(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

fn version_1(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 40000 954\r\n").into_bytes()
}

fn version_2(client: &str) -> Vec<u8> {
    let client: Ipv4Addr = client.parse().expect("an address");
    [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c",
        &client.octets()[..],
        &[198, 51, 100, 1, 0x9c, 0x40, 3, 186],
    ]
    .concat()
}

/// Signs up with an invite that is none, again and again; says how often that was refused before it
/// had to wait.
fn guess(address: SocketAddr, config: &Config) -> usize {
    let mut session = ClientSession::new(config.clone()).continue_after_refusals();
    let mut guesses = 0;
    let stream = TcpStream::connect(address).expect("it listens");
    let ended = Driver::new(stream).run(&mut session, |session, call| {
        match call {
            Call::Request(ClientRequest::Operation) if guesses < TRIED => {
                let (name, invite) = (
                    UserName::parse(b"mallory").expect("a name"),
                    Some(Invite::from_bytes([7; 32])),
                );
                session.start(Operation::SignUp { name, invite });
            }
            Call::Event(ClientEvent::Refused(refused))
                if refused.code == Some(ErrorCode::BadInvite) =>
            {
                guesses += 1;
            }
            Call::Event(ClientEvent::Refused(refused)) => {
                assert_eq!(refused.code, Some(ErrorCode::TooManyAttempts));
                session.finish();
            }
            Call::Request(_) => session.finish(),
            Call::Event(_) => {}
        }
        Ok::<_, Error>(())
    });
    assert_eq!(ended, Ok(()));
    guesses
}

/// An honest user with a good invite.
fn signs_up(harness: &Harness, at: SocketAddr, name: &str) {
    let invite = succeeds(&harness.users(&["invite"]));
    let server = Server::nowhere(&at.to_string());
    let output = harness
        .stranger(&server, &["sign-up", name])
        .env("FSS_INVITE", invite.trim_end())
        .output()
        .expect("it runs");
    assert!(succeeds(&output).contains(name), "{output:?}");
}

#[test]
fn with_proxy_headers_a_stranger_is_slowed_down_and_nobody_else() {
    let config = Config::generate().expect("a key");
    for harness in [Harness::new(), Harness::of_async_server()] {
        let server = harness.serve(&["--members", "--proxy-protocol", "127.0.0.0/8"]);
        let [stranger, honest] = [version_1("192.0.2.1"), version_2("192.0.2.2")]
            .map(|header| forward(&server.address, header));
        let guesses = guess(stranger, &config);
        assert!((FREE + 1..TRIED).contains(&guesses), "a source is slowed down: {guesses}");
        signs_up(&harness, honest, "anna");
        let (_, log) = server.stop();
        assert!(
            log.contains("peer=192.0.2.1:40000") && log.contains("peer=192.0.2.2:40000"),
            "{log}"
        );
        assert!(!log.contains("peer=127.0.0.1"), "{log}");
    }
}

#[test]
fn without_them_this_machine_is_no_source_and_the_log_says_what_to_do() {
    let config = Config::generate().expect("a key");
    for harness in [Harness::new(), Harness::of_async_server()] {
        let server = harness.serve(&["--members"]);
        let proxy = forward(&server.address, Vec::new());
        assert_eq!(
            guess(proxy, &config),
            TRIED,
            "nobody behind the proxy is slowed down by others"
        );
        signs_up(&harness, proxy, "anna");
        let (_, log) = server.stop();
        assert_eq!(log.matches("--proxy-protocol").count(), 1, "{log}");
    }
}

#[test]
fn a_header_from_an_address_that_is_not_trusted_has_no_effect() {
    let config = Config::generate().expect("a key");
    let harness = Harness::new();
    for trusted in
        [&["--members", "--proxy-protocol", "192.0.2.0/24,2001:db8::/32"][..], &["--members"]]
    {
        let server = harness.serve(trusted);
        let proxy = forward(&server.address, version_2("192.0.2.1"));
        let mut stream = TcpStream::connect(proxy).expect("it listens");
        let mut answer = Vec::new();
        stream
            .shutdown(Shutdown::Write)
            .and_then(|()| stream.read_to_end(&mut answer))
            .expect("it is closed");
        assert!(
            answer.starts_with(b"-----BEGIN PUBLIC KEY-----"),
            "it is taken for what a client sends"
        );
        assert!(guess(server.address.parse().expect("an address"), &config) > 0);
        let (_, log) = server.stop();
        assert!(log.contains("peer=127.0.0.1") && !log.contains("peer=192.0.2.1"), "{log}");
    }
}

#[test]
fn a_proxy_that_sends_no_header_is_closed_and_told_of_in_bounds() {
    for harness in [Harness::new(), Harness::of_async_server()] {
        let server = harness.serve(&["--proxy-protocol", "127.0.0.1", "--handshake", "1s"]);
        let closed = |sent: &[u8]| {
            let mut stream = TcpStream::connect(&server.address).expect("it listens");
            // It may be closed before all is sent.
            let _ = stream.write_all(sent);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.is_empty(), "nothing is said to it");
        };
        closed(b"-----BEGIN PUBLIC KEY-----");
        closed(b"PROXY TCP4 192.0.2.1 198.51.100.1 40000\r\n");
        closed(b"PROXY TCP4 192.0.2.1"); // and nothing more
        (0..200).for_each(|_| closed(b"GET / HTTP/1.1\r\n\r\n"));
        let honest = forward(&server.address, version_2("192.0.2.2"));
        succeeds(&harness.client(&Server::nowhere(&honest.to_string()), &["info"]));
        let (_, log) = server.stop();
        let told = log.matches("no PROXY header").count();
        assert!((3..150).contains(&told), "{told} lines: {log}");
    }
}

/// A health check of the proxy itself, and a client of which it says nothing: the connection's own
/// address holds.
#[test]
fn a_proxy_may_speak_for_itself() {
    let harness = Harness::new();
    let server = harness.serve(&["--proxy-protocol", "::1,127.0.0.1"]);
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let proxy = forward(&server.address, header.to_vec());
        succeeds(&harness.client(&Server::nowhere(&proxy.to_string()), &["info"]));
        drop(TcpStream::connect(proxy).expect("it listens"));
    }
    let (_, log) = server.stop();
    assert!(log.contains("left") && log.contains("peer=127.0.0.1"), "{log}");
}

#[test]
fn what_is_no_network_is_told() {
    let harness = Harness::new();
    for network in ["proxy", "10.0.0.0/33", ""] {
        let output =
            harness.server_command().args(["--proxy-protocol", network]).output().expect("it runs");
        fails(&output, 2, &["--proxy-protocol"]);
    }
}

#[test]
fn a_server_listens_at_all_addresses_that_it_is_given() {
    for harness in [Harness::new(), Harness::of_async_server()] {
        let free = || {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            free.local_addr().expect("an address").to_string()
        };
        let (first, second, third) = (free(), free(), free());
        let server = harness.serve(&["--listen", &first, "--listen", &second]);
        for address in [&first, &second] {
            succeeds(&harness.client(&Server::nowhere(address), &["info"]));
        }
        server.stop();
        // What is typed replaces what a file says, as for other options.
        harness.write("options", format!("listen {third}\n").as_bytes());
        let server = harness.serve(&["--options", "options", "--listen", &second]);
        succeeds(&harness.client(&Server::nowhere(&second), &["info"]));
        assert!(TcpStream::connect(&third).is_err());
        server.stop();
        let server = Server::start({
            let mut command = harness.server_command();
            command.args(["--data", "data", "--options", "options"]);
            command
        });
        until("it listens where the file says", || TcpStream::connect(&third).is_ok());
        server.stop();
    }
}
