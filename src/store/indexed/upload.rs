//! A file on its way into an [`super::IndexedStore`].

use std::sync::Arc;

use bytes::Bytes;

use super::active::Hold;
use super::{
    Blobs, Content, Index, Pending, Progress, Record, Reservation, Shared, StagedBlob,
    content_start, superseded,
};
use crate::chain::{CHECKPOINT, Chain, ChainDigest};
use crate::sealed::Header;
use crate::store::{FileWriter, NewFile, Resumed, RetentionTerms, StoreError, StoreErrorKind};
use crate::types::cookie::Cookie;

/// What is reserved beyond a checkpoint for a file whose size is not known (`docs/protocol.md`
/// §17.5).
const RESERVED_AHEAD: u64 = 24 * 1024 * 1024;

pub(super) struct IndexedUpload<I: Index, B: Blobs> {
    shared: Arc<Shared<I, B>>,
    reservation: Reservation,
    file: NewFile,
    blob: Hold<Box<dyn StagedBlob>>,
    chain: Chain,
    expires: Option<u64>,
    granted: RetentionTerms,
    stage: Stage,
}

/// The progress of an upload, which decides what its drop removes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Staged,
    Published,
    /// There is nothing to remove: the file is complete, or the upload is pending in the index.
    Settled,
}

impl<I: Index, B: Blobs> IndexedUpload<I, B> {
    pub(super) fn begin(shared: &Arc<Shared<I, B>>, file: &NewFile) -> Result<Self, StoreError> {
        let pending = match file {
            NewFile::Legacy { .. } => None,
            NewFile::Sealed { upload, owner } => {
                let (reserved, lease) = (reserved(upload.size, 0), shared.lease());
                Some(Pending { upload: upload.clone(), owner: *owner, reserved, lease })
            }
        };
        shared.check_member(pending.as_ref().map(|pending| &pending.owner))?;
        // Checked before anything is recorded, so that refused uploads do not fill a full disk
        // further.
        shared.check_room(0)?;
        let options = &shared.options;
        let taken = |blob: &str| shared.blobs.exists(blob);
        let reservation = shared.index.reserve(
            pending.as_ref(),
            options.files_per_owner,
            &*options.cookies,
            &taken,
        )?;
        let Reservation { cookie, blob } = &reservation;
        let size = pending.as_ref().and_then(|pending| pending.upload.size).unwrap_or(0);
        let staged = shared.check_room(size).and_then(|()| match file {
            NewFile::Legacy { verifier } => shared
                .blobs
                .stage(blob, verifier)
                .map(|staged| shared.active.alone(cookie, staged))
                .map(Some),
            NewFile::Sealed { upload, .. } => {
                let stage = || {
                    let mut staged = shared.blobs.stage(blob, &upload.verifier)?;
                    start(&mut *staged, &upload.header)?;
                    Ok(Some((staged, ())))
                };
                shared.active.take_over(cookie, stage).map(|held| held.map(|(held, ())| held))
            }
        });
        match staged.and_then(|held| held.ok_or_else(superseded)) {
            Ok(held) => Ok(Self::new(shared, reservation, file.clone(), held, file.chain())),
            Err(error) => {
                // An error of the cleanup must not hide this one; the next sweep or start tries
                // again.
                let _ = shared.index.abandon(cookie, None).and_then(|_| {
                    let discarded =
                        shared.blobs.discard(blob).and_then(|_| shared.index.clear_orphan(blob));
                    shared.cleared(blob, discarded)
                });
                Err(error)
            }
        }
    }

    /// Takes over a pending upload; `None` if there is none.
    pub(super) fn resume(
        shared: &Arc<Shared<I, B>>,
        cookie: &Cookie,
        offset: u64,
    ) -> Result<Option<Resumed>, StoreError> {
        // An unknown cookie must not create an entry in the table of active uploads, nor wait for
        // one.
        if shared.pending(cookie)?.is_none() {
            return Ok(None);
        }
        let prepared = shared.active.take_over(cookie, || {
            let Some((blob, Pending { upload, owner, .. })) = shared.pending(cookie)? else {
                return Ok(None);
            };
            let mut staged = shared.blobs.restage(&blob, &upload.verifier)?;
            // A checkpoint is recorded after its bytes are synced, but a restored backup may have
            // an older blob. Resuming beyond its end would leave a hole in the file.
            let most =
                staged.length()?.saturating_sub(content_start(Some(&upload.header))).min(offset);
            let checkpoints = shared.index.checkpoints(cookie)?;
            let checkpoint = checkpoints.into_iter().rev().find(|(position, _)| *position <= most);
            let (size, header) = (upload.size, upload.header.clone());
            let file = NewFile::Sealed { upload, owner };
            let chain = checkpoint
                .map_or_else(|| file.chain(), |(position, chain)| Chain::resume(position, chain));
            // The later checkpoints go first, durably: after a crash a checkpoint must not refer to
            // bytes that were overwritten.
            if !shared.index.advance(cookie, &progress(shared, &chain, size))? {
                return Ok(None);
            }
            if chain.position() == 0 {
                staged.truncate(0)?;
                start(&mut *staged, &header)?;
            } else {
                staged.truncate(content_start(Some(&header)) + chain.position())?;
            }
            Ok(Some((staged, (blob, file, chain, size))))
        })?;
        let Some((held, (blob, file, chain, size))) = prepared else { return Ok(None) };
        let (offset, digest) = (chain.position(), chain.digest());
        let upload =
            Self::new(shared, Reservation { cookie: cookie.clone(), blob }, file, held, chain);
        let expires = upload.expires;
        Ok(Some(Resumed { upload: Some(Box::new(upload)), offset, chain: digest, size, expires }))
    }

    fn new(
        shared: &Arc<Shared<I, B>>,
        reservation: Reservation,
        file: NewFile,
        blob: Hold<Box<dyn StagedBlob>>,
        chain: Chain,
    ) -> Self {
        let granted = keep(shared, &file);
        let expires = granted.expires(shared.now());
        Self {
            shared: Arc::clone(shared),
            reservation,
            file,
            blob,
            chain,
            expires,
            granted,
            stage: Stage::Staged,
        }
    }
}

/// Starts a sealed blob with its header. It is not synced: nothing is durable before the first
/// checkpoint, and until then a resume starts at 0.
fn start(staged: &mut dyn StagedBlob, header: &Header) -> Result<(), StoreError> {
    staged.append(&header.to_bytes())
}

/// What a sealed upload counts against the quota when it has this many bytes.
fn reserved(size: Option<u64>, position: u64) -> u64 {
    size.unwrap_or(position.saturating_add(RESERVED_AHEAD))
}

fn progress<I: Index, B: Blobs>(
    shared: &Shared<I, B>,
    chain: &Chain,
    size: Option<u64>,
) -> Progress {
    let position = chain.position();
    Progress {
        position,
        chain: chain.digest(),
        reserved: reserved(size, position),
        lease: shared.lease(),
    }
}

/// What a file is granted of what its client asked for.
fn keep<I: Index, B: Blobs>(shared: &Shared<I, B>, file: &NewFile) -> RetentionTerms {
    let retention = shared.options.retention;
    match file {
        NewFile::Legacy { .. } => retention.grant_legacy(),
        NewFile::Sealed { upload, .. } => {
            retention.grant(RetentionTerms { seconds: upload.keep, downloads: upload.downloads })
        }
    }
}

impl<I: Index, B: Blobs> FileWriter for IndexedUpload<I, B> {
    fn cookie(&self) -> &Cookie {
        &self.reservation.cookie
    }

    fn expires(&self) -> Option<u64> {
        self.expires
    }

    fn granted(&self) -> RetentionTerms {
        self.granted
    }

    fn write(&mut self, offset: u64, data: Bytes) -> Result<(), StoreError> {
        if offset != self.chain.position() {
            return Err(StoreError::new(
                StoreErrorKind::Misuse,
                "a write that does not follow the one before",
            ));
        }
        self.shared.check_room(data.len() as u64)?;
        let mut held = self.blob.lock();
        // Put back only at the end, so that no write can follow one that failed.
        let mut staged = held.take().ok_or_else(superseded)?;
        let mut rest = &data[..];
        while !rest.is_empty() {
            let to_checkpoint = CHECKPOINT - self.chain.position() % CHECKPOINT;
            let (taken, after) = rest.split_at(
                usize::try_from(to_checkpoint).map_or(rest.len(), |most| most.min(rest.len())),
            );
            staged.append(taken)?;
            self.chain.update(taken);
            if let NewFile::Sealed { upload, .. } = &self.file
                && self.chain.position().is_multiple_of(CHECKPOINT)
            {
                staged.sync()?;
                let progress = progress(&self.shared, &self.chain, upload.size);
                if !self.shared.index.advance(&self.reservation.cookie, &progress)? {
                    return Err(superseded());
                }
            }
            rest = after;
        }
        *held = Some(staged);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<ChainDigest, StoreError> {
        let Self { shared, reservation, file, blob, chain, stage, .. } = &mut *self;
        // A connection that takes over waits for the outcome.
        let mut held = blob.lock();
        held.take().ok_or_else(superseded)?.publish()?;
        *stage = Stage::Published;
        let (stored, keep, chain) =
            (shared.now(), keep(shared, file), (chain.position(), chain.digest()));
        let (header, owner) = match file {
            NewFile::Legacy { .. } => (None, None),
            NewFile::Sealed { upload, owner } => (Some(upload.header.clone()), Some(*owner)),
        };
        let record = Record {
            expires: keep.expires(stored),
            owner,
            header,
            content: Some(Content { size: chain.0, chain: chain.1 }),
            downloads: keep.downloads,
        };
        let published = shared.index.publish(reservation, stored, &record);
        // After an error an upload of FSS/2 is still pending, and a resume restages the published
        // blob. If the store has stopped it is unknown whether there is a record, so the blob is
        // left to the next start, which knows. Only the blob of a failed upload of FSS 1.0 is
        // removed.
        if !matches!((&published, &file), (Err(error), NewFile::Legacy { .. }) if error.kind() != StoreErrorKind::Stopped)
        {
            *stage = Stage::Settled;
        }
        published.map(|()| chain.1)
    }
}

impl<I: Index, B: Blobs> Drop for IndexedUpload<I, B> {
    fn drop(&mut self) {
        let Self { shared, reservation: Reservation { blob, .. }, file, .. } = self;
        let removed = match (self.stage, file) {
            // It stays pending, to be resumed.
            (Stage::Staged, NewFile::Sealed { .. }) | (Stage::Settled, _) => return,
            // The blob was not published, so what has its name is not ours.
            (Stage::Staged, NewFile::Legacy { .. }) => shared.blobs.discard(blob).map(drop),
            (Stage::Published, _) => shared.blobs.remove(blob),
        };
        // The next sweep tries again, or the next start if the store has stopped.
        let _ = shared.cleared(blob, removed.and_then(|()| shared.index.clear_orphan(blob)));
    }
}
