//! The list of a client's files: the table of 2019, and what we know beyond it (`docs/protocol.md`
//! §10).

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Params, Row, Transaction, params};

use super::database::{Database, Sql, get_optional};
use super::password_id::PasswordId;
use crate::chain::ChainDigest;
use crate::sealed::Header;
use crate::store::{StoreError, sqlite::sql_integer};
use crate::types::cookie::OpaqueCookie;

const SELECT: &str =
    "SELECT cookies.cookie, name, size, date, server, coalesce(own_password, 0) AS own_password,
           format, header, chain, password, expires, downloads
    FROM cookies LEFT JOIN fss_file USING (cookie)";

/// The list of files of a profile.
#[derive(Debug)]
pub struct Files<'p> {
    database: &'p Database,
}

/// How a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As by FSS 1.0: the server encrypts, and has seen the password.
    Legacy,
    /// Sealed by the client, as by FSS/2.
    Sealed,
}

impl Format {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Legacy => 1,
            Self::Sealed => 2,
        }
    }
}

impl FromSql for Sql<Format> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match i64::column_result(value)? {
            1 => Ok(Self(Format::Legacy)),
            2 => Ok(Self(Format::Sealed)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
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
    /// How it is stored.
    pub format: Format,
    /// The header of a sealed file. A server that shows another one interferes (`docs/protocol.md`
    /// §18.4).
    pub header: Option<Header>,
    /// The chain of a sealed file.
    pub chain: Option<ChainDigest>,
    /// Which of the profile's passwords it has, if it has none of its own.
    pub password: PasswordId,
    /// When the server will remove it, in Unix seconds, as it said at the upload.
    pub expires: Option<u64>,
    /// After how many downloads the server will remove it, as it said at the upload.
    pub downloads: Option<u64>,
}

impl FileRecord {
    /// A file of FSS 1.0 that was just uploaded, with the profile's first password.
    pub fn new(cookie: OpaqueCookie, name: impl Into<String>, size: u64) -> Self {
        Self {
            cookie,
            name: name.into(),
            size: Some(size),
            date: String::new(),
            server: None,
            own_password: false,
            format: Format::Legacy,
            header: None,
            chain: None,
            password: PasswordId::FIRST,
            expires: None,
            downloads: None,
        }
    }

    /// A sealed file that was just uploaded. `size` is that of its content, decoded.
    pub fn sealed(
        cookie: OpaqueCookie,
        name: impl Into<String>,
        size: u64,
        header: Header,
        chain: ChainDigest,
        password: PasswordId,
    ) -> Self {
        let sealed = Self::new(cookie, name, size);
        Self {
            format: Format::Sealed,
            header: Some(header),
            chain: Some(chain),
            password,
            ..sealed
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let (cookie, size): (String, String) = (row.get("cookie")?, row.get("size")?);
        // A cookie that cannot be sent to any server is no file.
        let Ok(cookie) = OpaqueCookie::parse(cookie.as_bytes()) else { return Ok(None) };
        let file = Self {
            cookie,
            name: row.get("name")?,
            size: size.parse().ok(),
            date: row.get("date")?,
            server: row.get("server")?,
            own_password: row.get("own_password")?,
            // Whatever is from before there was another format, or another password.
            format: get_optional(row, "format")?.unwrap_or(Format::Legacy),
            header: get_optional(row, "header")?,
            chain: get_optional(row, "chain")?,
            password: get_optional(row, "password")?.unwrap_or(PasswordId::FIRST),
            expires: get_optional(row, "expires")?,
            downloads: get_optional(row, "downloads")?,
        };
        Ok(Some(file))
    }

    pub(super) fn insert(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let cookie = self.cookie.as_str();
        let size = self.size.map(|size| size.to_string()).unwrap_or_default();
        let insert = "INSERT INTO cookies(cookie, name, size, date) VALUES (?1, ?2, ?3, strftime('%Y-%m-%d %H:%M', 'now', 'localtime'))";
        transaction.execute(insert, params![cookie, self.name, size])?;
        // Left by code of 2019, which knows nothing of it when it removes a file.
        transaction.execute("DELETE FROM fss_file WHERE cookie = ?1", [cookie])?;
        let beside = "INSERT INTO fss_file(cookie, server, own_password, format, header, chain, password, expires, downloads)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let header = self.header.as_ref().map(Header::to_bytes);
        let chain = self.chain.as_ref().map(ChainDigest::as_bytes);
        let (expires, downloads) = (self.expires.map(sql_integer), self.downloads.map(sql_integer));
        let values = params![
            cookie,
            self.server,
            self.own_password,
            self.format.number(),
            header,
            chain,
            self.password.number(),
            expires,
            downloads
        ];
        transaction.execute(beside, values).map(drop)
    }
}

impl<'p> Files<'p> {
    pub(super) fn new(database: &'p Database) -> Self {
        Self { database }
    }

    /// Adds a file, with the present date.
    ///
    /// # Errors
    /// [`StoreError`], also if a file with this cookie is listed.
    pub fn insert(&self, file: &FileRecord) -> Result<(), StoreError> {
        self.database.write(|transaction| file.insert(transaction))
    }

    /// Removes a file from the list, and returns whether it was there. The server keeps it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove(&self, cookie: &OpaqueCookie) -> Result<bool, StoreError> {
        self.database.write(|transaction| {
            transaction.execute("DELETE FROM fss_file WHERE cookie = ?1", [cookie.as_str()])?;
            Ok(transaction.execute("DELETE FROM cookies WHERE cookie = ?1", [cookie.as_str()])? > 0)
        })
    }

    /// Removes all files from the list, and returns how many they were. The servers keep them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn clean(&self) -> Result<usize, StoreError> {
        self.database.write(|transaction| {
            transaction.execute("DELETE FROM fss_file", [])?;
            transaction.execute("DELETE FROM cookies", [])
        })
    }

    /// All files, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list(&self) -> Result<Vec<FileRecord>, StoreError> {
        self.select("ORDER BY date, cookies.rowid", [])
    }

    /// The files whose name contains a text, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn search(&self, text: &str) -> Result<Vec<FileRecord>, StoreError> {
        self.select("WHERE instr(name, ?1) > 0 ORDER BY date, cookies.rowid", [text])
    }

    /// The files that have exactly this name, or this cookie.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find(&self, name_or_cookie: &str) -> Result<Vec<FileRecord>, StoreError> {
        self.select(
            "WHERE name = ?1 OR cookies.cookie = ?1 ORDER BY date, cookies.rowid",
            [name_or_cookie],
        )
    }

    /// The cookie of the newest file with this name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn cookie(&self, name: &str) -> Result<Option<OpaqueCookie>, StoreError> {
        let files = self.select("WHERE name = ?1 ORDER BY date, cookies.rowid", [name])?;
        Ok(files.into_iter().next_back().map(|file| file.cookie))
    }

    /// The size in bytes of the file with this cookie.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn size(&self, cookie: &OpaqueCookie) -> Result<Option<u64>, StoreError> {
        let files = self.select("WHERE cookies.cookie = ?1", [cookie.as_str()])?;
        Ok(files.into_iter().next().and_then(|file| file.size))
    }

    fn select(&self, rest: &str, parameters: impl Params) -> Result<Vec<FileRecord>, StoreError> {
        let files =
            self.database.rows(&format!("{SELECT} {rest}"), parameters, FileRecord::read)?;
        Ok(files.into_iter().flatten().collect())
    }
}
