//! Messages of RSA blocks: at most `k - 42` bytes a block, and an empty block at the end
//! (`docs/protocol.md` §3).
//!
//! [`Receiver`] opens one block per call, because a private operation is the largest unit of work
//! in FSS 1.0, and a driver may serve others in between. It accepts any segmentation, and white
//! space that a peer appended to its key.

use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::key_exchange::MAX_WHITE_SPACE;
use crate::crypto::{PrivateKey, PublicKey, PublicKeyDer};

/// The longest message, in bytes on the wire: what a 2019 peer reads with one `recv`.
pub const MAX_MESSAGE: usize = 4096;

/// How often the first block is tried at different places (`docs/protocol.md` §11).
const MAX_TRIES: usize = 3;

/// Bytes of a block that OAEP with SHA-1 uses.
const OVERHEAD: usize = 42;

/// The most blocks in a message to or from a key of `block_length` bytes, the end mark included.
fn max_blocks(block_length: usize) -> usize {
    MAX_MESSAGE / block_length
}

/// Seals one message to `key` and appends its blocks, end mark included, to `output`.
///
/// # Errors
/// [`BlockError::MessageTooLong`] if the plaintext needs more than 4096 bytes of blocks,
/// [`BlockError::Crypto`] if the provider fails. `output` may then hold a part of the message.
pub fn seal_message(
    key: &dyn PublicKey,
    plaintext: &[u8],
    rng: &mut dyn CryptoRng,
    output: &mut Vec<u8>,
) -> Result<(), BlockError> {
    let length = key.block_length();
    let piece =
        length.checked_sub(OVERHEAD).filter(|&piece| piece > 0).ok_or(BlockError::Crypto)?;
    if plaintext.len().div_ceil(piece) >= max_blocks(length) {
        return Err(BlockError::MessageTooLong { limit: max_blocks(length) });
    }
    for piece in plaintext.chunks(piece).chain([[].as_slice()]) {
        key.seal(piece, rng, output).map_err(|_| BlockError::Crypto)?;
    }
    Ok(())
}

/// Why a message cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A block did not open with our key. No detail is given, on purpose.
    #[error("a block does not open")]
    DoesNotOpen,
    /// A block of the first message follows one that was not full (`docs/protocol.md` §3).
    #[error("a block follows one that was not full")]
    AfterShortBlock,
    /// A message of more blocks than the protocol allows (`docs/protocol.md` §3).
    #[error("a message has more than {limit} blocks")]
    MessageTooLong {
        /// The most blocks a message may have, its end mark included.
        limit: usize,
    },
    /// The provider failed to seal.
    #[error("the crypto provider could not seal a block")]
    Crypto,
}

/// The result of [`Receiver::open_block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// There is no whole block: more bytes are needed. Nothing was done.
    Incomplete,
    /// One private operation was done, and the message continues.
    Block,
    /// One private operation was done, and the message is complete.
    Message,
}

/// Opens the messages that a peer sends.
pub struct Receiver {
    key: Arc<dyn PrivateKey>,
    message: Zeroizing<Vec<u8>>,
    blocks: usize,
    /// Until the first block has opened: how many places for its start have failed.
    failed_starts: Option<usize>,
    /// Whether the current message is the first.
    is_first: bool,
    /// Whether the last block that opened was not full: in a first message only the end mark may
    /// follow it.
    is_short: bool,
}

impl Receiver {
    /// Starts after the peer's key.
    pub fn new(key: Arc<dyn PrivateKey>) -> Self {
        Self {
            key,
            message: Zeroizing::default(),
            blocks: 0,
            failed_starts: Some(0),
            is_first: true,
            is_short: false,
        }
    }

    /// The public half of the key that messages are sealed to.
    pub fn public_key(&self) -> &PublicKeyDer {
        self.key.public_key()
    }

    /// Opens the block at the beginning of `input`, if it is whole, and returns how many bytes were
    /// consumed.
    ///
    /// # Errors
    /// [`BlockError::DoesNotOpen`], [`BlockError::MessageTooLong`],
    /// [`BlockError::AfterShortBlock`].
    pub fn open_block(
        &mut self,
        input: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(usize, Opened), BlockError> {
        let length = self.key.block_length();
        let skipped = match self.failed_starts {
            None => 0,
            Some(failed) => {
                possible_starts(input).get(failed).copied().ok_or(BlockError::DoesNotOpen)?
            }
        };
        let Some(block) = input.get(skipped..skipped + length) else {
            return Ok((0, Opened::Incomplete));
        };
        if self.blocks >= max_blocks(length) {
            return Err(BlockError::MessageTooLong { limit: max_blocks(length) });
        }
        let before = self.message.len();
        // Allocated for the whole message from the start, so that no reallocation leaves copies of
        // secrets.
        self.message.reserve_exact(MAX_MESSAGE.saturating_sub(before));
        let opened = self.key.open(block, rng, &mut self.message);
        match (opened, self.failed_starts) {
            (Ok(()), _) => self.failed_starts = None,
            (Err(_), Some(failed)) if failed + 1 < possible_starts(input).len() => {
                self.failed_starts = Some(failed + 1);
                self.message.truncate(before);
                return Ok((0, Opened::Block));
            }
            (Err(_), _) => return Err(BlockError::DoesNotOpen),
        }
        self.blocks += 1;
        let opened = self.message.len() - before;
        let ended = opened == 0;
        if self.is_first && self.is_short && !ended {
            return Err(BlockError::AfterShortBlock);
        }
        self.is_short = opened < length.saturating_sub(OVERHEAD);
        Ok((skipped + length, if ended { Opened::Message } else { Opened::Block }))
    }

    /// What has been received of the first message, if it has started and not ended.
    pub fn beginning(&self) -> Option<&[u8]> {
        (self.is_first && self.blocks > 0).then_some(&**self.message)
    }

    /// Ends the first message after its one block, which is a hello. Its end mark is not opened:
    /// the caller drops its [`PrivateKey::block_length`] bytes.
    pub fn take_hello(&mut self) -> Zeroizing<Vec<u8>> {
        self.take_message()
    }

    /// The plaintext of the message that [`Opened::Message`] announced.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Takes out the complete message and starts the next.
    pub fn take_message(&mut self) -> Zeroizing<Vec<u8>> {
        self.blocks = 0;
        self.is_first = false;
        std::mem::take(&mut self.message)
    }

    /// Whether any block has opened yet.
    pub fn has_opened(&self) -> bool {
        self.failed_starts.is_none()
    }

    /// Whether a message has begun and not ended.
    pub fn in_message(&self) -> bool {
        self.blocks > 0
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("blocks", &self.blocks).finish_non_exhaustive()
    }
}

/// Where the first block may start: white space that a peer appends to its key looks like the first
/// bytes of a block.
///
/// Most likely there is none. Otherwise it is a line end, or the whole run of white space, or that
/// without the block's own first byte (`docs/protocol.md` §2). So a garbage block costs one private
/// operation, and at most 3.
fn possible_starts(input: &[u8]) -> Vec<usize> {
    let white = |byte: &&u8| matches!(byte, b'\t'..=b'\r' | b' ');
    let run = input.iter().take(MAX_WHITE_SPACE).take_while(white).count();
    let line_end = match input {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    };
    let mut starts = Vec::with_capacity(MAX_TRIES);
    for start in [0, line_end, run, run.saturating_sub(1)] {
        if starts.len() < MAX_TRIES && !starts.contains(&start) {
            starts.push(start);
        }
    }
    starts
}
