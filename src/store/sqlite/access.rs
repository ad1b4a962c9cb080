//! How a database is read: together with the processes that write it, or where nothing can be
//! written, as in a snapshot on a file system that is mounted for reading only.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::connection::{connect, distrust_schema};

/// SQLite's file access without locks, which are not needed if no process writes.
const WITHOUT_LOCKS: &str = "unix-none";

/// The tables that reading needs, for a directory in which only a server of 2019 has written
/// (`docs/protocol.md` §25.1).
const MISSING_TABLES: [(&str, &str); 4] = [
    ("fss_unowned", "id, path"),
    ("fss_file", "cookie, stored, expires, size, chain, owner, header, downloads, delivered"),
    ("fss_claim", "cookie, key, lease"),
    (
        "fss_pending",
        "cookie, blob, header, verifier, owner, size, keep, downloads, reserved, lease",
    ),
];

/// How connections for reading are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// With SQLite's shared memory and locks, while other processes may write.
    Shared,
    /// Without other processes: each connection indexes the log in its own memory, and nothing is
    /// written, not even a lock.
    Alone,
    /// The same where there is no log: the file as it is.
    Unchanging,
}

impl Access {
    /// A connection that only reads.
    pub(super) fn reader(self, path: &Path) -> rusqlite::Result<Connection> {
        let connection = match self {
            Self::Shared => connect(path)?,
            Self::Alone => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags_and_vfs(path, flags, WITHOUT_LOCKS)?;
                // Its index of the log is then in its own memory, and the log stays as it is when
                // it is closed.
                connection.pragma_update(None, "locking_mode", "exclusive")?;
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
                distrust_schema(&connection)?;
                connection
            }
            Self::Unchanging => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
                    | OpenFlags::SQLITE_OPEN_NO_MUTEX
                    | OpenFlags::SQLITE_OPEN_URI;
                let connection = Connection::open_with_flags(uri(path), flags)?;
                distrust_schema(&connection)?;
                connection
            }
        };
        for (table, columns) in MISSING_TABLES {
            if !connection.table_exists(None, table)? {
                connection.execute(&format!("CREATE TEMP TABLE {table}({columns})"), [])?;
            }
        }
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

/// Opens a database for reading, as it can be read.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<(Access, Connection)> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let alone = if Path::new(&log).exists() { Access::Alone } else { Access::Unchanging };
    match Access::Shared.reader(path) {
        Ok(connection) => Ok((Access::Shared, connection)),
        // The second error must not hide the first one.
        Err(error) => alone.reader(path).map(|connection| (alone, connection)).map_err(|_| error),
    }
}

/// A database as a URI with `immutable`.
fn uri(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?immutable=1"
}
