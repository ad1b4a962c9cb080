//! Serving on tokio: a task for each connection. What waits for the disk has threads of its own.

use std::net::TcpListener;
use std::sync::Arc;

use fss::driver::tokio::{StorageThreads, serve_listener};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::server::service::{Serving, broken};
use crate::terminal::failure::Failure;

/// Serves until a signal comes.
pub fn serve(server: &Arc<Serving>, listeners: Vec<TcpListener>) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        // And the one that makes transport keys.
        .max_blocking_threads(StorageThreads::DEFAULT_COUNT + 1)
        .build()
        .map_err(broken)?;
    let outcome = runtime.block_on(async {
        let mut serving = JoinSet::new();
        for listener in listeners {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
            serving.spawn(serve_listener(listener, Arc::clone(server)));
        }
        serving.join_all().await;
        Ok(())
    });
    // Storage that is still busy is left to itself: what is not acknowledged may be lost.
    runtime.shutdown_background();
    outcome
}
