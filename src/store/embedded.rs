//! The store of real servers: a SQLite index and a directory of files, in the layout of 2019.
//!
//! A server directory of 2019 is opened and served in place, and stays readable by the code of
//! 2019.

use std::path::Path;

use super::filesystem::FilesystemBlobs;
use super::indexed::IndexedStore;
use super::sqlite::{DATABASE, SqliteIndex};
use super::{OpenOptions, StoreError};

/// Files in a directory, indexed by SQLite.
///
/// ```no_run
/// let store = fss::store::EmbeddedStore::in_directory("fss-data".as_ref())?;
/// # Ok::<(), fss::store::StoreError>(())
/// ```
pub type EmbeddedStore = IndexedStore<SqliteIndex, FilesystemBlobs>;

impl OpenOptions {
    /// Opens the store in a directory, which is created if it is not there, and cleans up what a
    /// crash has left behind.
    ///
    /// # Errors
    /// [`Busy`] if another process has it open, [`Foreign`] or [`Damaged`] if the directory is not
    /// a store, and errors of the operating system.
    ///
    /// [`Busy`]: super::StoreErrorKind::Busy
    /// [`Foreign`]: super::StoreErrorKind::Foreign
    /// [`Damaged`]: super::StoreErrorKind::Damaged
    pub fn open(self, directory: &Path) -> Result<EmbeddedStore, StoreError> {
        // The blobs first: they hold the lock.
        let blobs = FilesystemBlobs::open(directory)?;
        let index = SqliteIndex::open(&directory.join(DATABASE))?;
        EmbeddedStore::recover(index, blobs, self)
    }
}

impl EmbeddedStore {
    /// Checkpoints the database's log, as a server does when it stops. It is not needed for
    /// durability.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.index().checkpoint()
    }

    /// Opens the store in a directory with the default options.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn in_directory(directory: &Path) -> Result<Self, StoreError> {
        OpenOptions::default().open(directory)
    }
}
