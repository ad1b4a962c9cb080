//! The users of a server directory, as its operator sees them.

use std::path::Path;

use rand_core::CryptoRng;

pub use super::sqlite::users::User;
use super::sqlite::{DATABASE, Database, uploads, users};
use super::{Invite, StoreError, StoreErrorKind, UserName};
use crate::crypto::Fingerprint;
use crate::types::time::{SystemClock, WallClock as _};
use crate::types::user::INVITE_LENGTH;

/// The users of a server directory. A server may be running at the same time: only the database is
/// opened.
///
/// ```no_run
/// let users = fss::store::Users::open("fss-data".as_ref())?;
/// let invite = users.invite(&mut fss::SystemRng, Some(10 << 30))?;
/// # Ok::<(), fss::store::StoreError>(())
/// ```
#[derive(Debug)]
pub struct Users {
    database: Database,
}

impl Users {
    /// Opens the database of a server directory.
    ///
    /// # Errors
    /// [`StoreErrorKind::Foreign`] if there is none, or it is of something else,
    /// [`StoreErrorKind::Damaged`] if it is broken.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE);
        if !path.is_file() {
            let detail =
                format!("{} is no server directory: it has no {DATABASE}", directory.display());
            return Err(StoreError::new(StoreErrorKind::Foreign, detail));
        }
        Ok(Self { database: Database::open_existing(&path)? })
    }

    /// All users, by name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list(&self) -> Result<Vec<User>, StoreError> {
        self.database.read(users::list)
    }

    /// Makes a key a user.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::NameTaken`], and [`StoreErrorKind::Exists`] for a key that
    /// is a user's.
    pub fn add(
        &self,
        key: &Fingerprint,
        name: &UserName,
        quota: Option<u64>,
    ) -> Result<(), StoreError> {
        self.database.write(|transaction| {
            users::add(transaction, key, name, quota, SystemClock.unix_seconds())
        })
    }

    /// Removes a user, and returns whether there was one. Its key keeps its files.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove(&self, name: &UserName) -> Result<bool, StoreError> {
        self.database.write(|transaction| {
            let removed = users::remove(transaction, name)?;
            if let Some(key) = &removed {
                uploads::end_all_of(transaction, key)?;
            }
            Ok(removed.is_some())
        })
    }

    /// Sets the quota of a user, in bytes, and returns whether there is one. Files beyond it stay.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_quota(&self, name: &UserName, quota: Option<u64>) -> Result<bool, StoreError> {
        self.database.write(|transaction| users::set_quota(transaction, name, quota))
    }

    /// Creates an invite: its holder can become a user once, within 7 days, with this quota. Only
    /// its hash is stored.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn invite(
        &self,
        rng: &mut impl CryptoRng,
        quota: Option<u64>,
    ) -> Result<Invite, StoreError> {
        let mut bytes = [0; INVITE_LENGTH];
        rng.fill_bytes(&mut bytes);
        let invite = Invite::from_bytes(bytes);
        self.database.write(|transaction| {
            users::invite(transaction, &invite, quota, SystemClock.unix_seconds())
        })?;
        Ok(invite)
    }
}
