//! How wire and store describe a stored file.

use crate::crypto::legacy::Verifier;
use crate::sealed::Header;

/// The format in which a file is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredFormat {
    /// Sealed by its client, with this header.
    Sealed(Header),
    /// Encrypted by the server, as in FSS 1.0.
    Legacy,
}

impl From<Option<Header>> for StoredFormat {
    /// A file with a header is sealed, one without is legacy.
    fn from(header: Option<Header>) -> Self {
        header.map_or(Self::Legacy, Self::Sealed)
    }
}

/// What a client announces when it starts an upload (`docs/protocol.md` §17.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewUpload {
    /// The header of the sealed file.
    pub header: Header,
    /// The verifier of its password.
    pub verifier: Verifier,
    /// The exact size in bytes, without the header, if it is known.
    pub size: Option<u64>,
    /// For how many seconds to keep the file after its completion; `None` for no limit.
    pub keep: Option<u64>,
    /// For how many downloads to keep it; `None` for no limit.
    pub downloads: Option<u64>,
}

impl NewUpload {
    /// An upload of a file that is kept for ever, and whose size is not known.
    pub fn new(header: Header, verifier: Verifier) -> Self {
        Self { header, verifier, size: None, keep: None, downloads: None }
    }

    /// The same upload with the exact size, in bytes without the header.
    #[must_use]
    pub fn with_size(mut self, size: Option<u64>) -> Self {
        self.size = size;
        self
    }

    /// The same upload, kept for this many seconds after its completion.
    #[must_use]
    pub fn with_keep(mut self, seconds: Option<u64>) -> Self {
        self.keep = seconds;
        self
    }

    /// The same upload, kept for this many downloads.
    #[must_use]
    pub fn with_downloads(mut self, downloads: Option<u64>) -> Self {
        self.downloads = downloads;
        self
    }
}
