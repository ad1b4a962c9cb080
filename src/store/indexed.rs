//! A store made of an index and blobs. The order of steps between the two is decided here and nowhere else.
//!
//! ```text
//! upload    reserve (index, durable) → stage, write, sync (blobs) → publish the name (blobs) → publish the record (index)
//! remove    withdraw the record, note the blob as unowned (index, durable) → remove it (blobs) → forget the note (index)
//! open      for each blob that the index notes as unowned: remove it, forget the note
//! ```
//!
//! So at every moment a blob belongs to a record, or is noted as unowned, or is not ours and is left alone. A record is
//! written last and withdrawn first: what it names is always whole.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Download, Store, StoreError, StoreErrorKind, Upload};
use crate::chain::{Chain, ChainDigest};
use crate::cookie::{Cookie, CookieSource};
use crate::crypto::legacy::Verifier;
use crate::time::WallClock;

/// How many cookies are tried before a store says that it finds none that is free.
pub(crate) const COOKIE_TRIES: usize = 16;

pub(crate) fn no_cookie_left() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, format!("no free cookie found in {COOKIE_TRIES} tries"))
}

/// How long files are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// Until somebody removes them.
    #[default]
    Forever,
    /// Until a client has acknowledged the whole file.
    UntilDownloaded,
    /// For this long after the upload.
    For(Duration),
}

/// Says whether there is a blob of this name, be it ours or not.
pub type Taken<'a> = &'a dyn Fn(&str) -> Result<bool, StoreError>;

/// The records of a store.
pub trait Index: Send + Sync + 'static {
    /// Reserves a cookie from `cookies` that no file has and whose blob's name is not `taken`, and durably notes the
    /// blob as unowned.
    ///
    /// # Errors
    /// [`StoreError`]
    fn reserve(&self, cookies: &dyn CookieSource, taken: Taken<'_>) -> Result<Reservation, StoreError>;

    /// Turns a reservation into a record, durably and in one step.
    ///
    /// # Errors
    /// [`StoreError`]
    fn publish(&self, reservation: &Reservation, record: &Record) -> Result<(), StoreError>;

    /// The name of the blob of a file that has not expired at `now`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(&self, cookie: &Cookie, now: u64) -> Result<Option<String>, StoreError>;

    /// What was recorded of a file's content, be the file expired or not: `None` within if it was stored by an earlier
    /// version that did not record it, `None` without if there is no such file.
    ///
    /// # Errors
    /// [`StoreError`]
    fn content(&self, cookie: &Cookie) -> Result<Option<(String, Option<Content>)>, StoreError>;

    /// Withdraws a record and notes its blob, whose name it gives, as unowned, durably and in one step.
    ///
    /// # Errors
    /// [`StoreError`]
    fn withdraw(&self, cookie: &Cookie) -> Result<Option<String>, StoreError>;

    /// How many files there are.
    ///
    /// # Errors
    /// [`StoreError`]
    fn count(&self) -> Result<usize, StoreError>;

    /// The cookies of all files, or of those that have expired at a moment, in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]
    fn cookies(&self, expired_at: Option<u64>) -> Result<Vec<Cookie>, StoreError>;

    /// The names of all blobs that are noted as unowned, and that no record names.
    ///
    /// # Errors
    /// [`StoreError`]
    fn unowned(&self) -> Result<Vec<String>, StoreError>;

    /// Forgets the note about a blob that is not there any more.
    ///
    /// # Errors
    /// [`StoreError`]
    fn forget(&self, blob: &str) -> Result<(), StoreError>;
}

/// A cookie that no other file can get, and the name of the blob that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The cookie.
    pub cookie: Cookie,
    /// The blob's name: a single component, without separators.
    pub blob: String,
}

/// What an index keeps of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was stored, in Unix seconds.
    pub stored: u64,
    /// When it will be gone, in Unix seconds.
    pub expires: Option<u64>,
    /// What its blob holds.
    pub content: Content,
}

/// What a blob holds, to be compared with its bytes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The size in bytes.
    pub size: u64,
    /// The chain over all bytes (`docs/protocol.md` §22).
    pub chain: ChainDigest,
}

/// The contents of a store: named blobs, each with the verifier of its password.
pub trait Blobs: Send + Sync + 'static {
    /// Begins a blob that nobody sees yet.
    ///
    /// # Errors
    /// [`StoreError`]
    fn stage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError>;

    /// Whether there is a published blob of this name.
    ///
    /// # Errors
    /// [`StoreError`]
    fn exists(&self, blob: &str) -> Result<bool, StoreError>;

    /// Opens a published blob for reading.
    ///
    /// # Errors
    /// [`StoreErrorKind::Damaged`] if it is missing: the index said that it is there.
    fn open(&self, blob: &str) -> Result<Box<dyn OpenBlob>, StoreError>;

    /// Removes a blob that is being written. One that is not there is removed already.
    ///
    /// # Errors
    /// [`StoreError`]
    fn discard(&self, blob: &str) -> Result<(), StoreError>;

    /// Removes a published blob, durably. One that is not there is removed already.
    ///
    /// # Errors
    /// [`StoreError`]
    fn remove(&self, blob: &str) -> Result<(), StoreError>;
}

/// A blob that is being written.
pub trait StagedBlob: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`StoreError`]
    fn append(&mut self, data: &[u8]) -> Result<(), StoreError>;

    /// Makes the blob durable, then gives it its name, durably. Fails if there is something of that name.
    ///
    /// # Errors
    /// [`StoreError`]; there is then no blob of that name that was not there before.
    fn publish(self: Box<Self>) -> Result<(), StoreError>;
}

/// A blob that is being read.
pub trait OpenBlob: Send {
    /// What the file's password is checked with.
    fn verifier(&self) -> &Verifier;

    /// The size in bytes.
    fn size(&self) -> u64;

    /// Reads exactly `length` bytes at `offset`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, StoreError>;
}

/// A store made of an index and blobs. Clones share the same files.
pub struct IndexedStore<I, B> {
    shared: Arc<Shared<I, B>>,
}

struct Shared<I, B> {
    index: I,
    blobs: B,
    cookies: Box<dyn CookieSource>,
    clock: Box<dyn WallClock>,
    retention: Retention,
}

impl<I, B> Clone for IndexedStore<I, B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<I, B> std::fmt::Debug for IndexedStore<I, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexedStore").field("retention", &self.shared.retention).finish_non_exhaustive()
    }
}

impl<I: Index, B: Blobs> IndexedStore<I, B> {
    /// Puts a store together, and removes what a crash has left behind. Nobody else may be using the same backends.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn recover(
        index: I,
        blobs: B,
        cookies: Box<dyn CookieSource>,
        clock: Box<dyn WallClock>,
        retention: Retention,
    ) -> Result<Self, StoreError> {
        for blob in index.unowned()? {
            blobs.discard(&blob)?;
            blobs.remove(&blob)?;
            index.forget(&blob)?;
        }
        let store = Self { shared: Arc::new(Shared { index, blobs, cookies, clock, retention }) };
        store.remove_expired()?;
        Ok(store)
    }

    /// Removes the files whose time is over, and says how many they were.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove_expired(&self) -> Result<usize, StoreError> {
        self.remove_all(&self.shared.index.cookies(Some(self.shared.clock.unix_seconds()))?)
    }

    /// Removes every file, and says how many they were.
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
        cookies.iter().try_fold(0, |removed, cookie| Ok(removed + usize::from(self.shared.remove(cookie)?)))
    }
}

impl<I: Index, B: Blobs> Shared<I, B> {
    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        let Some(blob) = self.index.withdraw(cookie)? else { return Ok(false) };
        self.blobs.remove(&blob)?;
        self.index.forget(&blob)?;
        Ok(true)
    }

    fn expiry(&self, now: u64) -> Option<u64> {
        match self.retention {
            Retention::For(time) => Some(now.saturating_add(time.as_secs())),
            Retention::Forever | Retention::UntilDownloaded => None,
        }
    }
}

impl<I: Index, B: Blobs> Store for IndexedStore<I, B> {
    fn create(&self, verifier: &Verifier) -> Result<Box<dyn Upload>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let reservation = shared.index.reserve(&*shared.cookies, &|blob| shared.blobs.exists(blob))?;
        match shared.blobs.stage(&reservation.blob, verifier) {
            Ok(staged) => {
                let chain = Chain::new(b"");
                Ok(Box::new(Incoming { shared, reservation, staged: Some(staged), chain, stage: Stage::Staged }))
            }
            Err(error) => {
                // The error to tell is the first one; the note in the index stays until the next start if this fails too.
                let _ = shared.index.forget(&reservation.blob);
                Err(error)
            }
        }
    }

    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn Download>>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let Some(name) = shared.index.find(cookie, shared.clock.unix_seconds())? else { return Ok(None) };
        match shared.blobs.open(&name) {
            Ok(blob) => Ok(Some(Box::new(Outgoing { shared, cookie: cookie.clone(), blob }))),
            // It may have been removed between the two steps.
            Err(_) if shared.index.find(cookie, shared.clock.unix_seconds())?.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        self.shared.remove(cookie)
    }
}

struct Incoming<I: Index, B: Blobs> {
    shared: Arc<Shared<I, B>>,
    reservation: Reservation,
    staged: Option<Box<dyn StagedBlob>>,
    chain: Chain,
    stage: Stage,
}

/// How far an upload has come, and so what is to be removed if it ends here.
enum Stage {
    Staged,
    Published,
    /// Nothing, now.
    Settled,
}

impl<I: Index, B: Blobs> Upload for Incoming<I, B> {
    fn cookie(&self) -> &Cookie {
        &self.reservation.cookie
    }

    fn write(&mut self, offset: u64, data: Bytes) -> Result<(), StoreError> {
        let staged = self.staged.as_mut().filter(|_| offset == self.chain.position());
        let staged =
            staged.ok_or_else(|| StoreError::new(StoreErrorKind::Misuse, "a write that does not follow the one before"))?;
        staged.append(&data)?;
        self.chain.update(&data);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if let Some(staged) = self.staged.take() {
            staged.publish()?;
            self.stage = Stage::Published;
        }
        let stored = self.shared.clock.unix_seconds();
        let content = Content { size: self.chain.position(), chain: self.chain.digest() };
        let record = Record { stored, expires: self.shared.expiry(stored), content };
        let published = self.shared.index.publish(&self.reservation, &record);
        // A failed commit of a database may have taken effect, and an upload that is refused must not be seen. If even
        // that cannot be settled now, the blob stays: the next start knows whether a record names it.
        if published.is_ok() || self.shared.index.withdraw(&self.reservation.cookie).is_err() {
            self.stage = Stage::Settled;
        }
        published
    }
}

impl<I: Index, B: Blobs> Drop for Incoming<I, B> {
    fn drop(&mut self) {
        self.staged = None;
        let blob = &self.reservation.blob;
        let removed = match self.stage {
            // What has the blob's name, if anything, is not ours.
            Stage::Staged => self.shared.blobs.discard(blob),
            Stage::Published => self.shared.blobs.remove(blob),
            Stage::Settled => return,
        };
        // Should this fail, the note in the index stays and the next start cleans up.
        if removed.is_ok() {
            let _ = self.shared.index.forget(blob);
        }
    }
}

struct Outgoing<I, B> {
    shared: Arc<Shared<I, B>>,
    cookie: Cookie,
    blob: Box<dyn OpenBlob>,
}

impl<I: Index, B: Blobs> Download for Outgoing<I, B> {
    fn verifier(&self) -> &Verifier {
        self.blob.verifier()
    }

    fn size(&self) -> u64 {
        self.blob.size()
    }

    fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        self.blob.read(offset, length)
    }

    fn delivered(self: Box<Self>) -> Result<(), StoreError> {
        if self.shared.retention == Retention::UntilDownloaded {
            self.shared.remove(&self.cookie)?;
        }
        Ok(())
    }
}
