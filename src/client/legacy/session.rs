//! The client machine: one upload or one download on one connection.

use std::fmt;

use rand_core::CryptoRng;

use super::states::{Client, Request};
use super::{FileRequest, LegacyEvent};
use crate::config::Config;
use crate::session::{Link, Runner, machine};
use crate::types::cookie::OpaqueCookie;
use crate::types::random::SystemRng;
use crate::types::secret::Password;

/// One connection of a client.
///
/// ```
/// use fss::{Config, Password, client::legacy::LegacySession};
/// let session = LegacySession::upload(Config::ephemeral(), &Password::new("secret")?);
/// # Ok::<(), fss::Refusal>(())
/// ```
pub struct LegacySession {
    runner: Runner<Client>,
}

impl LegacySession {
    /// Uploads a file: its bytes are asked for with [`FileRequest::Supply`].
    pub fn upload(config: Config, password: &Password) -> Self {
        Self::with_rng(config, Request::Upload { password: password.clone() }, Box::new(SystemRng))
    }

    /// Downloads a file: its bytes are handed out with [`FileRequest::Data`].
    ///
    /// `size` is what the client wrote down when it uploaded the file. Without it the end of the
    /// file is a guess.
    pub fn download(
        config: Config,
        cookie: &OpaqueCookie,
        password: &Password,
        size: Option<u64>,
    ) -> Self {
        let request =
            Request::Download { cookie: cookie.clone(), password: password.clone(), size };
        Self::with_rng(config, request, Box::new(SystemRng))
    }

    fn with_rng(config: Config, request: Request, rng: Box<dyn CryptoRng + Send>) -> Self {
        Self { runner: Runner::new(Client::new(request), Link::of_client(config, rng)) }
    }

    /// The same with random numbers of your own, for tests. Only before the first poll.
    #[must_use]
    pub fn with_random_numbers(mut self, rng: impl CryptoRng + Send + 'static) -> Self {
        self.runner.link.set_rng(Box::new(rng));
        self
    }

    /// Room for the next bytes of the file, when [`FileRequest::Supply`] asks for them; empty
    /// otherwise.
    pub fn supply(&mut self) -> &mut [u8] {
        self.runner.protocol.supply()
    }

    /// The first `count` bytes of [`LegacySession::supply`] are filled; 0 means that the file has
    /// no more.
    pub fn supplied(&mut self, count: usize) {
        self.runner.context(|client, context| client.supplied(count, context));
    }

    /// Bytes of the file that came, when [`FileRequest::Data`] says so; empty otherwise.
    pub fn data(&self) -> &[u8] {
        self.runner.protocol.data()
    }

    /// The first `count` bytes of [`LegacySession::data`] are taken.
    pub fn consumed(&mut self, count: usize) {
        self.runner.context(|client, context| client.consumed(count, context));
    }
}

machine!([] LegacySession, LegacyEvent, FileRequest, runner, runner.poll);

impl fmt::Debug for LegacySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacySession")
            .field("ending", &self.runner.is_ending())
            .finish_non_exhaustive()
    }
}
