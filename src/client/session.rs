//! The client machine of FSS/2: operations one after another on one connection.

use std::fmt;

use rand_core::CryptoRng;

use super::states::Client;
use super::{ClientEvent, ClientNeed, Operation};
use crate::config::Config;
use crate::crypto::Fingerprint;
use crate::error::Error;
use crate::session::{Core, Link, machine_with_core};
use crate::types::random::SystemRng;

/// One connection of a client of FSS/2.
///
/// It never speaks FSS 1.0: with a server that does not know FSS/2 it fails.
///
/// ```
/// use fss::client::{ClientSession, Operation};
/// let mut session = ClientSession::new(fss::Config::process_wide());
/// session.start(Operation::Information);
/// session.finish();
/// ```
pub struct ClientSession {
    core: Core<Client>,
}

impl ClientSession {
    /// A new connection. Operations may be started at once, or when [`ClientNeed::Operation`] asks for them.
    pub fn new(config: Config) -> Self {
        Self { core: Core::new(Client::new(), Link::of_client(config, Box::new(SystemRng))) }
    }

    /// Speaks only to the server with this identity: with any other the connection fails with
    /// [`Error::ServerKeyChanged`] before anything but our public key and a hello was sent.
    #[must_use]
    pub fn expecting(mut self, server: Fingerprint) -> Self {
        self.core.side.expect_server(server);
        self
    }

    /// Goes on with the next operation when one was refused: refusals are then reported as [`ClientEvent::Refused`], and
    /// are no errors. For callers that do several operations on a connection, and look at what became of each.
    ///
    /// Without this the first refusal ends the connection with [`Error::PeerRefused`].
    #[must_use]
    pub fn continue_after_refusals(mut self) -> Self {
        self.core.side.continue_after_refusals();
        self
    }

    /// The same with random numbers of your own, for tests. Only before the first poll.
    #[must_use]
    pub fn with_random_numbers(mut self, rng: impl CryptoRng + Send + 'static) -> Self {
        self.core.link.set_rng(Box::new(rng));
        self
    }

    /// Starts an operation: the next one, when those before have ended. Only one may wait; another is a mistake that ends
    /// the connection with [`Error::Misuse`].
    pub fn start(&mut self, operation: Operation) {
        self.core.turn(|client, turn| client.start(operation, turn));
    }

    /// Closes the connection when the operations have ended.
    pub fn finish(&mut self) {
        self.core.side.finish();
    }

    /// Gives up, because of something on this side: the server is told, and the connection ends with `error`.
    pub fn abort(&mut self, error: Error) {
        self.core.turn(|_, _| Err(error));
    }

    /// The server's identity, once it is proved.
    pub fn server_key(&self) -> Option<Fingerprint> {
        self.core.side.server()
    }

    /// Room for the next bytes of the file, when [`ClientNeed::Supply`] asks for them; else empty. It lies within the
    /// record that will be sent.
    pub fn supply(&mut self) -> &mut [u8] {
        self.core.side.supply(&mut self.core.link)
    }

    /// The first `count` bytes of [`ClientSession::supply`] are filled; 0 means that the file has no more.
    pub fn supplied(&mut self, count: usize) {
        self.core.turn(|client, turn| client.supplied(count, turn));
    }

    /// Bytes of the file that came, when [`ClientNeed::Data`] says so; else empty.
    pub fn data(&self) -> &[u8] {
        self.core.side.data()
    }

    /// The first `count` bytes of [`ClientSession::data`] are taken.
    pub fn consumed(&mut self, count: usize) {
        self.core.turn(|client, turn| client.consumed(count, turn));
    }
}

machine_with_core!(ClientSession, ClientEvent, ClientNeed);

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession").field("ending", &self.core.is_ending()).finish_non_exhaustive()
    }
}
