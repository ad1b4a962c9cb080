//! A file on its way out of an [`super::IndexedStore`].

use std::sync::Arc;

use super::{Blobs, Index, OpenBlob, Record, Shared, content_start};
use crate::crypto::Fingerprint;
use crate::store::{
    CLAIM_LEASE, Claim, FileReader, Retention, StoreError, StoreErrorKind, StoredFile,
};
use crate::types::cookie::Cookie;

pub(super) struct IndexedDownload<I: Index, B: Blobs> {
    shared: Arc<Shared<I, B>>,
    cookie: Cookie,
    file: StoredFile,
    blob: Box<dyn OpenBlob>,
    /// Whether the number of its downloads is limited.
    is_limited: bool,
    /// The key that has a claim, and when its lease ends.
    claim: Option<(Fingerprint, u64)>,
}

impl<I: Index, B: Blobs> IndexedDownload<I, B> {
    pub(super) fn open(
        shared: &Arc<Shared<I, B>>,
        cookie: &Cookie,
    ) -> Result<Option<Self>, StoreError> {
        let Some((name, record)) = shared.find(cookie)? else { return Ok(None) };
        let blob = match shared.blobs.open(&name) {
            Ok(blob) => blob,
            // It may have been removed after it was found.
            Err(_) if shared.find(cookie)?.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Record { expires, owner, header, content, downloads } = record;
        let damaged =
            |what: String| StoreError::new(StoreErrorKind::Damaged, format!("{name} has {what}"));
        let size = blob.size().checked_sub(content_start(header.as_ref()));
        let size =
            size.ok_or_else(|| damaged(format!("{} bytes, and a header has more", blob.size())))?;
        if let Some(content) = content.filter(|content| content.size != size) {
            return Err(damaged(format!("{size} bytes, and {} were stored", content.size)));
        }
        let (verifier, chain) = (blob.verifier().clone(), content.map(|content| content.chain));
        let file = StoredFile { header, verifier, size, chain, expires, owner };
        Ok(Some(Self {
            shared: Arc::clone(shared),
            cookie: cookie.clone(),
            file,
            blob,
            is_limited: downloads.is_some(),
            claim: None,
        }))
    }

    /// Claims a delivery, or renews the claim.
    fn renew_claim(&mut self, by: Fingerprint) -> Result<bool, StoreError> {
        let now = self.shared.now();
        let lease = now.saturating_add(CLAIM_LEASE.as_secs());
        let claimed = self.shared.index.claim(&self.cookie, &Claim { by, lease, now })?;
        self.claim = claimed.then_some((by, lease));
        Ok(claimed)
    }
}

impl<I: Index, B: Blobs> FileReader for IndexedDownload<I, B> {
    fn file(&self) -> &StoredFile {
        &self.file
    }

    fn claim(&mut self, by: &Fingerprint) -> Result<bool, StoreError> {
        if self.is_limited { self.renew_claim(*by) } else { Ok(true) }
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let end = u64::try_from(buffer.len()).ok().and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.file.size) {
            return Err(StoreError::new(
                StoreErrorKind::Misuse,
                "a read beyond the end of the file",
            ));
        }
        if let Some((by, lease)) = self.claim
            && self.shared.now().saturating_add(CLAIM_LEASE.as_secs() / 2) > lease
        {
            // A slow download keeps its claim. If it is lost, the delivery counts even so.
            self.renew_claim(by)?;
        }
        self.blob.read(content_start(self.file.header.as_ref()) + offset, buffer)
    }

    fn delivered(self: Box<Self>) -> Result<(), StoreError> {
        let shared = &self.shared;
        let is_over = match self.claim {
            Some((by, _)) => shared
                .index
                .deliver(&self.cookie, &by)?
                .is_some_and(|deliveries| deliveries.are_made()),
            None => {
                self.file.header.is_none() && shared.options.retention == Retention::UntilDownloaded
            }
        };
        if is_over {
            shared.remove(&self.cookie)?;
        }
        Ok(())
    }
}
