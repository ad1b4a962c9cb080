//! The store of real servers: a SQLite index and a directory of files, in the layout of 2019.
//!
//! A server directory of 2019 is opened and served in place, and stays readable by the code of 2019.

use std::path::Path;

use super::StoreError;
use super::filesystem::FilesystemBlobs;
use super::indexed::{IndexedStore, Retention};
use super::sqlite::SqliteIndex;
use crate::cookie::{CookieSource, RandomCookies};
use crate::time::{SystemClock, WallClock};

const DATABASE: &str = "fssGlobal.db";

/// Files in a directory, indexed by SQLite.
///
/// ```no_run
/// let store = fss::store::EmbeddedStore::in_directory("fss-data".as_ref())?;
/// # Ok::<(), fss::store::StoreError>(())
/// ```
pub type EmbeddedStore = IndexedStore<SqliteIndex, FilesystemBlobs>;

/// How a store is opened: [`OpenOptions::default`] has random cookies, keeps files for ever, and reads the system's clock.
pub struct OpenOptions {
    cookies: Box<dyn CookieSource>,
    clock: Box<dyn WallClock>,
    retention: Retention,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { cookies: Box::new(RandomCookies), clock: Box::new(SystemClock), retention: Retention::Forever }
    }
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenOptions").field("retention", &self.retention).finish_non_exhaustive()
    }
}

impl OpenOptions {
    /// Where the cookies of new files come from.
    #[must_use]
    pub fn cookies(mut self, cookies: impl CookieSource + 'static) -> Self {
        self.cookies = Box::new(cookies);
        self
    }

    /// The clock for dates and expiry.
    #[must_use]
    pub fn clock(mut self, clock: impl WallClock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// How long new files are kept.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Opens the store in a directory, which is created if it is not there, and cleans up what a crash has left behind.
    ///
    /// # Errors
    /// [`Busy`] if another process has it open, [`Foreign`] or [`Damaged`] if what is there is not a store, and what the
    /// operating system says.
    ///
    /// [`Busy`]: super::StoreErrorKind::Busy
    /// [`Foreign`]: super::StoreErrorKind::Foreign
    /// [`Damaged`]: super::StoreErrorKind::Damaged
    pub fn open(self, directory: &Path) -> Result<EmbeddedStore, StoreError> {
        // The blobs first: they hold the lock.
        let blobs = FilesystemBlobs::open(directory)?;
        let index = SqliteIndex::open(&directory.join(DATABASE))?;
        EmbeddedStore::recover(index, blobs, self.cookies, self.clock, self.retention)
    }
}

impl EmbeddedStore {
    /// Opens the store in a directory with the default options.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn in_directory(directory: &Path) -> Result<Self, StoreError> {
        OpenOptions::default().open(directory)
    }
}
