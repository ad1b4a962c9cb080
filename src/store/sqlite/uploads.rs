//! Files on their way in: reservations, pending uploads (`fss_pending`) and their checkpoints
//! (`fss_checkpoint`).

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::values::{Failure, number, parsed, required_number, sql_integer};
use super::{StoreError, StoreErrorKind, files, owners, users};
use crate::chain::{ChainDigest, DIGEST_LENGTH};
use crate::crypto::Fingerprint;
use crate::crypto::legacy::Verifier;
use crate::sealed::Header;
use crate::store::indexed::{
    COOKIE_TRIES, NameTakenFn, PENDING_IN_ALL, PENDING_PER_OWNER, Pending, Progress, Reservation,
    blob_of,
};
use crate::store::{FILE_CHARGE, NewUpload};
use crate::types::cookie::{Cookie, CookieSource};

/// `None` if no free cookie was found. The numbers are used up even then, so that the next upload
/// does not try them again.
pub(super) fn reserve(
    transaction: &Connection,
    pending: Option<&Pending>,
    files_per_owner: u64,
    cookies: &dyn CookieSource,
    taken: NameTakenFn<'_>,
) -> Result<Option<Reservation>, Failure> {
    if let Some(pending) = pending {
        admit(transaction, pending, files_per_owner)?;
    }
    for _ in 0..COOKIE_TRIES {
        // A name that no blob can have, until the number and with it the cookie are known.
        transaction.execute("INSERT INTO fss_unowned(path) VALUES ('')", [])?;
        let number = transaction.last_insert_rowid();
        let cookie = cookies.cookie(number.unsigned_abs());
        let blob = blob_of(&cookie);
        let known = "SELECT EXISTS(SELECT 1 FROM stored WHERE cookie = ?1 OR path = ?2)
                         OR EXISTS(SELECT 1 FROM fss_unowned WHERE path = ?2)";
        let known: bool =
            transaction.query_row(known, params![cookie.as_str(), blob], |row| row.get(0))?;
        if known || taken(&blob)? {
            transaction.execute("DELETE FROM fss_unowned WHERE id = ?1", [number])?;
            continue;
        }
        transaction
            .execute("UPDATE fss_unowned SET path = ?1 WHERE id = ?2", params![blob, number])?;
        let reservation = Reservation { cookie, blob };
        if let Some(pending) = pending {
            insert(transaction, &reservation, pending)?;
        }
        return Ok(Some(reservation));
    }
    Ok(None)
}

/// Refuses an upload that is more than its owner may have.
fn admit(transaction: &Connection, pending: &Pending, files_per_owner: u64) -> Result<(), Failure> {
    let count = "SELECT count(*) FROM fss_pending WHERE owner = ?1";
    let count: i64 = transaction.query_row(count, [pending.owner.as_bytes()], |row| row.get(0))?;
    if usize::try_from(count).is_ok_and(|count| count >= PENDING_PER_OWNER) {
        let detail = format!("the owner has {count} uploads that are not complete");
        return Err(StoreError::new(StoreErrorKind::TooManyUploads, detail).into());
    }
    let full = "SELECT EXISTS(SELECT 1 FROM fss_pending LIMIT 1 OFFSET ?1)";
    if transaction.query_row(full, [sql_integer(PENDING_IN_ALL - 1)], |row| row.get(0))? {
        let detail = format!("there are {PENDING_IN_ALL} uploads that are not complete");
        return Err(StoreError::new(StoreErrorKind::TooManyUploads, detail).into());
    }
    let files = owners::totals(transaction, &pending.owner)?.files;
    if files >= files_per_owner {
        let detail = format!("the owner has {files} files");
        return Err(StoreError::new(StoreErrorKind::TooManyFiles, detail).into());
    }
    if !users::has_room(transaction, &pending.owner, pending.reserved.saturating_add(FILE_CHARGE))?
    {
        return Err(users::over_quota().into());
    }
    Ok(())
}

fn insert(
    transaction: &Connection,
    reservation: &Reservation,
    pending: &Pending,
) -> Result<(), Failure> {
    let Pending {
        upload: NewUpload { header, verifier, size, keep, downloads },
        owner,
        reserved,
        lease,
    } = pending;
    let insert = "INSERT INTO fss_pending(cookie, blob, header, verifier, owner, size, keep, downloads, reserved, lease)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    transaction.execute(
        insert,
        params![
            reservation.cookie.as_str(),
            reservation.blob,
            header.to_bytes(),
            verifier.as_bytes(),
            owner.as_bytes(),
            size.map(sql_integer),
            keep.map(sql_integer),
            downloads.map(sql_integer),
            sql_integer(*reserved),
            sql_integer(*lease),
        ],
    )?;
    owners::add(transaction, owner, *reserved)
}

pub(super) fn pending(
    connection: &Connection,
    cookie: &Cookie,
) -> Result<Option<(String, Pending)>, Failure> {
    let find = "SELECT * FROM fss_pending WHERE cookie = ?1";
    let found = connection.query_row(find, [cookie.as_str()], |row| {
        let header: Vec<u8> = row.get("header")?;
        let upload = NewUpload {
            header: parsed(Type::Blob, Header::parse(&header))?,
            verifier: Verifier::from_bytes(row.get("verifier")?),
            size: number(row, "size")?,
            keep: number(row, "keep")?,
            downloads: number(row, "downloads")?,
        };
        let owner = Fingerprint::from_bytes(row.get("owner")?);
        let (reserved, lease) = (required_number(row, "reserved")?, required_number(row, "lease")?);
        Ok((row.get("blob")?, Pending { upload, owner, reserved, lease }))
    });
    Ok(found.optional()?)
}

pub(super) fn checkpoints(
    connection: &Connection,
    cookie: &Cookie,
) -> Result<Vec<(u64, ChainDigest)>, Failure> {
    let checkpoints =
        "SELECT position, chain FROM fss_checkpoint WHERE cookie = ?1 ORDER BY position";
    let mut statement = connection.prepare(checkpoints)?;
    let rows = statement.query_map([cookie.as_str()], |row| {
        let chain: [u8; DIGEST_LENGTH] = row.get("chain")?;
        Ok((required_number(row, "position")?, ChainDigest::from_bytes(chain)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The result of [`advance`].
pub(super) enum Advanced {
    Granted,
    /// It is recorded, but the reservation does not fit into the quota.
    OverQuota,
    /// There is no such upload.
    Gone,
}

pub(super) fn advance(
    transaction: &Connection,
    cookie: &Cookie,
    progress: &Progress,
) -> Result<Advanced, Failure> {
    let Progress { position, chain, reserved, lease } = *progress;
    let Some((owner, before)) = going_on(transaction, cookie)? else { return Ok(Advanced::Gone) };
    let renew = "UPDATE fss_pending SET lease = ?2 WHERE cookie = ?1";
    transaction.execute(renew, params![cookie.as_str(), sql_integer(lease)])?;
    let forget = "DELETE FROM fss_checkpoint WHERE cookie = ?1 AND position > ?2";
    transaction.execute(forget, params![cookie.as_str(), sql_integer(position)])?;
    if position > 0 {
        let insert =
            "INSERT OR REPLACE INTO fss_checkpoint(cookie, position, chain) VALUES (?1, ?2, ?3)";
        transaction
            .execute(insert, params![cookie.as_str(), sql_integer(position), chain.as_bytes()])?;
    }
    if reserved > before && !users::has_room(transaction, &owner, reserved - before)? {
        return Ok(Advanced::OverQuota);
    }
    let reserve = "UPDATE fss_pending SET reserved = ?2 WHERE cookie = ?1";
    transaction.execute(reserve, params![cookie.as_str(), sql_integer(reserved)])?;
    owners::change(transaction, &owner, before, reserved)?;
    Ok(Advanced::Granted)
}

/// The owner of a pending upload and what it has reserved; `None` if there is no such upload.
///
/// One whose user was removed is an error: nothing more of it is accepted.
fn going_on(
    transaction: &Connection,
    cookie: &Cookie,
) -> Result<Option<(Fingerprint, u64)>, Failure> {
    let find = "SELECT owner, reserved, lease FROM fss_pending WHERE cookie = ?1";
    let found = transaction.query_row(find, [cookie.as_str()], |row| {
        let owner = Fingerprint::from_bytes(row.get("owner")?);
        Ok((owner, required_number(row, "reserved")?, required_number(row, "lease")?))
    });
    match found.optional()? {
        None => Ok(None),
        Some((_, _, ENDED)) => {
            Err(StoreError::new(StoreErrorKind::NotAMember, "the user of this upload was removed")
                .into())
        }
        Some((owner, reserved, _)) => Ok(Some((owner, reserved))),
    }
}

/// The lease of an upload that cannot be resumed.
const ENDED: u64 = 0;

/// Ends all uploads of an owner: the next sweep removes them.
pub(in crate::store) fn end_all_of(
    transaction: &Connection,
    owner: &Fingerprint,
) -> Result<(), Failure> {
    let end = "UPDATE fss_pending SET lease = ?2 WHERE owner = ?1";
    transaction.execute(end, params![owner.as_bytes(), sql_integer(ENDED)])?;
    Ok(())
}

/// A pending upload becomes a file; `false` if there is none.
pub(super) fn complete(transaction: &Connection, cookie: &Cookie) -> Result<bool, Failure> {
    let there = going_on(transaction, cookie)?.is_some();
    end(transaction, cookie)?;
    Ok(there)
}

pub(super) fn abandon(
    transaction: &Connection,
    cookie: &Cookie,
    lapsed_at: Option<u64>,
) -> Result<Option<String>, Failure> {
    let find = "SELECT blob FROM fss_pending WHERE cookie = ?1 AND (?2 IS NULL OR lease <= ?2)";
    let parameters = params![cookie.as_str(), lapsed_at.map(sql_integer)];
    let blob: Option<String> =
        transaction.query_row(find, parameters, |row| row.get(0)).optional()?;
    if let Some(blob) = &blob {
        end(transaction, cookie)?;
        files::disown(transaction, blob)?;
    }
    Ok(blob)
}

/// Removes a pending upload, if there is one.
fn end(transaction: &Connection, cookie: &Cookie) -> Result<(), Failure> {
    transaction.execute("DELETE FROM fss_checkpoint WHERE cookie = ?1", [cookie.as_str()])?;
    let delete = "DELETE FROM fss_pending WHERE cookie = ?1 RETURNING owner, reserved";
    let ended = transaction.query_row(delete, [cookie.as_str()], |row| {
        Ok((Fingerprint::from_bytes(row.get("owner")?), required_number(row, "reserved")?))
    });
    ended
        .optional()?
        .map_or(Ok(()), |(owner, reserved)| owners::remove(transaction, &owner, reserved))
}

pub(super) fn all(
    connection: &Connection,
    lapsed_at: Option<u64>,
) -> Result<Vec<Reservation>, Failure> {
    let mut statement = connection
        .prepare("SELECT cookie, blob FROM fss_pending WHERE ?1 IS NULL OR lease <= ?1")?;
    let rows = statement.query_map([lapsed_at.map(sql_integer)], |row| {
        let cookie: String = row.get("cookie")?;
        let blob = row.get("blob")?;
        Ok(cookie.parse().ok().map(|cookie| Reservation { cookie, blob }))
    })?;
    // No client can ask for an invalid cookie.
    Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}
