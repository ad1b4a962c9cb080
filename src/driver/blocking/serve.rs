//! One connection of a server, on this thread.

use std::net::SocketAddr;

use super::{Driver, Stream, read_proxy_header};
use crate::driver::Call;
use crate::driver::observer::Observer;
use crate::driver::server::{ServeError, Server};
use crate::error::Error;
use crate::server::{ServerEvent, ServerSession};
use crate::store::Store;

/// Serves one connection to its end: within the limits of the server, behind a PROXY header where
/// `peer` is a trusted proxy, and observed. A shutdown does not end it.
///
/// `peer` is where the connection comes from. For a stream without addresses pass a loopback
/// address, to which no limit of one source applies.
///
/// # Errors
/// Why the connection failed. Its observer was told already.
pub fn serve<S: Store, O: Observer>(
    mut stream: impl Stream,
    peer: SocketAddr,
    server: &Server<S, O>,
) -> Result<(), ServeError> {
    let state = server.state();
    let handshake = state.config().limits().handshake;
    let mut session = ServerSession::with_state(&*server.store, &state);
    let mut client = peer;
    // One connection too many ends at once, and is not worth the wait for a header.
    if server.trusts(peer) && !session.is_ending() {
        match read_proxy_header(&mut stream, handshake) {
            Ok(source) => client = source.unwrap_or(peer),
            Err(error) => return Err(server.no_header(peer, error)),
        }
    }
    session = session.with_peer(client.ip());
    let observer = &server.observer;
    let mut connection = observer.connected(client);
    let mut driver = Driver::new(stream);
    let outcome = loop {
        match driver.next(&mut session) {
            Ok(Some(Call::Event(event))) => {
                observer.event(&mut connection, &event, driver.now());
                if let ServerEvent::ClientProved(key) = &event
                    && observer.wants_users()
                    && let Ok(Some(account)) = server.store.account(key)
                {
                    observer.user(&mut connection, &account.name);
                }
            }
            Ok(Some(Call::Request(never))) => match never {},
            Ok(None) => break Ok::<(), Error>(()),
            Err(error) => break Err(error),
        }
    };
    observer.ended(connection, &outcome, driver.now());
    outcome.map_err(ServeError::from)
}
