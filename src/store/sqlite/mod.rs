//! The index in SQLite: the table of 2019, never altered, and side tables of our own
//! (`docs/protocol.md` §9, §25).
//!
//! The code of 2019 opens the same database and ignores the side tables.

mod access;
mod connection;
mod database;
mod files;
mod owners;
pub(super) mod uploads;
pub(super) mod users;
mod values;
mod wal;
mod writer;

use std::path::Path;

use super::error::superseded;
use super::indexed::{
    BlobOwner, Index, NameTakenFn, Pending, Progress, Record, Reservation, SignUp, no_cookie_left,
};
use super::{Account, Claim, DownloadClaims, Listing, StoreError, StoreErrorKind};
use crate::chain::ChainDigest;
use crate::crypto::Fingerprint;
use crate::types::cookie::{Cookie, CookieSource};
pub(super) use database::Database;
#[cfg(feature = "profile")]
pub(crate) use database::{Schema, open_database};
#[cfg(feature = "profile")]
pub(crate) use values::{database_error, sql_integer};

/// The database of a server directory.
pub(super) const DATABASE: &str = "fssGlobal.db";

/// An index in a SQLite database.
#[derive(Debug)]
pub struct SqliteIndex(Database);

impl SqliteIndex {
    /// Opens the database of a store, or creates it.
    ///
    /// # Errors
    /// [`StoreErrorKind::Foreign`] if it is the database of something else,
    /// [`StoreErrorKind::Damaged`] if it is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Database::open(path).map(Self)
    }

    /// Opens an existing database for reading, while other processes may have it open. It is not
    /// changed, and may be on a read-only file system.
    pub(super) fn to_read(path: &Path) -> Result<Self, StoreError> {
        Database::open_to_read(path).map(Self)
    }
}

impl SqliteIndex {
    /// Brings what is in SQLite's log into the database.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        self.0.checkpoint()
    }
}

impl Index for SqliteIndex {
    fn reserve(
        &self,
        pending: Option<&Pending>,
        files_per_owner: u64,
        cookies: &dyn CookieSource,
        taken: NameTakenFn<'_>,
    ) -> Result<Reservation, StoreError> {
        let reserved = self.0.write(|transaction| {
            uploads::reserve(transaction, pending, files_per_owner, cookies, taken)
        })?;
        reserved.ok_or_else(no_cookie_left)
    }

    fn pending(&self, cookie: &Cookie) -> Result<Option<(String, Pending)>, StoreError> {
        self.0.read(|connection| uploads::pending(connection, cookie))
    }

    fn checkpoints(&self, cookie: &Cookie) -> Result<Vec<(u64, ChainDigest)>, StoreError> {
        self.0.read(|connection| uploads::checkpoints(connection, cookie))
    }

    fn advance(&self, cookie: &Cookie, progress: &Progress) -> Result<bool, StoreError> {
        match self.0.write(|transaction| uploads::advance(transaction, cookie, progress))? {
            uploads::Advanced::Granted => Ok(true),
            uploads::Advanced::OverQuota => Err(users::over_quota()),
            uploads::Advanced::Gone => Ok(false),
        }
    }

    fn abandon(
        &self,
        cookie: &Cookie,
        lapsed_at: Option<u64>,
    ) -> Result<Option<String>, StoreError> {
        self.0.write(|transaction| uploads::abandon(transaction, cookie, lapsed_at))
    }

    fn uploads(&self, lapsed_at: Option<u64>) -> Result<Vec<Reservation>, StoreError> {
        self.0.read(|connection| uploads::all(connection, lapsed_at))
    }

    fn publish(
        &self,
        reservation: &Reservation,
        stored: u64,
        record: &Record,
    ) -> Result<(), StoreError> {
        self.0.write(|transaction| {
            if !uploads::complete(transaction, &reservation.cookie)? && record.header.is_some() {
                return Err(superseded().into());
            }
            files::insert(transaction, reservation, stored, record)?;
            files::clear_orphan(transaction, &reservation.blob)
        })
    }

    fn find(&self, cookie: &Cookie) -> Result<Option<(String, Record)>, StoreError> {
        self.0.read(|connection| files::find(connection, cookie))
    }

    fn claim(&self, cookie: &Cookie, claim: &Claim) -> Result<bool, StoreError> {
        self.0.write(|transaction| files::claim(transaction, cookie, claim))
    }

    fn deliver(
        &self,
        cookie: &Cookie,
        by: &Fingerprint,
    ) -> Result<Option<DownloadClaims>, StoreError> {
        self.0.write(|transaction| files::deliver(transaction, cookie, by))
    }

    fn delivered(&self) -> Result<Vec<Cookie>, StoreError> {
        self.0.read(files::delivered)
    }

    fn unpublish(
        &self,
        cookie: &Cookie,
        remembered: Option<u64>,
    ) -> Result<Option<String>, StoreError> {
        self.0.write(|transaction| files::unpublish(transaction, cookie, remembered))
    }

    fn was_unpublished(
        &self,
        cookie: &Cookie,
        owner: &Fingerprint,
        now: u64,
    ) -> Result<bool, StoreError> {
        self.0.read(|connection| files::was_unpublished(connection, cookie, owner, now))
    }

    fn count(&self) -> Result<usize, StoreError> {
        self.0.read(files::count)
    }

    fn cookies(&self, expired_at: Option<u64>) -> Result<Vec<Cookie>, StoreError> {
        self.0.read(|connection| files::cookies(connection, expired_at))
    }

    fn list(
        &self,
        owner: &Fingerprint,
        after: Option<&Cookie>,
        now: u64,
    ) -> Result<Option<Listing>, StoreError> {
        self.0.read(|connection| files::list(connection, owner, after, now))
    }

    fn orphans(&self) -> Result<Vec<String>, StoreError> {
        self.0.read(files::orphans)
    }

    fn owner(&self, blob: &str) -> Result<Option<BlobOwner>, StoreError> {
        self.0.read(|connection| files::owner(connection, blob))
    }

    fn clear_orphan(&self, blob: &str) -> Result<(), StoreError> {
        self.0.write(|transaction| files::clear_orphan(transaction, blob))
    }

    fn sign_up(&self, wish: &SignUp<'_>) -> Result<Account, StoreError> {
        self.0.write(|transaction| users::sign_up(transaction, wish))
    }

    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError> {
        self.0.read(|connection| users::account(connection, key))
    }
}
