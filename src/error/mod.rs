//! Why a session ended: one error type for both sides, which says whose fault it is.
//!
//! An error is *sticky*: after the first, a session answers with the same one for ever. What the
//! peer is told about it is decided elsewhere, in one file (`server::error_reply`).
//!
//! The enums are exhaustive on purpose: a new variant must fail to compile wherever it is to be
//! handled. `Display` says what failed; the cause is the source, and [`crate::Report`] shows both.

#![warn(clippy::wildcard_enum_match_arm)]

mod misbehaved;
mod misuse;
mod phase;
mod refusal;

pub use misbehaved::PeerMisbehaved;
pub use misuse::ApiMisuse;
pub use phase::Phase;
pub use refusal::Refusal;

use crate::crypto::{Fingerprint, KeyRejected};
use crate::sealed::Integrity;
use crate::store::StoreError;
use crate::types::cookie::InvalidCookie;
use crate::types::secret::InvalidPassword;
use crate::wire::error_frame::ErrorFrame;
use crate::wire::hello::InvalidHello;
use crate::wire::key_exchange::InvalidKeyExchange;
use crate::wire::legacy_frame::InvalidLegacyFrame;
use crate::wire::message::InvalidMessage;
use crate::wire::rsa_message::BlockError;

/// Why a session ended before its work was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What came before the first message was not a usable RSA public key (`docs/protocol.md` §2).
    #[error("the peer's key exchange is not valid")]
    InvalidKeyExchange(#[from] InvalidKeyExchange),
    /// The peer's public key is of a kind or size that FSS does not use (`docs/protocol.md` §2).
    #[error("the peer's public key is refused")]
    KeyRejected(#[from] KeyRejected),
    /// A block did not open with our key. No detail is given, on purpose.
    #[error("a block from the peer does not open")]
    BlockDoesNotOpen,
    /// A block of the first message follows one that was not full (`docs/protocol.md` §3).
    #[error("a block from the peer follows one that was not full")]
    BlockAfterShortBlock,
    /// A message of more blocks than the protocol allows (`docs/protocol.md` §3).
    #[error("a message from the peer has more than {limit} blocks")]
    MessageTooLong {
        /// The most blocks a message may have, its end mark included.
        limit: usize,
    },
    /// A message opened, and is not a frame (`docs/protocol.md` §4).
    #[error("a message from the peer is not a valid frame")]
    InvalidLegacyFrame(#[from] InvalidLegacyFrame),
    /// A record is too short, too long, or does not open with the connection's key: it is damaged,
    /// replayed or out of its place. No detail is given, on purpose (`docs/protocol.md` §14.6).
    #[error("a record from the peer does not open")]
    RecordDoesNotOpen,
    /// The first message of FSS/2 is not valid (`docs/protocol.md` §13).
    #[error("the peer's hello is refused")]
    InvalidHello(#[from] InvalidHello),
    /// A record opened, and is not a frame of the other side, or its arguments are not what they
    /// should be (`docs/protocol.md` §15).
    #[error("a frame from the peer is not valid")]
    InvalidMessage(#[from] InvalidMessage),
    /// What the server shows as its identity is none, or it has not shown that it is its own
    /// (`docs/protocol.md` §13.9): it may be an impostor. Nothing was sent to it but our public key
    /// and a hello.
    #[error("the server has not proved its identity")]
    ServerNotProved,
    /// The server has another identity than the one that it is known by: it may be an impostor.
    #[error("the server's key is {got}, and {expected} was expected")]
    ServerKeyChanged {
        /// The key that is known.
        expected: Fingerprint,
        /// The key that came.
        got: Fingerprint,
    },
    /// The peer's key is our own: something sends back what it gets.
    #[error("the peer has our own key")]
    OwnKey,
    /// The peer broke the protocol with frames that are valid by themselves.
    #[error("the peer broke the protocol")]
    Misbehaved(#[from] PeerMisbehaved),
    /// This side was asked for something, or sent something, that it does not accept.
    #[error("the request is refused")]
    Refused(#[from] Refusal),
    /// The peer sent an error frame.
    #[error("the peer answered: {}", .0.text)]
    PeerRefused(ErrorFrame),
    /// The file that came is not the file that was stored.
    #[error("the file is damaged")]
    Integrity(#[from] Integrity),
    /// The connection ended in the middle of an operation.
    #[error("the connection ended {0}")]
    Disconnected(Phase),
    /// The peer let a deadline pass.
    #[error("the peer was silent too long {0}")]
    TimedOut(Phase),
    /// The store could not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Local crypto failed on data of our own.
    #[error("the crypto provider failed on data of our own")]
    Crypto,
    /// A method was called when its documentation does not allow it.
    #[error("the session was used wrongly")]
    Misuse(#[from] ApiMisuse),
    /// A session has come into a state that its own rules exclude.
    #[error("the session contradicts itself, which is a bug of this library")]
    Internal,
}

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The other end broke the protocol, or refused.
    Peer,
    /// The program that embeds the session, or its user.
    Caller,
    /// The disk, the network, the operating system; a peer that fell silent or went away.
    Environment,
    /// This library, or one that it uses: please report it.
    Bug,
}

impl Error {
    /// Who can do something about it.
    pub fn blame(&self) -> Blame {
        match self {
            Self::InvalidKeyExchange(_)
            | Self::KeyRejected(_)
            | Self::BlockDoesNotOpen
            | Self::BlockAfterShortBlock
            | Self::MessageTooLong { .. }
            | Self::InvalidLegacyFrame(_)
            | Self::RecordDoesNotOpen
            | Self::InvalidHello(_)
            | Self::InvalidMessage(_)
            | Self::ServerNotProved
            | Self::ServerKeyChanged { .. }
            | Self::OwnKey
            | Self::Misbehaved(_)
            | Self::Refused(_)
            | Self::PeerRefused(_)
            | Self::Integrity(_) => Blame::Peer,
            Self::Disconnected(_) | Self::TimedOut(_) | Self::Store(_) => Blame::Environment,
            Self::Crypto | Self::Internal => Blame::Bug,
            Self::Misuse(_) => Blame::Caller,
        }
    }
}

impl From<BlockError> for Error {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::DoesNotOpen => Self::BlockDoesNotOpen,
            BlockError::AfterShortBlock => Self::BlockAfterShortBlock,
            BlockError::MessageTooLong { limit } => Self::MessageTooLong { limit },
            BlockError::Crypto => Self::Crypto,
        }
    }
}

impl From<InvalidCookie> for Error {
    fn from(error: InvalidCookie) -> Self {
        Self::Refused(error.into())
    }
}

impl From<InvalidPassword> for Error {
    fn from(error: InvalidPassword) -> Self {
        Self::Refused(error.into())
    }
}
