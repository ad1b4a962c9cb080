//! The storage of a connection, asked on threads that may wait for the disk.

use std::fmt;

use ::tokio::task::spawn_blocking;

use super::threads::StorageThreads;
use crate::store::transfer::{StoreReply, StoreRequest, Transfer};
use crate::store::{Store, StoreError, StoreErrorKind};

/// The storage side of one connection: answers what its engine needs.
pub struct Storage<S> {
    /// Away while a request is answered.
    transfer: Option<Transfer<S>>,
    threads: StorageThreads,
}

impl<S: Store + Send + 'static> Storage<S> {
    /// Of a connection that begins.
    pub fn new(store: S, threads: StorageThreads) -> Self {
        Self { transfer: Some(Transfer::new(store)), threads }
    }

    /// Does what an engine asks.
    ///
    /// # Errors
    /// Those of the store; [`StoreErrorKind::Unavailable`] after a panic in it.
    pub async fn answer(&mut self, request: StoreRequest) -> Result<StoreReply, StoreError> {
        self.on_thread(|transfer| transfer.answer(request)).await?
    }

    /// Releases the files that the connection was busy with, which may wait for the disk too.
    pub async fn close(mut self) {
        // If that fails, nothing is left to release.
        let _ = self.on_thread(Transfer::abandon).await;
    }

    async fn on_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Transfer<S>) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.threads.permit().await.ok_or_else(lost)?;
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

impl<S> fmt::Debug for Storage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}

/// A request panicked, or the server is stopping.
fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the storage of this connection has failed before")
}
