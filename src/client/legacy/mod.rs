//! The client of FSS 1.0: a pure machine that uploads or downloads one file.

mod session;
mod states;

pub use session::LegacySession;

use crate::types::cookie::OpaqueCookie;

/// What a client reports of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LegacyEvent {
    /// The server takes the upload. The cookie is worth nothing before [`LegacyEvent::Uploaded`].
    UploadStarted {
        /// The cookie that the file will have.
        cookie: OpaqueCookie,
    },
    /// The server has acknowledged the whole file.
    Uploaded {
        /// The file's cookie.
        cookie: OpaqueCookie,
        /// The file's size in bytes, as it was supplied.
        size: u64,
    },
    /// The server has approved the password, and the file follows.
    DownloadStarted,
    /// The whole file has been handed out. Make it durable **before** polling again: the next poll
    /// acknowledges it, and the server may then forget it.
    Downloaded {
        /// The file's size in bytes.
        size: u64,
        /// The size was not known and had to be guessed (`docs/protocol.md` §8).
        guessed: bool,
    },
}

/// What a client needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileRequest {
    /// Bytes to upload: put them into [`LegacySession::supply`] and say how many with
    /// [`LegacySession::supplied`].
    Supply,
    /// Room for bytes that came: take them from [`LegacySession::data`] and say how many with
    /// [`LegacySession::consumed`].
    Data,
}
