//! The clients of a few lines, over real sockets.

mod blocking;
mod interrupted;
mod tokio;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fss::driver::{self, blocking::serve_listener};
use fss::remote::{Client, Error, Trust};
use fss::wire::error_frame::ErrorCode;
use fss::{Config, MemoryStore, Password};
use fss_test_support::rng::SeededRng;
use rand_core::Rng as _;

/// A server that serves until the test is over.
struct Server {
    config: Config,
    store: MemoryStore,
    address: String,
}

impl Server {
    fn start() -> Self {
        let (config, store) =
            (Config::generate().expect("there are random numbers"), MemoryStore::new());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let server = Arc::new(driver::Server::new(config.clone(), store.clone()));
        thread::spawn(move || serve_listener(listener, &server));
        Self { config, store, address }
    }

    fn trust(&self) -> Trust {
        Trust::Pinned(self.config.identity().public_key().fingerprint())
    }

    fn client(&self) -> Client {
        Client::new(
            Config::generate().expect("there are random numbers"),
            &*self.address,
            self.trust(),
        )
    }
}

fn password() -> Password {
    Password::new("correct horse battery staple").expect("it can be one")
}

fn noise(size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    SeededRng(size as u64).fill_bytes(&mut content);
    content
}

fn code(error: &Error) -> Option<ErrorCode> {
    match error {
        Error::Session(fss::Error::PeerRefused(refused)) => refused.code,
        _ => None,
    }
}

/// A line to a server that breaks: it carries so many bytes up and down on its first connection, on
/// its second, and so on, and all of them on those after.
struct BreakingLine {
    address: String,
    connections: Arc<AtomicUsize>,
    carried: Arc<AtomicUsize>,
}

impl BreakingLine {
    fn to(server: &Server, breaks: &[(usize, usize)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let carried = Arc::new(AtomicUsize::new(0));
        let (count, bytes) = (Arc::clone(&connections), Arc::clone(&carried));
        let (server, breaks) = (server.address.clone(), breaks.to_vec());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (up, down) = breaks.get(number).copied().unwrap_or((usize::MAX, usize::MAX));
                let server = TcpStream::connect(&server).expect("the server listens");
                carry(&client, &server, up, &bytes);
                carry(&server, &client, down, &bytes);
            }
        });
        Self { address, connections, carried }
    }

    /// How many bytes were carried, both ways.
    fn carried(&self) -> usize {
        self.carried.load(Ordering::SeqCst)
    }

    /// How many connections there were.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Carries so many bytes one way, and then closes both.
fn carry(from: &TcpStream, to: &TcpStream, mut left: usize, carried: &Arc<AtomicUsize>) {
    let carried = Arc::clone(carried);
    let (mut from, mut to) = (from.try_clone().expect("cloned"), to.try_clone().expect("cloned"));
    thread::spawn(move || {
        let mut room = vec![0; 64 * 1024];
        while left > 0 {
            let most = left.min(room.len());
            match from.read(&mut room[..most]) {
                Ok(count) if count > 0 && to.write_all(&room[..count]).is_ok() => {
                    carried.fetch_add(count, Ordering::SeqCst);
                    left -= count;
                }
                _ => break,
            }
        }
        // They may be closed already.
        let how = if left > 0 { Shutdown::Write } else { Shutdown::Both };
        let _ = to.shutdown(how);
        if left == 0 {
            let _ = from.shutdown(how);
        }
    });
}
