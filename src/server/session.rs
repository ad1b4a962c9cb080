//! The server machine with a store: what most programs want.

use std::convert::Infallible;
use std::fmt;

use rand_core::CryptoRng;

use super::{PeerAddress, ServerEngine, ServerEvent, ServerState};
use crate::error::Error;
use crate::session::{Machine as _, Step, machine};
use crate::store::Store;
use crate::store::transfer::Transfer;
use crate::types::time::Time;

/// One connection of a server that keeps its files in a store.
///
/// ```
/// let session = fss::ServerSession::new(fss::MemoryStore::new());
/// ```
pub struct ServerSession<S> {
    engine: ServerEngine,
    transfer: Transfer<S>,
}

impl<S: Store> ServerSession<S> {
    /// A new connection that needs nothing else: with [`ServerState::ephemeral`].
    pub fn new(store: S) -> Self {
        Self::with_state(store, &ServerState::ephemeral())
    }

    /// A new connection of a server.
    pub fn with_state(store: S, server: &ServerState) -> Self {
        Self { engine: ServerEngine::new(server), transfer: Transfer::new(store) }
    }

    /// A new connection of a server, with random numbers of your own, for tests.
    pub fn with_rng(store: S, server: &ServerState, rng: impl CryptoRng + Send + 'static) -> Self {
        Self { engine: ServerEngine::with_rng(server, rng), transfer: Transfer::new(store) }
    }

    /// As [`ServerEngine::with_peer`].
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<PeerAddress>) -> Self {
        self.engine = self.engine.with_peer(peer);
        self
    }

    /// Whether the connection has come to its end: at once, if there are too many.
    pub fn is_ending(&self) -> bool {
        self.engine.is_ending()
    }

    /// Polls the engine, and answers what it asks of storage.
    fn poll_and_answer(&mut self, now: Time) -> Result<Step<ServerEvent>, Error> {
        let step = self.engine.poll(now);
        if self.engine.is_ending() {
            // An upload that will not be committed leaves the store now, not when the peer has
            // gone.
            self.transfer.abandon();
        }
        Ok(match step? {
            Step::Request(request) => {
                let reply = self.transfer.answer(request);
                self.engine.complete(reply);
                // Storage took its time: the next poll must know what time it is.
                Step::Yield
            }
            Step::Send => Step::Send,
            Step::Receive => Step::Receive,
            Step::Sleep(time) => Step::Sleep(time),
            Step::Event(event) => Step::Event(event),
            Step::Yield => Step::Yield,
            Step::Shutdown => Step::Shutdown,
            Step::Close => Step::Close,
        })
    }
}

machine!([S: Store] ServerSession<S>, ServerEvent, Infallible, engine.runner, poll_and_answer);

impl<S> fmt::Debug for ServerSession<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession").field("transfer", &self.transfer).finish_non_exhaustive()
    }
}
