//! FSS 1.0 for the high-level client.

use std::fmt;
use std::io::{Read, Write};

use super::bindings::Use;
use super::blocking::read_some;
use super::shared::Shared;
use super::{Client, Error};
use crate::client::legacy::{FileRequest, LegacyEvent, LegacySession};
use crate::driver::Call;
use crate::driver::blocking::Driver;
use crate::types::cookie::OpaqueCookie;
use crate::types::secret::Password;

/// A client's server, spoken to in FSS 1.0.
///
/// **A man in the middle can impersonate the server, and the server sees passwords and content.**
/// Nothing is resumed or tried again.
pub struct Legacy<'a> {
    client: &'a Client,
    shared: &'a Shared,
}

/// A file of FSS 1.0 that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LegacyFetched {
    /// Bytes of it.
    pub size: u64,
    /// The size was not known and had to be guessed (`docs/protocol.md` §8).
    pub guessed: bool,
}

impl Client {
    /// Speaks FSS 1.0 to a server whose key is neither pinned nor remembered: one with a key has
    /// spoken FSS/2, and a man in the middle may want it to be forgotten.
    ///
    /// # Errors
    /// [`Error::Downgrade`] if the server's key is known.
    pub fn legacy(&self) -> Result<Legacy<'_>, Error> {
        if self.shared().knows_server()? { Err(Error::Downgrade) } else { Ok(self.downgraded()) }
    }

    /// Speaks FSS 1.0 even to a server that has spoken FSS/2.
    pub fn downgraded(&self) -> Legacy<'_> {
        Legacy { client: self, shared: self.shared() }
    }
}

impl Legacy<'_> {
    /// Uploads what `source` returns. Keep the size with the cookie: FSS 1.0 does not tell it.
    ///
    /// # Errors
    /// [`Error`]; [`Error::PasswordSealsFiles`] if this client has sealed files with the password.
    pub fn put(
        &self,
        mut source: impl Read,
        password: &Password,
    ) -> Result<(OpaqueCookie, u64), Error> {
        self.shared.bind(password, Use::IsSent)?;
        let session = LegacySession::upload(self.shared.config().clone(), password);
        let mut uploaded = None;
        self.run(session, |session, call| {
            match call {
                Call::Request(_) => {
                    let count = read_some(&mut source, session.supply())?;
                    session.supplied(count);
                }
                Call::Event(LegacyEvent::Uploaded { cookie, size }) => {
                    uploaded = Some((cookie, size));
                }
                Call::Event(_) => {}
            }
            Ok(())
        })?;
        uploaded.ok_or(Error::NoAnswer)
    }

    /// Downloads a file into `sink`, which is flushed before the server is told that the file has
    /// arrived. Without its `size` the end of the file is a guess.
    ///
    /// # Errors
    /// [`Error`]; then `sink` has a beginning of the file, to be thrown away.
    pub fn get(
        &self,
        cookie: &OpaqueCookie,
        password: &Password,
        size: Option<u64>,
        mut sink: impl Write,
    ) -> Result<LegacyFetched, Error> {
        self.shared.bind(password, Use::IsSent)?;
        let config = self.shared.config().clone();
        let session = LegacySession::download(config, cookie, password, size);
        let mut fetched = None;
        self.run(session, |session, call| {
            match call {
                Call::Request(FileRequest::Data) => {
                    let count = session.data().len();
                    sink.write_all(session.data()).map_err(Error::Sink)?;
                    session.consumed(count);
                }
                // The next poll tells the server that it has arrived.
                Call::Event(LegacyEvent::Downloaded { size, guessed }) => {
                    sink.flush().map_err(Error::Sink)?;
                    fetched = Some(LegacyFetched { size, guessed });
                }
                Call::Request(FileRequest::Supply) | Call::Event(_) => {}
            }
            Ok(())
        })?;
        fetched.ok_or(Error::NoAnswer)
    }

    fn run(
        &self,
        mut session: LegacySession,
        serve: impl FnMut(&mut LegacySession, Call<LegacySession>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        Driver::new(self.client.connect()?).run(&mut session, serve)
    }
}

impl fmt::Debug for Legacy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Legacy").field("server", &self.shared.server()).finish_non_exhaustive()
    }
}
