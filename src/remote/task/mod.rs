//! One operation on a connection, without I/O. The blocking client and the asynchronous one run the
//! same tasks.

mod download;
mod query;
mod upload;

#[cfg(all(unix, feature = "blocking", feature = "filesystem"))]
pub(super) use download::DownloadNote;
pub(super) use download::Downloading;
pub(super) use query::{Deleting, Informing, Listing};
pub(super) use upload::Uploading;

use super::Error;
use crate::client::{ClientEvent, ClientSession};
use crate::sealed::{Header, Key, Metadata};

/// What has to be done before the session is polled again.
#[must_use]
pub(super) enum Effect {
    Nothing,
    /// The key of a file with this header: [`Task::unlocked`] gets it.
    Derive(Header),
    /// The source continues at this position.
    Rewind(u64),
    /// A file with this metadata begins.
    Begin(Metadata),
    /// All of the file was written: it is made durable.
    Finish,
}

/// One operation, from its first request to its outcome. When a connection was lost it can start
/// again on another one, and then continues where it was.
pub(super) trait Task {
    type Outcome;

    /// The first request on a new connection.
    fn start(&mut self, session: &mut ClientSession) -> Result<Effect, Error>;

    /// The key that [`Effect::Derive`] asked for.
    fn unlocked(&mut self, _session: &mut ClientSession, _key: Key) {}

    fn event(&mut self, session: &mut ClientSession, event: ClientEvent) -> Result<Effect, Error>;

    /// Where to read the next bytes of the source to; `None` if the session has been supplied.
    fn room<'a>(
        &'a mut self,
        _session: &'a mut ClientSession,
    ) -> Result<Option<&'a mut [u8]>, Error> {
        Err(Error::NoAnswer)
    }

    /// The first `count` bytes of the room were read; 0 means that the source has no more. Returns
    /// whether the session has been supplied by that.
    fn filled(&mut self, _session: &mut ClientSession, _count: usize) -> bool {
        true
    }

    /// What to write next; `None` if all that the session has is taken.
    fn output<'a>(
        &'a mut self,
        _session: &'a mut ClientSession,
    ) -> Result<Option<&'a [u8]>, Error> {
        Err(Error::NoAnswer)
    }

    /// How many checkpoints were passed so far: whoever passes one is not failing.
    fn checkpoints(&self) -> usize {
        0
    }

    /// What is to be noted before the session is polled again, so that another process can resume:
    /// `None` if that has not changed.
    fn note(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// What became of it, when the session has ended well.
    fn outcome(&mut self) -> Result<Self::Outcome, Error>;
}
