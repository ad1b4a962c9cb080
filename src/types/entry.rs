//! An owner's files, as they are listed.

use super::cookie::Cookie;

/// One file in the list of its owner (`docs/protocol.md` §19.1).
#[derive(Clone, Debug, PartialEq, Eq)]
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
