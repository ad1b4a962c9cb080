//! What a side does not do that it was asked for by the rules.

use crate::types::cookie::InvalidCookie;
use crate::types::secret::InvalidPassword;

/// Why a server refuses a well-formed connection's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
