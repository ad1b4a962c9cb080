//! What is wrong with a downloaded file.

use crate::crypto::legacy::NotWholeBlocks;

/// The most bytes of metadata.
pub(super) const MAX_LENGTH: usize = 32 * 1024;

/// Why a download is not the file that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
        /// Size of the file in bytes, as the caller expects it.
        size: u64,
    },
    /// The server's copy is not what was sent, or the server sent another size than it announced.
    #[error("the server's copy is not what was sent, or not what it announced")]
    Chain,
    /// The server ended the file, but the last chunk that opened is not marked as the last
    /// (`docs/protocol.md` §21.6).
    #[error("the file is truncated: its last chunk is missing")]
    Truncated,
    /// The server says that the file is of another version of FSS than it was stored with
    /// (`docs/protocol.md` §18.11).
    #[error("the server says that the file is of another version of FSS than it was stored with")]
    Format,
    /// The content has another size than its metadata, or its owner's list, states
    /// (`docs/protocol.md` §21.9).
    #[error("the file has {got} bytes instead of {expected}")]
    Size {
        /// The expected size.
        expected: u64,
        /// The actual size.
        got: u64,
    },
    /// The metadata that is sealed with the file cannot be understood.
    #[error(transparent)]
    Metadata(InvalidMetadata),
    /// A chunk of sealed content is not what was sealed at its position (`docs/protocol.md` §21.6).
    #[error(
        "chunk {index} does not open: it is damaged, out of order, or belongs to another file or password"
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
pub enum InvalidMetadata {
    /// It has more than 32 KiB.
    #[error("the metadata has more than {MAX_LENGTH} bytes")]
    TooLong,
    /// It does not end within the first chunk.
    #[error("the metadata does not end within the first chunk")]
    Truncated,
    /// The kind or the encoding of the file is missing or unknown: it may need a newer program.
    #[error("the metadata has no kind and encoding that this program knows")]
    Unknown,
    /// A field is not `name=value`, is a duplicate, or cannot be encoded.
    #[error("a field of the metadata is not valid")]
    Field,
}
