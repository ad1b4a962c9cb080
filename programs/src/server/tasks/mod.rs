//! The socket loop of tokio: a task a connection. What waits for the disk is done on threads of its
//! own. How many there are is bounded by the engines: those of connections that are too many end at
//! once.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use fss::server::{ServerEngine, ServerEvent, Telemetry};
use fss::store::transfer::{StoreOperation, StoreReply, StoreRequest};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::server::service::{ACCEPT_RETRY, DRAIN, Service, Start, broken};
use crate::terminal::failure::Failure;
use fss::driver::Call;
use fss::driver::tokio::{Driver, Storage, StorageThreads, read_proxy_header};

/// Serves until a signal comes.
pub fn serve(service: &Arc<Service>, start: Start) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(StorageThreads::DEFAULT_COUNT)
        .build()
        .map_err(broken)?;
    let served = runtime.block_on(accept_all(service, start));
    // Storage that is still busy is left to itself: what is not acknowledged may be lost.
    runtime.shutdown_background();
    served
}

async fn accept_all(service: &Arc<Service>, start: Start) -> Result<(), Failure> {
    let Start { listeners, stop } = start;
    stop.set_nonblocking(true).map_err(broken)?;
    let stop = UnixStream::from_std(stop).map_err(broken)?;
    let mut listeners: Vec<_> = listeners
        .into_iter()
        .map(TcpListener::from_std)
        .collect::<Result<_, _>>()
        .map_err(broken)?;
    let threads = StorageThreads::default();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            stopped = stops(&stop) => if stopped { break },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection was aborted");
                }
            }
            accepted = accept(&mut listeners) => match accepted {
                Ok((stream, peer)) => drop(connections.spawn(serve_connection(Arc::clone(service), threads.clone(), stream, peer))),
                Err(error) => {
                    service.log.of_failure(|| tracing::error!(%error, "cannot accept a connection"));
                    sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
    drop(listeners);
    tracing::info!(connections = connections.len(), "stopping");
    // Those that take longer are cut off: it was said that they would be.
    let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Waits for the next connection. The listener that has had one comes last the next time, so that
/// none is starved.
async fn accept(listeners: &mut [TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let (ready, accepted) = poll_fn(|context| {
        let mut accepted = listeners
            .iter()
            .enumerate()
            .map(|(index, listener)| (index, listener.poll_accept(context)));
        match accepted.find(|(_, accepted)| accepted.is_ready()) {
            Some((index, Poll::Ready(accepted))) => Poll::Ready((index, accepted)),
            _ => Poll::Pending,
        }
    })
    .await;
    listeners.rotate_left(ready + 1);
    accepted
}

/// Waits, and says whether the server is to stop: to be ready to be read may be a false alarm.
async fn stops(stop: &UnixStream) -> bool {
    stop.readable().await.is_err()
        || !matches!(stop.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

async fn serve_connection(
    service: Arc<Service>,
    threads: StorageThreads,
    mut stream: TcpStream,
    peer: SocketAddr,
) {
    let config = service.config();
    let handshake = config.limits().handshake;
    // On the heap, so that a task at rest is small.
    let mut engine = Box::new(ServerEngine::new(config));
    let client = if service.is_proxy(peer) && !engine.is_ending() {
        match read_proxy_header(&mut stream, handshake).await {
            Ok(told) => told.unwrap_or(peer),
            Err(error) => return service.no_header(peer, &error),
        }
    } else {
        peer
    };
    *engine = engine.with_peer(client.ip());
    let mut storage = Storage::new(service.store.clone(), threads);
    let mut telemetry = Telemetry::new(client, Arc::clone(&service.log));
    // If it fails the socket is as good as closed, and the engine gets to see that.
    let _ = stream.set_nodelay(true);
    let mut driver = Driver::new(stream);
    let ended = loop {
        match driver.next(&mut *engine).await {
            Ok(Some(Call::Request(StoreRequest { id, operation }))) => {
                let reply = storage.answer(operation).await;
                engine.complete(id, reply);
            }
            Ok(Some(Call::Event(event))) => {
                telemetry.event(&event, driver.now());
                if let ServerEvent::ClientProved(key) = event
                    && let Ok(StoreReply::Account(Some(account))) =
                        storage.answer(StoreOperation::Account { key }).await
                {
                    telemetry.user(&account.name);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    service.heed(&ended);
    telemetry.ended(&ended, driver.now());
    drop((driver, engine));
    storage.close().await;
}
