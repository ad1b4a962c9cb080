//! The profile's database: the table of 2019, never altered, and side tables of our own
//! (`docs/protocol.md` §10).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Params, Row, Transaction, TransactionBehavior};

use crate::chain::ChainDigest;
use crate::sealed::Header;
use crate::store::sqlite::{Schema, database_error, open_database};
use crate::store::{StoreError, StoreErrorKind};
use crate::types::cookie::OpaqueCookie;

const SCHEMA: Schema = Schema {
    table: "cookies",
    columns: &["cookie", "name", "size", "date"],
    // To the letter as in 2019.
    create: "CREATE TABLE cookies(
    cookie text NOT NULL UNIQUE,
    name text NOT NULL,
    size text NOT NULL,
    date text NOT NULL
    )",
    // A file without a row in `fss_file` is one of 2019. `fss_file` is as in our first version, see
    // `NEW_COLUMNS`.
    side: "
    CREATE TABLE IF NOT EXISTS fss_file(cookie TEXT PRIMARY KEY, server TEXT, own_password INTEGER NOT NULL) WITHOUT ROWID;
    DELETE FROM fss_file WHERE cookie NOT IN (SELECT cookie FROM cookies);
    CREATE TABLE IF NOT EXISTS fss_password(generation INTEGER PRIMARY KEY, salt BLOB NOT NULL, format INTEGER);
    CREATE TABLE IF NOT EXISTS fss_ring(generation INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS fss_upload(
        cookie TEXT PRIMARY KEY NOT NULL, server TEXT NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL,
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, header BLOB NOT NULL, name TEXT NOT NULL,
        password INTEGER NOT NULL, own_password INTEGER NOT NULL, encoding TEXT NOT NULL, noted INTEGER NOT NULL,
        listed INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS fss_upload_checkpoint(
        cookie TEXT NOT NULL, position INTEGER NOT NULL, chain BLOB NOT NULL, PRIMARY KEY(cookie, position)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS fss_download(
        part BLOB PRIMARY KEY NOT NULL, target BLOB NOT NULL, cookie TEXT NOT NULL, server TEXT, header BLOB,
        position INTEGER NOT NULL, chain BLOB NOT NULL, metadata BLOB NOT NULL, checksum INTEGER NOT NULL,
        noted INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS fss_transfer(id BLOB PRIMARY KEY NOT NULL, note BLOB NOT NULL, noted INTEGER NOT NULL)
        WITHOUT ROWID;",
    // A list can be read when the disk is full; a log would have to be created first.
    journal: "persist",
};

/// Columns of `fss_file` that the first version did not have; NULL has the meaning of that version.
const NEW_COLUMNS: [(&str, &str); 6] = [
    ("format", "INTEGER"),
    ("header", "BLOB"),
    ("chain", "BLOB"),
    ("password", "INTEGER"),
    ("expires", "INTEGER"),
    ("downloads", "INTEGER"),
];

/// A profile's database. A write that has returned without an error is durable.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens the database, or creates it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Self { path: path.to_owned(), connection: open_database(path, &SCHEMA)? };
        database.write(add_columns)?;
        Ok(database)
    }

    /// Does all of `work` or nothing, durably.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let done = transaction.and_then(|transaction| {
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        done.map_err(|error| self.failed(&error))
    }

    /// All rows of a query.
    pub(super) fn rows<T>(
        &self,
        query: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self
            .connection
            .prepare(query)
            .and_then(|mut statement| statement.query_map(parameters, read)?.collect());
        rows.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
        };
        let unreadable = matches!(
            error,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..)
        );
        match database_error(&self.path, error) {
            error if unreadable => StoreError::new(StoreErrorKind::Damaged, error.to_string()),
            error => error,
        }
    }
}

fn add_columns(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for (column, kind) in NEW_COLUMNS {
        let there = "SELECT EXISTS(SELECT 1 FROM pragma_table_info('fss_file') WHERE name = ?1)";
        if !transaction.query_row(there, [column], |row| row.get(0))? {
            transaction.execute(&format!("ALTER TABLE fss_file ADD COLUMN {column} {kind}"), [])?;
        }
    }
    Ok(())
}

/// The value of a column. The database is not trusted: an invalid value is an error.
pub(super) fn get<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    Sql<T>: FromSql,
{
    row.get(column).map(|Sql(value)| value)
}

/// The same of a column that may be NULL.
pub(super) fn get_optional<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    Sql<T>: FromSql,
{
    row.get::<_, Option<Sql<T>>>(column).map(|found| found.map(|Sql(value)| value))
}

/// A value of ours in a column, so that no type of the database is in the interface of the library.
pub(super) struct Sql<T>(pub(super) T);

impl FromSql for Sql<u64> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = i64::column_result(value)?;
        u64::try_from(number).map(Self).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

impl FromSql for Sql<OpaqueCookie> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        OpaqueCookie::parse(value.as_str()?.as_bytes()).map(Self).map_err(FromSqlError::other)
    }
}

impl FromSql for Sql<Header> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Header::parse(value.as_blob()?).map(Self).map_err(FromSqlError::other)
    }
}

impl FromSql for Sql<ChainDigest> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(ChainDigest::from_bytes).map(Self)
    }
}

impl FromSql for Sql<PathBuf> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(OsString::from_vec(value.as_blob()?.to_vec()).into()))
    }
}
