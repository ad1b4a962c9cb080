//! How a server is told to stop, from any thread or task.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Starts the shutdown of servers, and lets others wait for that. Clones are the same shutdown.
///
/// It stays started: a server that begins to serve afterwards stops at once.
///
/// ```
/// let shutdown = fss::driver::Shutdown::new();
/// let of_the_signal_thread = shutdown.clone();
/// std::thread::spawn(move || of_the_signal_thread.start()).join().unwrap();
/// assert!(shutdown.is_started());
/// ```
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_started: bool,
    /// One for each future that is waiting, which removes its own.
    waiting: BTreeMap<u64, Waker>,
    next: u64,
}

impl Shutdown {
    /// One that is not started.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts it. To start it again has no effect.
    pub fn start(&self) {
        let waiting = {
            let mut state = self.state();
            state.is_started = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// Whether it is started.
    pub fn is_started(&self) -> bool {
        self.state().is_started
    }

    /// Waits for the start, on any runtime.
    pub fn started(&self) -> ShutdownStarted {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        drop(state);
        ShutdownStarted { shutdown: self.clone(), id }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("is_started", &self.is_started()).finish()
    }
}

/// Is ready when a [`Shutdown`] is started.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct ShutdownStarted {
    shutdown: Shutdown,
    id: u64,
}

impl Future for ShutdownStarted {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shutdown.state();
        if state.is_started {
            return Poll::Ready(());
        }
        state.waiting.insert(self.id, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for ShutdownStarted {
    fn drop(&mut self) {
        self.shutdown.state().waiting.remove(&self.id);
    }
}
