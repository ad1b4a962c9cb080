//! The journal of uploads: what it takes to go on with one that broke off (`docs/protocol.md`
//! §17.14).

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rusqlite::{Params, Row, Transaction, params};

use super::database::{Database, get};
use super::files::FileRecord;
use super::password_id::PasswordId;
use crate::chain::ChainDigest;
use crate::sealed::Header;
use crate::store::{StoreError, StoreErrorKind, sqlite::sql_integer};
use crate::types::cookie::OpaqueCookie;

/// How long an upload is of use, in seconds: the lease of the server, and an hour for clocks that
/// differ.
const KEPT: u64 = 25 * 60 * 60;

/// The uploads of a profile that have begun and not ended.
#[derive(Debug)]
pub struct Uploads<'p> {
    database: &'p Database,
}

/// What tells a file from others, and from itself after a change: only what gives the same bytes
/// again is resumed (`docs/protocol.md` §17.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceIdentity {
    /// The device that it is on.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When its content was last changed, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// When anything of it was last changed, in nanoseconds since 1970.
    pub ctime_ns: i64,
}

impl From<&fs::Metadata> for SourceIdentity {
    fn from(metadata: &fs::Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// An unfinished upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRecord {
    /// The cookie from the server.
    pub cookie: OpaqueCookie,
    /// The server, as the user named it.
    pub server: String,
    /// The file that is uploaded.
    pub source: SourceIdentity,
    /// The header of what it becomes.
    pub header: Header,
    /// Its name, as a label.
    pub name: String,
    /// Which of the profile's passwords it has, if it has none of its own.
    pub password: PasswordId,
    /// Whether it has a password of its own.
    pub own_password: bool,
    /// The encoding and the version of its encoder, in any words that are the same only if the
    /// bytes are.
    pub encoding: String,
}

/// A position where an upload can be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Bytes of the sealed file before it, the header not counted.
    pub offset: u64,
    /// The chain of these bytes.
    pub chain: ChainDigest,
}

impl UploadRecord {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            cookie: get(row, "cookie")?,
            server: row.get("server")?,
            source: SourceIdentity {
                device: row.get::<_, i64>("device")?.cast_unsigned(),
                inode: row.get::<_, i64>("inode")?.cast_unsigned(),
                size: get(row, "size")?,
                mtime_ns: row.get("mtime_ns")?,
                ctime_ns: row.get("ctime_ns")?,
            },
            header: get(row, "header")?,
            name: row.get("name")?,
            password: get(row, "password")?,
            own_password: row.get("own_password")?,
            encoding: row.get("encoding")?,
        })
    }
}

impl<'p> Uploads<'p> {
    pub(super) fn new(database: &'p Database) -> Self {
        Self { database }
    }

    /// Records an upload, before its first byte is sent.
    ///
    /// # Errors
    /// [`StoreError`], also if one with this cookie is noted.
    pub fn begin(&self, upload: &UploadRecord) -> Result<(), StoreError> {
        let source = &upload.source;
        let begin =
            "INSERT INTO fss_upload(cookie, server, device, inode, size, mtime_ns, ctime_ns,
                         header, name, password, own_password, encoding, noted)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, unixepoch())";
        self.database.write(|transaction| {
            let values = params![
                upload.cookie.as_str(),
                upload.server,
                source.device.cast_signed(),
                source.inode.cast_signed(),
                sql_integer(source.size),
                source.mtime_ns,
                source.ctime_ns,
                upload.header.to_bytes(),
                upload.name,
                upload.password.number(),
                upload.own_password,
                upload.encoding,
            ];
            transaction.execute(begin, values).map(drop)
        })
    }

    /// Records a checkpoint of an upload; also its end, before the empty frame is sent.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::Misuse`] if no such upload is noted.
    pub fn checkpoint(
        &self,
        cookie: &OpaqueCookie,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        self.note(cookie, |transaction| {
            let insert =
                "INSERT INTO fss_upload_checkpoint(cookie, position, chain) VALUES (?1, ?2, ?3)
                          ON CONFLICT DO UPDATE SET chain = excluded.chain";
            let values = params![
                cookie.as_str(),
                sql_integer(checkpoint.offset),
                checkpoint.chain.as_bytes()
            ];
            transaction.execute(insert, values).map(drop)
        })
    }

    /// Records that an upload resumes at an offset. The bytes after it are sealed again and differ,
    /// so later checkpoints are removed.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::Misuse`] if no such upload is noted.
    pub fn resume(&self, cookie: &OpaqueCookie, offset: u64) -> Result<(), StoreError> {
        self.note(cookie, |transaction| {
            let beyond = "DELETE FROM fss_upload_checkpoint WHERE cookie = ?1 AND position > ?2";
            transaction.execute(beyond, params![cookie.as_str(), sql_integer(offset)]).map(drop)
        })
    }

    /// The uploads of an unchanged file to a server in an encoding, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find(
        &self,
        source: &SourceIdentity,
        server: &str,
        encoding: &str,
    ) -> Result<Vec<UploadRecord>, StoreError> {
        self.select_same(source, server, encoding, false)
    }

    /// The uploads of an unchanged file to a server in an encoding that are complete and listed,
    /// but were not reported: see [`Uploads::finish`]. Newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn finished(
        &self,
        source: &SourceIdentity,
        server: &str,
        encoding: &str,
    ) -> Result<Vec<UploadRecord>, StoreError> {
        self.select_same(source, server, encoding, true)
    }

    /// The uploads of a file to a server from before it was changed, newest first: they cannot be
    /// resumed, and the user should know why.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn changed(
        &self,
        source: &SourceIdentity,
        server: &str,
    ) -> Result<Vec<UploadRecord>, StoreError> {
        let SourceIdentity { device, inode, size, mtime_ns, ctime_ns } = *source;
        let changed = "listed = 0 AND server = ?1 AND device = ?2 AND inode = ?3 AND (size, mtime_ns, ctime_ns) <> (?4, ?5, ?6)";
        let (device, inode, size) = (device.cast_signed(), inode.cast_signed(), sql_integer(size));
        self.select(changed, params![server, device, inode, size, mtime_ns, ctime_ns])
    }

    /// The recorded checkpoints, in order. The start of the file is always one and is not recorded.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn checkpoints(&self, cookie: &OpaqueCookie) -> Result<Vec<Checkpoint>, StoreError> {
        let noted =
            "SELECT position, chain FROM fss_upload_checkpoint WHERE cookie = ?1 ORDER BY position";
        let read = |row: &Row<'_>| {
            Ok(Checkpoint { offset: get(row, "position")?, chain: get(row, "chain")? })
        };
        self.database.rows(noted, [cookie.as_str()], read)
    }

    /// Lists the file. Its upload stays recorded until it is abandoned: a program that is killed
    /// before it has reported the cookie finds it by [`Uploads::finished`], and need not upload the
    /// file again.
    ///
    /// # Errors
    /// [`StoreError`], also if a file with this cookie is listed.
    pub fn finish(&self, file: &FileRecord) -> Result<(), StoreError> {
        self.database.write(|transaction| {
            file.insert(transaction)?;
            transaction.execute(
                "DELETE FROM fss_upload_checkpoint WHERE cookie = ?1",
                [file.cookie.as_str()],
            )?;
            let listed = "UPDATE fss_upload SET listed = 1 WHERE cookie = ?1";
            transaction.execute(listed, [file.cookie.as_str()]).map(drop)
        })
    }

    /// Removes an upload that is complete, or cannot be resumed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn abandon(&self, cookie: &OpaqueCookie) -> Result<(), StoreError> {
        self.database.write(|transaction| forget(transaction, cookie))
    }

    /// Removes the uploads that no server keeps any more (`docs/protocol.md` §17.16).
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.database.write(|transaction| {
            transaction.execute("DELETE FROM fss_upload WHERE noted < unixepoch() - ?1", [sql_integer(KEPT)])?;
            let orphans = "DELETE FROM fss_upload_checkpoint WHERE cookie NOT IN (SELECT cookie FROM fss_upload)";
            transaction.execute(orphans, []).map(drop)
        })
    }

    fn note(
        &self,
        cookie: &OpaqueCookie,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let known = self.database.write(|transaction| {
            let noted = "UPDATE fss_upload SET noted = unixepoch() WHERE cookie = ?1";
            let known = transaction.execute(noted, [cookie.as_str()])? > 0;
            if known {
                work(transaction)?;
            }
            Ok(known)
        })?;
        if known {
            Ok(())
        } else {
            Err(StoreError::new(StoreErrorKind::Misuse, "no upload with this cookie has begun"))
        }
    }

    fn select_same(
        &self,
        source: &SourceIdentity,
        server: &str,
        encoding: &str,
        listed: bool,
    ) -> Result<Vec<UploadRecord>, StoreError> {
        let SourceIdentity { device, inode, size, mtime_ns, ctime_ns } = *source;
        let same = "server = ?1 AND device = ?2 AND inode = ?3 AND (size, mtime_ns, ctime_ns) = (?4, ?5, ?6)
                    AND encoding = ?7 AND listed = ?8";
        let (device, inode, size) = (device.cast_signed(), inode.cast_signed(), sql_integer(size));
        self.select(
            same,
            params![server, device, inode, size, mtime_ns, ctime_ns, encoding, listed],
        )
    }

    fn select(
        &self,
        which: &str,
        parameters: impl Params,
    ) -> Result<Vec<UploadRecord>, StoreError> {
        let select =
            format!("SELECT * FROM fss_upload WHERE {which} ORDER BY noted DESC, rowid DESC");
        self.database.rows(&select, parameters, UploadRecord::read)
    }
}

fn forget(transaction: &Transaction<'_>, cookie: &OpaqueCookie) -> rusqlite::Result<()> {
    transaction
        .execute("DELETE FROM fss_upload_checkpoint WHERE cookie = ?1", [cookie.as_str()])?;
    transaction.execute("DELETE FROM fss_upload WHERE cookie = ?1", [cookie.as_str()]).map(drop)
}
