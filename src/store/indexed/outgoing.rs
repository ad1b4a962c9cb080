//! A file on its way out of an [`super::IndexedStore`].

use std::sync::Arc;

use bytes::Bytes;

use super::{Blobs, Index, OpenBlob, Record, Shared, content_start};
use crate::cookie::Cookie;
use crate::store::{Deliveries, Download, Retention, StoreError, StoreErrorKind, StoredFile};

pub(super) struct Outgoing<I: Index, B: Blobs> {
    shared: Arc<Shared<I, B>>,
    cookie: Cookie,
    file: StoredFile,
    blob: Box<dyn OpenBlob>,
    /// What was known of its deliveries, if they are limited.
    deliveries: Option<Deliveries>,
    claimed: bool,
}

impl<I: Index, B: Blobs> Outgoing<I, B> {
    pub(super) fn open(shared: &Arc<Shared<I, B>>, cookie: &Cookie) -> Result<Option<Self>, StoreError> {
        let Some((name, record)) = shared.find(cookie)? else { return Ok(None) };
        let blob = match shared.blobs.open(&name) {
            Ok(blob) => blob,
            // It may have been removed between the two steps.
            Err(_) if shared.find(cookie)?.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Record { expires, owner, header, content, deliveries } = record;
        let damaged = |what: String| StoreError::new(StoreErrorKind::Damaged, format!("{name} has {what}"));
        let size = blob.size().checked_sub(content_start(header.as_ref()));
        let size = size.ok_or_else(|| damaged(format!("{} bytes, and a header has more", blob.size())))?;
        if let Some(content) = content.filter(|content| content.size != size) {
            return Err(damaged(format!("{size} bytes, and {} were stored", content.size)));
        }
        let (verifier, chain) = (blob.verifier().clone(), content.map(|content| content.chain));
        let file = StoredFile { header, verifier, size, chain, expires, owner };
        Ok(Some(Self { shared: Arc::clone(shared), cookie: cookie.clone(), file, blob, deliveries, claimed: false }))
    }

    /// Whether a delivery is left to claim, as far as is known.
    pub(super) fn is_to_be_had(&self) -> bool {
        self.deliveries.is_none_or(|deliveries| deliveries.left() > 0)
    }

    fn end_claim(&mut self, end: impl FnMut(&mut Deliveries)) -> Result<(), StoreError> {
        if std::mem::take(&mut self.claimed) { self.shared.change_deliveries(&self.cookie, end) } else { Ok(()) }
    }
}

impl<I: Index, B: Blobs> Download for Outgoing<I, B> {
    fn file(&self) -> &StoredFile {
        &self.file
    }

    fn claim(&mut self) -> Result<bool, StoreError> {
        if self.claimed || self.deliveries.is_none() {
            return Ok(true);
        }
        let mut claimed = false;
        self.shared.index.deliveries(&self.cookie, &mut |deliveries| claimed = deliveries.claim())?;
        self.claimed = claimed;
        Ok(claimed)
    }

    fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        let end = u64::try_from(length).ok().and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.file.size) {
            return Err(StoreError::new(StoreErrorKind::Misuse, "a read beyond the end of the file"));
        }
        self.blob.read(content_start(self.file.header.as_ref()) + offset, length)
    }

    fn delivered(mut self: Box<Self>) -> Result<(), StoreError> {
        self.end_claim(Deliveries::commit)?;
        if self.file.header.is_none() && self.shared.options.retention == Retention::UntilDownloaded {
            self.shared.remove(&self.cookie)?;
        }
        Ok(())
    }
}

impl<I: Index, B: Blobs> Drop for Outgoing<I, B> {
    fn drop(&mut self) {
        // Should this fail, the next start gives it back.
        let _ = self.end_claim(Deliveries::give_back);
    }
}
