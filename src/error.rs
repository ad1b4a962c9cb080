//! Why a session ended: one error type for both sides, which says whose fault it is.
//!
//! An error is *sticky*: after the first, a session answers with the same one for ever. What the
//! peer is told about it is decided elsewhere, in one function ([`crate::server::refusal_text`]).

use crate::crypto::{Fingerprint, KeyRejected};
use crate::sealed::Integrity;
use crate::store::StoreError;
use crate::types::cookie::InvalidCookie;
use crate::types::secret::InvalidPassword;
use crate::wire::error_frame::ErrorFrame;
use crate::wire::hello::InvalidHello;
use crate::wire::key_exchange::InvalidKeyExchange;
use crate::wire::legacy_frame::InvalidFrame;
use crate::wire::message::InvalidMessage;
use crate::wire::rsa_message::BlockError;

/// Why a session ended before its work was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What came before the first message was not a usable RSA public key (`docs/protocol.md` §2).
    #[error("the peer's key exchange is not valid: {0}")]
    InvalidKeyExchange(#[from] InvalidKeyExchange),
    /// The peer's public key is of a kind or size that FSS does not use (`docs/protocol.md` §2).
    #[error("the peer's public key is refused: {0}")]
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
    #[error("a message from the peer is not a valid frame: {0}")]
    InvalidFrame(#[from] InvalidFrame),
    /// A record is too short, too long, or does not open with the connection's key: it is damaged,
    /// replayed or out of its place. No detail is given, on purpose (`docs/protocol.md` §14.6).
    #[error("a record from the peer does not open")]
    RecordDoesNotOpen,
    /// The first message of FSS/2 is not valid (`docs/protocol.md` §13).
    #[error("the peer's hello is refused: {0}")]
    InvalidHello(#[from] InvalidHello),
    /// A record opened, and is not a frame of the other side, or its arguments are not what they
    /// should be (`docs/protocol.md` §15).
    #[error("a frame from the peer is not valid: {0}")]
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
    /// A valid frame at a moment when the protocol has no place for it (`docs/protocol.md` §5).
    #[error("the peer sent {got} where {expected} was due")]
    UnexpectedFrame {
        /// What came.
        got: &'static str,
        /// What the protocol allows here.
        expected: &'static str,
    },
    /// This side was asked for something, or sent something, that it does not take.
    #[error("request refused: {0}")]
    Refused(#[from] Refusal),
    /// The peer sent an error frame.
    #[error("the peer answered: {}", .0.text)]
    PeerRefused(ErrorFrame),
    /// The file that came is not the file that was stored.
    #[error("the file is damaged: {0}")]
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
    #[error("the session was used wrongly: {0}")]
    Misuse(&'static str),
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
            | Self::InvalidFrame(_)
            | Self::RecordDoesNotOpen
            | Self::InvalidHello(_)
            | Self::InvalidMessage(_)
            | Self::ServerNotProved
            | Self::ServerKeyChanged { .. }
            | Self::OwnKey
            | Self::UnexpectedFrame { .. }
            | Self::Refused(_)
            | Self::PeerRefused(_)
            | Self::Integrity(_) => Blame::Peer,
            Self::Disconnected(_) | Self::TimedOut(_) | Self::Store(_) => Blame::Environment,
            Self::Crypto => Blame::Bug,
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

/// Why a server refuses a well-formed connection's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No file has this cookie.
    #[error("no file has this cookie")]
    UnknownCookie,
    /// The cookie is not 1 to 48 decimal digits, so no file can have it.
    #[error("the cookie is not a number of at most 48 digits")]
    InvalidCookie,
    /// The password is not the file's, or is missing.
    #[error("wrong password")]
    WrongPassword,
    /// Too many wrong passwords came for this cookie, or from this source (`docs/protocol.md` §16).
    #[error("too many attempts: wait {retry} s")]
    TooManyAttempts {
        /// Seconds until the next attempt is looked at.
        retry: u64,
    },
    /// A password of a length that no file can have.
    #[error("the password is empty or too long")]
    InvalidPassword,
    /// The first message asks for nothing that FSS 1.0 knows.
    #[error("the first message is no request of FSS 1.0")]
    UnknownRequest,
    /// A chunk came after one shorter than 1024 bytes; the stored layout cannot carry that.
    #[error("a chunk followed a short chunk")]
    ChunkAfterShortChunk,
    /// The file is larger than this server takes.
    #[error("the file is larger than the limit of {limit} bytes")]
    FileTooLarge {
        /// The most bytes a stored file may have.
        limit: u64,
    },
    /// The header is not that of the upload that is to go on.
    #[error("the header is not that of the upload")]
    OtherHeader,
    /// An upload ends elsewhere than it said, or goes on behind its end.
    #[error("the file does not have the size that was announced")]
    OtherSize,
    /// A part of an upload came after one of fewer than 4096 bytes, which only the end may follow.
    #[error("a part of the file followed a short one")]
    PartAfterShortPart,
    /// An offset that is neither between two pieces nor the end of the file.
    #[error("the offset is not the beginning of a piece")]
    InvalidOffset,
    /// More was sent than the window allows.
    #[error("more was sent than the window allows")]
    BeyondWindow,
    /// The file to list after is none of the caller's.
    #[error("the file to list after is none of the caller's")]
    UnknownEntry,
    /// The key exchange is one of FSS 1.0, and not good enough for FSS/2 (`docs/protocol.md`
    /// §13.1).
    #[error("the key is not in the one form that FSS/2 takes")]
    KeyNotCanonical,
    /// FSS 1.0 is not spoken here.
    #[error("FSS 1.0 is not spoken here")]
    LegacyNotSpoken,
    /// There are as many connections as [`Limits`](crate::Limits) allow, in all or from where this
    /// one comes.
    #[error("there are too many connections")]
    TooManyConnections,
}

impl From<InvalidCookie> for Refusal {
    fn from(InvalidCookie: InvalidCookie) -> Self {
        Self::InvalidCookie
    }
}

impl From<InvalidPassword> for Refusal {
    fn from(InvalidPassword: InvalidPassword) -> Self {
        Self::InvalidPassword
    }
}

/// The part of an operation in which a connection ended or fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Before the peer's key was complete.
    KeyExchange,
    /// Before the request was complete, or before it was answered.
    Request,
    /// When no operation was going on (FSS/2).
    Rest,
    /// While the file was on its way.
    Transfer,
    /// Before the last message was acknowledged.
    Finish,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::KeyExchange => "during the key exchange",
            Self::Request => "before the request was answered",
            Self::Rest => "while nothing was asked",
            Self::Transfer => "in the middle of the file",
            Self::Finish => "before the end of the file was acknowledged",
        })
    }
}
