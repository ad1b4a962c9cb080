//! The client: a pure machine that does one operation after another on a connection of FSS/2, and
//! one that does one operation of FSS 1.0 ([`legacy`]).

mod download;
mod fss2;
pub mod legacy;
mod legacy_download;
mod session;
mod upload;

pub use session::ClientSession;

use crate::chain::ChainDigest;
use crate::crypto::Fingerprint;
use crate::crypto::legacy::Verifier;
use crate::format::StoredFormat;
use crate::sealed::{Header, Key, Metadata};
use crate::types::cookie::Cookie;
use crate::types::entry::Entry;
use crate::types::secret::Password;
use crate::types::user::{Account, Invite, UserName};
use crate::wire::error_frame::ErrorFrame;
use crate::wire::reply::ServerLimits;

/// What a client can ask of a server.
#[derive(Debug)]
#[non_exhaustive]
pub enum Operation {
    /// Upload a file.
    Upload(Upload),
    /// Resume an interrupted upload.
    Resume(Resume),
    /// Ask for the header of a file, to derive its key with: answered with
    /// [`ClientEvent::Challenged`]. A client that has kept the header need not ask. If it asks
    /// anyway and the answer is another header, someone has interfered (§18.4).
    Challenge {
        /// The file's cookie.
        cookie: Cookie,
    },
    /// Download a file.
    Download(Download),
    /// Download a file of FSS 1.0, from a server that speaks FSS/2 too.
    LegacyDownload(LegacyDownload),
    /// List the files that were uploaded with this client's key: answered with
    /// [`ClientEvent::Listed`] for each, and [`ClientEvent::EndOfList`].
    List {
        /// The last cookie that is known, to go on after it.
        after: Option<Cookie>,
    },
    /// Delete a file: answered with [`ClientEvent::Deleted`].
    Delete {
        /// The file's cookie.
        cookie: Cookie,
        /// What shows that the password is known: for files that were uploaded with another key.
        verifier: Option<Verifier>,
    },
    /// Sign up: answered with [`ClientEvent::Account`].
    SignUp {
        /// The name that is wanted.
        name: UserName,
        /// The invite, on a server for members.
        invite: Option<Invite>,
    },
    /// Ask what the server takes, and who one is: answered with [`ClientEvent::Account`].
    Information,
}

/// A file to upload. Its bytes are asked for with [`ClientRequest::Supply`].
#[derive(Debug)]
pub struct Upload {
    /// The header of the sealed file.
    pub header: Header,
    /// Its key.
    pub key: Key,
    /// What is known of the file; sealed with it.
    pub metadata: Metadata,
    /// Exactly how many bytes will be supplied, if that is known. Without it a server with quotas
    /// reserves generously.
    pub size: Option<u64>,
    /// For how many seconds to keep the file.
    pub keep: Option<u64>,
    /// How many downloads to keep it for.
    pub downloads: Option<u64>,
}

/// An upload that goes on. The source must give the same bytes again, and metadata and size must be
/// the same.
#[derive(Debug)]
pub struct Resume {
    /// The upload as it was begun.
    pub upload: Upload,
    /// Its cookie.
    pub cookie: Cookie,
    /// Every checkpoint that was reported, and what [`ClientEvent::Finishing`] said if it came to
    /// that.
    pub noted: Vec<(u64, ChainDigest)>,
}

/// A file to download. Its bytes are handed out with [`ClientRequest::Data`].
#[derive(Debug)]
pub struct Download {
    /// The file's cookie.
    pub cookie: Cookie,
    /// The header of the sealed file: what was kept of its upload, or the answer to a challenge.
    pub header: Header,
    /// Its key.
    pub key: Key,
    /// What an earlier download left to go on from.
    pub earlier: Option<Received>,
    /// The final chain, if it is known from the upload: another file is not accepted then.
    pub chain: Option<ChainDigest>,
}

/// How far an earlier download of a sealed file had come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Sealed bytes that came: the offset of the last [`ClientEvent::Checkpoint`] that was noted.
    pub offset: u64,
    /// The chain there.
    pub chain: ChainDigest,
    /// What was sealed with the file, as [`ClientEvent::DownloadStarted`] reported it.
    pub metadata: Metadata,
}

/// A file of FSS 1.0 to download. Its bytes are handed out with [`ClientRequest::Data`].
///
/// The proof that is sent lets a hostile server guess the password as fast as it can hash: only for
/// a file that is known to be one of FSS 1.0 (`docs/protocol.md` §18.11).
#[derive(Debug)]
pub struct LegacyDownload {
    /// The file's cookie.
    pub cookie: Cookie,
    /// Its password.
    pub password: Password,
    /// Its size in bytes, as it was written down at its upload. Without it the end of the file is a
    /// guess.
    pub size: Option<u64>,
}

/// What a client reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server has proved that this is its identity. Nothing but our public key and a hello has
    /// been sent yet: a caller who does not take this key for the server's must not poll again.
    ServerKey(Fingerprint),
    /// The caller has taken the server's identity, which may be remembered now: what the server
    /// takes.
    Connected(ServerLimits),
    /// An upload begins or goes on. Note the cookie with the header, to be able to resume it; it is
    /// worth nothing else before [`ClientEvent::Uploaded`].
    UploadStarted {
        /// The cookie that the file will have.
        cookie: Cookie,
        /// How many bytes of the file the server has already: supply those after them.
        position: u64,
        /// Sealed bytes of it that the server has already. What was noted beyond is worth nothing
        /// now.
        offset: u64,
        /// When the file would expire if it was complete now, in Unix seconds.
        expires: Option<u64>,
        /// For how many seconds the server keeps it from its completion, if not for ever: it may be
        /// less than was asked.
        keep: Option<u64>,
        /// For how many downloads the server keeps it, if they are limited: it may be less than was
        /// asked.
        downloads: Option<u64>,
    },
    /// A checkpoint (`docs/protocol.md` §22.3): note it, to be able to resume there. Of a download,
    /// make what was handed out so far durable before.
    Checkpoint {
        /// Sealed bytes so far.
        offset: u64,
        /// The chain there.
        chain: ChainDigest,
    },
    /// All of an upload is sent. Note this before polling again: should the server's
    /// acknowledgement get lost, it is by this that a resume knows the file again.
    Finishing {
        /// Sealed bytes in all.
        offset: u64,
        /// The final chain.
        chain: ChainDigest,
    },
    /// The server has the whole file, durably, and its chain is the one that was sent.
    Uploaded {
        /// The file's cookie.
        cookie: Cookie,
        /// Sealed bytes in all.
        stored: u64,
        /// The final chain.
        chain: ChainDigest,
    },
    /// The answer to [`Operation::Challenge`]. For a cookie that no file has it looks the same.
    Challenged(StoredFormat),
    /// The server has approved the proof, and the first chunk has opened.
    DownloadStarted {
        /// What was sealed with the file; `None` for a file of FSS 1.0.
        metadata: Option<Metadata>,
        /// Bytes of the file in all, as they are stored; not known beforehand of a file of FSS 1.0.
        size: Option<u64>,
        /// When the file expires, in Unix seconds.
        expires: Option<u64>,
    },
    /// The whole file has been handed out. Make it durable **before** polling again: the next poll
    /// acknowledges it, and the server may then forget it.
    Downloaded {
        /// Bytes that were handed out, in this part.
        size: u64,
        /// The size of a file of FSS 1.0 was not known and had to be guessed (`docs/protocol.md`
        /// §8).
        guessed: bool,
    },
    /// A file of the list.
    Listed(Entry),
    /// The list is complete, or to be asked for again.
    EndOfList {
        /// Whether there are more files.
        more: bool,
    },
    /// The file is deleted.
    Deleted,
    /// The account of the client, and the limits of the server.
    Account {
        /// What the server takes; not in the answer to a sign-up.
        limits: Option<ServerLimits>,
        /// The user, if the client's key has signed up.
        account: Option<Account>,
    },
    /// The server has refused the operation; the connection goes on. Only after
    /// [`ClientSession::continue_after_refusals`]: otherwise a refusal ends the connection with
    /// [`Error::PeerRefused`](crate::Error::PeerRefused), so that who looks at no event takes no
    /// refusal for a success.
    Refused(ErrorFrame),
}

/// What a client needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRequest {
    /// Something to do: [`ClientSession::start`], or [`ClientSession::finish`].
    Operation,
    /// Bytes to upload: put them into [`ClientSession::supply`] and say how many with
    /// [`ClientSession::supplied`].
    Supply,
    /// Room for bytes that came: take them from [`ClientSession::data`] and say how many with
    /// [`ClientSession::consumed`].
    Data,
}
