//! A store made of an index and blobs. The order of steps between the two is decided here and
//! nowhere else.
//!
//! ```text
//! upload      reserve (index, durable) → stage, write, sync (blobs) → publish the name (blobs) → publish the record (index)
//! checkpoint  sync (blobs) → record it (index, durable)
//! resume      take over → forget later checkpoints (index, durable) → cut the blob there (blobs)
//! remove      unpublish the record, note the blob as an orphan (index, durable) → remove it (blobs) → forget the note (index)
//! open        for each blob that the index notes as an orphan: remove it, forget the note
//!             for each that is staged: publish it if a record names it, keep it if an upload does, else remove it
//! ```
//!
//! Removal is in the index first, then in the blobs. A blob that cannot be removed keeps its note
//! and the sweep tries again: it costs space, but fails no request and no start.
//!
//! So at every moment a blob belongs to a record, or to a pending upload, or is noted as an orphan,
//! or is not ours and is left alone. A record is written last and removed first, so the blob that
//! it names is always whole. So is a checkpoint: the bytes before it are always there.

mod active;
mod blobs;
mod download;
mod index;
mod upload;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::superseded;
use super::{
    Account, FileReader, FileWriter, Invite, LEASE, Listing, NewFile, OpenOptions, Removal,
    Resumed, Store, StoreError, StoreErrorKind, StoredFile, StoredFormat, UploadKey, UserName,
};
use crate::crypto::Fingerprint;
use crate::sealed::Header;
use crate::types::cookie::Cookie;
use active::Active;
pub use blobs::{Blobs, FreeSpace, OpenBlob, StagedBlob};
use download::IndexedDownload;
pub use index::{
    BlobOwner, Content, Index, NameTakenFn, PENDING_IN_ALL, PENDING_PER_OWNER, Pending, Progress,
    Record, Reservation, SignUp,
};
use upload::IndexedUpload;

/// How many cookies are tried before a store reports that none is free.
pub(crate) const COOKIE_TRIES: usize = 16;

/// The most blobs that a sweep tries to remove again: each is a few hundred bytes of memory.
const MOST_LEFTOVERS: usize = 10_000;

/// Inodes that uploads leave free: for those in progress, which need up to three each, and for the
/// database's own files.
const MINIMUM_FREE_FILES: u64 = 256;

pub(crate) fn no_cookie_left() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        format!("no free cookie found in {COOKIE_TRIES} tries"),
    )
}

/// Bytes of a blob before the content: a sealed file begins with its header (`docs/protocol.md`
/// §25.3).
pub(super) fn content_start(header: Option<&Header>) -> u64 {
    header.map_or(0, |_| Header::LENGTH as u64)
}

/// The name of the blob that goes with a cookie.
#[cfg(feature = "sqlite")]
pub(super) fn blob_of(cookie: &Cookie) -> String {
    format!("F-{cookie}")
}

/// The cookie that a blob's name goes with, if it is such a name.
pub(super) fn cookie_of(blob: &str) -> Option<Cookie> {
    blob.strip_prefix("F-")?.parse().ok()
}

/// A store made of an index and blobs. Clones share the same files.
pub struct IndexedStore<I, B> {
    shared: Arc<Shared<I, B>>,
}

struct Shared<I, B> {
    index: I,
    blobs: B,
    options: OpenOptions,
    /// The sealed uploads that a connection is writing.
    active: Arc<Active<Box<dyn StagedBlob>>>,
    /// Blobs that could not be removed, and why.
    leftovers: Mutex<BTreeMap<String, StoreError>>,
}

impl<I, B> Clone for IndexedStore<I, B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<I, B> std::fmt::Debug for IndexedStore<I, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexedStore")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl<I: Index, B: Blobs> IndexedStore<I, B> {
    /// Creates a store of these backends, and removes what a crash has left, except uploads that
    /// can be resumed. No other store may use the same backends.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn recover(index: I, blobs: B, options: OpenOptions) -> Result<Self, StoreError> {
        let shared =
            Shared { index, blobs, options, active: Arc::default(), leftovers: Mutex::default() };
        // A pending upload may have no staged blob, if nothing of it was durable, or a published
        // one, if the crash came before its record. A resume restages both.
        let orphans = shared.index.orphans()?;
        for blob in shared.blobs.staged()?.into_iter().chain(orphans) {
            shared.tidy(&blob)?;
        }
        for cookie in shared.index.delivered()? {
            // A crash between the last delivery and the removal has left them.
            shared.remove(&cookie)?;
        }
        let store = Self { shared: Arc::new(shared) };
        store.remove_expired()?;
        Ok(store)
    }

    /// Removes expired files, interrupted uploads whose lease has ended, and what could not be
    /// removed before. Returns how many files and uploads they were. [`leftovers`](Self::leftovers)
    /// returns what still cannot be removed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove_expired(&self) -> Result<usize, StoreError> {
        let shared = &self.shared;
        let now = shared.now();
        let leftovers: Vec<String> = shared.leftovers().keys().cloned().collect();
        for blob in leftovers {
            shared.tidy(&blob)?;
        }
        let mut removed = self.remove_all(&shared.index.cookies(Some(now))?)?;
        for Reservation { cookie, .. } in shared.index.uploads(Some(now))? {
            removed += usize::from(
                shared.active.end_idle(&cookie, || shared.abandon(&cookie, Some(now)))?,
            );
        }
        Ok(removed)
    }

    /// Why blobs that are to be removed are still there, such as a directory of another owner. Each
    /// sweep tries again.
    pub fn leftovers(&self) -> Vec<StoreError> {
        self.shared.leftovers().values().cloned().collect()
    }

    /// Removes every file, and returns how many they were. Uploads that are not complete are not
    /// affected.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn clean(&self) -> Result<usize, StoreError> {
        self.remove_all(&self.shared.index.cookies(None)?)
    }

    /// How many files there are.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn count(&self) -> Result<usize, StoreError> {
        self.shared.index.count()
    }

    pub(super) fn index(&self) -> &I {
        &self.shared.index
    }

    pub(super) fn blobs(&self) -> &B {
        &self.shared.blobs
    }

    fn remove_all(&self, cookies: &[Cookie]) -> Result<usize, StoreError> {
        cookies
            .iter()
            .try_fold(0, |removed, cookie| Ok(removed + usize::from(self.shared.remove(cookie)?)))
    }
}

impl<I: Index, B: Blobs> Shared<I, B> {
    fn now(&self) -> u64 {
        self.options.clock.unix_seconds()
    }

    /// When the lease of an upload that progresses now will end.
    fn lease(&self) -> u64 {
        self.now().saturating_add(LEASE.as_secs())
    }

    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        self.unpublish(cookie, None)
    }

    fn unpublish(&self, cookie: &Cookie, remembered: Option<u64>) -> Result<bool, StoreError> {
        let Some(blob) = self.index.unpublish(cookie, remembered)? else { return Ok(false) };
        let cleared = self.blobs.remove(&blob).and_then(|()| self.index.clear_orphan(&blob));
        self.cleared(&blob, cleared)?;
        Ok(true)
    }

    /// Removes a pending upload, with `lapsed_at` only if its lease has ended by then. Returns
    /// whether it did.
    fn abandon(&self, cookie: &Cookie, lapsed_at: Option<u64>) -> Result<bool, StoreError> {
        let Some(blob) = self.index.abandon(cookie, lapsed_at)? else { return Ok(false) };
        self.cleared(&blob, self.clear(&blob))?;
        Ok(true)
    }

    /// Removes a blob that is noted as an orphan, staged or published, and then the note.
    fn clear(&self, blob: &str) -> Result<(), StoreError> {
        // If it is still staged, what has its published name is not ours.
        if !self.blobs.discard(blob)? {
            self.blobs.remove(blob)?;
        }
        self.index.clear_orphan(blob)
    }

    /// Brings a blob into the state that the index says: published for a record, kept for an
    /// upload, removed otherwise.
    fn tidy(&self, blob: &str) -> Result<(), StoreError> {
        let tidied = match self.index.owner(blob)? {
            Some(BlobOwner::Record) => self.blobs.recover(blob),
            Some(BlobOwner::Upload) => Ok(()),
            Some(BlobOwner::Orphan) => self.clear(blob),
            None => self.blobs.discard(blob).map(drop),
        };
        self.cleared(blob, tidied)
    }

    /// Notes a blob that could not be removed for the next sweep: no request fails for that, unless
    /// the store has stopped.
    fn cleared(&self, blob: &str, cleared: Result<(), StoreError>) -> Result<(), StoreError> {
        let mut leftovers = self.leftovers();
        match cleared {
            Ok(()) => drop(leftovers.remove(blob)),
            Err(error) if error.kind() == StoreErrorKind::Stopped => return Err(error),
            // The list is bounded; the next start finds the others.
            Err(error) if leftovers.len() < MOST_LEFTOVERS => {
                drop(leftovers.insert(blob.to_owned(), error));
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn leftovers(&self) -> MutexGuard<'_, BTreeMap<String, StoreError>> {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that has not expired.
    fn find(&self, cookie: &Cookie) -> Result<Option<(String, Record)>, StoreError> {
        let now = self.now();
        Ok(self.index.find(cookie)?.filter(|(_, record)| record.is_live(now)))
    }

    /// A pending upload whose lease has not ended.
    fn pending(&self, cookie: &Cookie) -> Result<Option<(String, Pending)>, StoreError> {
        let now = self.now();
        Ok(self.index.pending(cookie)?.filter(|(_, pending)| pending.lease > now))
    }

    /// Refuses `more` bytes if they would not leave free what must stay free.
    fn check_room(&self, more: u64) -> Result<(), StoreError> {
        let minimum_free = self.options.minimum_free;
        let detail = match self.blobs.free()? {
            Some(FreeSpace { bytes, .. }) if bytes < minimum_free.saturating_add(more) => {
                format!("{bytes} bytes are free, and {more} more must leave {minimum_free}")
            }
            Some(FreeSpace { files: Some(files), .. }) if files < MINIMUM_FREE_FILES => {
                format!("{files} inodes are free, and {MINIMUM_FREE_FILES} must stay so")
            }
            _ => return Ok(()),
        };
        Err(StoreError::new(StoreErrorKind::Full, detail))
    }

    /// Refuses keys that are not users, on a server for members only.
    fn check_member(&self, key: Option<&Fingerprint>) -> Result<(), StoreError> {
        let is_member =
            || key.map_or(Ok(None), |key| self.index.account(key)).map(|account| account.is_some());
        if !self.options.members_only || is_member()? {
            return Ok(());
        }
        Err(StoreError::new(StoreErrorKind::NotAMember, "only users of this server may do this"))
    }
}

impl<I: Index, B: Blobs> Store for IndexedStore<I, B> {
    fn create(&self, file: &NewFile) -> Result<Box<dyn FileWriter>, StoreError> {
        Ok(Box::new(IndexedUpload::begin(&self.shared, file)?))
    }

    fn find_upload(&self, cookie: &Cookie) -> Result<Option<UploadKey>, StoreError> {
        if let Some((_, Pending { upload, owner, .. })) = self.shared.pending(cookie)? {
            return Ok(Some(UploadKey {
                header: upload.header,
                verifier: upload.verifier,
                owner: Some(owner),
            }));
        }
        let complete = IndexedDownload::open(&self.shared, cookie)?;
        Ok(complete.and_then(|complete| {
            let StoredFile { header, verifier, owner, .. } = complete.file().clone();
            header.map(|header| UploadKey { header, verifier, owner })
        }))
    }

    fn resume(&self, cookie: &Cookie, offset: u64) -> Result<Option<Resumed>, StoreError> {
        if let Some(resumed) = IndexedUpload::resume(&self.shared, cookie, offset)? {
            return Ok(Some(resumed));
        }
        // A lost acknowledgement must not lose the file (`docs/protocol.md` §17.13).
        let complete =
            self.shared.find(cookie)?.and_then(|(_, Record { header, content, expires, .. })| {
                let Content { size, chain } = header.and(content)?;
                Some(Resumed { upload: None, offset: size, chain, size: Some(size), expires })
            });
        Ok(complete)
    }

    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn FileReader>>, StoreError> {
        let file = IndexedDownload::open(&self.shared, cookie)?;
        Ok(file.map(|file| -> Box<dyn FileReader> { Box::new(file) }))
    }

    fn format(&self, cookie: &Cookie) -> Result<Option<StoredFormat>, StoreError> {
        Ok(self.shared.find(cookie)?.map(|(_, record)| record.header.into()))
    }

    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        self.shared.unpublish(cookie, Some(self.shared.lease()))
    }

    fn remove_owned(&self, cookie: &Cookie, owner: &Fingerprint) -> Result<Removal, StoreError> {
        let is_owned =
            self.shared.find(cookie)?.is_some_and(|(_, record)| record.owner == Some(*owner));
        if is_owned && self.remove(cookie)? {
            return Ok(Removal::Removed);
        }
        self.shared.index.was_unpublished(cookie, owner, self.shared.now()).map(Removal::of_missing)
    }

    fn list(
        &self,
        owner: &Fingerprint,
        after: Option<&Cookie>,
    ) -> Result<Option<Listing>, StoreError> {
        self.shared.check_member(Some(owner))?;
        self.shared.index.list(owner, after, self.shared.now())
    }

    fn sign_up(
        &self,
        key: &Fingerprint,
        name: &UserName,
        invite: Option<&Invite>,
    ) -> Result<Account, StoreError> {
        let by_invite_only = self.shared.options.members_only;
        self.shared.index.sign_up(&SignUp {
            key,
            name,
            invite,
            by_invite_only,
            now: self.shared.now(),
        })
    }

    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError> {
        self.shared.index.account(key)
    }
}
