//! The storage of a connection, asked on threads that may wait for the disk.

use std::sync::Arc;

use fss::store::transfer::{StoreOperation, StoreReply, Transfer};
use fss::store::{EmbeddedStore, StoreError, StoreErrorKind};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Threads that wait for the disk: enough for writes that are committed together.
pub const STORAGE_THREADS: usize = 64;

/// The threads, of which each request takes one. Requests wait here and in no queue that could grow.
#[derive(Clone)]
pub struct Threads(Arc<Semaphore>);

impl Threads {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(STORAGE_THREADS)))
    }
}

/// The storage side of one connection.
pub struct Storage {
    /// Away while a request is answered.
    transfer: Option<Transfer<EmbeddedStore>>,
    threads: Threads,
}

impl Storage {
    pub fn new(store: EmbeddedStore, threads: Threads) -> Self {
        Self { transfer: Some(Transfer::new(store)), threads }
    }

    pub async fn answer(&mut self, operation: StoreOperation) -> Result<StoreReply, StoreError> {
        self.on_thread(|transfer| transfer.answer(operation)).await?
    }

    /// Lets go of the files that the connection was busy with, which may wait for the disk too.
    pub async fn close(mut self) {
        // If that fails, nothing is left to let go of.
        let _ = self.on_thread(Transfer::abandon).await;
    }

    async fn on_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Transfer<EmbeddedStore>) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.threads.0.acquire().await.map_err(|_| lost())?;
        let mut transfer = self.transfer.take().ok_or_else(lost)?;
        let worked = spawn_blocking(move || {
            let done = work(&mut transfer);
            (transfer, done)
        });
        let (transfer, done) = worked.await.map_err(|_| lost())?;
        self.transfer = Some(transfer);
        Ok(done)
    }
}

/// A request panicked, or the server is stopping.
fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the storage of this connection has failed before")
}
