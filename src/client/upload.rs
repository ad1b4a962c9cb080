//! A file on its way to the server: plaintext is taken into the record that will be sent, sealed
//! and chained where it lies, as far as the window allows (`docs/protocol.md` §17, §21, §22).

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{Resume, Upload};
use crate::chain::{CHECKPOINT, Chain, ChainDigest, SEALED_CHUNK_LEN};
use crate::crypto::aead::NONCE_LENGTH;
use crate::crypto::proof::Proof;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::format::NewUpload;
use crate::sealed::{
    CHUNK, CHUNK_OVERHEAD, ChunkSealer, Header, Integrity, Key, MAX_SEALED_CHUNK, stored_length,
};
use crate::types::MAX_NUMBER;
use crate::types::cookie::Cookie;
use crate::wire::request::Request;

/// Pieces in one record at most.
const PIECES: u64 = 4;

/// The largest size that is still a number when the file is sealed.
const LARGEST: u64 = MAX_NUMBER / 2;

/// An upload that is to begin or to go on.
pub(super) struct ActiveUpload {
    header: Header,
    key: Key,
    /// The beginning of the plaintext.
    metadata: Zeroizing<Vec<u8>>,
    /// Plaintext bytes in all, metadata included, if that is known.
    total: Option<u64>,
    keep: Option<u64>,
    downloads: Option<u64>,
    /// For an upload that goes on: its cookie and what was noted of it.
    earlier: Option<(Cookie, Vec<(u64, ChainDigest)>)>,
}

/// An upload that the server has accepted.
pub(super) struct Sending {
    pub(super) cookie: Cookie,
    key: Key,
    metadata: Zeroizing<Vec<u8>>,
    total: Option<u64>,
    sealer: ChunkSealer,
    chain: Chain,
    /// Plaintext bytes in records before the present one.
    position: u64,
    /// Plaintext bytes in the present record, and how many pieces it may have; none while there is
    /// no record.
    filled: usize,
    pieces: u64,
    /// If the size is not known: the byte after a full record, by which it is known not to be the
    /// last.
    ahead: Option<u8>,
    ahead_slot: [u8; 1],
    /// The caller has no more.
    ended: bool,
    acknowledged: u64,
    window: u64,
}

impl ActiveUpload {
    pub(super) fn new(upload: Upload) -> Result<Self, Error> {
        let Upload { header, key, metadata, size, keep, downloads } = upload;
        if size.is_some_and(|size| size > LARGEST) {
            return Err(ApiMisuse::UploadTooLarge.into());
        }
        let metadata = Zeroizing::new(metadata.encode().map_err(Integrity::Metadata)?);
        let total = size.map(|size| size.saturating_add(metadata.len() as u64));
        Ok(Self { header, key, metadata, total, keep, downloads, earlier: None })
    }

    pub(super) fn resumed(resume: Resume) -> Result<Self, Error> {
        let Resume { upload, cookie, noted } = resume;
        Ok(Self { earlier: Some((cookie, noted)), ..Self::new(upload)? })
    }

    /// The request to send.
    pub(super) fn request(&self, binding: &[u8; 32]) -> Request<'static> {
        let header = self.header.clone();
        match &self.earlier {
            None => Request::Upload(NewUpload {
                header,
                verifier: self.key.verifier().clone(),
                size: self.total.map(stored_length),
                keep: self.keep,
                downloads: self.downloads,
            }),
            Some((cookie, noted)) => Request::Resume {
                header,
                cookie: cookie.clone(),
                proof: Proof::new(self.key.verifier(), binding, cookie),
                offset: noted.iter().map(|(offset, _)| *offset).max().unwrap_or(0),
            },
        }
    }

    /// The server accepts, and says where to go on.
    pub(super) fn accepted(
        self,
        cookie: Cookie,
        offset: u64,
        window: u64,
        chain: Option<ChainDigest>,
    ) -> Result<Sending, Error> {
        if window < SEALED_CHUNK_LEN {
            return Err(PeerMisbehaved::SmallWindow.into());
        }
        let known = match (&self.earlier, offset) {
            (Some((asked, _)), _) if *asked != cookie => false,
            (_, 0) => chain.is_none(),
            (Some((_, noted)), _) => {
                noted.iter().any(|(at, digest)| *at == offset && Some(*digest) == chain)
            }
            (None, _) => false,
        };
        if !known {
            return Err(Integrity::Chain.into());
        }
        let pieces = offset.div_ceil(SEALED_CHUNK_LEN);
        let position = offset.saturating_sub(pieces * CHUNK_OVERHEAD as u64);
        if self.total.is_some_and(|total| position > total) {
            return Err(ApiMisuse::SourceTooShort.into());
        }
        let chain = chain.map_or_else(
            || Chain::new(&self.header.to_bytes()),
            |chain| Chain::resume(offset, chain),
        );
        Ok(Sending {
            cookie,
            sealer: ChunkSealer::new(&self.header, pieces),
            key: self.key,
            metadata: self.metadata,
            total: self.total,
            chain,
            position,
            filled: 0,
            pieces: 0,
            ahead: None,
            ahead_slot: [0],
            // Only the end of a file is not between two pieces.
            ended: self.total == Some(position) || !offset.is_multiple_of(SEALED_CHUNK_LEN),
            acknowledged: offset,
            window,
        })
    }
}

impl Sending {
    /// Bytes of the file, without its metadata, that the server has already.
    pub(super) fn file_position(&self) -> u64 {
        self.position.saturating_sub(self.metadata.len() as u64)
    }

    /// Sealed bytes so far.
    pub(super) fn sent(&self) -> u64 {
        self.chain.position()
    }

    pub(super) fn chain(&self) -> ChainDigest {
        self.chain.digest()
    }

    /// Whether there is nothing left to send but the end.
    pub(super) fn is_complete(&self) -> bool {
        self.ended && self.pieces == 0
    }

    /// Whether a record is being filled.
    pub(super) fn has_record(&self) -> bool {
        self.pieces > 0
    }

    /// How many pieces may be sent now.
    pub(super) fn pieces_allowed(&self) -> u64 {
        let room = self.window.saturating_sub(self.sent() - self.acknowledged);
        (room / SEALED_CHUNK_LEN).min(PIECES)
    }

    pub(super) fn acknowledge(&mut self, offset: u64) -> Result<(), Error> {
        if !(self.acknowledged..=self.sent()).contains(&offset) {
            return Err(PeerMisbehaved::AcknowledgedOutOfOrder.into());
        }
        self.acknowledged = offset;
        Ok(())
    }

    /// Whether all that was sent up to `offset` is acknowledged.
    pub(super) fn is_acknowledged(&self, offset: u64) -> bool {
        self.acknowledged == offset
    }

    /// Begins a record in `room`. What is known of its beginning is put there.
    pub(super) fn begin_record(&mut self, room: &mut [u8]) {
        self.pieces = self.pieces_allowed();
        let first: &[u8] = match (&self.ahead.take(), self.position) {
            (Some(ahead), _) => &[*ahead],
            (None, 0) => &self.metadata,
            (None, _) => &[],
        };
        room[NONCE_LENGTH..NONCE_LENGTH + first.len()].copy_from_slice(first);
        self.filled = first.len();
        self.ended |= self.left() == Some(0);
    }

    /// Plaintext bytes that are still to be supplied, if that is known.
    fn left(&self) -> Option<u64> {
        self.total.map(|total| total - self.position - self.filled as u64)
    }

    fn is_full(&self) -> bool {
        self.filled as u64 == self.pieces * CHUNK as u64
    }

    /// Whether all that the record will have is there.
    pub(super) fn is_record_filled(&self) -> bool {
        self.ended || (self.is_full() && (self.total.is_some() || self.ahead.is_some()))
    }

    /// Where the next plaintext goes.
    pub(super) fn slot<'a>(&'a mut self, room: &'a mut [u8]) -> &'a mut [u8] {
        if self.is_full() {
            return &mut self.ahead_slot;
        }
        let (piece, within) = (self.filled / CHUNK, self.filled % CHUNK);
        let left = self.left().map_or(CHUNK, |left| usize::try_from(left).unwrap_or(CHUNK));
        let start = piece * MAX_SEALED_CHUNK + NONCE_LENGTH + within;
        room.get_mut(start..start + left.min(CHUNK - within)).unwrap_or_default()
    }

    /// So many bytes of the slot, which has `room`, were filled.
    pub(super) fn supplied(&mut self, count: usize, room: usize) -> Result<(), Error> {
        if count > room {
            return Err(ApiMisuse::SuppliedTooMuch.into());
        }
        if count == 0 {
            if self.left().is_some() {
                return Err(ApiMisuse::SuppliedTooLittle.into());
            }
            self.ended = true;
        } else if self.is_full() {
            self.ahead = Some(self.ahead_slot[0]);
        } else {
            self.filled += count;
            self.ended = self.left() == Some(0);
        }
        Ok(())
    }

    /// Seals the pieces of the record where they lie; says how many bytes they have, and which
    /// checkpoints they passed.
    pub(super) fn seal(
        &mut self,
        room: &mut [u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(usize, Vec<(u64, ChainDigest)>), Error> {
        let mut checkpoints = Vec::new();
        let (mut sealed, mut left) = (0, self.filled);
        while left > 0 {
            let length = left.min(CHUNK);
            left -= length;
            let piece =
                room.get_mut(sealed..sealed + length + CHUNK_OVERHEAD).ok_or(Error::Crypto)?;
            self.sealer
                .seal(&self.key, piece, self.ended && left == 0, rng)
                .map_err(|_| Error::Crypto)?;
            self.chain.update(piece);
            sealed += piece.len();
            if self.chain.position().is_multiple_of(CHECKPOINT) {
                checkpoints.push((self.chain.position(), self.chain.digest()));
            }
        }
        self.position += self.filled as u64;
        (self.filled, self.pieces) = (0, 0);
        Ok((sealed, checkpoints))
    }
}
