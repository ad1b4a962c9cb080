//! The database itself: its tables, how it is opened, and its transactions.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use super::access::{self, Access};
use super::connection::connect;
use super::owners;
use super::values::{Failure, database_error};
use super::wal::{self, Log};
use super::writer::Writer;
use super::{StoreError, StoreErrorKind};

/// The 2019 table, to the letter.
const STORED: &str = "CREATE TABLE stored(
    cookie text NOT NULL UNIQUE,
    path text NOT NULL UNIQUE,
    date text NOT NULL
    )";

/// The tables of `docs/protocol.md` §25.1.
///
/// The ids of `fss_unowned` are the index numbers of cookies and go on where the 2019 table has got
/// to; AUTOINCREMENT never gives one twice.
const SIDE_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS fss_unowned(id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE);
    INSERT INTO sqlite_sequence(name, seq)
        SELECT 'fss_unowned', coalesce((SELECT max(rowid) FROM stored), 0)
        WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'fss_unowned');
    UPDATE sqlite_sequence SET seq = max(seq, coalesce((SELECT max(rowid) FROM stored), 0)) WHERE name = 'fss_unowned';

    CREATE TABLE IF NOT EXISTS fss_file(
        cookie TEXT PRIMARY KEY, stored INTEGER NOT NULL, expires INTEGER, size INTEGER, chain BLOB, owner BLOB, header BLOB,
        downloads INTEGER, delivered INTEGER NOT NULL DEFAULT 0, number INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS fss_file_owner ON fss_file(owner, number) WHERE owner IS NOT NULL;
    CREATE INDEX IF NOT EXISTS fss_file_expires ON fss_file(expires) WHERE expires IS NOT NULL;
    DELETE FROM fss_file WHERE cookie NOT IN (SELECT cookie FROM stored);
    CREATE TABLE IF NOT EXISTS fss_claim(
        cookie TEXT NOT NULL, key BLOB NOT NULL, lease INTEGER NOT NULL, PRIMARY KEY (cookie, key)
    ) WITHOUT ROWID;
    DELETE FROM fss_claim WHERE cookie NOT IN (SELECT cookie FROM fss_file);

    CREATE TABLE IF NOT EXISTS fss_deleted(
        id INTEGER PRIMARY KEY, cookie TEXT NOT NULL UNIQUE, owner BLOB NOT NULL, until INTEGER NOT NULL
    );

    CREATE TABLE IF NOT EXISTS fss_pending(
        cookie TEXT PRIMARY KEY, blob TEXT NOT NULL UNIQUE, header BLOB NOT NULL, verifier BLOB NOT NULL, owner BLOB NOT NULL,
        size INTEGER, keep INTEGER, downloads INTEGER, reserved INTEGER NOT NULL, lease INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS fss_pending_owner ON fss_pending(owner);
    CREATE TABLE IF NOT EXISTS fss_checkpoint(
        cookie TEXT NOT NULL, position INTEGER NOT NULL, chain BLOB NOT NULL, PRIMARY KEY (cookie, position)
    ) WITHOUT ROWID;

    CREATE TABLE IF NOT EXISTS fss_owner(key BLOB PRIMARY KEY, files INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS fss_user(
        key BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, quota INTEGER, created INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS fss_invite(token BLOB PRIMARY KEY, created INTEGER NOT NULL, quota INTEGER) WITHOUT ROWID;
";

const SCHEMA: Schema = Schema {
    table: "stored",
    columns: &["cookie", "path", "date"],
    create: STORED,
    side: SIDE_TABLES,
    journal: "wal",
};

/// The most connections for reading: as many as disks and processors make use of. Each has three
/// files open.
const MOST_READERS: usize = 16;
/// What each of them caches, in KiB, which SQLite wants negative: a record is found in a few pages.
const READER_CACHE: i64 = -256;

/// The database of a server directory.
#[derive(Debug)]
pub(in crate::store) struct Database {
    path: PathBuf,
    access: Access,
    log: Log,
    writer: Writer,
    /// Connections that only read. They see what is committed, and do not wait for the writer.
    readers: Mutex<Readers>,
    /// Notified when a reader is free.
    reader_is_free: Condvar,
}

#[derive(Debug, Default)]
struct Readers {
    idle: Vec<Connection>,
    busy: usize,
    /// The log is being truncated: new readers wait.
    paused: bool,
}

impl Database {
    /// Opens a database, or creates it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        create_file(path)?;
        let database = Self::open_existing(path)?;
        database.write(owners::recount)?;
        Ok(database)
    }

    /// Opens a database that must be there.
    pub(in crate::store) fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let connection = open_existing(path, &SCHEMA)?;
        Log::of(path).open(&connection).map_err(|error| database_error(path, &error))?;
        Ok(Self::new(path, Access::Shared, connection))
    }

    /// Opens a database that must be there, for reading only.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let (access, connection) =
            access::open_to_read(path).map_err(|error| database_error(path, &error))?;
        check_schema(path, &connection, &SCHEMA)?;
        Ok(Self::new(path, access, connection))
    }

    fn new(path: &Path, access: Access, connection: Connection) -> Self {
        let writer = Writer::new(path.to_owned(), connection);
        let (path, log) = (path.to_owned(), Log::of(path));
        Self {
            path,
            access,
            log,
            writer,
            readers: Mutex::default(),
            reader_is_free: Condvar::new(),
        }
    }

    /// Reads what is committed, in one snapshot.
    pub(in crate::store) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.writer.check()?;
        let mut reader = self.take_reader()?;
        let read = || {
            let transaction = reader.connection()?.transaction()?;
            work(&transaction)
        };
        read().map_err(|failure| failure.into_error(&self.path))
    }

    /// Does all or nothing, durably.
    pub(in crate::store) fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let written = self.writer.write(work);
        if self.log.is_large() {
            self.cut_log();
        }
        written
    }

    /// Brings what is in the log into the database, so that a copy of the file alone has it.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        self.writer.alone(|connection| wal::checkpoint(connection, "PASSIVE"))
    }

    /// Truncates the log while no connection reads. That is soon, since reads are short and do not
    /// wait for the writer.
    fn cut_log(&self) {
        let mut readers = self.readers();
        if std::mem::replace(&mut readers.paused, true) {
            return;
        }
        while readers.busy > 0 {
            readers = self.reader_is_free.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        drop(readers);
        // If the store has stopped, the log is left to the next start.
        let _ = self.writer.alone(|connection| {
            self.log.cut(connection);
            Ok(())
        });
        self.readers().paused = false;
        self.reader_is_free.notify_all();
    }

    /// A free connection, or a new one, or the next that is released.
    fn take_reader(&self) -> Result<Reader<'_>, StoreError> {
        let mut readers = self.readers();
        while readers.paused || readers.idle.is_empty() && readers.busy >= MOST_READERS {
            readers = self.reader_is_free.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        readers.busy += 1;
        let connection = readers.idle.pop();
        drop(readers);
        let mut reader = Reader { database: self, connection };
        if reader.connection.is_none() {
            reader.connection = Some(self.open_reader()?);
        }
        Ok(reader)
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_reader(&self) -> Result<Connection, StoreError> {
        let open = || {
            let reader = self.access.reader(&self.path)?;
            wal::leave(&reader)?;
            reader.pragma_update(None, "cache_size", READER_CACHE)?;
            Ok(reader)
        };
        open().map_err(|error| database_error(&self.path, &error))
    }
}

/// A connection for reading, which is released when dropped.
struct Reader<'a> {
    database: &'a Database,
    /// None only if it could not be opened.
    connection: Option<Connection>,
}

impl Reader<'_> {
    fn connection(&mut self) -> Result<&mut Connection, Failure> {
        let closed = || StoreError::new(StoreErrorKind::Unavailable, "the database is closed");
        Ok(self.connection.as_mut().ok_or_else(closed)?)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut readers = self.database.readers();
        readers.busy -= 1;
        readers.idle.extend(self.connection.take());
        drop(readers);
        // Both readers and the thread that truncates the log may be waiting.
        self.database.reader_is_free.notify_all();
    }
}

/// A 2019 table that a database must have, and its side tables.
pub(crate) struct Schema {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [&'static str],
    pub(crate) create: &'static str,
    pub(crate) side: &'static str,
    /// SQLite's journal mode: `wal` where many read while one writes, `persist` where reading must
    /// need no room on the disk.
    pub(crate) journal: &'static str,
}

/// Opens a database durably, creating it if it is not there, and checks that it is one of ours or
/// of 2019.
#[cfg(feature = "profile")]
pub(crate) fn open_database(path: &Path, schema: &Schema) -> Result<Connection, StoreError> {
    create_file(path)?;
    open_existing(path, schema)
}

/// Creates a database's file for its owner only; SQLite gives its other files the same permissions.
/// An existing file is not changed.
fn create_file(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::io(format_args!("cannot create {}", path.display()), &error))
        }
        _ => Ok(()),
    }
}

fn open_existing(path: &Path, schema: &Schema) -> Result<Connection, StoreError> {
    let failed = |error| database_error(path, &error);
    let mut connection = connect(path).map_err(failed)?;
    check_schema(path, &connection, schema)?;
    connection.pragma_update(None, "journal_mode", schema.journal).map_err(failed)?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    if !has_tables(&transaction).map_err(failed)? {
        transaction.execute_batch(schema.create).map_err(failed)?;
    }
    transaction.execute_batch(schema.side).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(connection)
}

fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE type = 'table')",
        [],
        |row| row.get(0),
    )
}

/// Refuses a database that has tables, but not the one it must have.
fn check_schema(path: &Path, connection: &Connection, schema: &Schema) -> Result<(), StoreError> {
    let failed = |error| database_error(path, &error);
    if !has_tables(connection).map_err(failed)? {
        return Ok(());
    }
    // A view, a virtual table and columns that are computed are none of ours.
    let columns = "SELECT name FROM pragma_table_xinfo(?1)
        WHERE EXISTS (SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ?1 AND type = 'table')";
    let mut statement = connection.prepare(columns).map_err(failed)?;
    let columns = statement.query_map([schema.table], |row| row.get(0)).map_err(failed)?;
    let columns: Vec<String> = columns.collect::<Result<_, _>>().map_err(failed)?;
    if columns == schema.columns {
        Ok(())
    } else {
        let detail = format!(
            "{} is a database of something else: it has no table {} of FSS",
            path.display(),
            schema.table
        );
        Err(StoreError::new(StoreErrorKind::Foreign, detail))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// With constant readers the log does not grow beyond its bound, and it is shorter after a
    /// start.
    #[test]
    fn the_log_is_bounded_while_there_is_always_somebody_who_reads() {
        const BOUND: u64 = 3 * wal::RESERVED;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("database");
        let length =
            || std::fs::metadata(directory.path().join("database-wal")).map_or(0, |log| log.len());
        let database = Database::open(&path).expect("it opens");
        assert_eq!(length(), wal::RESERVED, "its room is there beforehand");
        database
            .write(|connection| Ok(connection.execute_batch("CREATE TABLE t(n BLOB)")?))
            .expect("created");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let sum = || "SELECT sum(length(n)) FROM t";
                    while !done.load(Ordering::Relaxed) {
                        let read = database.read(|reader| {
                            let now: Option<i64> = reader.query_row(sum(), [], |row| row.get(0))?;
                            std::thread::yield_now();
                            let later: Option<i64> =
                                reader.query_row(sum(), [], |row| row.get(0))?;
                            Ok(now == later)
                        });
                        assert_eq!(read, Ok(true), "a read sees one moment");
                    }
                });
            }
            for _ in 0..1500 {
                let insert = "INSERT INTO t VALUES (zeroblob(8000))";
                database.write(|connection| Ok(connection.execute(insert, [])?)).expect("written");
                assert!(length() <= BOUND, "{}", length());
            }
            done.store(true, Ordering::Relaxed);
        });
        drop(database);
        Database::open(&path).expect("it opens");
        assert!(length() <= 2 * wal::RESERVED);
    }

    /// A log that another program has made large is cut by the next start.
    #[test]
    fn a_start_cuts_a_large_log() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("database");
        drop(Database::open(&path).expect("it opens"));
        let log = std::fs::OpenOptions::new()
            .append(true)
            .open(directory.path().join("database-wal"))
            .expect("there");
        log.set_len(80 << 20).expect("made large");
        drop(Database::open(&path).expect("it opens"));
        assert_eq!(log.metadata().expect("there").len(), wal::RESERVED);
    }
}
