//! SQLite's log of a database (`-wal`): bounded, however many connections read, and reserved before
//! the disk is full.
//!
//! SQLite restarts the log once all of it is in the database and no connection reads from it. With
//! constant readers that never happens, so a log that has grown is truncated while readers wait
//! ([`Database`]). What must be written on a full disk (deletes, claims, a start) goes into space
//! that was reserved with zeros.
//!
//! [`Database`]: super::database::Database

use std::fs::{self, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::connection::BUSY_TIMEOUT;
use super::values::sql_integer;

/// Pages of 4 KiB in the log before they are brought into the database.
const PAGES: i64 = 400;
/// Bytes of the log that are always there: [`PAGES`] with their frames, and what is written until
/// they are brought in.
pub(super) const RESERVED: u64 = 2 * 1024 * 1024;
/// Bytes of the log after which readers wait until it is cut.
const MOST: u64 = 2 * RESERVED;
/// Free pages that the database has in reserve, so that it need not grow when the disk is full.
const FREE_PAGES: i64 = 64;

/// The log of a database.
#[derive(Debug)]
pub(super) struct Log(PathBuf);

impl Log {
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self(path.into())
    }

    /// Sets up the connection that writes, and checkpoints what the process before has left in the
    /// log: this process may read it from there although it is not durable.
    ///
    /// # Errors
    /// Those of SQLite, except for a full disk and for readers in another process.
    pub(super) fn open(&self, connection: &Connection) -> rusqlite::Result<()> {
        // The log stays when the last connection is closed, and with it its reserved space.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.pragma_update(None, "wal_autocheckpoint", PAGES)?;
        connection.pragma_update(None, "journal_size_limit", sql_integer(RESERVED))?;
        match checkpoint(connection, if self.is_large() { "TRUNCATE" } else { "PASSIVE" }) {
            Err(error) if !is_harmless(&error) => return Err(error),
            _ => {}
        }
        // If there is no space, the next start tries again.
        let _ = self.reserve();
        let _ = reserve_pages(connection);
        Ok(())
    }

    /// Whether it must be truncated.
    pub(super) fn is_large(&self) -> bool {
        fs::metadata(&self.0).is_ok_and(|log| log.len() > MOST)
    }

    /// Checkpoints and truncates the log. This process must not be reading; a reader in another
    /// process only prevents the truncation.
    pub(super) fn cut(&self, connection: &Connection) {
        // It is tried again after the next commit.
        let _ = connection.busy_timeout(Duration::ZERO);
        let _ = checkpoint(connection, "TRUNCATE");
        let _ = connection.busy_timeout(BUSY_TIMEOUT);
        let _ = self.reserve();
    }

    /// Fills the log with zeros, which SQLite takes for its end and overwrites.
    fn reserve(&self) -> io::Result<()> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut log = OpenOptions::new().append(true).open(&self.0)?;
        let mut length = log.seek(SeekFrom::End(0))?;
        while length < RESERVED {
            let part = usize::try_from(RESERVED - length)
                .map_or(ZEROS.len(), |rest| rest.min(ZEROS.len()));
            log.write_all(&ZEROS[..part])?;
            length += part as u64;
        }
        Ok(())
    }
}

/// Sets up a connection that reads: closing it does not checkpoint the log.
pub(super) fn leave(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Brings what is in the log into the database.
pub(super) fn checkpoint(connection: &Connection, how: &str) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(()))
}

fn is_harmless(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Allocates pages and frees them: SQLite uses free pages before it grows the file.
fn reserve_pages(connection: &Connection) -> rusqlite::Result<()> {
    let (free, size): (i64, i64) = connection.query_row(
        "SELECT freelist_count, page_size FROM pragma_freelist_count, pragma_page_size",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if free >= FREE_PAGES / 2 {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch("CREATE TABLE fss_reserve(room BLOB)")?;
    transaction.execute("INSERT INTO fss_reserve VALUES (zeroblob(?1))", [FREE_PAGES * size])?;
    transaction.execute_batch("DROP TABLE fss_reserve")?;
    transaction.commit()?;
    checkpoint(connection, "PASSIVE")
}
