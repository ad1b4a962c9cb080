//! A proxy to a server that stalls after so many bytes, as a line that breaks does: so a test knows
//! how far a transfer is.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::harness::{PATIENCE, Server};

/// Listens at an address of its own, and carries each connection to the server.
pub struct StallingProxy {
    /// Where it listens.
    pub address: String,
    route: Arc<Mutex<Route>>,
    held: Receiver<Held>,
}

/// A connection that is not carried on; dropping it closes both its ends.
pub struct Held([TcpStream; 2]);

impl Drop for Held {
    fn drop(&mut self) {
        // An end may be closed already.
        self.0.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }
}

#[derive(Clone)]
struct Route {
    server: String,
    /// How many bytes a connection may carry up and down.
    up: u64,
    down: u64,
}

impl StallingProxy {
    /// A line that carries everything.
    pub fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let route = Arc::new(Mutex::new(Route::to(server)));
        let (sender, held) = channel();
        let shared = Arc::clone(&route);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let route = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // While the server is away, its clients hear that from the line.
                if let Ok(server) = TcpStream::connect(&route.server) {
                    carry(&client, &server, route.up, &sender);
                    carry(&server, &client, route.down, &sender);
                }
            }
        });
        Self { address, route, held }
    }

    /// From now on connections carry all, to this server.
    pub fn mend(&self, server: &Server) {
        self.set(Route::to(server));
    }

    /// From now on connections stand still after so many bytes of the client.
    pub fn hold_up_after(&self, server: &Server, bytes: u64) {
        self.set(Route { up: bytes, ..Route::to(server) });
    }

    /// From now on connections stand still after so many bytes of the server.
    pub fn hold_down_after(&self, server: &Server, bytes: u64) {
        self.set(Route { down: bytes, ..Route::to(server) });
    }

    /// Waits until a connection stands still.
    pub fn wait(&self) -> Held {
        self.held.recv_timeout(PATIENCE).expect("a connection comes so far")
    }

    fn set(&self, route: Route) {
        *self.route.lock().unwrap_or_else(PoisonError::into_inner) = route;
    }
}

impl Route {
    fn to(server: &Server) -> Self {
        Self { server: server.address.clone(), up: u64::MAX, down: u64::MAX }
    }
}

/// Carries bytes one way until they end, or so many were carried.
fn carry(from: &TcpStream, to: &TcpStream, bytes: u64, held: &Sender<Held>) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("it can be cloned");
    let (from, mut to, held) = (clone(from), clone(to), held.clone());
    thread::spawn(move || {
        let mut room = vec![0; 256 * 1024];
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
            match (&from).read(&mut room[..most]) {
                Ok(count) if count > 0 && to.write_all(&room[..count]).is_ok() => {
                    left -= count as u64;
                }
                _ => {
                    // Where one side has closed, the other is to hear of it.
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
            }
        }
        // The test may be over.
        let _ = held.send(Held([from, to]));
    });
}
