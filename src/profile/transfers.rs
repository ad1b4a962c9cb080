//! The journal of the high-level client ([`crate::remote`]): notes of transfers that have begun and
//! not ended.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::params;

use super::database::Database;
use crate::remote::{Journal, TransferId};
use crate::store::{StoreError, sqlite::sql_integer};

/// For how many seconds a note is kept: longer than a server keeps an upload that is interrupted,
/// and a day longer than a part of a download is of use.
const KEPT: u64 = 8 * 24 * 60 * 60;

/// The transfers of a profile.
pub struct Transfers(Mutex<Database>);

impl Transfers {
    pub(super) fn new(database: Database) -> Self {
        Self(Mutex::new(database))
    }

    fn database(&self) -> MutexGuard<'_, Database> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Transfers {
    fn load(&self, transfer: &TransferId) -> io::Result<Option<Vec<u8>>> {
        let select = "SELECT note FROM fss_transfer WHERE id = ?1";
        let notes = self.database().rows(select, params![transfer.as_bytes()], |row| row.get(0));
        notes.map(|mut notes| notes.pop()).map_err(failed)
    }

    fn save(&self, transfer: &TransferId, note: &[u8]) -> io::Result<()> {
        let saved = self.database().write(|transaction| {
            let stale = "DELETE FROM fss_transfer WHERE noted < unixepoch() - ?1";
            transaction.execute(stale, [sql_integer(KEPT)])?;
            let save = "INSERT OR REPLACE INTO fss_transfer(id, note, noted)
                        VALUES (?1, ?2, unixepoch())";
            transaction.execute(save, params![transfer.as_bytes(), note]).map(drop)
        });
        saved.map_err(failed)
    }

    fn remove(&self, transfer: &TransferId) -> io::Result<()> {
        let removed = self.database().write(|transaction| {
            let remove = "DELETE FROM fss_transfer WHERE id = ?1";
            transaction.execute(remove, params![transfer.as_bytes()]).map(drop)
        });
        removed.map_err(failed)
    }
}

fn failed(error: StoreError) -> io::Error {
    io::Error::other(error)
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transfers(..)")
    }
}
