//! What each key has stored, as running totals (`fss_owner`): adding up all files of an owner for
//! each upload would slow uploads down with each file.
//!
//! Whatever inserts, changes or deletes a row that has an owner tells it here, in the same
//! transaction.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::values::{Failure, required_number, sql_integer};
use crate::crypto::Fingerprint;
use crate::store::FILE_CHARGE;

/// What counts against an owner's limits: its files, and its uploads that are not complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) files: u64,
    /// Bytes that are stored or reserved, with the charge for each file.
    pub(super) used: u64,
}

pub(super) fn totals(connection: &Connection, owner: &Fingerprint) -> Result<Totals, Failure> {
    let find = "SELECT files, used FROM fss_owner WHERE key = ?1";
    let totals = connection.query_row(find, [owner.as_bytes()], |row| {
        Ok(Totals { files: required_number(row, "files")?, used: required_number(row, "used")? })
    });
    Ok(totals.optional()?.unwrap_or_default())
}

/// A file, or an upload, of so many bytes has come.
pub(super) fn add(transaction: &Connection, owner: &Fingerprint, size: u64) -> Result<(), Failure> {
    let Totals { files, used } = totals(transaction, owner)?;
    let used = used.saturating_add(size).saturating_add(FILE_CHARGE);
    set(transaction, owner, Totals { files: files.saturating_add(1), used })
}

/// A file, or an upload, of so many bytes has gone.
pub(super) fn remove(
    transaction: &Connection,
    owner: &Fingerprint,
    size: u64,
) -> Result<(), Failure> {
    let Totals { files, used } = totals(transaction, owner)?;
    let used = used.saturating_sub(size).saturating_sub(FILE_CHARGE);
    set(transaction, owner, Totals { files: files.saturating_sub(1), used })
}

/// What an upload has reserved has become another number of bytes.
pub(super) fn change(
    transaction: &Connection,
    owner: &Fingerprint,
    before: u64,
    after: u64,
) -> Result<(), Failure> {
    let Totals { files, used } = totals(transaction, owner)?;
    set(
        transaction,
        owner,
        Totals { files, used: used.saturating_sub(before).saturating_add(after) },
    )
}

fn set(transaction: &Connection, owner: &Fingerprint, totals: Totals) -> Result<(), Failure> {
    if totals.files == 0 {
        transaction.execute("DELETE FROM fss_owner WHERE key = ?1", [owner.as_bytes()])?;
    } else {
        let set = "INSERT OR REPLACE INTO fss_owner(key, files, used) VALUES (?1, ?2, ?3)";
        transaction.execute(
            set,
            params![owner.as_bytes(), sql_integer(totals.files), sql_integer(totals.used)],
        )?;
    }
    Ok(())
}

/// Counts everything again: programs of 2019 remove files and do not know owners.
pub(super) fn recount(transaction: &Connection) -> Result<(), Failure> {
    transaction.execute("DELETE FROM fss_owner", [])?;
    let all = "SELECT owner, coalesce(size, 0) AS size FROM fss_file WHERE owner IS NOT NULL
               UNION ALL SELECT owner, reserved FROM fss_pending ORDER BY owner";
    let mut statement = transaction.prepare(all)?;
    let mut rows = statement.query([])?;
    let mut current: Option<(Fingerprint, Totals)> = None;
    while let Some(row) = rows.next()? {
        let owner = Fingerprint::from_bytes(row.get("owner")?);
        let size = required_number(row, "size")?;
        if let Some((before, totals)) = current.take_if(|(before, _)| *before != owner) {
            set(transaction, &before, totals)?;
        }
        // Not added up by SQLite, which fails where a sum does not fit.
        let (_, totals) = current.get_or_insert((owner, Totals::default()));
        totals.files += 1;
        totals.used = totals.used.saturating_add(size).saturating_add(FILE_CHARGE);
    }
    current.map_or(Ok(()), |(owner, totals)| set(transaction, &owner, totals))
}
