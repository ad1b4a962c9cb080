//! Errors of the high-level client, and which of them are worth a retry.

#![warn(clippy::wildcard_enum_match_arm)]

use std::io;
use std::time::Duration;

use crate::sealed::{DerivationFailed, Integrity};
use crate::wire::error_frame::{ErrorCode, ErrorFrame};

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection to the server: check its address, and try again.
    #[error("cannot connect to {server}")]
    Connect {
        /// Its address.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// The connection failed, or the server refused ([`crate::Error::PeerRefused`]), or is not the
    /// one that it was ([`crate::Error::ServerKeyChanged`]), or interferes
    /// ([`crate::Error::Integrity`]).
    #[error(transparent)]
    Session(#[from] crate::Error),
    /// The keys of servers cannot be read or kept.
    #[error("cannot use the known servers")]
    ServerKeys(#[source] io::Error),
    /// The journal of transfers cannot be read or written.
    #[error("cannot use the journal of transfers")]
    Journal(#[source] io::Error),
    /// What was to be uploaded cannot be read.
    #[error("cannot read what is to be uploaded")]
    Source(#[source] io::Error),
    /// What was downloaded cannot be written; [`io::ErrorKind::AlreadyExists`] if something is
    /// there already.
    #[error("cannot write what is downloaded")]
    Sink(#[source] io::Error),
    /// What was compressed is not what its uploader said that it is.
    #[error("the file cannot be decompressed")]
    Content(#[source] io::Error),
    /// There is not enough memory to make a key of the password.
    #[error(transparent)]
    Key(#[from] DerivationFailed),
    /// It is a file of FSS 1.0: [`crate::client::legacy`] and [`crate::client::LegacyDownload`] get
    /// those.
    #[error("the file is one of FSS 1.0, which is not sealed")]
    NotSealed,
    /// It is compressed and does not say how large it becomes, so it could fill any disk.
    #[error("the file is compressed, and does not say how large it becomes")]
    Unbounded,
    /// It is compressed or to be compressed, and this program was built without the feature
    /// `compress`.
    #[error("this program was built without compression")]
    NoCompression,
    /// The file is larger than [`Get::at_most`](super::Get::at_most) allows.
    #[error("the file has {size} bytes or more, and {limit} are allowed")]
    TooLarge {
        /// Bytes of it, as far as is known.
        size: u64,
        /// The most that are allowed.
        limit: u64,
    },
    /// What is uploaded was changed meanwhile: upload it again.
    #[error("what is uploaded was changed while it was read")]
    SourceChanged,
    /// The file was replaced between two connections of a download: download it again.
    #[error("the server has another file now than when the download began")]
    FileChanged,
    /// A directory can be neither packed nor unpacked: this program was built without the feature
    /// `archive`.
    #[error("this program was built without directories")]
    NoDirectories,
    /// The server's key is known, so it speaks FSS/2, which protects what FSS 1.0 does not: use
    /// that, or `Client::downgraded` if you must.
    #[error("the server speaks FSS/2, and is not spoken to in FSS 1.0")]
    Downgrade,
    /// The password seals files, and would be sent to a server that could then open them: use
    /// another one for FSS 1.0.
    #[error("the password seals files, and is not sent to a server")]
    PasswordSealsFiles,
    /// The password was sent to a server, which could open what it seals: use another one.
    #[error("the password was sent to a server, and does not seal files any more")]
    PasswordWasSent,
    /// The server lists files without end.
    #[error("the server lists more files than are taken")]
    EndlessList,
    /// The server closed the connection before it had answered.
    #[error("the server closed before it answered")]
    NoAnswer,
}

impl Error {
    /// Whether the same may go well after a while: the connection failed, or the server is busy.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::NoAnswer => true,
            Self::Session(error) => is_transient(error),
            Self::ServerKeys(_)
            | Self::Journal(_)
            | Self::Source(_)
            | Self::Sink(_)
            | Self::Content(_)
            | Self::Key(_)
            | Self::NotSealed
            | Self::Unbounded
            | Self::NoCompression
            | Self::NoDirectories
            | Self::TooLarge { .. }
            | Self::SourceChanged
            | Self::FileChanged
            | Self::Downgrade
            | Self::PasswordSealsFiles
            | Self::PasswordWasSent
            | Self::EndlessList => false,
        }
    }

    /// How long a busy server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.error_frame() {
            Some(frame) => frame.retry.map(Duration::from_secs),
            None => None,
        }
    }

    /// Whether the server does not have any more what an upload would resume, or has something
    /// else.
    pub(super) fn is_lost_upload(&self) -> bool {
        matches!(self, Self::Session(crate::Error::Integrity(Integrity::Chain)))
            || self.error_frame().is_some_and(|frame| frame.code == Some(ErrorCode::Refused))
    }

    /// What the server replied instead of what was asked for.
    fn error_frame(&self) -> Option<&ErrorFrame> {
        if let Self::Session(crate::Error::PeerRefused(frame)) = self { Some(frame) } else { None }
    }
}

fn is_transient(error: &crate::Error) -> bool {
    match error {
        crate::Error::Disconnected(_) | crate::Error::TimedOut(_) => true,
        crate::Error::PeerRefused(frame) => frame.code == Some(ErrorCode::Busy),
        crate::Error::InvalidKeyExchange(_)
        | crate::Error::KeyRejected(_)
        | crate::Error::BlockDoesNotOpen
        | crate::Error::BlockAfterShortBlock
        | crate::Error::MessageTooLong { .. }
        | crate::Error::InvalidLegacyFrame(_)
        | crate::Error::RecordDoesNotOpen
        | crate::Error::InvalidHello(_)
        | crate::Error::InvalidMessage(_)
        | crate::Error::ServerNotProved
        | crate::Error::ServerKeyChanged { .. }
        | crate::Error::OwnKey
        | crate::Error::Misbehaved(_)
        | crate::Error::Refused(_)
        | crate::Error::Integrity(_)
        | crate::Error::Store(_)
        | crate::Error::Crypto
        | crate::Error::Misuse(_)
        | crate::Error::Internal => false,
    }
}
