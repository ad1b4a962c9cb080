//! The client machine: one upload or one download on one connection.

use std::fmt;

use rand_core::CryptoRng;

use super::states::{Client, Request};
use super::{ClientEvent, FileNeed};
use crate::config::Config;
use crate::session::{Core, Link, machine_with_core};
use crate::types::cookie::OpaqueCookie;
use crate::types::random::SystemRng;
use crate::types::secret::Password;

/// One connection of a client.
///
/// ```
/// use fss::{Config, Password, client::legacy::ClientSession};
/// let session = ClientSession::upload(Config::process_wide(), &Password::new("secret")?);
/// # Ok::<(), fss::Refusal>(())
/// ```
pub struct ClientSession {
    core: Core<Client>,
}

impl ClientSession {
    /// Uploads a file: its bytes are asked for with [`FileNeed::Supply`].
    pub fn upload(config: Config, password: &Password) -> Self {
        Self::with_rng(config, Request::Upload { password: password.clone() }, Box::new(SystemRng))
    }

    /// Downloads a file: its bytes are handed out with [`FileNeed::Data`].
    ///
    /// `size` is what the client wrote down when it uploaded the file. Without it the end of the file is a guess.
    pub fn download(config: Config, cookie: &OpaqueCookie, password: &Password, size: Option<u64>) -> Self {
        let request = Request::Download { cookie: cookie.clone(), password: password.clone(), size };
        Self::with_rng(config, request, Box::new(SystemRng))
    }

    fn with_rng(config: Config, request: Request, rng: Box<dyn CryptoRng + Send>) -> Self {
        Self { core: Core::new(Client::new(request), Link::of_client(config, rng)) }
    }

    /// The same with random numbers of your own, for tests. Only before the first poll.
    #[must_use]
    pub fn with_random_numbers(mut self, rng: impl CryptoRng + Send + 'static) -> Self {
        self.core.link.set_rng(Box::new(rng));
        self
    }

    /// Room for the next bytes of the file, when [`FileNeed::Supply`] asks for them; else empty.
    pub fn supply(&mut self) -> &mut [u8] {
        self.core.side.supply()
    }

    /// The first `count` bytes of [`ClientSession::supply`] are filled; 0 means that the file has no more.
    pub fn supplied(&mut self, count: usize) {
        self.core.turn(|client, turn| client.supplied(count, turn));
    }

    /// Bytes of the file that came, when [`FileNeed::Data`] says so; else empty.
    pub fn data(&self) -> &[u8] {
        self.core.side.data()
    }

    /// The first `count` bytes of [`ClientSession::data`] are taken.
    pub fn consumed(&mut self, count: usize) {
        self.core.turn(|client, turn| client.consumed(count, turn));
    }
}

machine_with_core!(ClientSession, ClientEvent, FileNeed);

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession").field("ending", &self.core.is_ending()).finish_non_exhaustive()
    }
}
