//! Where interrupted transfers are noted, so that another process resumes them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Error;

/// Keeps notes of transfers of paths that have begun and not ended: in memory, in a profile
/// (`fss::profile::Transfers`), or where you like.
///
/// A note is a few KiB. It holds names and paths, and no key and no content.
pub trait Journal: Send + Sync {
    /// The note of a transfer, if there is one.
    ///
    /// # Errors
    /// What was noted cannot be read.
    fn load(&self, transfer: &TransferId) -> io::Result<Option<Vec<u8>>>;

    /// Notes a transfer, durably, instead of what was noted of it.
    ///
    /// # Errors
    /// It cannot be noted.
    fn save(&self, transfer: &TransferId, note: &[u8]) -> io::Result<()>;

    /// Forgets a transfer; one that is not noted too. A note that is older than eight days may be
    /// forgotten at any time.
    ///
    /// # Errors
    /// It cannot be forgotten.
    fn remove(&self, transfer: &TransferId) -> io::Result<()>;
}

/// What identifies a transfer: a digest of the server, the client, and what is transferred how. A
/// file that was changed is another transfer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransferId([u8; 32]);

impl TransferId {
    /// Of these parts.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut digest = blake3::Hasher::new_derive_key("fss 2 journal of transfers");
        for part in parts {
            digest.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Self(digest.finalize().into())
    }

    /// The bytes to keep it by.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Notes for as long as the process lives: a call resumes what an earlier one could not finish.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<HashMap<TransferId, Vec<u8>>>);

impl MemoryJournal {
    fn notes(&self) -> MutexGuard<'_, HashMap<TransferId, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn load(&self, transfer: &TransferId) -> io::Result<Option<Vec<u8>>> {
        Ok(self.notes().get(transfer).cloned())
    }

    fn save(&self, transfer: &TransferId, note: &[u8]) -> io::Result<()> {
        self.notes().insert(*transfer, note.to_vec());
        Ok(())
    }

    fn remove(&self, transfer: &TransferId) -> io::Result<()> {
        self.notes().remove(transfer);
        Ok(())
    }
}

/// One transfer's place in a journal.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) id: TransferId,
}

impl Entry {
    pub(super) fn load(&self) -> Result<Option<Vec<u8>>, Error> {
        self.journal.load(&self.id).map_err(Error::Journal)
    }

    pub(super) fn save(&self, note: &[u8]) -> Result<(), Error> {
        self.journal.save(&self.id, note).map_err(Error::Journal)
    }

    pub(super) fn remove(&self) -> Result<(), Error> {
        self.journal.remove(&self.id).map_err(Error::Journal)
    }
}

/// Writes a note: fields one after another, each with its length.
#[derive(Default)]
pub(super) struct NoteWriter(Vec<u8>);

impl NoteWriter {
    pub(super) fn field(mut self, bytes: &[u8]) -> Self {
        // A field is a path, a header or a list of checkpoints: far below 4 GiB.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn number(self, number: u64) -> Self {
        self.field(&number.to_le_bytes())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a note; `None` where it is none of ours.
pub(super) struct NoteReader<'a>(pub(super) &'a [u8]);

impl<'a> NoteReader<'a> {
    pub(super) fn field(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (field, rest) =
            rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(field)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.field()?.try_into().ok()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
