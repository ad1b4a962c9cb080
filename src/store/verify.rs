//! Whether the files of a store are still what was stored: every record's chain against its bytes,
//! and every blob's name against the records.

#[cfg(all(feature = "sqlite", feature = "filesystem"))]
use std::path::Path;

#[cfg(all(feature = "sqlite", feature = "filesystem"))]
use super::filesystem::FilesystemBlobs;
use super::indexed::{Blobs, Index, IndexedStore, content_start, cookie_of};
#[cfg(all(feature = "sqlite", feature = "filesystem"))]
use super::sqlite::SqliteIndex;
use super::{StoreError, StoreErrorKind};
use crate::chain::Chain;
use crate::sealed::Header;
use crate::types::cookie::Cookie;

/// Bytes that are read at once.
const STRIDE: usize = 256 * 1024;

/// The result of verifying one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Its bytes are those that were acknowledged.
    Intact,
    /// All of it can be read, but it was stored by 2019 code, which recorded nothing to compare it
    /// with.
    Unrecorded,
    /// It is damaged or missing, for this reason.
    Damaged(StoreError),
    /// No record, upload or note names the blob: the index is older, or belongs to another store.
    Orphan,
    /// It cannot be read, for this reason, mostly a missing permission.
    Unreadable(StoreError),
}

/// How many files were found in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that are intact.
    pub whole: u64,
    /// Files that can be read, and were stored before chains were recorded.
    pub unrecorded: u64,
    /// Files that are damaged or missing.
    pub damaged: u64,
    /// Files that no record names.
    pub orphans: u64,
    /// Files that could not be read.
    pub unreadable: u64,
}

impl Verified {
    fn count(&mut self, finding: &Finding) {
        let count = match finding {
            Finding::Intact => &mut self.whole,
            Finding::Unrecorded => &mut self.unrecorded,
            Finding::Damaged(_) => &mut self.damaged,
            Finding::Orphan => &mut self.orphans,
            Finding::Unreadable(_) => &mut self.unreadable,
        };
        *count += 1;
    }
}

impl<I: Index, B: Blobs> IndexedStore<I, B> {
    /// Reads every file and compares it with its record, and looks for files that have none.
    /// Nothing is changed; `report` is called for each file. Other users of the store are not
    /// blocked.
    ///
    /// Files that are added or removed meanwhile are no finding.
    ///
    /// # Errors
    /// [`StoreError`] if the index cannot be read. What is wrong with one file is a finding, and
    /// does not stop it.
    pub fn verify(&self, report: impl FnMut(&Cookie, &Finding)) -> Result<Verified, StoreError> {
        Files { index: self.index(), blobs: self.blobs() }.verify(report)
    }
}

/// Does what [`IndexedStore::verify`] does for a server directory, of which a server may be
/// running: nothing is locked, and where nothing can be written, as in a snapshot, nothing is.
///
/// # Errors
/// [`StoreErrorKind::Foreign`] if there is none, [`StoreErrorKind::Denied`] if it may not be read;
/// otherwise as [`IndexedStore::verify`].
#[cfg(all(feature = "sqlite", feature = "filesystem"))]
pub fn verify_directory(
    directory: &Path,
    report: impl FnMut(&Cookie, &Finding),
) -> Result<Verified, StoreError> {
    let database = directory.join(super::sqlite::DATABASE);
    if let Err(error) = std::fs::File::open(&database) {
        if error.kind() != std::io::ErrorKind::NotFound {
            return Err(StoreError::io(format_args!("cannot open {}", database.display()), &error));
        }
        let detail = format!(
            "{} is no server directory: it has no {}",
            directory.display(),
            super::sqlite::DATABASE
        );
        return Err(StoreError::new(StoreErrorKind::Foreign, detail));
    }
    let (index, blobs) = (SqliteIndex::to_read(&database)?, FilesystemBlobs::beside(directory));
    Files { index: &index, blobs: &blobs }.verify(report)
}

/// What is verified.
struct Files<'a, I, B> {
    index: &'a I,
    blobs: &'a B,
}

impl<I: Index, B: Blobs> Files<'_, I, B> {
    fn verify(&self, mut report: impl FnMut(&Cookie, &Finding)) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        for cookie in self.index.cookies(None)? {
            let Some(finding) = self.verify_one(&cookie)? else { continue };
            verified.count(&finding);
            report(&cookie, &finding);
        }
        for blob in self.blobs.published()? {
            let Some(cookie) = self.orphan(&blob)? else { continue };
            verified.count(&Finding::Orphan);
            report(&cookie, &Finding::Orphan);
        }
        Ok(verified)
    }

    /// The cookie of a blob that no record names, be it one that was on its way in or out when the
    /// blobs were listed.
    fn orphan(&self, blob: &str) -> Result<Option<Cookie>, StoreError> {
        let Some(cookie) = cookie_of(blob) else { return Ok(None) };
        let is_orphan = self.index.owner(blob)?.is_none() && self.blobs.exists(blob)?;
        Ok(is_orphan.then_some(cookie))
    }

    /// `None` if there is no such file any more.
    fn verify_one(&self, cookie: &Cookie) -> Result<Option<Finding>, StoreError> {
        let (blob, record) = match self.index.find(cookie) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == StoreErrorKind::Damaged => {
                return Ok(Some(Finding::Damaged(error)));
            }
            Err(error) => return Err(error),
        };
        let damaged = |detail| Finding::Damaged(StoreError::new(StoreErrorKind::Damaged, detail));
        let finding = match (self.chain_of(&blob, record.header.as_ref()), record.content) {
            (Ok(_), None) => Finding::Unrecorded,
            (Ok(chain), Some(content))
                if (chain.position(), chain.digest()) == (content.size, content.chain) =>
            {
                Finding::Intact
            }
            (Ok(chain), Some(content)) if chain.position() != content.size => damaged(format!(
                "{blob} has {} bytes, and {} were stored",
                chain.position(),
                content.size
            )),
            (Ok(_), Some(_)) => {
                damaged(format!("{blob} has other bytes than those that were stored"))
            }
            // It may have been removed while it was read.
            (Err(_), _) if self.index.find(cookie)?.is_none() => return Ok(None),
            (Err(error), _) if error.kind() == StoreErrorKind::Denied => Finding::Unreadable(error),
            (Err(error), _) => Finding::Damaged(error),
        };
        Ok(Some(finding))
    }

    fn chain_of(&self, name: &str, header: Option<&Header>) -> Result<Chain, StoreError> {
        let mut blob = self.blobs.open(name)?;
        let damaged = |detail| StoreError::new(StoreErrorKind::Damaged, detail);
        let start = content_start(header);
        let Some(size) = blob.size().checked_sub(start) else {
            return Err(damaged(format!("{name} is too short for a header")));
        };
        let header = header.map(Header::to_bytes);
        let header = header.as_ref().map_or(&b""[..], |header| header);
        let mut stored = vec![0; header.len()];
        blob.read(0, &mut stored)?;
        if stored != header {
            return Err(damaged(format!("{name} has another header than the one that was stored")));
        }
        let mut chain = Chain::new(header);
        let mut room = vec![0; STRIDE];
        while chain.position() < size {
            let length =
                usize::try_from(size - chain.position()).map_or(STRIDE, |rest| rest.min(STRIDE));
            blob.read(start + chain.position(), &mut room[..length])?;
            chain.update(&room[..length]);
        }
        Ok(chain)
    }
}
