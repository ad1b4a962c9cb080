//! What is said of a stored file, on the wire and to a store.

use crate::crypto::legacy::Verifier;
use crate::sealed::Header;

/// What a file is stored as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredFormat {
    /// Sealed by its client, with this header.
    Sealed(Header),
    /// Encrypted by the server, as in FSS 1.0.
    Legacy,
}

impl From<Option<Header>> for StoredFormat {
    /// Of a file that has a header or none.
    fn from(header: Option<Header>) -> Self {
        header.map_or(Self::Legacy, Self::Sealed)
    }
}

/// What is known of a new file when its upload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUpload {
    /// The header of the sealed file.
    pub header: Header,
    /// What the password is checked with.
    pub verifier: Verifier,
    /// The exact number of bytes behind the header, if it is known.
    pub size: Option<u64>,
    /// For how many seconds to keep the file.
    pub keep: Option<u64>,
    /// How many downloads to keep it for.
    pub downloads: Option<u64>,
}
