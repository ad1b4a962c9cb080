//! Compression before sealing and decompression after opening, where a file has it.

use super::Error;
#[cfg(feature = "compress")]
use crate::compress::{Compressor, Damage, Decompressor};

/// Of an upload.
#[allow(clippy::large_enum_variant, reason = "there is one for each upload")]
pub(super) enum Compression {
    Identity,
    #[cfg(feature = "compress")]
    Zstd {
        compressor: Compressor,
        /// Compressed bytes that the server has already.
        skipped: u64,
    },
}

impl Compression {
    #[cfg(feature = "compress")]
    pub(super) fn new(is_compressed: bool, skipped: u64) -> Result<Self, Error> {
        if !is_compressed {
            return Ok(Self::Identity);
        }
        Ok(Self::Zstd { compressor: Compressor::new().map_err(Error::Source)?, skipped })
    }

    #[cfg(not(feature = "compress"))]
    pub(super) fn new(is_compressed: bool, _skipped: u64) -> Result<Self, Error> {
        if is_compressed { Err(Error::NoCompression) } else { Ok(Self::Identity) }
    }

    /// Compressed bytes: how many there are in `output` now, 0 at the end, or `None` if
    /// [`Compression::room`] is to be filled first. If nothing is compressed that is the output
    /// itself.
    #[cfg_attr(not(feature = "compress"), allow(clippy::unnecessary_wraps))]
    pub(super) fn read(&mut self, output: &mut [u8]) -> Result<Option<usize>, Error> {
        match self {
            Self::Identity => {
                let _ = output;
                Ok(None)
            }
            #[cfg(feature = "compress")]
            Self::Zstd { compressor, skipped } => {
                // The same bytes are compressed to the same.
                while *skipped > 0 {
                    let most = usize::try_from(*skipped)
                        .map_or(output.len(), |left| left.min(output.len()));
                    match compressor.read(&mut output[..most]).map_err(Error::Source)? {
                        Some(0) => return Err(Error::SourceChanged),
                        Some(count) => *skipped -= count as u64,
                        None => return Ok(None),
                    }
                }
                compressor.read(output).map_err(Error::Source)
            }
        }
    }

    /// Where the source's next bytes go, if they are compressed.
    pub(super) fn room(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Identity => None,
            #[cfg(feature = "compress")]
            Self::Zstd { compressor, .. } => Some(compressor.room()),
        }
    }

    pub(super) fn filled(&mut self, count: usize) {
        match self {
            Self::Identity => {
                let _ = count;
            }
            #[cfg(feature = "compress")]
            Self::Zstd { compressor, .. } => compressor.filled(count),
        }
    }

    pub(super) fn is_identity(&self) -> bool {
        matches!(self, Self::Identity)
    }
}

/// Of a download.
pub(super) enum Decompression {
    Identity,
    #[cfg(feature = "compress")]
    Zstd(Box<Decompressor>),
}

impl Decompression {
    /// Content that does not tell what it becomes could fill any disk.
    pub(super) fn new(is_compressed: bool, size: Option<u64>) -> Result<Self, Error> {
        if !is_compressed {
            return Ok(Self::Identity);
        }
        Self::zstd(size.ok_or(Error::Unbounded)?)
    }

    #[cfg(feature = "compress")]
    fn zstd(size: u64) -> Result<Self, Error> {
        Ok(Self::Zstd(Box::new(Decompressor::new(Some(size)).map_err(Error::Sink)?)))
    }

    #[cfg(not(feature = "compress"))]
    fn zstd(_size: u64) -> Result<Self, Error> {
        Err(Error::NoCompression)
    }

    /// Whether something comes of this input, or still of the one before.
    pub(super) fn has_more(&self, input: &[u8]) -> bool {
        match self {
            Self::Identity => !input.is_empty(),
            #[cfg(feature = "compress")]
            Self::Zstd(decompressor) => decompressor.has_more() || !input.is_empty(),
        }
    }

    /// The next bytes of the file, which may be none. The input is advanced.
    #[cfg_attr(not(feature = "compress"), allow(clippy::unnecessary_wraps))]
    pub(super) fn next<'a>(&'a mut self, input: &mut &'a [u8]) -> Result<&'a [u8], Error> {
        match self {
            Self::Identity => Ok(std::mem::take(input)),
            #[cfg(feature = "compress")]
            Self::Zstd(decompressor) => {
                Ok(decompressor.next(input).map_err(damaged)?.unwrap_or_default())
            }
        }
    }

    /// Checks that the content is whole.
    #[cfg_attr(not(feature = "compress"), allow(clippy::unnecessary_wraps))]
    pub(super) fn finish(&self) -> Result<(), Error> {
        match self {
            Self::Identity => Ok(()),
            #[cfg(feature = "compress")]
            Self::Zstd(decompressor) => decompressor.finish().map_err(damaged),
        }
    }
}

#[cfg(feature = "compress")]
fn damaged(damage: Damage) -> Error {
    Error::Content(std::io::Error::new(std::io::ErrorKind::InvalidData, damage))
}

/// Names the compression: the same bytes are compressed to the same only where this is the same.
#[cfg(feature = "filesystem")]
pub(super) fn id() -> String {
    #[cfg(feature = "compress")]
    return crate::compress::encoding_id();
    #[cfg(not(feature = "compress"))]
    return String::new();
}
