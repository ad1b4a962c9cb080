//! The socket loop of tokio: a task a connection. What waits for the disk is done on threads of its own (`storage.rs`). How many
//! there are is bounded by the engines: those of connections that are too many end at once.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use fss::server::{ServerEngine, Telemetry};
use fss::store::transfer::StoreRequest;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::async_driver::Driver;
use crate::call::Call;
use crate::service::{BREATHER, DRAIN, Service, Start, broken};
use crate::storage::{STORAGE_THREADS, Storage, Threads};
use crate::support::failure::Failure;

/// Serves until a signal comes.
pub fn forever(service: &Arc<Service>, start: Start) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread().enable_all().max_blocking_threads(STORAGE_THREADS).build().map_err(broken)?;
    let served = runtime.block_on(accept_all(service, start));
    // Storage that is still busy is left to itself: what is not acknowledged may be lost.
    runtime.shutdown_background();
    served
}

async fn accept_all(service: &Arc<Service>, start: Start) -> Result<(), Failure> {
    let Start { listener, stop } = start;
    stop.set_nonblocking(true).map_err(broken)?;
    let (listener, stop) = (TcpListener::from_std(listener).map_err(broken)?, UnixStream::from_std(stop).map_err(broken)?);
    let threads = Threads::new();
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
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => drop(connections.spawn(serve(Arc::clone(service), threads.clone(), stream, peer))),
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    sleep(BREATHER).await;
                }
            },
        }
    }
    drop(listener);
    tracing::info!(connections = connections.len(), "stopping");
    // Those that take longer are cut off: it was said that they would be.
    let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Waits, and says whether the server is to stop: to be ready to be read may be a false alarm.
async fn stops(stop: &UnixStream) -> bool {
    stop.readable().await.is_err() || !matches!(stop.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

async fn serve(service: Arc<Service>, threads: Threads, stream: TcpStream, peer: SocketAddr) {
    // On the heap, so that a task at rest is small.
    let mut engine = Box::new(ServerEngine::new(service.config()).from_source(peer.ip()));
    let mut storage = Storage::new(service.store.clone(), threads);
    let mut telemetry = Telemetry::new(peer);
    let mut driver = Driver::new(stream);
    let ended = loop {
        match driver.next(&mut *engine).await {
            Ok(Some(Call::Need(StoreRequest { id, operation }))) => {
                let reply = storage.answer(operation).await;
                engine.complete(id, reply);
            }
            Ok(Some(Call::Event(event))) => telemetry.event(&event, driver.now()),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    service.heed(&ended);
    telemetry.ended(&ended, driver.now());
    drop((driver, engine));
    storage.close().await;
}
