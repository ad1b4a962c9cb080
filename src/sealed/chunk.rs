//! Chunks, each sealed and opened in place, independently of the others (`docs/protocol.md` §21.5).

use rand_core::CryptoRng;

use super::integrity::Integrity;
use super::{Header, Key};
use crate::crypto::CryptoFailure;
use crate::crypto::aead::{NONCE_LENGTH, TAG_LENGTH};

/// Plaintext bytes of a chunk; only the last may have fewer, and at least one.
pub const CHUNK: usize = 65_536;

/// Bytes that sealing adds to a chunk.
pub const CHUNK_OVERHEAD: usize = NONCE_LENGTH + TAG_LENGTH;

/// Bytes of a whole sealed chunk.
pub const MAX_SEALED_CHUNK: usize = CHUNK + CHUNK_OVERHEAD;

/// The stored length of `plaintext` bytes, metadata included, without the header.
pub fn stored_length(plaintext: u64) -> u64 {
    plaintext + plaintext.div_ceil(CHUNK as u64) * CHUNK_OVERHEAD as u64
}

/// The plaintext length of `stored` bytes without the header; `None` if no sealed file has that
/// length.
pub fn content_length(stored: u64) -> Option<u64> {
    let pieces = stored.div_ceil(MAX_SEALED_CHUNK as u64);
    let last = stored - pieces.checked_sub(1)? * MAX_SEALED_CHUNK as u64;
    (last > CHUNK_OVERHEAD as u64).then(|| stored - pieces * CHUNK_OVERHEAD as u64)
}

/// The additional data, which binds a chunk to its file, its position and whether it is the last.
fn additional(header: &[u8; Header::LENGTH], index: u64, last: bool) -> [u8; Header::LENGTH + 9] {
    let mut bytes = [0; Header::LENGTH + 9];
    bytes[..Header::LENGTH].copy_from_slice(header);
    bytes[Header::LENGTH..Header::LENGTH + 8].copy_from_slice(&index.to_be_bytes());
    bytes[Header::LENGTH + 8] = last.into();
    bytes
}

/// Seals the chunks of one file in order.
#[derive(Debug)]
pub struct ChunkSealer {
    header: [u8; Header::LENGTH],
    index: u64,
}

impl ChunkSealer {
    /// Starts with the chunk of this index: 0, or where an upload resumes.
    pub fn new(header: &Header, index: u64) -> Self {
        Self { header: header.to_bytes(), index }
    }

    /// Seals `piece` in place: 12 bytes for the nonce, the plaintext, 16 bytes for the tag.
    ///
    /// # Errors
    /// [`CryptoFailure`] if it is too short or too long, is a short one that is not the last, or
    /// the library fails.
    pub fn seal(
        &mut self,
        key: &Key,
        piece: &mut [u8],
        last: bool,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), CryptoFailure> {
        let fits = piece.len() == MAX_SEALED_CHUNK
            || (last && piece.len() > CHUNK_OVERHEAD && piece.len() < MAX_SEALED_CHUNK);
        let (nonce, data) =
            piece.split_first_chunk_mut::<NONCE_LENGTH>().filter(|_| fits).ok_or(CryptoFailure)?;
        let (data, tag) = data.split_last_chunk_mut::<TAG_LENGTH>().ok_or(CryptoFailure)?;
        rng.fill_bytes(nonce);
        *tag = key.content().seal(*nonce, &additional(&self.header, self.index, last), data)?;
        self.index += 1;
        Ok(())
    }
}

/// Opens chunks of one file, in any order.
#[derive(Debug)]
pub struct ChunkOpener {
    header: [u8; Header::LENGTH],
}

impl ChunkOpener {
    /// For the file with this header.
    pub fn new(header: &Header) -> Self {
        Self { header: header.to_bytes() }
    }

    /// Opens `piece` in place, and lends the plaintext within it.
    ///
    /// # Errors
    /// [`Integrity::Chunk`] if it is not the chunk of this index, or not the last, or is damaged.
    /// None of its plaintext is then released.
    pub fn open<'a>(
        &self,
        key: &Key,
        piece: &'a mut [u8],
        index: u64,
        last: bool,
    ) -> Result<&'a mut [u8], Integrity> {
        let damaged = Integrity::Chunk { index };
        let fits = piece.len() == MAX_SEALED_CHUNK
            || (last && piece.len() > CHUNK_OVERHEAD && piece.len() < MAX_SEALED_CHUNK);
        let (nonce, data) =
            piece.split_first_chunk_mut::<NONCE_LENGTH>().filter(|_| fits).ok_or(damaged)?;
        if key.content().open(*nonce, &additional(&self.header, index, last), data).is_err() {
            // Whatever the library left in the buffer must not be taken for plaintext.
            data.fill(0);
            return Err(damaged);
        }
        let end = data.len() - TAG_LENGTH;
        Ok(&mut data[..end])
    }
}
