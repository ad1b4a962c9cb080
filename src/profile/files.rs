//! The list of a client's files: the table of 2019, never altered, and a side table of our own (`docs/protocol.md` §10).

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, params};

use crate::cookie::OpaqueCookie;
use crate::store::StoreError;
use crate::store::sqlite::{Schema, database_error, open_database};

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
    // The server that a file is on, and whether it has a password of its own. A file without a row is one of 2019.
    side:
        "CREATE TABLE IF NOT EXISTS fss_file(cookie TEXT PRIMARY KEY, server TEXT, own_password INTEGER NOT NULL) WITHOUT ROWID;
           DELETE FROM fss_file WHERE cookie NOT IN (SELECT cookie FROM cookies);",
};

const SELECT: &str =
    "SELECT cookie, name, size, date, server, coalesce(own_password, 0) FROM cookies LEFT JOIN fss_file USING (cookie)";

/// The list of files in a database.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    connection: Connection,
}

/// What a client knows of one of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileRecord {
    /// The file's cookie.
    pub cookie: OpaqueCookie,
    /// Its name, as a label: never a path to write to.
    pub name: String,
    /// Its size in bytes; `None` if what is written down is no number.
    pub size: Option<u64>,
    /// When it was uploaded, in local time: `YYYY-MM-DD HH:MM`. Set when the record is inserted.
    pub date: String,
    /// The server that has it, as the user named it; `None` for files of 2019.
    pub server: Option<String>,
    /// Whether it has a password of its own, other than the profile's.
    pub own_password: bool,
}

impl FileRecord {
    /// A file that was just uploaded.
    pub fn new(cookie: OpaqueCookie, name: impl Into<String>, size: u64) -> Self {
        Self { cookie, name: name.into(), size: Some(size), date: String::new(), server: None, own_password: false }
    }
}

impl Files {
    /// Opens the database, or creates it.
    ///
    /// # Errors
    /// [`StoreError`] if it is damaged, or the database of something else.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), connection: open_database(path, &SCHEMA)? })
    }

    /// Adds a file, with the present date.
    ///
    /// # Errors
    /// [`StoreError`], also if a file with this cookie is listed.
    pub fn insert(&self, file: &FileRecord) -> Result<(), StoreError> {
        let transaction = self.connection.unchecked_transaction().map_err(self.failed())?;
        let insert =
            "INSERT INTO cookies(cookie, name, size, date) VALUES (?1, ?2, ?3, strftime('%Y-%m-%d %H:%M', 'now', 'localtime'))";
        let size = file.size.map(|size| size.to_string()).unwrap_or_default();
        transaction.execute(insert, params![file.cookie.as_str(), file.name, size]).map_err(self.failed())?;
        let beside = "INSERT INTO fss_file(cookie, server, own_password) VALUES (?1, ?2, ?3)";
        transaction.execute(beside, params![file.cookie.as_str(), file.server, file.own_password]).map_err(self.failed())?;
        transaction.commit().map_err(self.failed())
    }

    /// Forgets a file, and says whether it was listed. The server keeps it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove(&self, cookie: &OpaqueCookie) -> Result<bool, StoreError> {
        let transaction = self.connection.unchecked_transaction().map_err(self.failed())?;
        let removed = transaction.execute("DELETE FROM cookies WHERE cookie = ?1", [cookie.as_str()]).map_err(self.failed())?;
        transaction.execute("DELETE FROM fss_file WHERE cookie = ?1", [cookie.as_str()]).map_err(self.failed())?;
        transaction.commit().map_err(self.failed())?;
        Ok(removed > 0)
    }

    /// Forgets all files, and says how many they were. The servers keep them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn clean(&self) -> Result<usize, StoreError> {
        let transaction = self.connection.unchecked_transaction().map_err(self.failed())?;
        let removed = transaction.execute("DELETE FROM cookies", []).map_err(self.failed())?;
        transaction.execute("DELETE FROM fss_file", []).map_err(self.failed())?;
        transaction.commit().map_err(self.failed())?;
        Ok(removed)
    }

    /// All files, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list(&self) -> Result<Vec<FileRecord>, StoreError> {
        self.select("ORDER BY date, cookies.rowid", &[])
    }

    /// The files whose name contains a text, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn search(&self, text: &str) -> Result<Vec<FileRecord>, StoreError> {
        self.select("WHERE instr(name, ?1) > 0 ORDER BY date, cookies.rowid", &[text])
    }

    /// The files that have exactly this name, or this cookie.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find(&self, name_or_cookie: &str) -> Result<Vec<FileRecord>, StoreError> {
        self.select("WHERE name = ?1 OR cookies.cookie = ?1 ORDER BY date, cookies.rowid", &[name_or_cookie])
    }

    /// The cookie of the newest file with this name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn cookie(&self, name: &str) -> Result<Option<OpaqueCookie>, StoreError> {
        let files = self.select("WHERE name = ?1 ORDER BY date, cookies.rowid", &[name])?;
        Ok(files.into_iter().next_back().map(|file| file.cookie))
    }

    /// The size in bytes of the file with this cookie.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn size(&self, cookie: &OpaqueCookie) -> Result<Option<u64>, StoreError> {
        let files = self.select("WHERE cookies.cookie = ?1", &[cookie.as_str()])?;
        Ok(files.into_iter().next().and_then(|file| file.size))
    }

    fn select(&self, rest: &str, parameters: &[&str]) -> Result<Vec<FileRecord>, StoreError> {
        let mut statement = self.connection.prepare(&format!("{SELECT} {rest}")).map_err(self.failed())?;
        let rows = statement.query_map(rusqlite::params_from_iter(parameters), record).map_err(self.failed())?;
        // A cookie that cannot be sent to any server is no file.
        rows.filter_map(Result::transpose).collect::<Result<_, _>>().map_err(self.failed())
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> StoreError + Copy + '_ {
        |error| database_error(&self.path, &error)
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Option<FileRecord>> {
    let cookie: String = row.get(0)?;
    let size: String = row.get(2)?;
    let Ok(cookie) = OpaqueCookie::parse(cookie.as_bytes()) else { return Ok(None) };
    let record = FileRecord {
        cookie,
        name: row.get(1)?,
        size: size.parse().ok(),
        date: row.get(3)?,
        server: row.get(4)?,
        own_password: row.get(5)?,
    };
    Ok(Some(record))
}
