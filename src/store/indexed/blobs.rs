//! The contents of a store, which a file system keeps.

use bytes::Bytes;

use crate::crypto::legacy::Verifier;
use crate::store::StoreError;

/// What a disk has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Free {
    /// Bytes.
    pub bytes: u64,
    /// Files and directories, where their number is limited.
    pub files: Option<u64>,
}

impl Free {
    /// Free bytes, and free inodes where their number is limited.
    pub fn new(bytes: u64, files: Option<u64>) -> Self {
        Self { bytes, files }
    }
}

/// The contents of a store: named blobs, each with the verifier of its password. The header of a
/// sealed file is the first bytes of its blob.
pub trait Blobs: Send + Sync + 'static {
    /// Begins a blob that nobody sees yet.
    ///
    /// # Errors
    /// [`StoreError`]
    fn stage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError>;

    /// Goes on with a blob that was begun; what was not synced may be missing. It is staged again,
    /// even if it had been published already.
    ///
    /// # Errors
    /// [`StoreError`]
    fn restage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError>;

    /// The names of all blobs that are staged.
    ///
    /// # Errors
    /// [`StoreError`]
    fn staged(&self) -> Result<Vec<String>, StoreError>;

    /// The names of all blobs that are published, and of what else could be one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn published(&self) -> Result<Vec<String>, StoreError>;

    /// Publishes a blob that a record names, durably, if a power cut has left it staged. What is
    /// published stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]
    fn recover(&self, blob: &str) -> Result<(), StoreError>;

    /// Whether there is a published blob of this name.
    ///
    /// # Errors
    /// [`StoreError`]
    fn exists(&self, blob: &str) -> Result<bool, StoreError>;

    /// Opens a published blob for reading.
    ///
    /// # Errors
    /// [`Damaged`](crate::store::StoreErrorKind::Damaged) if it is missing: the index said that it
    /// is there.
    fn open(&self, blob: &str) -> Result<Box<dyn OpenBlob>, StoreError>;

    /// What there is room for; `None` if that is not known.
    ///
    /// # Errors
    /// [`StoreError`]
    fn free(&self) -> Result<Option<Free>, StoreError> {
        Ok(None)
    }

    /// Removes a staged blob, under each name that a power cut has left it, and says whether there
    /// was one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn discard(&self, blob: &str) -> Result<bool, StoreError>;

    /// Removes a published blob, durably, under each name that a power cut has left it. One that is
    /// not there is removed already.
    ///
    /// # Errors
    /// [`StoreError`]
    fn remove(&self, blob: &str) -> Result<(), StoreError>;
}

/// A blob that is being written.
pub trait StagedBlob: Send {
    /// How many bytes it has.
    ///
    /// # Errors
    /// [`StoreError`]
    fn length(&self) -> Result<u64, StoreError>;

    /// Appends bytes.
    ///
    /// # Errors
    /// [`StoreError`]
    fn append(&mut self, data: &[u8]) -> Result<(), StoreError>;

    /// Makes what was appended durable, so that [`Blobs::restage`] finds it after a crash.
    ///
    /// # Errors
    /// [`StoreError`]
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Cuts it to so many bytes, durably.
    ///
    /// # Errors
    /// [`StoreError`]
    fn truncate(&mut self, length: u64) -> Result<(), StoreError>;

    /// Makes the blob durable, then gives it its name, durably. Fails if there is something of that
    /// name.
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
