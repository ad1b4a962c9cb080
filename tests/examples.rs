//! The examples that teach run, and do what they say.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::Stdio;

use fss_test_support::harness::{example_program, succeeds};

#[test]
fn examples_that_need_nothing_run() {
    for (name, says) in [
        ("custom_driver", "the server's limits are Some("),
        ("custom_async_driver", "both have ended well"),
    ] {
        let output = example_program(name).output().expect("it runs");
        assert!(succeeds(&output).contains(says), "{name}: {output:?}");
    }
}

#[test]
fn a_text_goes_to_a_custom_store_and_back() {
    let mut server = example_program("custom_store")
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let line = lines.next().expect("it says where it listens").expect("text");
    let words: Vec<_> = line.split(' ').collect();
    let (address, key) = (words[2], words[words.len() - 1]);
    let output = example_program("memory").args([address, key]).output().expect("it runs");
    server.kill().and_then(|()| server.wait()).expect("it is ended");
    assert!(succeeds(&output).contains("came back: a text"), "{output:?}");
    let events: Vec<_> = lines.map_while(Result::ok).collect();
    for event in ["Stored", "Delivered"] {
        assert!(events.iter().any(|line| line.contains(event)), "{event}: {events:?}");
    }
}

#[test]
fn a_text_goes_to_an_embedded_server_and_the_server_stops_in_order() {
    let mut server = example_program("embed_tokio")
        .arg("127.0.0.1:0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let line = lines.next().expect("it says where it listens").expect("text");
    let words: Vec<_> = line.split(' ').collect();
    let (address, key) = (words[2], words[words.len() - 1]);
    // What comes from this machine comes through the balancer, and needs its header.
    let balancer = balancer(address);
    let output = example_program("memory").args([&*balancer, key]).output().expect("it runs");
    assert!(succeeds(&output).contains("came back: a text"), "{output:?}");
    drop(server.stdin.take());
    let rest: Vec<_> = lines.map(|line| line.expect("text")).collect();
    assert!(rest.iter().any(|line| line.starts_with("192.0.2.7:40000: Stored")), "{rest:?}");
    assert_eq!(rest.last().map(String::as_str), Some("stopped"));
    assert!(server.wait().expect("it ends").success());
}

/// Forwards connections after a PROXY header; returns the address to connect to.
fn balancer(server: &str) -> String {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let (address, server) = (listener.local_addr().expect("it is bound"), server.to_owned());
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(mut upstream) = TcpStream::connect(&server) else { return };
            let _ = upstream.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 954\r\n");
            let pairs = [(&client, &upstream), (&upstream, &client)];
            for (from, to) in pairs {
                let (mut from, mut to) =
                    (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    address.to_string()
}
