//! Options and outcome of an upload.

use super::progress::{Observer, Progress};
use crate::chain::ChainDigest;
use crate::client::Upload;
use crate::sealed::{Header, Key, Metadata};
use crate::types::cookie::Cookie;

/// How a file is uploaded.
#[derive(Clone, Debug)]
#[must_use]
pub struct Put {
    metadata: Metadata,
    size: Option<u64>,
    keep: Option<u64>,
    downloads: Option<u64>,
    is_compressed: bool,
    observer: Observer,
}

impl Default for Put {
    /// A file without a name, that is kept as long as the server keeps files.
    fn default() -> Self {
        Self {
            metadata: Metadata::default().with("kind", "file").with("encoding", "identity"),
            size: None,
            keep: None,
            downloads: None,
            is_compressed: false,
            observer: Observer::default(),
        }
    }
}

impl Put {
    /// With this name, which is sealed with the file: a label, never a path.
    pub fn named(name: &str) -> Self {
        Self { metadata: Metadata::named(name), ..Self::default() }
    }

    /// Exactly how many bytes there will be. Without it a server with quotas reserves generously.
    pub fn size(self, bytes: u64) -> Self {
        Self { size: Some(bytes), metadata: self.metadata.with("size", bytes.to_string()), ..self }
    }

    /// Compressed with zstd, before it is sealed. Set the [`size`](Self::size) too: compressed
    /// content of unknown size is refused by whoever downloads it.
    pub fn compressed(self) -> Self {
        Self { is_compressed: true, metadata: self.metadata.with("encoding", "zstd"), ..self }
    }

    /// For how many seconds the server is to keep the file at most.
    pub fn keep(self, seconds: u64) -> Self {
        Self { keep: Some(seconds), ..self }
    }

    /// For how many downloads the server is to keep the file at most.
    pub fn downloads(self, downloads: u64) -> Self {
        Self { downloads: Some(downloads), ..self }
    }

    /// Calls a function with the progress, often: keep it short.
    pub fn on_progress(self, observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(observe), ..self }
    }

    /// Of something that has a name and a size; a name that was chosen stays.
    #[cfg(feature = "filesystem")]
    pub(super) fn of_path(self, name: &std::ffi::OsStr, size: u64, kind: &str) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        let encoding = self.metadata.get("encoding").unwrap_or("identity").to_owned();
        let metadata = if self.metadata.name().is_some() {
            self.metadata.clone()
        } else {
            Metadata::with_name_bytes(name.as_bytes())
        };
        let metadata = metadata.with("encoding", encoding).with("kind", kind);
        Self { metadata, ..self }.size(size)
    }

    pub(super) fn upload(&self, header: Header, key: Key) -> Upload {
        // How many bytes it is compressed to is not known beforehand.
        let size = self.size.filter(|_| !self.is_compressed);
        let (metadata, keep, downloads) = (self.metadata.clone(), self.keep, self.downloads);
        Upload { header, key, metadata, size, keep, downloads }
    }

    /// What must be the same for an interrupted upload to be resumed.
    #[cfg(feature = "filesystem")]
    pub(super) fn identity(&self) -> Vec<u8> {
        let encoding = if self.is_compressed { super::compression::id() } else { String::new() };
        let terms = format!("{encoding} {:?} {:?} ", self.keep, self.downloads);
        let mut identity = terms.into_bytes();
        // What cannot be encoded is not uploaded either.
        identity.extend(self.metadata.encode().unwrap_or_default());
        identity
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// Bytes of the source so far.
    pub(super) fn report(&self, bytes: u64) {
        self.observer.report(bytes, self.size);
    }
}

/// A file that is durable at the server. Keep all of it: with `header` and `chain` no other file is
/// accepted for it later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The cookie, which gets the file back together with the password.
    pub cookie: Cookie,
    /// The header of the sealed file.
    pub header: Header,
    /// The chain over its stored bytes.
    pub chain: ChainDigest,
    /// For how many seconds the server keeps it, if not for ever: it may be less than was asked
    /// for.
    pub keep: Option<u64>,
    /// For how many downloads the server keeps it, if they are limited.
    pub downloads: Option<u64>,
}
