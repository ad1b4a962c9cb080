//! Operations without a file: lists, deletion, accounts.

use super::{Effect, Task};
use crate::client::{ClientEvent, ClientSession, Operation};
use crate::remote::{Error, Get};
use crate::sealed::{Header, Key};
use crate::store::{Account, Entry};
use crate::types::cookie::Cookie;
use crate::wire::reply::ServerLimits;

/// The most files of a list that are taken: a server could go on for ever.
const MOST_LISTED: usize = 1_000_000;

/// The list of the client's files.
#[derive(Default)]
pub(in crate::remote) struct Listing {
    files: Vec<Entry>,
    is_complete: bool,
}

impl Task for Listing {
    type Outcome = Vec<Entry>;

    fn start(&mut self, session: &mut ClientSession) -> Result<Effect, Error> {
        let after = self.files.last().map(|entry| entry.cookie.clone());
        session.start(Operation::List { after });
        Ok(Effect::Nothing)
    }

    fn event(&mut self, session: &mut ClientSession, event: ClientEvent) -> Result<Effect, Error> {
        match event {
            ClientEvent::Listed(_) if self.files.len() >= MOST_LISTED => Err(Error::EndlessList),
            ClientEvent::Listed(entry) => {
                self.files.push(entry);
                Ok(Effect::Nothing)
            }
            ClientEvent::EndOfList { more: true } => self.start(session),
            ClientEvent::EndOfList { more: false } => {
                self.is_complete = true;
                Ok(Effect::Nothing)
            }
            _ => Ok(Effect::Nothing),
        }
    }

    fn outcome(&mut self) -> Result<Vec<Entry>, Error> {
        if self.is_complete { Ok(std::mem::take(&mut self.files)) } else { Err(Error::NoAnswer) }
    }
}

/// The deletion of a file: of one's own, or of one whose password is known.
pub(in crate::remote) struct Deleting {
    cookie: Cookie,
    /// With the password.
    file: Option<Get>,
    is_deleted: bool,
}

impl Deleting {
    pub(in crate::remote) fn own(cookie: Cookie) -> Self {
        Self { cookie, file: None, is_deleted: false }
    }

    pub(in crate::remote) fn with_password(file: Get) -> Self {
        Self { cookie: file.cookie().clone(), file: Some(file), is_deleted: false }
    }
}

impl Task for Deleting {
    type Outcome = ();

    fn start(&mut self, session: &mut ClientSession) -> Result<Effect, Error> {
        let cookie = self.cookie.clone();
        match self.file.as_ref().map(Get::header) {
            Some(Some(header)) => return Ok(Effect::Derive(header.clone())),
            Some(None) => session.start(Operation::Challenge { cookie }),
            None => session.start(Operation::Delete { cookie, verifier: None }),
        }
        Ok(Effect::Nothing)
    }

    fn unlocked(&mut self, session: &mut ClientSession, key: Key) {
        let verifier = Some(key.verifier().clone());
        session.start(Operation::Delete { cookie: self.cookie.clone(), verifier });
    }

    fn event(&mut self, _session: &mut ClientSession, event: ClientEvent) -> Result<Effect, Error> {
        match event {
            ClientEvent::Challenged(format) => Ok(Effect::Derive(sealed(format)?)),
            ClientEvent::Deleted => {
                self.is_deleted = true;
                Ok(Effect::Nothing)
            }
            _ => Ok(Effect::Nothing),
        }
    }

    fn outcome(&mut self) -> Result<(), Error> {
        if self.is_deleted { Ok(()) } else { Err(Error::NoAnswer) }
    }
}

/// A request that is answered with what the server knows of the client.
pub(in crate::remote) struct Informing<F> {
    operation: F,
    answer: Option<(Option<ServerLimits>, Option<Account>)>,
}

impl<F: Fn() -> Operation> Informing<F> {
    /// `operation` is called for each connection.
    pub(in crate::remote) fn new(operation: F) -> Self {
        Self { operation, answer: None }
    }
}

impl<F: Fn() -> Operation> Task for Informing<F> {
    type Outcome = (Option<ServerLimits>, Option<Account>);

    fn start(&mut self, session: &mut ClientSession) -> Result<Effect, Error> {
        session.start((self.operation)());
        Ok(Effect::Nothing)
    }

    fn event(&mut self, _session: &mut ClientSession, event: ClientEvent) -> Result<Effect, Error> {
        if let ClientEvent::Account { limits, account } = event {
            self.answer = Some((limits, account));
        }
        Ok(Effect::Nothing)
    }

    fn outcome(&mut self) -> Result<Self::Outcome, Error> {
        self.answer.take().ok_or(Error::NoAnswer)
    }
}

/// The header of a sealed file.
pub(super) fn sealed(format: crate::format::StoredFormat) -> Result<Header, Error> {
    match format {
        crate::format::StoredFormat::Sealed(header) => Ok(header),
        crate::format::StoredFormat::Legacy => Err(Error::NotSealed),
    }
}
