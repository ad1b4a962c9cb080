//! The journal of downloads: what it takes to go on with one that broke off (`docs/protocol.md` §18.5).

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Row, params};

use super::database::{Database, get, get_optional};
use crate::chain::ChainDigest;
use crate::cookie::OpaqueCookie;
use crate::sealed::{CHUNK, Header};
use crate::store::{StoreError, StoreErrorKind, sqlite::sql_integer};

/// The downloads of a profile that have begun and not ended.
#[derive(Debug)]
pub struct Downloads<'p> {
    database: &'p Database,
}

/// A download that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadRecord {
    /// Where the file is to be in the end: an absolute path, so that it means the same next time.
    pub target: PathBuf,
    /// The file's cookie.
    pub cookie: OpaqueCookie,
    /// The server, as the user named it.
    pub server: Option<String>,
    /// Where its bytes are until then.
    pub part: PathBuf,
    /// The header of a sealed file; `None` for one of FSS 1.0.
    pub header: Option<Header>,
    /// Chunks of it that are in the part file, for good; at least one more follows.
    pub position: u64,
    /// The chain of the stored bytes there.
    pub chain: ChainDigest,
    /// The file's metadata as it is encoded: what these chunks hold before the bytes of the file.
    pub metadata: Vec<u8>,
    /// A checksum of these bytes, by which a part file is known that was damaged or written by somebody else.
    pub checksum: u32,
}

impl DownloadRecord {
    /// Bytes of the file that are in the part file, for good; `None` if the record makes no sense.
    pub fn bytes(&self) -> Option<u64> {
        self.position.checked_mul(CHUNK as u64)?.checked_sub(self.metadata.len() as u64)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            target: get(row, "target")?,
            cookie: get(row, "cookie")?,
            server: row.get("server")?,
            part: get(row, "part")?,
            header: get_optional(row, "header")?,
            position: get(row, "position")?,
            chain: ChainDigest::from_bytes(row.get("chain")?),
            metadata: row.get("metadata")?,
            checksum: row.get("checksum")?,
        })
    }
}

impl<'p> Downloads<'p> {
    pub(super) fn new(database: &'p Database) -> Self {
        Self { database }
    }

    /// Notes a download, and forgets an earlier one to the same target.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn begin(&self, download: &DownloadRecord) -> Result<(), StoreError> {
        let target = bytes(&download.target);
        let begin = "INSERT INTO fss_download(target, cookie, server, part, header, position, chain, metadata, checksum, began)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, unixepoch())";
        let header = download.header.as_ref().map(Header::to_bytes);
        let part = bytes(&download.part);
        let position = sql_integer(download.position);
        let values = params![
            target,
            download.cookie.as_str(),
            download.server,
            part,
            header,
            position,
            download.chain.as_bytes(),
            download.metadata,
            download.checksum
        ];
        self.database.write(|transaction| {
            transaction.execute("DELETE FROM fss_download WHERE target = ?1", [target])?;
            transaction.execute(begin, values).map(drop)
        })
    }

    /// Notes how many chunks are in the part file, once it was synced, with the chain of their stored bytes and the checksum
    /// of what they hold.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::Misuse`] if no download to this target is noted.
    pub fn progress(&self, target: &Path, position: u64, chain: ChainDigest, checksum: u32) -> Result<(), StoreError> {
        let progress = "UPDATE fss_download SET position = ?2, chain = ?3, checksum = ?4 WHERE target = ?1";
        let values = params![bytes(target), sql_integer(position), chain.as_bytes(), checksum];
        match self.database.write(|transaction| transaction.execute(progress, values))? {
            0 => Err(StoreError::new(StoreErrorKind::Misuse, format!("no download to {} has begun", target.display()))),
            _ => Ok(()),
        }
    }

    /// The download of a file to a target.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find(&self, target: &Path, cookie: &OpaqueCookie) -> Result<Option<DownloadRecord>, StoreError> {
        let find = "SELECT * FROM fss_download WHERE target = ?1 AND cookie = ?2";
        Ok(self.database.rows(find, params![bytes(target), cookie.as_str()], DownloadRecord::read)?.pop())
    }

    /// Forgets the download to a target: it is complete, or not to go on.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove(&self, target: &Path) -> Result<(), StoreError> {
        self.database
            .write(|transaction| transaction.execute("DELETE FROM fss_download WHERE target = ?1", [bytes(target)]).map(drop))
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
