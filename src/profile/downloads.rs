//! The journal of downloads: what is needed to resume an interrupted one (`docs/protocol.md`
//! §18.5).

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand_core::Rng as _;
use rusqlite::{Row, params};

use super::database::{Database, get, get_optional};
use crate::chain::ChainDigest;
use crate::remove::remove_all;
use crate::sealed::{CHUNK, Header};
use crate::store::{StoreError, StoreErrorKind, sqlite::sql_integer};
use crate::types::cookie::OpaqueCookie;
use crate::types::random::SystemRng;

/// For how many seconds a part file is kept that is not resumed.
const KEPT: u64 = 7 * 24 * 60 * 60;

/// The suffix of part files and directories: nothing else is ever removed.
const PART: &str = "fss-part";

/// The file that is locked while a process is downloading.
const LOCK: &str = ".downloads";

/// The unfinished downloads of a profile.
#[derive(Debug)]
pub struct Downloads<'p> {
    database: &'p Database,
    directory: &'p Path,
}

/// While it exists, this process is downloading, and no other one removes its part files.
#[derive(Debug)]
#[must_use]
pub struct Downloading(#[allow(dead_code, reason = "it is locked as long as it is open")] File);

/// An unfinished download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadRecord {
    /// Where the user wants the file, which identifies the download when it is repeated: an
    /// absolute path. The file may get another name in the end.
    pub target: PathBuf,
    /// The file's cookie.
    pub cookie: OpaqueCookie,
    /// The server, as the user named it.
    pub server: Option<String>,
    /// The part file; its name is from [`Downloads::new_part`].
    pub part: PathBuf,
    /// The header of a sealed file; `None` for one of FSS 1.0.
    pub header: Option<Header>,
    /// Chunks of it that are durable in the part file; at least one more follows. 0 if it cannot be
    /// resumed.
    pub position: u64,
    /// The chain of the stored bytes there.
    pub chain: ChainDigest,
    /// The file's metadata as it is encoded: what these chunks hold before the bytes of the file.
    pub metadata: Vec<u8>,
    /// A checksum of these bytes, which detects a part file that was damaged or changed.
    pub checksum: u32,
}

impl DownloadRecord {
    /// Bytes of the file that are durable in the part file; `None` if the record is not valid.
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
    pub(super) fn new(database: &'p Database, directory: &'p Path) -> Self {
        Self { database, directory }
    }

    /// A new name for a part file or directory alongside what it becomes.
    pub fn new_part(target: &Path) -> PathBuf {
        target.with_file_name(format!(".{:016x}.{PART}", SystemRng.next_u64()))
    }

    /// Marks this process as downloading. Call it before the first [`Downloads::begin`].
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn start(&self) -> Result<Downloading, StoreError> {
        let lock = || {
            let file = self.lock_file()?;
            file.lock_shared().map(|()| file)
        };
        lock()
            .map(Downloading)
            .map_err(|error| StoreError::io("cannot lock the journal of downloads", &error))
    }

    /// Records a download, before its part file is created.
    ///
    /// # Errors
    /// [`StoreError`], also if a download with this part is noted.
    pub fn begin(&self, download: &DownloadRecord) -> Result<(), StoreError> {
        let begin = "INSERT INTO fss_download(part, target, cookie, server, header, position, chain, metadata, checksum, noted)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, unixepoch())";
        let header = download.header.as_ref().map(Header::to_bytes);
        let values = params![
            bytes(&download.part),
            bytes(&download.target),
            download.cookie.as_str(),
            download.server,
            header,
            sql_integer(download.position),
            download.chain.as_bytes(),
            download.metadata,
            download.checksum
        ];
        self.database.write(|transaction| transaction.execute(begin, values).map(drop))
    }

    /// Notes how many chunks are in the part file, once it was synced, with the chain of their
    /// stored bytes and the checksum of what they hold.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::Misuse`] if no download with this part is noted.
    pub fn progress(
        &self,
        part: &Path,
        position: u64,
        chain: ChainDigest,
        checksum: u32,
    ) -> Result<(), StoreError> {
        let progress = "UPDATE fss_download SET position = ?2, chain = ?3, checksum = ?4, noted = unixepoch() WHERE part = ?1";
        let values = params![bytes(part), sql_integer(position), chain.as_bytes(), checksum];
        match self.database.write(|transaction| transaction.execute(progress, values))? {
            0 => Err(StoreError::new(
                StoreErrorKind::Misuse,
                format!("no download to {} has begun", part.display()),
            )),
            _ => Ok(()),
        }
    }

    /// The download of a file to a target that can be resumed, if there is one; the newest of
    /// several.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find(
        &self,
        target: &Path,
        cookie: &OpaqueCookie,
    ) -> Result<Option<DownloadRecord>, StoreError> {
        let find = "SELECT * FROM fss_download WHERE target = ?1 AND cookie = ?2 AND position <> 0 ORDER BY noted, rowid";
        Ok(self
            .database
            .rows(find, params![bytes(target), cookie.as_str()], DownloadRecord::read)?
            .pop())
    }

    /// Removes a download that is complete, or cannot be resumed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove(&self, part: &Path) -> Result<(), StoreError> {
        self.database.write(|transaction| {
            transaction.execute("DELETE FROM fss_download WHERE part = ?1", [bytes(part)]).map(drop)
        })
    }

    /// Removes the part files that cannot be resumed, of programs that were killed, and those that
    /// were not resumed for a week. Does nothing while a process is downloading, which may have
    /// created them.
    ///
    /// # Errors
    /// [`StoreError`]. What could not be removed stays recorded.
    pub fn sweep(&self) -> Result<(), StoreError> {
        let stale =
            "SELECT part, position > 0 AND noted >= unixepoch() - ?1 AS usable FROM fss_download";
        let read =
            |row: &Row<'_>| Ok((get::<PathBuf>(row, "part")?, row.get::<_, bool>("usable")?));
        let parts = self.database.rows(stale, [sql_integer(KEPT)], read)?;
        if parts.is_empty() {
            return Ok(());
        }
        let lock = self.lock_file().and_then(|file| Ok(file.try_lock().map(|()| file)?));
        let Ok(_lock) = lock else { return Ok(()) };
        for (part, usable) in parts {
            if is_left_behind(&part, usable) && remove_all(&part, true).is_ok() {
                self.remove(&part)?;
            }
        }
        Ok(())
    }

    fn lock_file(&self) -> io::Result<File> {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.directory.join(LOCK))
    }
}

/// Whether a part is none any more, or nobody wants it: what has its own name already needs no
/// second one.
fn is_left_behind(part: &Path, usable: bool) -> bool {
    let is_part = part.extension().is_some_and(|extension| extension == PART);
    match part.symlink_metadata() {
        Ok(there) => is_part && (!usable || (there.is_file() && there.nlink() > 1)),
        // It may be on a disk that is not there now.
        Err(_) => !usable || part.parent().is_some_and(Path::exists),
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
