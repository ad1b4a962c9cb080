//! A profile's passwords, the present one and those before it, and what each may be used for
//! (`docs/protocol.md` §23).

use std::fmt;
use std::sync::OnceLock;

use rand_core::Rng as _;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::database::{Database, get, get_optional};
use super::files::Format;
use super::password_id::PasswordId;
use super::ring::{self, Ring};
use super::{Profile, ProfileError};
use crate::store::{StoreError, StoreErrorKind};
use crate::types::random::SystemRng;
use crate::types::secret::Password;

/// The passwords of a profile that is open. Wiped when dropped.
pub struct Passwords {
    present: Password,
    present_id: PasswordId,
    salts: Vec<(PasswordId, [u8; SALT])>,
    /// The former passwords, sealed under the present one; there are none without. To open it costs
    /// as much as any sealed file, so that is done when one of them is asked for.
    sealed: Option<Vec<u8>>,
    former: OnceLock<Ring>,
}

const SALT: usize = 16;

impl Passwords {
    /// The present password.
    pub fn present(&self) -> &Password {
        &self.present
    }

    /// Which one the present password is.
    pub fn present_id(&self) -> PasswordId {
        self.present_id
    }

    /// The password with this number, if it is known. The first call for a former one takes about
    /// 0.1 s.
    ///
    /// # Errors
    /// [`ProfileError::FormerPasswordsDamaged`], [`ProfileError::FormerPasswords`]
    pub fn password_of(&self, id: PasswordId) -> Result<Option<&Password>, ProfileError> {
        if id == self.present_id {
            return Ok(Some(&self.present));
        }
        Ok(self.former()?.iter().find(|(former, _)| *former == id).map(|(_, password)| password))
    }

    /// The salt of the sealed files of a password: one for all, so that its key is derived once
    /// (`docs/protocol.md` §21.3).
    pub fn salt_of(&self, id: PasswordId) -> Option<&[u8; SALT]> {
        self.salts.iter().find(|(of, _)| *of == id).map(|(_, salt)| salt)
    }

    fn former(&self) -> Result<&Ring, ProfileError> {
        if let Some(former) = self.former.get() {
            return Ok(former);
        }
        let former = match &self.sealed {
            Some(sealed) => {
                ring::open(sealed, &self.present)?.ok_or(ProfileError::FormerPasswordsDamaged)?
            }
            None => Ring::new(),
        };
        Ok(self.former.get_or_init(|| former))
    }

    /// Loads the passwords of a profile whose key was opened with `present`. The caller holds the
    /// profile's lock.
    pub(super) fn load(database: &Database, present: &Password) -> Result<Self, ProfileError> {
        // A profile without this row is from before there were any: its password may have been sent
        // in FSS 1.0.
        database
            .write(|transaction| insert(transaction, PasswordId::FIRST, Some(Format::Legacy)))?;
        let (present_id, sealed) = match settle(database, present)? {
            Some((id, sealed)) => (id, Some(sealed)),
            None => (PasswordId::FIRST, None),
        };
        let salts = "SELECT generation, salt FROM fss_password";
        let salts =
            database.rows(salts, [], |row| Ok((get(row, "generation")?, row.get("salt")?)))?;
        Ok(Self { present: present.clone(), present_id, salts, sealed, former: OnceLock::new() })
    }

    /// The first step of a change: stores the ring for the new password alongside the old one. The
    /// password that opens the key decides which of them is valid, and [`forget_rings`] is the last
    /// step.
    pub(super) fn prepare_change(
        &self,
        database: &Database,
        new: &Password,
        format: Option<Format>,
    ) -> Result<PasswordId, ProfileError> {
        let former = match self.former() {
            // 2019 code has changed the password, as it may while nothing is listed. Nothing needs
            // what is lost.
            Err(ProfileError::FormerPasswordsDamaged) if !are_needed(database)? => &Ring::new(),
            former => former?,
        };
        let mut ring = former.clone();
        ring.push((self.present_id, self.present.clone()));
        // As a new one it would be good for either format, whatever it was used for
        // (`docs/protocol.md` §23.4).
        if ring.iter().any(|(_, password)| password.expose() == new.expose()) {
            return Err(ProfileError::PasswordUsedBefore);
        }
        // The first password has no ring until it has to be told from the second.
        let first = self.sealed.is_none();
        let present_ring = if first { Some(ring::seal(former, &self.present)?) } else { None };
        let new_ring = ring::seal(&ring, new)?;
        let id = next_id(database)?;
        database.write(|transaction| {
            if let Some(sealed) = present_ring {
                insert_ring(transaction, self.present_id, &sealed)?;
            }
            insert_ring(transaction, id, &new_ring)?;
            insert(transaction, id, format)
        })?;
        Ok(id)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords(..)")
    }
}

impl Profile {
    /// Binds a password to a format: to seal files, or to be sent in FSS 1.0. Its first use decides
    /// which of both it is good for, for ever (`docs/protocol.md` §23.4), and is on disk when this
    /// returns.
    ///
    /// Call it when the version of the connection is known, before anything derived from the
    /// password is sent. Passwords of files' own are not the profile's and need no such care.
    ///
    /// # Errors
    /// [`ProfileError::PasswordWasSent`], [`ProfileError::PasswordSealsFiles`]
    pub fn bind_password(&self, id: PasswordId, format: Format) -> Result<(), ProfileError> {
        match (self.database.write(|transaction| bind(transaction, id, format))?, format) {
            (Some(bound), _) if bound == format => Ok(()),
            (Some(_), Format::Sealed) => Err(ProfileError::PasswordWasSent),
            (Some(_), Format::Legacy) => Err(ProfileError::PasswordSealsFiles),
            (None, _) => {
                let detail = format!("the profile has no password with the number {}", id.number());
                Err(StoreError::new(StoreErrorKind::Misuse, detail).into())
            }
        }
    }
}

/// The first password of a new key, before there is the key. Where files are listed it is not
/// theirs.
pub(super) fn begin(
    database: &Database,
    password: &Password,
    format: Option<Format>,
) -> Result<(), ProfileError> {
    let id = next_id(database)?;
    let sealed =
        if id == PasswordId::FIRST { None } else { Some(ring::seal(&Ring::new(), password)?) };
    database.write(|transaction| {
        if let Some(sealed) = sealed {
            insert_ring(transaction, id, &sealed)?;
        }
        insert(transaction, id, format)
    })?;
    Ok(())
}

/// Removes all rings but that of the password which now opens the key.
pub(super) fn forget_rings(database: &Database, present: PasswordId) -> Result<(), StoreError> {
    database.write(|transaction| {
        transaction
            .execute("DELETE FROM fss_ring WHERE generation <> ?1", [present.number()])
            .map(drop)
    })
}

/// A ring, and whose it is.
type SealedRing = (PasswordId, Vec<u8>);

/// The ring of the present password. If a change was cut short there are several, and the one that
/// opens is it.
fn settle(database: &Database, present: &Password) -> Result<Option<SealedRing>, ProfileError> {
    let rings = "SELECT generation, sealed FROM fss_ring ORDER BY generation DESC";
    let mut rings: Vec<SealedRing> =
        database.rows(rings, [], |row| Ok((get(row, "generation")?, row.get("sealed")?)))?;
    if rings.len() > 1 {
        for (index, (id, sealed)) in rings.iter().enumerate() {
            if ring::open(sealed, present)?.is_some() {
                forget_rings(database, *id)?;
                return Ok(Some(rings.swap_remove(index)));
            }
        }
    }
    // If none opens, nothing is dropped, and who asks for a former password is told.
    rings.truncate(1);
    Ok(rings.pop())
}

/// Whether anything may have a former password.
fn are_needed(database: &Database) -> Result<bool, StoreError> {
    let needed = "SELECT EXISTS(SELECT 1 FROM cookies) OR EXISTS(SELECT 1 FROM fss_upload)";
    Ok(database.rows(needed, [], |row| row.get(0))?.contains(&true))
}

/// A number that no password has had, nor the files that are listed.
fn next_id(database: &Database) -> Result<PasswordId, StoreError> {
    let next = "SELECT coalesce(max(generation) + 1, EXISTS(SELECT 1 FROM cookies)) AS next FROM fss_password";
    database.write(|transaction| transaction.query_row(next, [], |row| get(row, "next")))
}

fn insert(
    transaction: &Transaction<'_>,
    id: PasswordId,
    format: Option<Format>,
) -> rusqlite::Result<()> {
    let mut salt = [0; SALT];
    SystemRng.fill_bytes(&mut salt);
    let insert = "INSERT OR IGNORE INTO fss_password(generation, salt, format) VALUES (?1, ?2, ?3)";
    transaction.execute(insert, params![id.number(), salt, format.map(Format::number)]).map(drop)
}

fn insert_ring(
    transaction: &Transaction<'_>,
    id: PasswordId,
    sealed: &[u8],
) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT INTO fss_ring(generation, sealed) VALUES (?1, ?2)",
            params![id.number(), sealed],
        )
        .map(drop)
}

/// Binds a password to a format if it is to none, and says to which it is; `None` if there is no
/// such password.
fn bind(
    transaction: &Transaction<'_>,
    id: PasswordId,
    format: Format,
) -> rusqlite::Result<Option<Format>> {
    let bind = "UPDATE fss_password SET format = ?2 WHERE generation = ?1 AND format IS NULL";
    transaction.execute(bind, params![id.number(), format.number()])?;
    let bound = "SELECT format FROM fss_password WHERE generation = ?1";
    transaction
        .query_row(bound, [id.number()], |row| get_optional(row, "format"))
        .optional()
        .map(Option::flatten)
}
