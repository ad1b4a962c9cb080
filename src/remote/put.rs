//! Uploads.

use std::io::Read;

use super::Error;
use crate::chain::ChainDigest;
use crate::client::{ClientEvent, Upload};
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
}

impl Default for Put {
    /// A file without a name, that is kept as long as the server keeps files.
    fn default() -> Self {
        let metadata = Metadata::default().with("kind", "file").with("encoding", "identity");
        Self { metadata, size: None, keep: None, downloads: None, is_compressed: false }
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

    /// Compressed with zstd, before it is sealed. Say the [`size`](Self::size) too: nobody unpacks
    /// what does not say it.
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

    /// Of a file with a name and a size; a name that was chosen stays.
    #[cfg(feature = "filesystem")]
    pub(super) fn of_file(self, name: &std::ffi::OsStr, size: u64) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        let is_named = self.metadata.name().is_some();
        let known = |metadata: &Metadata| {
            Metadata::with_name_bytes(name.as_bytes())
                .with("encoding", metadata.get("encoding").unwrap_or("identity"))
        };
        let metadata = if is_named { self.metadata.clone() } else { known(&self.metadata) };
        Self { metadata, ..self }.size(size)
    }

    /// What is sealed of what the source gives.
    pub(super) fn encoded<'a>(&self, source: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
        if self.is_compressed { compress(source) } else { Ok(Box::new(source)) }
    }

    pub(super) fn upload(&self, header: Header, key: Key) -> Upload {
        let Self { metadata, size, keep, downloads, is_compressed } = self.clone();
        // How many bytes it is compressed to is not known beforehand.
        let size = size.filter(|_| !is_compressed);
        Upload { header, key, metadata, size, keep, downloads }
    }
}

#[cfg(feature = "compress")]
fn compress<'a>(source: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
    Ok(Box::new(crate::compress::Encoder::new(source).map_err(Error::Source)?))
}

#[cfg(not(feature = "compress"))]
fn compress<'a>(_source: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
    Err(Error::NoCompression)
}

/// A file that is durable at the server. Keep all of it: with `header` and `chain` no
/// other file is taken for it later.
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

/// An upload that is going on.
pub(super) struct Uploading {
    header: Header,
    granted: (Option<u64>, Option<u64>),
    stored: Option<(Cookie, ChainDigest)>,
}

impl Uploading {
    pub(super) fn new(header: Header) -> Self {
        Self { header, granted: (None, None), stored: None }
    }

    pub(super) fn heed(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::UploadStarted { keep, downloads, .. } => self.granted = (keep, downloads),
            ClientEvent::Uploaded { cookie, chain, .. } => self.stored = Some((cookie, chain)),
            _ => {}
        }
    }

    pub(super) fn finish(self) -> Result<Stored, Error> {
        let ((cookie, chain), (keep, downloads)) =
            (self.stored.ok_or(Error::NoAnswer)?, self.granted);
        Ok(Stored { cookie, header: self.header, chain, keep, downloads })
    }
}
