//! The contents of files, on a file system or an object store.

use crate::crypto::legacy::Verifier;
use crate::store::StoreError;

/// Free space on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FreeSpace {
    /// Bytes.
    pub bytes: u64,
    /// Files and directories, where their number is limited.
    pub files: Option<u64>,
}

impl FreeSpace {
    /// Free bytes, and free inodes where their number is limited.
    pub fn new(bytes: u64, files: Option<u64>) -> Self {
        Self { bytes, files }
    }
}

/// The contents of a store: named blobs, each with the verifier of its password. The header of a
/// sealed file is the first bytes of its blob.
pub trait Blobs: Send + Sync + 'static {
    /// Starts a blob that is not visible yet.
    ///
    /// # Errors
    /// [`StoreError`]
    fn stage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError>;

    /// Resumes a staged blob; what was not synced may be missing. It is staged again even if it was
    /// published.
    ///
    /// # Errors
    /// [`StoreError`]
    fn restage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError>;

    /// The names of all blobs that are staged.
    ///
    /// # Errors
    /// [`StoreError`]
    fn staged(&self) -> Result<Vec<String>, StoreError>;

    /// The names of all published blobs, and of anything else that could be one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn published(&self) -> Result<Vec<String>, StoreError>;

    /// Publishes a blob that a record names, durably, if a power cut has left it staged. A
    /// published one is not changed.
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
    /// [`Damaged`](crate::store::StoreErrorKind::Damaged) if it is missing, since the index has it.
    fn open(&self, blob: &str) -> Result<Box<dyn OpenBlob>, StoreError>;

    /// The free space; `None` if it is not known.
    ///
    /// # Errors
    /// [`StoreError`]
    fn free(&self) -> Result<Option<FreeSpace>, StoreError> {
        Ok(None)
    }

    /// Removes a staged blob, under each name that a power cut has left it, and returns whether
    /// there was one.
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

    /// Truncates it to this many bytes, durably.
    ///
    /// # Errors
    /// [`StoreError`]
    fn truncate(&mut self, length: u64) -> Result<(), StoreError>;

    /// Makes the blob durable, then gives it its published name, durably. Fails if that name
    /// exists.
    ///
    /// # Errors
    /// [`StoreError`]; the blob is then not published.
    fn publish(self: Box<Self>) -> Result<(), StoreError>;
}

/// A blob that is being read.
pub trait OpenBlob: Send {
    /// The verifier of the file's password.
    fn verifier(&self) -> &Verifier;

    /// The size in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError>;
}
