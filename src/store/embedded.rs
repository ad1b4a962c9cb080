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
    /// [`Busy`] if another process has it open, [`Foreign`] or [`Damaged`] if what is there is not
    /// a store, and what the operating system says.
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
    /// Brings what is in the database's log into the database, as a server does when it stops.
    /// Nothing depends on it.
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
