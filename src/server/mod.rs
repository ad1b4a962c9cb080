//! The server: a pure machine that asks for storage, and a session that answers it from a store.

mod admission;
mod decoy;
mod engine;
mod error_reply;
mod fss2;
mod legacy;
#[cfg(feature = "telemetry")]
mod log_limit;
mod negotiation;
mod server_states;
mod session;
mod state;
#[cfg(feature = "telemetry")]
mod telemetry;
mod throttle;
mod transport_keys;

pub use decoy::Decoys;
pub use engine::ServerEngine;
#[cfg(feature = "telemetry")]
pub use log_limit::LogLimit;
pub use session::ServerSession;
pub use state::ServerState;
#[cfg(feature = "telemetry")]
pub use telemetry::{Telemetry, without_cookies};
pub use throttle::{AttemptGuard, PasswordThrottle};
pub use transport_keys::TransportKeys;

use crate::crypto::Fingerprint;
use crate::error::Error;
use crate::types::cookie::Cookie;
pub use crate::types::peer_address::PeerAddress;
use crate::types::user::UserName;
use crate::wire::request::Request;

/// What a server reports of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The client's key has come. Nothing shows yet that the client really has the key.
    ClientKey(Fingerprint),
    /// The client has shown that the key is its own (FSS/2).
    ClientProved(Fingerprint),
    /// A request has come. What is reported next, up to the next request, is about it.
    Requested {
        /// What was asked.
        request: RequestKind,
        /// The cookie that it was asked for. A new upload gets one later.
        cookie: Option<Cookie>,
    },
    /// The request was refused, or was none; the connection goes on (FSS/2).
    Refused {
        /// Why.
        why: Error,
    },
    /// An upload began.
    UploadStarted {
        /// The cookie that the file will have.
        cookie: Cookie,
    },
    /// A file is stored, durably. The client is told next.
    Stored {
        /// Its cookie.
        cookie: Cookie,
        /// Its stored size in bytes.
        bytes: u64,
        /// How many of them came on this connection: an upload that was resumed has others.
        received: u64,
    },
    /// A download began: cookie and password are right.
    DownloadStarted {
        /// The file's cookie.
        cookie: Cookie,
        /// Its stored size in bytes.
        bytes: u64,
    },
    /// A client acknowledged a whole file.
    Delivered {
        /// The file's cookie.
        cookie: Cookie,
        /// Its stored size in bytes.
        bytes: u64,
        /// How many of them were sent on this connection: a client that resumes has others.
        sent: u64,
    },
    /// A file was deleted (FSS/2).
    Deleted {
        /// The cookie that it had.
        cookie: Cookie,
    },
    /// A client has signed up, or asked who it is (FSS/2).
    SignedUp {
        /// Its name.
        name: UserName,
    },
}

/// What a client can ask of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// To store a new file.
    Upload,
    /// To go on with an upload (FSS/2).
    Resume,
    /// For the header of a file (FSS/2).
    Challenge,
    /// For a file.
    Download,
    /// To delete a file (FSS/2).
    Delete,
    /// For a list of its files (FSS/2).
    List,
    /// To sign up (FSS/2).
    SignUp,
    /// What the server takes (FSS/2).
    Information,
}

impl RequestKind {
    /// What a frame of FSS/2 asks, and for which cookie; `None` if it is no request.
    fn of<'a>(frame: &'a Request<'_>) -> Option<(Self, Option<&'a Cookie>)> {
        Some(match frame {
            Request::Upload(_) => (Self::Upload, None),
            Request::Resume { cookie, .. } => (Self::Resume, Some(cookie)),
            Request::Challenge { cookie } => (Self::Challenge, Some(cookie)),
            Request::Download { cookie, .. } => (Self::Download, Some(cookie)),
            Request::Delete { cookie, .. } => (Self::Delete, Some(cookie)),
            Request::List { .. } => (Self::List, None),
            Request::SignUp { .. } => (Self::SignUp, None),
            Request::Information => (Self::Information, None),
            Request::Data(_) | Request::Taken { .. } | Request::Refusal(_) => return None,
        })
    }
}
