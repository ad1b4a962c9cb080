//! Downloads.

#[cfg(feature = "compress")]
use std::io;
use std::io::Write;

use super::{Error, Stored};
use crate::chain::ChainDigest;
use crate::client::{ClientEvent, Download, Operation};
#[cfg(feature = "compress")]
use crate::compress::Decoder;
use crate::format::StoredFormat;
use crate::sealed::{Header, Key, Metadata};
use crate::types::cookie::Cookie;

/// Which file is downloaded, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get {
    cookie: Cookie,
    header: Option<Header>,
    chain: Option<ChainDigest>,
}

impl From<&Cookie> for Get {
    /// The file with this cookie, whatever its server says that it was sealed with.
    fn from(cookie: &Cookie) -> Self {
        Self { cookie: cookie.clone(), header: None, chain: None }
    }
}

impl From<&Stored> for Get {
    /// This file and no other.
    fn from(stored: &Stored) -> Self {
        Self {
            cookie: stored.cookie.clone(),
            header: Some(stored.header.clone()),
            chain: Some(stored.chain),
        }
    }
}

/// A file that has arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// What was sealed with it: its name, which is a label and never a path, and more.
    pub metadata: Metadata,
    /// When the server removes it, in Unix seconds.
    pub expires: Option<u64>,
}

/// The header of a sealed file.
pub(super) fn sealed(format: StoredFormat) -> Result<Header, Error> {
    match format {
        StoredFormat::Sealed(header) => Ok(header),
        StoredFormat::Legacy => Err(Error::NotSealed),
    }
}

/// A decoder fails because of what it gets, or because of where it writes to.
#[cfg(feature = "compress")]
fn decoding(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::InvalidData {
        Error::Content(error)
    } else {
        Error::Sink(error)
    }
}

/// A download that is going on.
pub(super) struct Downloading<W: Write> {
    file: Get,
    sink: Sink<W>,
    fetched: Option<Fetched>,
    is_whole: bool,
}

enum Sink<W: Write> {
    Plain(W),
    #[cfg(feature = "compress")]
    Compressed(Box<Decoder<W>>),
    /// It is being changed into another.
    None,
}

impl<W: Write> Downloading<W> {
    pub(super) fn new(file: Get, sink: W) -> Self {
        Self { file, sink: Sink::Plain(sink), fetched: None, is_whole: false }
    }

    pub(super) fn known_header(&self) -> Option<Header> {
        self.file.header.clone()
    }

    pub(super) fn challenge(&self) -> Operation {
        Operation::Challenge { cookie: self.file.cookie.clone() }
    }

    pub(super) fn operation(&self, key: Key, header: Header) -> Operation {
        let Get { cookie, chain, .. } = self.file.clone();
        Operation::Download(Download { cookie, header, key, earlier: None, chain })
    }

    pub(super) fn heed(&mut self, event: ClientEvent) -> Result<(), Error> {
        match event {
            ClientEvent::DownloadStarted { metadata, expires, .. } => {
                let metadata = metadata.unwrap_or_default();
                if metadata.get("encoding") == Some("zstd") {
                    self.decompress(metadata.size())?;
                }
                self.fetched = Some(Fetched { metadata, expires });
                Ok(())
            }
            // The next poll tells the server that it has arrived.
            ClientEvent::Downloaded { .. } => {
                self.is_whole = true;
                self.flush()
            }
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = match &mut self.sink {
            Sink::Plain(sink) => sink.write_all(bytes),
            #[cfg(feature = "compress")]
            Sink::Compressed(decoder) => return decoder.write_all(bytes).map_err(decoding),
            Sink::None => Ok(()),
        };
        written.map_err(Error::Sink)
    }

    pub(super) fn finish(self) -> Result<Fetched, Error> {
        self.fetched.filter(|_| self.is_whole).ok_or(Error::NoAnswer)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let mut sink = match std::mem::replace(&mut self.sink, Sink::None) {
            Sink::Plain(sink) => sink,
            #[cfg(feature = "compress")]
            Sink::Compressed(decoder) => decoder.finish().map_err(decoding)?,
            Sink::None => return Ok(()),
        };
        sink.flush().map_err(Error::Sink)
    }

    #[cfg(feature = "compress")]
    fn decompress(&mut self, size: Option<u64>) -> Result<(), Error> {
        let size = size.ok_or(Error::Unbounded)?;
        if let Sink::Plain(sink) = std::mem::replace(&mut self.sink, Sink::None) {
            self.sink =
                Sink::Compressed(Box::new(Decoder::new(sink, Some(size)).map_err(Error::Sink)?));
        }
        Ok(())
    }

    #[cfg(not(feature = "compress"))]
    fn decompress(&mut self, size: Option<u64>) -> Result<(), Error> {
        Err(if size.is_none() { Error::Unbounded } else { Error::NoCompression })
    }
}
