//! What is wrong with a file that came.

use crate::crypto::legacy::NotWholeBlocks;

/// The most bytes of metadata.
pub(super) const MAX_LENGTH: usize = 32 * 1024;

/// What shows that a download is not the file that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Integrity {
    /// Stored chunks are whole AES blocks, at most 1024 bytes, and only the last may be shorter.
    #[error("the server sent a chunk of an impossible length ({length} bytes)")]
    ChunkLength {
        /// Length of the chunk in bytes.
        length: usize,
    },
    /// The stored length does not fit the size that the caller knows.
    #[error("{stored} stored bytes cannot hold a file of {size} bytes")]
    StoredLength {
        /// Bytes that the server sent.
        stored: u64,
        /// Size of the file in bytes, as the caller gave it.
        size: u64,
    },
    /// The server's copy is not what was sent, or it sent another size than it said.
    #[error("what the server has is not what was sent, or not what it said")]
    Chain,
    /// The server says that the file has ended, and no chunk that opened says so
    /// (`docs/protocol.md` §21.6).
    #[error("the file is cut off: the chunk that ends it did not come")]
    Truncated,
    /// The server says that the file is of another version of FSS than it was stored with
    /// (`docs/protocol.md` §18.11).
    #[error("the server says that the file is of another version of FSS than it was stored with")]
    Format,
    /// The content has another size than its metadata or the list of its owner says
    /// (`docs/protocol.md` §21.9).
    #[error("the file has {got} bytes instead of {expected}")]
    Size {
        /// What it should have.
        expected: u64,
        /// What there is.
        got: u64,
    },
    /// What is sealed with the file says nothing that this program understands.
    #[error("{0}")]
    Metadata(InvalidMetadata),
    /// A chunk of sealed content is not what was sealed in its place (`docs/protocol.md` §21.6).
    #[error(
        "chunk {index} does not open: it is damaged, out of its place, or of another file or password"
    )]
    Chunk {
        /// Its number, from 0.
        index: u64,
    },
}

impl From<NotWholeBlocks> for Integrity {
    fn from(NotWholeBlocks { length }: NotWholeBlocks) -> Self {
        Self::ChunkLength { length }
    }
}

/// Why metadata cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetadata {
    /// It has more than 32 KiB.
    #[error("the metadata has more than {MAX_LENGTH} bytes")]
    TooLong,
    /// It does not end within the first chunk.
    #[error("the metadata does not end within the first chunk")]
    Truncated,
    /// What the file is, or how it is encoded, is not said or not known: it may need a newer
    /// program.
    #[error("the metadata does not say what the file is in a way that is known here")]
    Unknown,
    /// A field is not `name=value`, is there twice, or cannot be written.
    #[error("a field of the metadata is not valid")]
    Field,
}
