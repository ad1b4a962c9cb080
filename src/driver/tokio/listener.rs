//! A whole server: accepts connections, gives each a task, and stops in order.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use ::tokio::net::{TcpListener, TcpStream};
use ::tokio::task::{JoinSet, spawn_blocking};
use ::tokio::time::{sleep, timeout};

use super::serve;
use crate::driver::observer::{Incident, Observer};
use crate::driver::server::{ACCEPT_RETRY, PanicReport, RENEWAL, Server};
use crate::store::Store;

/// Serves all connections of a listener until the server's [`Shutdown`](crate::driver::Shutdown) is
/// started. Then it accepts no more, lets connections finish for the time of
/// [`Server::with_drain`], and closes those that are left. Dropping the future closes all at once.
///
/// Each connection has a task; how many there are is bounded by
/// [`Limits::connections`](crate::Limits::connections), for those that are too many end at once.
/// The transport keys are renewed on a thread. For several listeners call it in several tasks.
///
/// What fails is reported to the observer. A connection that cannot be accepted is tried again
/// after 100 ms.
pub async fn serve_listener<S, O>(listener: TcpListener, server: Arc<Server<S, O>>)
where
    S: Store + 'static,
    O: Observer + 'static,
{
    let mut started = pin!(server.shutdown().started());
    // Before the first connection, which would wait for it.
    renew_transport_keys(&server).await;
    let (mut upkeep, mut connections) = (JoinSet::new(), JoinSet::new());
    let renewing = Arc::clone(&server);
    upkeep.spawn(async move {
        loop {
            sleep(RENEWAL).await;
            renew_transport_keys(&renewing).await;
        }
    });
    loop {
        let accepted = poll_fn(|context| {
            if started.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            // A task that ended has reported how, and only its memory is left.
            while let Poll::Ready(Some(_)) = connections.poll_join_next(context) {}
            listener.poll_accept(context).map(Some)
        });
        match accepted.await {
            None => break,
            Some(Ok((stream, peer))) => {
                connections.spawn(serve_connection(stream, peer, Arc::clone(&server)));
            }
            Some(Err(error)) => {
                server.observer.incident(&Incident::AcceptFailed(error));
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop((listener, upkeep));
    while connections.try_join_next().is_some() {}
    server.observer.incident(&Incident::Stopping { connections: connections.len() });
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(server.drain, all).await.is_err() {
        connections.shutdown().await;
    }
}

async fn serve_connection<S, O>(stream: TcpStream, peer: SocketAddr, server: Arc<Server<S, O>>)
where
    S: Store + 'static,
    O: Observer + 'static,
{
    let _report = PanicReport(&server.observer);
    // If it fails the socket is as good as closed, and the engine sees that. Messages go out whole,
    // so waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    // The observer was told how it ended.
    let _ = serve(stream, peer, &server).await;
}

async fn renew_transport_keys<S, O>(server: &Arc<Server<S, O>>)
where
    S: Store + 'static,
    O: Observer + 'static,
{
    let server = Arc::clone(server);
    // It takes a noticeable part of a second. If it panics, the next connection makes a key.
    let _ = spawn_blocking(move || server.renew_transport_keys()).await;
}
