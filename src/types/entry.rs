//! An owner's files, as they are listed.

use super::cookie::Cookie;

/// One file in the list of its owner (`docs/protocol.md` §19.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its cookie.
    pub cookie: Cookie,
    /// Size in bytes, without the header.
    pub size: u64,
    /// When it was stored, in Unix seconds.
    pub stored: u64,
    /// When it expires, in Unix seconds.
    pub expires: Option<u64>,
    /// How many downloads are left, if they are limited.
    pub downloads: Option<u64>,
}

impl Entry {
    /// A file that was stored at this time, in Unix seconds, and is kept for ever.
    pub fn new(cookie: Cookie, size: u64, stored: u64) -> Self {
        Self { cookie, size, stored, expires: None, downloads: None }
    }

    /// The same file with the time of its expiry, in Unix seconds.
    #[must_use]
    pub fn with_expires(mut self, expires: Option<u64>) -> Self {
        self.expires = expires;
        self
    }

    /// The same file with the number of downloads that are left.
    #[must_use]
    pub fn with_downloads(mut self, downloads: Option<u64>) -> Self {
        self.downloads = downloads;
        self
    }
}
