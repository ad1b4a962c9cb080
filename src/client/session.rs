//! The client machine of FSS/2: operations one after another on one connection.

use std::fmt;

use rand_core::CryptoRng;

use super::fss2::Client;
use super::{ClientEvent, ClientRequest, Operation};
use crate::config::Config;
use crate::crypto::Fingerprint;
use crate::error::Error;
use crate::session::{Link, Runner, machine};
use crate::types::random::SystemRng;

/// One connection of a client of FSS/2.
///
/// It never speaks FSS 1.0: with a server that does not know FSS/2 it fails.
///
/// ```
/// use fss::client::{ClientSession, Operation};
/// let mut session = ClientSession::new(fss::Config::ephemeral());
/// session.start(Operation::Information);
/// session.finish();
/// ```
pub struct ClientSession {
    runner: Runner<Client>,
}

impl ClientSession {
    /// A new connection. Operations may be started at once, or when [`ClientRequest::Operation`]
    /// asks for them.
    pub fn new(config: Config) -> Self {
        Self { runner: Runner::new(Client::new(), Link::of_client(config, Box::new(SystemRng))) }
    }

    /// Speaks only to the server with this identity: with any other the connection fails with
    /// [`Error::ServerKeyChanged`] before anything but our public key and a hello was sent.
    #[must_use]
    pub fn expecting(mut self, server: Fingerprint) -> Self {
        self.runner.protocol.expect_server(server);
        self
    }

    /// Continues with the next operation when one was refused: refusals are then reported as
    /// [`ClientEvent::Refused`], and are no errors. For callers that do several operations on a
    /// connection, and handle the outcome of each.
    ///
    /// Without this the first refusal ends the connection with [`Error::PeerRefused`].
    #[must_use]
    pub fn continue_after_refusals(mut self) -> Self {
        self.runner.protocol.continue_after_refusals();
        self
    }

    /// The same with random numbers of your own, for tests. Only before the first poll.
    #[must_use]
    pub fn with_random_numbers(mut self, rng: impl CryptoRng + Send + 'static) -> Self {
        self.runner.link.set_rng(Box::new(rng));
        self
    }

    /// Starts an operation: the next one, when those before have ended. Only one may wait; another
    /// is a mistake that ends the connection with [`Error::Misuse`].
    pub fn start(&mut self, operation: Operation) {
        self.runner.context(|client, context| client.start(operation, context));
    }

    /// Closes the connection when the operations have ended.
    pub fn finish(&mut self) {
        self.runner.protocol.finish();
    }

    /// Aborts because of something on this side: the server is told, and the connection ends with
    /// `error`.
    pub fn abort(&mut self, error: Error) {
        self.runner.context(|_, _| Err(error));
    }

    /// The server's identity, once it is proved.
    pub fn server_key(&self) -> Option<Fingerprint> {
        self.runner.protocol.server()
    }

    /// Room for the next bytes of the file, when [`ClientRequest::Supply`] asks for them;
    /// empty otherwise. It lies within the record that will be sent.
    pub fn supply(&mut self) -> &mut [u8] {
        self.runner.protocol.supply(&mut self.runner.link)
    }

    /// The first `count` bytes of [`ClientSession::supply`] are filled; 0 means that the file has
    /// no more.
    pub fn supplied(&mut self, count: usize) {
        self.runner.context(|client, context| client.supplied(count, context));
    }

    /// Bytes of the file that came, when [`ClientRequest::Data`] says so; empty otherwise.
    pub fn data(&self) -> &[u8] {
        self.runner.protocol.data()
    }

    /// The first `count` bytes of [`ClientSession::data`] are taken.
    pub fn consumed(&mut self, count: usize) {
        self.runner.context(|client, context| client.consumed(count, context));
    }
}

machine!([] ClientSession, ClientEvent, ClientRequest, runner, runner.poll);

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("ending", &self.runner.is_ending())
            .finish_non_exhaustive()
    }
}
