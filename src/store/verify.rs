//! Whether the files of a store are still what was stored: every record's chain against its bytes.

use super::indexed::{Blobs, Index, IndexedStore};
use super::{StoreError, StoreErrorKind};
use crate::chain::Chain;
use crate::cookie::Cookie;

/// Bytes that are read at once.
const STRIDE: usize = 256 * 1024;

/// What came of looking at one file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Its bytes are those that were acknowledged.
    Whole,
    /// All of it can be read, but nothing was recorded that it could be compared with: it was stored by 2019 code.
    Unrecorded,
    /// It is damaged or missing, for this reason.
    Damaged(StoreError),
}

/// How many files were found in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that are what was stored.
    pub whole: u64,
    /// Files that can be read, and were stored before chains were recorded.
    pub unrecorded: u64,
    /// Files that are damaged or missing.
    pub damaged: u64,
}

impl<I: Index, B: Blobs> IndexedStore<I, B> {
    /// Reads every file and compares it with its record. Nothing is changed; `report` hears of each file.
    ///
    /// Files that come or go meanwhile are no finding.
    ///
    /// # Errors
    /// [`StoreError`] if the index cannot be read. What is wrong with one file is a finding, and does not stop it.
    pub fn verify(&self, mut report: impl FnMut(&Cookie, &Finding)) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        for cookie in self.index().cookies(None)? {
            let Some(finding) = self.verify_one(&cookie)? else { continue };
            match finding {
                Finding::Whole => verified.whole += 1,
                Finding::Unrecorded => verified.unrecorded += 1,
                Finding::Damaged(_) => verified.damaged += 1,
            }
            report(&cookie, &finding);
        }
        Ok(verified)
    }

    /// `None` if there is no such file any more.
    fn verify_one(&self, cookie: &Cookie) -> Result<Option<Finding>, StoreError> {
        let Some((blob, recorded)) = self.index().content(cookie)? else { return Ok(None) };
        let finding = match (self.chain_of(&blob), recorded) {
            (Ok(_), None) => Finding::Unrecorded,
            (Ok(chain), Some(recorded)) if (chain.position(), chain.digest()) == (recorded.size, recorded.chain) => {
                Finding::Whole
            }
            (Ok(chain), Some(recorded)) if chain.position() != recorded.size => {
                let detail = format!("{blob} has {} bytes, and {} were stored", chain.position(), recorded.size);
                Finding::Damaged(StoreError::new(StoreErrorKind::Damaged, detail))
            }
            (Ok(_), Some(_)) => {
                let detail = format!("{blob} has other bytes than those that were stored");
                Finding::Damaged(StoreError::new(StoreErrorKind::Damaged, detail))
            }
            // It may have been removed while it was read.
            (Err(_), _) if self.index().content(cookie)?.is_none() => return Ok(None),
            (Err(error), _) => Finding::Damaged(error),
        };
        Ok(Some(finding))
    }

    fn chain_of(&self, blob: &str) -> Result<Chain, StoreError> {
        let mut blob = self.blobs().open(blob)?;
        let mut chain = Chain::new(b"");
        while chain.position() < blob.size() {
            let length = usize::try_from(blob.size() - chain.position()).map_or(STRIDE, |rest| rest.min(STRIDE));
            chain.update(&blob.read(chain.position(), length)?);
        }
        Ok(chain)
    }
}
