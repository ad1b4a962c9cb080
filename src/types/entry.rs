//! The files of an owner, as they are listed.

use super::cookie::Cookie;

/// A file of the caller's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its cookie.
    pub cookie: Cookie,
    /// Bytes behind the header.
    pub size: u64,
    /// When it was stored, in Unix seconds.
    pub stored: u64,
    /// When it expires, in Unix seconds.
    pub expires: Option<u64>,
    /// How many downloads are left.
    pub downloads: Option<u64>,
}
