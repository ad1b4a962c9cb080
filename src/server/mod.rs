//! The server: a pure machine that asks for storage, and a session that answers it from a store.

mod connections;
mod engine;
mod guesses;
mod legacy;
mod negotiation;
mod refusal;
mod session;
mod states;
#[cfg(feature = "telemetry")]
mod telemetry;

pub(crate) use connections::{Connections, Place, Standing};
pub use engine::ServerEngine;
pub use guesses::{Attempt, Guesses, Source};
pub use refusal::{Operation, RefusalText, refusal_code, refusal_text};
pub use session::ServerSession;
#[cfg(feature = "telemetry")]
pub use telemetry::{Telemetry, without_cookies};

use crate::cookie::Cookie;
use crate::crypto::Fingerprint;
use crate::error::Error;
use crate::store::UserName;

/// What a server reports of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The client's key has come. Nothing shows yet that the client really has the key.
    ClientKey(Fingerprint),
    /// The client has shown that the key is its own (FSS/2).
    ClientProved(Fingerprint),
    /// A request was refused; the connection goes on (FSS/2).
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
