//! Files that are complete (`stored`, `fss_file`), and blobs that are no file's (`fss_unowned`).

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::owners;
use super::values::{Failure, number, parsed, required_number, sql_integer};
use crate::chain::{ChainDigest, DIGEST_LENGTH};
use crate::crypto::Fingerprint;
use crate::sealed::Header;
use crate::store::indexed::{BlobOwner, Content, Record, Reservation};
use crate::store::{Claim, DownloadClaims, Entry, LISTED_AT_ONCE, Listing, REMOVED_REMEMBERED};
use crate::types::cookie::Cookie;

pub(super) fn insert(
    transaction: &Connection,
    reservation: &Reservation,
    stored: u64,
    record: &Record,
) -> Result<(), Failure> {
    let Reservation { cookie, blob } = reservation;
    let Record { expires, owner, header, content, downloads } = record;
    let insert = "INSERT INTO stored(cookie, path, date) VALUES (?1, ?2, date(?3, 'unixepoch', 'localtime'))";
    transaction.execute(insert, params![cookie.as_str(), blob, sql_integer(stored)])?;
    let insert = "INSERT INTO fss_file(cookie, stored, expires, owner, header, size, chain, downloads, number)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
                      (SELECT coalesce(max(number), 0) + 1 FROM fss_file WHERE owner = ?4))";
    transaction.execute(
        insert,
        params![
            cookie.as_str(),
            sql_integer(stored),
            expires.map(sql_integer),
            owner.as_ref().map(Fingerprint::as_bytes),
            header.as_ref().map(Header::to_bytes),
            content.map(|content| sql_integer(content.size)),
            content.as_ref().map(|content| content.chain.as_bytes()),
            downloads.map(sql_integer),
        ],
    )?;
    match owner {
        Some(owner) => owners::add(transaction, owner, content.map_or(0, |content| content.size)),
        None => Ok(()),
    }
}

pub(super) fn find(
    connection: &Connection,
    cookie: &Cookie,
) -> Result<Option<(String, Record)>, Failure> {
    let find = "SELECT path, expires, owner, header, size, chain, downloads
                FROM stored LEFT JOIN fss_file USING (cookie) WHERE stored.cookie = ?1";
    let found = connection.query_row(find, [cookie.as_str()], |row| {
        let header: Option<Vec<u8>> = row.get("header")?;
        let chain: Option<[u8; DIGEST_LENGTH]> = row.get("chain")?;
        let content = number(row, "size")?.zip(chain);
        let record = Record {
            expires: number(row, "expires")?,
            owner: row.get::<_, Option<_>>("owner")?.map(Fingerprint::from_bytes),
            header: header.map(|header| parsed(Type::Blob, Header::parse(&header))).transpose()?,
            content: content
                .map(|(size, chain)| Content { size, chain: ChainDigest::from_bytes(chain) }),
            downloads: number(row, "downloads")?,
        };
        Ok((row.get("path")?, record))
    });
    Ok(found.optional()?)
}

/// The deliveries of a file, of which a row has its limit, those that were made and the claims that
/// are open.
fn deliveries_of(row: &Row<'_>) -> rusqlite::Result<Option<DownloadClaims>> {
    let Some(limit) = number(row, "downloads")? else { return Ok(None) };
    let (made, claimed) = (required_number(row, "delivered")?, required_number(row, "claimed")?);
    Ok(Some(DownloadClaims { limit, made, claimed }))
}

pub(super) fn claim(
    transaction: &Connection,
    cookie: &Cookie,
    claim: &Claim,
) -> Result<bool, Failure> {
    let Claim { by, lease, now } = claim;
    let lapsed = "DELETE FROM fss_claim WHERE cookie = ?1 AND lease <= ?2";
    transaction.execute(lapsed, params![cookie.as_str(), sql_integer(*now)])?;
    let find = "SELECT downloads, delivered,
                    (SELECT count(*) FROM fss_claim WHERE cookie = ?1 AND key <> ?2) AS claimed
                FROM fss_file WHERE cookie = ?1";
    let found = transaction
        .query_row(find, params![cookie.as_str(), by.as_bytes()], deliveries_of)
        .optional()?;
    match found {
        None => Ok(false),
        Some(None) => Ok(true),
        Some(Some(deliveries)) if deliveries.left() == 0 => Ok(false),
        Some(Some(_)) => {
            let claim = "INSERT OR REPLACE INTO fss_claim(cookie, key, lease) VALUES (?1, ?2, ?3)";
            transaction
                .execute(claim, params![cookie.as_str(), by.as_bytes(), sql_integer(*lease)])?;
            Ok(true)
        }
    }
}

pub(super) fn deliver(
    transaction: &Connection,
    cookie: &Cookie,
    by: &Fingerprint,
) -> Result<Option<DownloadClaims>, Failure> {
    transaction.execute(
        "DELETE FROM fss_claim WHERE cookie = ?1 AND key = ?2",
        params![cookie.as_str(), by.as_bytes()],
    )?;
    let deliver = "UPDATE fss_file SET delivered = delivered + 1 WHERE cookie = ?1 AND downloads IS NOT NULL
                   RETURNING downloads, delivered, (SELECT count(*) FROM fss_claim WHERE cookie = ?1) AS claimed";
    let deliveries = transaction.query_row(deliver, [cookie.as_str()], deliveries_of).optional()?;
    Ok(deliveries.flatten())
}

pub(super) fn delivered(connection: &Connection) -> Result<Vec<Cookie>, Failure> {
    select_cookies(connection, "SELECT cookie FROM fss_file WHERE delivered >= downloads", [])
}

pub(super) fn unpublish(
    transaction: &Connection,
    cookie: &Cookie,
    remembered: Option<u64>,
) -> Result<Option<String>, Failure> {
    let delete = "DELETE FROM stored WHERE cookie = ?1 RETURNING path";
    let blob: Option<String> =
        transaction.query_row(delete, [cookie.as_str()], |row| row.get(0)).optional()?;
    if let Some(blob) = &blob {
        if let Some(until) = remembered {
            remember(transaction, cookie, until)?;
        }
        let delete = "DELETE FROM fss_file WHERE cookie = ?1 RETURNING owner, size";
        let deleted = transaction.query_row(delete, [cookie.as_str()], |row| {
            Ok((row.get("owner")?, number(row, "size")?))
        });
        if let Some((Some(owner), size)) = deleted.optional()? {
            owners::remove(transaction, &Fingerprint::from_bytes(owner), size.unwrap_or(0))?;
        }
        transaction.execute("DELETE FROM fss_claim WHERE cookie = ?1", [cookie.as_str()])?;
        disown(transaction, blob)?;
    }
    Ok(blob)
}

/// Remembers whose a file was, if it had an owner.
fn remember(transaction: &Connection, cookie: &Cookie, until: u64) -> Result<(), Failure> {
    let insert = "INSERT OR REPLACE INTO fss_deleted(cookie, owner, until)
                  SELECT cookie, owner, ?2 FROM fss_file WHERE cookie = ?1 AND owner IS NOT NULL";
    transaction.execute(insert, params![cookie.as_str(), sql_integer(until)])?;
    let forget = "DELETE FROM fss_deleted WHERE id <= (SELECT max(id) FROM fss_deleted) - ?1";
    transaction.execute(forget, [sql_integer(REMOVED_REMEMBERED as u64)])?;
    Ok(())
}

pub(super) fn was_unpublished(
    connection: &Connection,
    cookie: &Cookie,
    owner: &Fingerprint,
    now: u64,
) -> Result<bool, Failure> {
    let find =
        "SELECT EXISTS(SELECT 1 FROM fss_deleted WHERE cookie = ?1 AND owner = ?2 AND until > ?3)";
    Ok(connection.query_row(
        find,
        params![cookie.as_str(), owner.as_bytes(), sql_integer(now)],
        |row| row.get(0),
    )?)
}

pub(super) fn count(connection: &Connection) -> Result<usize, Failure> {
    let count: i64 = connection.query_row("SELECT count(*) FROM stored", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) fn cookies(
    connection: &Connection,
    expired_at: Option<u64>,
) -> Result<Vec<Cookie>, Failure> {
    match expired_at {
        None => select_cookies(connection, "SELECT cookie FROM stored ORDER BY rowid", []),
        Some(now) => {
            let expired = "SELECT cookie FROM fss_file JOIN stored USING (cookie) WHERE expires <= ?1 ORDER BY expires";
            select_cookies(connection, expired, [sql_integer(now)])
        }
    }
}

fn select_cookies(
    connection: &Connection,
    select: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Cookie>, Failure> {
    let mut statement = connection.prepare(select)?;
    let rows = statement.query_map(parameters, |row| row.get::<_, String>(0))?;
    // No client can ask for an invalid cookie, so its row is not a file of this store.
    Ok(rows
        .filter_map(|row| row.map(|text| text.parse().ok()).transpose())
        .collect::<Result<_, _>>()?)
}

/// The files of an owner after one of them, in the order of an index: so a page costs what is in
/// it.
const LIST: &str = "SELECT cookie, size, stored, expires, downloads, delivered,
                    (SELECT count(*) FROM fss_claim WHERE fss_claim.cookie = fss_file.cookie AND lease > ?3) AS claimed
                FROM fss_file
                WHERE owner = ?1 AND number > ?2 AND (expires IS NULL OR expires > ?3)
                    AND EXISTS(SELECT 1 FROM stored WHERE stored.cookie = fss_file.cookie)
                ORDER BY number LIMIT ?4";

pub(super) fn list(
    connection: &Connection,
    owner: &Fingerprint,
    after: Option<&Cookie>,
    now: u64,
) -> Result<Option<Listing>, Failure> {
    let (owner, now) = (owner.as_bytes(), sql_integer(now));
    let start = match after {
        None => 0,
        Some(after) => {
            let position = "SELECT number FROM stored JOIN fss_file USING (cookie)
                            WHERE stored.cookie = ?1 AND owner = ?2 AND (expires IS NULL OR expires > ?3)";
            let position =
                connection
                    .query_row(position, params![after.as_str(), owner, now], |row| row.get(0));
            match position.optional()? {
                Some(position) => position,
                None => return Ok(None),
            }
        }
    };
    let mut statement = connection.prepare(LIST)?;
    let one_more = sql_integer(LISTED_AT_ONCE as u64 + 1);
    let mut files = statement
        .query_map(params![owner, start, now, one_more], entry)?
        .collect::<Result<Vec<_>, _>>()?;
    let more = files.len() > LISTED_AT_ONCE;
    files.truncate(LISTED_AT_ONCE);
    Ok(Some(Listing { files, more }))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let cookie: String = row.get("cookie")?;
    Ok(Entry {
        cookie: parsed(Type::Text, Cookie::parse(cookie.as_bytes()))?,
        size: required_number(row, "size")?,
        stored: required_number(row, "stored")?,
        expires: number(row, "expires")?,
        downloads: deliveries_of(row)?.map(|deliveries| deliveries.left()),
    })
}

/// Notes a blob as an orphan.
pub(super) fn disown(transaction: &Connection, blob: &str) -> Result<(), Failure> {
    transaction.execute("INSERT OR IGNORE INTO fss_unowned(path) VALUES (?1)", [blob])?;
    Ok(())
}

pub(super) fn orphans(connection: &Connection) -> Result<Vec<String>, Failure> {
    let orphans = "SELECT path FROM fss_unowned
                   WHERE path NOT IN (SELECT path FROM stored) AND path NOT IN (SELECT blob FROM fss_pending)";
    let mut statement = connection.prepare(orphans)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn owner(connection: &Connection, blob: &str) -> Result<Option<BlobOwner>, Failure> {
    let tables = [
        ("SELECT EXISTS(SELECT 1 FROM stored WHERE path = ?1)", BlobOwner::Record),
        ("SELECT EXISTS(SELECT 1 FROM fss_pending WHERE blob = ?1)", BlobOwner::Upload),
        ("SELECT EXISTS(SELECT 1 FROM fss_unowned WHERE path = ?1)", BlobOwner::Orphan),
    ];
    for (exists, owner) in tables {
        if connection.query_row(exists, [blob], |row| row.get(0))? {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

pub(super) fn clear_orphan(transaction: &Connection, blob: &str) -> Result<(), Failure> {
    transaction.execute("DELETE FROM fss_unowned WHERE path = ?1", [blob])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::super::SqliteIndex;
    use super::*;
    use crate::store::indexed::Index as _;

    /// Steps that SQLite takes for a list that begins at a file.
    fn steps(connection: &Connection, owner: &Fingerprint, start: i64) -> i32 {
        let mut statement = connection.prepare(LIST).expect("it is SQL");
        let rows =
            statement.query_map(params![owner.as_bytes(), start, 0, 257], entry).expect("listed");
        assert_eq!(rows.count(), 257);
        statement.get_status(StatementStatus::VmStep)
    }

    /// A list of very many files costs for each page what the first one costs.
    #[test]
    fn a_list_is_read_in_its_order_without_a_scan() {
        let directory = tempfile::tempdir().expect("a directory");
        let index = SqliteIndex::open(&directory.path().join("database")).expect("it opens");
        let owner = Fingerprint::from_bytes([7; 32]);
        index
            .0
            .write(|transaction| {
                for number in 0..5000 {
                    let cookie = Cookie::from_index(number);
                    let reservation = Reservation { blob: format!("F-{cookie}"), cookie };
                    let content =
                        Content { size: 1, chain: ChainDigest::from_bytes([0; DIGEST_LENGTH]) };
                    let record =
                        Record { owner: Some(owner), content: Some(content), ..Record::default() };
                    insert(transaction, &reservation, number, &record)?;
                }
                Ok(())
            })
            .expect("written");
        let (first, last) = index
            .0
            .read(|connection| Ok((steps(connection, &owner, 0), steps(connection, &owner, 4000))))
            .expect("read");
        assert!(last <= first + first / 10, "{first} steps, and {last}");
        let mut after = None;
        let mut count = 0;
        loop {
            let listing = index.list(&owner, after.as_ref(), 0).expect("read").expect("listed");
            count += listing.files.len();
            after = listing.files.last().map(|entry| entry.cookie.clone());
            if !listing.more {
                break;
            }
        }
        assert_eq!(count, 5000);
    }
}
