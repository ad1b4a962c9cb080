//! How many threads wait for the store at once.

use std::sync::Arc;

use ::tokio::sync::{Semaphore, SemaphorePermit};

/// The threads of all connections, of which each request takes one. Requests wait here and in no
/// queue that could grow.
#[derive(Clone, Debug)]
pub struct StorageThreads(Arc<Semaphore>);

impl StorageThreads {
    /// As many as wait for the disk at once and are committed together.
    pub const DEFAULT_COUNT: usize = 64;

    /// So many. The runtime must allow as many threads for what blocks (`max_blocking_threads`).
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Waits for a thread. It is taken until the permit is dropped.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.acquire().await.ok()
    }
}

impl Default for StorageThreads {
    fn default() -> Self {
        Self::new(Self::DEFAULT_COUNT)
    }
}
