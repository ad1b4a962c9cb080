//! The index in SQLite: the table of 2019, never altered, and side tables of our own beside it (`docs/protocol.md` §9).
//!
//! The same database opens with the code of 2019, which knows nothing of the side tables and loses nothing by it.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::indexed::{COOKIE_TRIES, Content, Index, Record, Reservation, Taken, no_cookie_left};
use super::{StoreError, StoreErrorKind};
use crate::chain::{ChainDigest, DIGEST_LENGTH};
use crate::cookie::{Cookie, CookieSource};

/// The 2019 table, to the letter.
const STORED: &str = "CREATE TABLE stored(
    cookie text NOT NULL UNIQUE,
    path text NOT NULL UNIQUE,
    date text NOT NULL
    )";

/// `fss_unowned`: blobs that belong to no record, because they are on their way in or out. Its ids are the index numbers
/// of cookies and go on where the 2019 table has got to; AUTOINCREMENT never gives one twice.
/// `fss_file`: what we know of a file beyond the 2019 columns. A record without a row here is one of 2019.
const SIDE_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS fss_unowned(id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE);
    INSERT INTO sqlite_sequence(name, seq)
        SELECT 'fss_unowned', coalesce((SELECT max(rowid) FROM stored), 0)
        WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'fss_unowned');
    UPDATE sqlite_sequence SET seq = max(seq, coalesce((SELECT max(rowid) FROM stored), 0)) WHERE name = 'fss_unowned';
    CREATE TABLE IF NOT EXISTS fss_file(
        cookie TEXT PRIMARY KEY, stored INTEGER NOT NULL, expires INTEGER, size INTEGER, chain BLOB
    ) WITHOUT ROWID;
    DELETE FROM fss_file WHERE cookie NOT IN (SELECT cookie FROM stored);
";

/// Columns of `fss_file` that the first version did not have.
const NEW_COLUMNS: [(&str, &str); 2] = [("size", "INTEGER"), ("chain", "BLOB")];

/// How long to wait for another process that is writing to the same database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An index in a SQLite database.
#[derive(Debug)]
pub struct SqliteIndex {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl SqliteIndex {
    /// Opens the database of a store, or creates it.
    ///
    /// # Errors
    /// [`StoreErrorKind::Foreign`] if it is the database of something else, [`StoreErrorKind::Damaged`] if it is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open_database(
            path,
            &Schema { table: "stored", columns: &["cookie", "path", "date"], create: STORED, side: SIDE_TABLES },
        )?;
        for (column, kind) in NEW_COLUMNS {
            let there = "SELECT EXISTS(SELECT 1 FROM pragma_table_info('fss_file') WHERE name = ?1)";
            let failed = |error| database_error(path, &error);
            if !connection.query_row(there, [column], |row| row.get(0)).map_err(failed)? {
                connection.execute(&format!("ALTER TABLE fss_file ADD COLUMN {column} {kind}"), []).map_err(failed)?;
            }
        }
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(self.failed())?;
        let done = work(&transaction)?;
        transaction.commit().map_err(self.failed())?;
        Ok(done)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a dying thread left open was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> StoreError + Copy + '_ {
        |error| database_error(&self.path, &error)
    }
}

impl Index for SqliteIndex {
    fn reserve(&self, cookies: &dyn CookieSource, taken: Taken<'_>) -> Result<Reservation, StoreError> {
        let reserved = self.write(|transaction| {
            let failed = self.failed();
            for _ in 0..COOKIE_TRIES {
                // A name that no blob can have, until the number and with it the cookie are known.
                transaction.execute("INSERT INTO fss_unowned(path) VALUES ('')", []).map_err(failed)?;
                let number = transaction.last_insert_rowid();
                let cookie = cookies.cookie(number.unsigned_abs());
                let blob = format!("F-{cookie}");
                let known = "SELECT EXISTS(SELECT 1 FROM stored WHERE cookie = ?1 OR path = ?2) OR EXISTS(SELECT 1 FROM fss_unowned WHERE path = ?2)";
                let known: bool = transaction.query_row(known, params![cookie.as_str(), blob], |row| row.get(0)).map_err(failed)?;
                if known || taken(&blob)? {
                    transaction.execute("DELETE FROM fss_unowned WHERE id = ?1", [number]).map_err(failed)?;
                } else {
                    transaction.execute("UPDATE fss_unowned SET path = ?1 WHERE id = ?2", params![blob, number]).map_err(failed)?;
                    return Ok(Some(Reservation { cookie, blob }));
                }
            }
            // The numbers are used up all the same, so that the next upload does not try them again.
            Ok(None)
        })?;
        reserved.ok_or_else(no_cookie_left)
    }

    fn publish(&self, reservation: &Reservation, record: &Record) -> Result<(), StoreError> {
        let Reservation { cookie, blob } = reservation;
        let Record { stored: now, expires, content: Content { size, chain } } = *record;
        self.write(|transaction| {
            let failed = self.failed();
            let stored = "INSERT INTO stored(cookie, path, date) VALUES (?1, ?2, date(?3, 'unixepoch', 'localtime'))";
            transaction.execute(stored, params![cookie.as_str(), blob, sql_integer(now)]).map_err(failed)?;
            let file = "INSERT INTO fss_file(cookie, stored, expires, size, chain) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values =
                params![cookie.as_str(), sql_integer(now), expires.map(sql_integer), sql_integer(size), chain.as_bytes()];
            transaction.execute(file, values).map_err(failed)?;
            transaction.execute("DELETE FROM fss_unowned WHERE path = ?1", [blob]).map_err(failed)?;
            Ok(())
        })
    }

    fn find(&self, cookie: &Cookie, now: u64) -> Result<Option<String>, StoreError> {
        let find = "SELECT path FROM stored LEFT JOIN fss_file USING (cookie)
                    WHERE stored.cookie = ?1 AND (expires IS NULL OR expires > ?2)";
        let parameters = params![cookie.as_str(), sql_integer(now)];
        self.connection().query_row(find, parameters, |row| row.get(0)).optional().map_err(self.failed())
    }

    fn content(&self, cookie: &Cookie) -> Result<Option<(String, Option<Content>)>, StoreError> {
        let content = "SELECT path, size, chain FROM stored LEFT JOIN fss_file USING (cookie) WHERE stored.cookie = ?1";
        let found = self.connection().query_row(content, [cookie.as_str()], |row| {
            let (blob, size, chain): (_, Option<i64>, Option<[u8; DIGEST_LENGTH]>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let content =
                size.zip(chain).map(|(size, chain)| Content { size: size.unsigned_abs(), chain: ChainDigest::from_bytes(chain) });
            Ok((blob, content))
        });
        found.optional().map_err(self.failed())
    }

    fn withdraw(&self, cookie: &Cookie) -> Result<Option<String>, StoreError> {
        self.write(|transaction| {
            let failed = self.failed();
            let delete = "DELETE FROM stored WHERE cookie = ?1 RETURNING path";
            let blob: Option<String> =
                transaction.query_row(delete, [cookie.as_str()], |row| row.get(0)).optional().map_err(failed)?;
            if let Some(blob) = &blob {
                transaction.execute("DELETE FROM fss_file WHERE cookie = ?1", [cookie.as_str()]).map_err(failed)?;
                transaction.execute("INSERT OR IGNORE INTO fss_unowned(path) VALUES (?1)", [blob]).map_err(failed)?;
            }
            Ok(blob)
        })
    }

    fn count(&self) -> Result<usize, StoreError> {
        let count: i64 =
            self.connection().query_row("SELECT count(*) FROM stored", [], |row| row.get(0)).map_err(self.failed())?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn cookies(&self, expired_at: Option<u64>) -> Result<Vec<Cookie>, StoreError> {
        let failed = self.failed();
        let connection = self.connection();
        let cookies =
            "SELECT cookie FROM stored LEFT JOIN fss_file USING (cookie) WHERE ?1 IS NULL OR expires <= ?1 ORDER BY stored.rowid";
        let mut statement = connection.prepare(cookies).map_err(failed)?;
        let rows = statement.query_map([expired_at.map(sql_integer)], |row| row.get::<_, String>(0)).map_err(failed)?;
        // A cookie that is none can be asked for by nobody, so it is no file of this store.
        rows.filter_map(|row| row.map(|text| text.parse().ok()).transpose()).collect::<Result<_, _>>().map_err(failed)
    }

    fn unowned(&self) -> Result<Vec<String>, StoreError> {
        let failed = self.failed();
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT path FROM fss_unowned WHERE path NOT IN (SELECT path FROM stored)").map_err(failed)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    fn forget(&self, blob: &str) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM fss_unowned WHERE path = ?1", [blob]).map_err(self.failed())?;
            Ok(())
        })
    }
}

/// A 2019 table that a database must have, and what is put beside it.
pub(crate) struct Schema {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [&'static str],
    pub(crate) create: &'static str,
    pub(crate) side: &'static str,
}

/// Opens a database durably, creating it if it is not there, and checks that it is one of ours or of 2019.
pub(crate) fn open_database(path: &Path, schema: &Schema) -> Result<Connection, StoreError> {
    let failed = |error| database_error(path, &error);
    // For its owner only; the files that SQLite puts beside it get the same rights. One that is there stays as it is.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(StoreError::io(format_args!("cannot create {}", path.display()), &error));
        }
        _ => {}
    }
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    check_schema(path, &connection, schema)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    if !has_tables(&transaction).map_err(failed)? {
        transaction.execute_batch(schema.create).map_err(failed)?;
    }
    transaction.execute_batch(schema.side).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(connection)
}

fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE type = 'table')", [], |row| row.get(0))
}

/// Refuses a database that has tables, but not the one it must have.
fn check_schema(path: &Path, connection: &Connection, schema: &Schema) -> Result<(), StoreError> {
    let failed = |error| database_error(path, &error);
    if !has_tables(connection).map_err(failed)? {
        return Ok(());
    }
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)").map_err(failed)?;
    let columns = statement.query_map([schema.table], |row| row.get(0)).map_err(failed)?;
    let columns: Vec<String> = columns.collect::<Result<_, _>>().map_err(failed)?;
    if columns == schema.columns {
        Ok(())
    } else {
        let detail = format!("{} is a database of something else: it has no table {} of FSS", path.display(), schema.table);
        Err(StoreError::new(StoreErrorKind::Foreign, detail))
    }
}

pub(crate) fn database_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(ErrorCode::ConstraintViolation) => StoreErrorKind::Exists,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::Busy,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, format!("database {}: {error}", path.display()))
}

/// SQLite's integers are signed; no date or size of ours is beyond them.
pub(crate) fn sql_integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
