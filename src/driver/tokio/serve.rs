//! One connection of a server, in this task.

use std::net::SocketAddr;
use std::sync::Arc;

use ::tokio::io::{AsyncRead, AsyncWrite};

use super::{Driver, Storage, read_proxy_header};
use crate::driver::Call;
use crate::driver::observer::Observer;
use crate::driver::server::{ServeError, Server};
use crate::error::Error;
use crate::server::{ServerEngine, ServerEvent};
use crate::store::Store;
use crate::store::transfer::{StoreReply, StoreRequest};

/// Serves one connection to its end: within the limits of the server, behind a PROXY header where
/// `peer` is a trusted proxy, and observed. A shutdown does not end it; dropping the future does.
///
/// `peer` is where the connection comes from. For a stream without addresses pass a loopback
/// address, to which no limit of one source applies.
///
/// # Errors
/// Why the connection failed. Its observer was told already.
pub async fn serve<S: Store + 'static, O: Observer>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    server: &Server<S, O>,
) -> Result<(), ServeError> {
    let state = server.state();
    let handshake = state.config().limits().handshake;
    // On the heap, so that a task at rest is small.
    let mut engine = Box::new(ServerEngine::new(&state));
    let mut client = peer;
    // One connection too many ends at once, and is not worth the wait for a header.
    if server.trusts(peer) && !engine.is_ending() {
        match read_proxy_header(&mut stream, handshake).await {
            Ok(source) => client = source.unwrap_or(peer),
            Err(error) => return Err(server.no_header(peer, error)),
        }
    }
    *engine = engine.with_peer(client.ip());
    let observer = &server.observer;
    let mut storage = Storage::new(Arc::clone(&server.store), server.threads.clone());
    let mut connection = observer.connected(client);
    let mut driver = Driver::new(stream);
    let outcome = loop {
        match driver.next(&mut *engine).await {
            Ok(Some(Call::Request(request))) => {
                engine.complete(storage.answer(request).await);
            }
            Ok(Some(Call::Event(event))) => {
                observer.event(&mut connection, &event, driver.now());
                if let ServerEvent::ClientProved(key) = event
                    && observer.wants_users()
                    && let Ok(StoreReply::Account(Some(account))) =
                        storage.answer(StoreRequest::Account { key }).await
                {
                    observer.user(&mut connection, &account.name);
                }
            }
            Ok(None) => break Ok::<(), Error>(()),
            Err(error) => break Err(error),
        }
    };
    observer.ended(connection, &outcome, driver.now());
    drop((driver, engine));
    storage.close().await;
    outcome.map_err(ServeError::from)
}
