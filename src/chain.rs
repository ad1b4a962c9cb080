//! The chain digest (BLAKE3) of a file's stored bytes, which can be resumed with 32 bytes of state
//! (`docs/protocol.md` §22).
//!
//! ```
//! use fss::chain::{CHECKPOINT, Chain};
//! let mut chain = Chain::new(b"");
//! chain.update(b"stored ");
//! chain.update(b"bytes");
//! let mut same = Chain::new(b"");
//! same.update(b"stored bytes");
//! assert_eq!(chain.digest(), same.digest());
//! assert_eq!(CHECKPOINT, 256 * 65_564);
//! ```

use std::fmt;

/// Bytes of a whole sealed chunk, the unit of the chain.
pub const SEALED_CHUNK_LEN: u64 = SEALED_CHUNK_BYTES as u64;
const SEALED_CHUNK_BYTES: usize = 65_564;

/// Bytes between two checkpoints: 256 chunks (`docs/protocol.md` §22.3).
pub const CHECKPOINT: u64 = 256 * SEALED_CHUNK_LEN;

/// Length of a digest in bytes.
pub const DIGEST_LENGTH: usize = 32;

/// The digest of all bytes up to some offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainDigest([u8; DIGEST_LENGTH]);

impl ChainDigest {
    /// A digest from its stored bytes.
    pub fn from_bytes(bytes: [u8; DIGEST_LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; DIGEST_LENGTH] {
        &self.0
    }

    /// Reads 64 lower-case hex digits; `None` for anything else.
    pub fn from_hex(hex: &[u8]) -> Option<Self> {
        let mut bytes = [0; DIGEST_LENGTH];
        if hex.len() != 2 * DIGEST_LENGTH {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Some(Self(bytes))
    }
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        _ => None,
    }
}

/// Lower-case hex, as in frames.
impl fmt::Display for ChainDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainDigest({self})")
    }
}

/// Computes the digest of a stream, however it is divided.
#[derive(Clone)]
pub struct Chain {
    digest: ChainDigest,
    /// The chunk in progress, after the digest before it.
    piece: blake3::Hasher,
    /// Bytes of that chunk so far, fewer than [`SEALED_CHUNK_LEN`].
    begun: usize,
    position: u64,
}

impl Chain {
    /// Starts a file with this header: 64 bytes for sealed content, none for a file of FSS 1.0.
    pub fn new(header: &[u8]) -> Self {
        Self::resume(0, ChainDigest(blake3::hash(header).into()))
    }

    /// Resumes after `position` bytes, a multiple of [`SEALED_CHUNK_LEN`], whose digest is known.
    pub fn resume(position: u64, digest: ChainDigest) -> Self {
        Self { digest, piece: begin(&digest), begun: 0, position }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(SEALED_CHUNK_BYTES - self.begun));
            self.piece.update(taken);
            self.begun += taken.len();
            self.position += taken.len() as u64;
            if self.begun == SEALED_CHUNK_BYTES {
                self.digest = self.digest();
                self.piece = begin(&self.digest);
                self.begun = 0;
            }
            bytes = rest;
        }
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> ChainDigest {
        if self.begun == 0 { self.digest } else { ChainDigest(self.piece.finalize().into()) }
    }

    /// How many bytes were added, the header not counted.
    pub fn position(&self) -> u64 {
        self.position
    }
}

fn begin(digest: &ChainDigest) -> blake3::Hasher {
    let mut piece = blake3::Hasher::new();
    piece.update(&digest.0);
    piece
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("position", &self.position)
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}
