//! Options and outcome of a download.

use super::bindings::Use;
use super::progress::{Observer, Progress};
use super::{Error, Stored};
use crate::chain::ChainDigest;
use crate::sealed::{Header, Metadata};
use crate::types::cookie::Cookie;

/// Which file is downloaded, and what is known of it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Get {
    cookie: Cookie,
    header: Option<Header>,
    chain: Option<ChainDigest>,
    is_legacy: bool,
    legacy_size: Option<u64>,
    limit: Option<u64>,
    observer: Observer,
}

impl From<&Cookie> for Get {
    /// The file with this cookie, whatever its server claims that it was sealed with.
    fn from(cookie: &Cookie) -> Self {
        Self {
            cookie: cookie.clone(),
            header: None,
            chain: None,
            is_legacy: false,
            legacy_size: None,
            limit: None,
            observer: Observer::default(),
        }
    }
}

impl From<&Stored> for Get {
    /// This file and no other.
    fn from(stored: &Stored) -> Self {
        let (header, chain) = (Some(stored.header.clone()), Some(stored.chain));
        Self { header, chain, ..Self::from(&stored.cookie) }
    }
}

impl Get {
    /// A file that was uploaded with FSS 1.0, of this size if it is known; otherwise its end is a
    /// guess (`docs/protocol.md` §8).
    ///
    /// **The server gets a proof of the password that lets it guess the password fast**
    /// (§18.11), so this is never done unless it is asked for.
    pub fn legacy(cookie: &Cookie, size: Option<u64>) -> Self {
        Self { is_legacy: true, legacy_size: size, ..Self::from(cookie) }
    }

    /// Refuses a file that is larger, or becomes larger when it is decompressed.
    pub fn at_most(self, bytes: u64) -> Self {
        Self { limit: Some(bytes), ..self }
    }

    /// Calls a function with the progress, often: keep it short.
    pub fn on_progress(self, observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(observe), ..self }
    }

    pub(super) fn cookie(&self) -> &Cookie {
        &self.cookie
    }

    pub(super) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    pub(super) fn chain(&self) -> Option<ChainDigest> {
        self.chain
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.is_legacy
    }

    /// What the password is used for.
    pub(super) fn password_use(&self) -> Use {
        if self.is_legacy { Use::IsSent } else { Use::Seals }
    }

    pub(super) fn legacy_size(&self) -> Option<u64> {
        self.legacy_size
    }

    pub(super) fn check_limit(&self, bytes: Option<u64>) -> Result<(), Error> {
        match (self.limit, bytes) {
            (Some(limit), Some(size)) if size > limit => Err(Error::TooLarge { size, limit }),
            _ => Ok(()),
        }
    }

    /// Bytes of the file so far.
    pub(super) fn report(&self, bytes: u64, total: Option<u64>) {
        self.observer.report(bytes, total);
    }
}

/// A file that has arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// What was sealed with it: its name, which is a label and never a path, and more.
    pub metadata: Metadata,
    /// Bytes of it.
    pub size: u64,
    /// When the server removes it, in Unix seconds.
    pub expires: Option<u64>,
}
