//! Compression of content with zstd, before it is sealed (`docs/protocol.md` §21.8–9).
//!
//! What is compressed is one frame of zstd. Both ways stream: an [`Encoder`] is read from, a
//! [`Decoder`] written to. [`Compressor`] and [`Decompressor`] are the same without a reader and a
//! writer, for callers that wait for both.
//!
//! ```
//! use std::io::{Read as _, Write as _};
//! use fss::compress::{Decoder, Encoder};
//!
//! let mut compressed = Vec::new();
//! Encoder::new(&b"a file, a file, a file"[..])?.read_to_end(&mut compressed)?;
//! let mut decoder = Decoder::new(Vec::new(), Some(22))?;
//! decoder.write_all(&compressed)?;
//! assert_eq!(decoder.finish()?, b"a file, a file, a file");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer};

/// The level: near the best ratio that costs less time than a fast disk.
const LEVEL: i32 = 3;
/// Binary logarithm of the largest window that is accepted, 128 MiB: a frame can make its reader
/// buffer that many bytes.
pub const MAX_WINDOW_LOG: u32 = 27;
/// Bytes that go in and out of zstd at once: a block of zstd.
const PIECE: usize = 128 * 1024;
/// Bytes of each piece of a sample.
const SAMPLE: u64 = 64 * 1024;

/// Names the encoding and the version of the encoder: only with the same name are the same bytes
/// encoded to the same bytes.
pub fn encoding_id() -> String {
    format!("zstd-{LEVEL}-{}", zstd_safe::version_string())
}

/// Compresses what it is filled with: the core of an [`Encoder`], without a reader. What comes out
/// depends on nothing but what goes in, however both are cut into pieces.
pub struct Compressor {
    context: CCtx<'static>,
    /// The input, and how much of it zstd has consumed.
    input: Vec<u8>,
    filled: usize,
    taken: usize,
    output: Vec<u8>,
    ready: std::ops::Range<usize>,
    stage: Stage,
    total_in: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Filling,
    /// zstd gets whole pieces, so that the output does not depend on how the input was divided.
    Compressing,
    /// All input was consumed, and the frame must be ended.
    Ending,
    Ended,
}

impl Compressor {
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]
    pub fn new() -> io::Result<Self> {
        let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(CParameter::CompressionLevel(LEVEL)).map_err(failed)?;
        Ok(Self {
            context,
            input: vec![0; PIECE],
            filled: 0,
            taken: 0,
            output: vec![0; PIECE],
            ready: 0..0,
            stage: Stage::Filling,
            total_in: 0,
        })
    }

    /// How many bytes have come in.
    pub fn total_in(&self) -> u64 {
        self.total_in
    }

    /// Where to put the next bytes when [`Compressor::read`] has returned `None`.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.input[self.filled..]
    }

    /// The first `count` bytes of the room are filled; 0 means that there are no more.
    pub fn filled(&mut self, count: usize) {
        self.filled = self.input.len().min(self.filled + count);
        self.total_in += count as u64;
        if count == 0 || self.filled == self.input.len() {
            self.stage = if self.filled == 0 { Stage::Ending } else { Stage::Compressing };
        }
    }

    /// Compressed bytes: how many there are in `output` now, 0 at the end, or `None` if the room
    /// is to be filled first.
    ///
    /// # Errors
    /// Those of zstd: there is no memory.
    pub fn read(&mut self, output: &mut [u8]) -> io::Result<Option<usize>> {
        while self.ready.is_empty() {
            if self.stage == Stage::Ended || output.is_empty() {
                return Ok(Some(0));
            }
            if self.stage == Stage::Filling {
                return Ok(None);
            }
            self.advance()?;
        }
        let count = output.len().min(self.ready.len());
        output[..count].copy_from_slice(&self.output[self.ready.start..self.ready.start + count]);
        self.ready.start += count;
        Ok(Some(count))
    }

    /// Fills the output, as far as there is any.
    fn advance(&mut self) -> io::Result<()> {
        let mut output = OutBuffer::around(&mut self.output[..]);
        if self.stage == Stage::Ending {
            if self.context.end_stream(&mut output).map_err(failed)? == 0 {
                self.stage = Stage::Ended;
            }
        } else {
            let mut input = InBuffer { src: &self.input[..self.filled], pos: self.taken };
            self.context.compress_stream(&mut output, &mut input).map_err(failed)?;
            self.taken = input.pos;
            if self.taken == self.filled {
                // A piece that is not full was the last one.
                let last = self.filled < self.input.len();
                self.stage = if last { Stage::Ending } else { Stage::Filling };
                (self.filled, self.taken) = (0, 0);
            }
        }
        self.ready = 0..output.pos();
        Ok(())
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// Reads what another reader returns, compressed.
pub struct Encoder<R> {
    inner: R,
    compressor: Compressor,
}

impl<R: Read> Encoder<R> {
    /// Compresses what `inner` returns.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]
    pub fn new(inner: R) -> io::Result<Self> {
        Ok(Self { inner, compressor: Compressor::new()? })
    }

    /// How many bytes were read of the inner reader: how far the compression is.
    pub fn total_in(&self) -> u64 {
        self.compressor.total_in()
    }
}

impl<R: Read> Read for Encoder<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = self.compressor.read(room)? {
                return Ok(count);
            }
            let count = self.inner.read(self.compressor.room())?;
            self.compressor.filled(count);
        }
    }
}

impl<R> fmt::Debug for Encoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("compressor", &self.compressor).finish_non_exhaustive()
    }
}

/// Decompresses what it is fed with: the core of a [`Decoder`], without a writer. Nothing is
/// complete before [`Decompressor::finish`].
///
/// Exactly one frame is accepted: one that is skipped, or one after the first, is refused. Memory
/// is at most the window of 2^[`MAX_WINDOW_LOG`] bytes, and 128 KiB, however much comes out.
pub struct Decompressor {
    context: DCtx<'static>,
    output: Vec<u8>,
    size: Option<u64>,
    produced: u64,
    /// A full output may mean that there is more of it, without any more input.
    is_full: bool,
    /// Whether the frame has ended; or what has gone wrong, for nothing is accepted after an error.
    state: Result<bool, Damage>,
}

/// Why compressed content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It is not zstd, is damaged, or needs a larger window than is accepted.
    #[error("the compressed content is damaged: {0}")]
    Frame(&'static str),
    /// It has another size than was announced.
    #[error("the content has another size than was announced")]
    Size,
    /// It ends too early.
    #[error("the compressed content is truncated")]
    Truncated,
    /// Something follows the frame.
    #[error("something follows the compressed content")]
    TrailingData,
    /// What was decoded could not be written, so what follows has no place.
    #[error("the content before could not be written")]
    NotWritten,
}

impl Decompressor {
    /// For exactly `size` bytes, if that is known.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]
    pub fn new(size: Option<u64>) -> io::Result<Self> {
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).map_err(failed)?;
        let (output, state) = (vec![0; PIECE], Ok(false));
        Ok(Self { context, output, size, produced: 0, is_full: false, state })
    }

    /// The next decompressed bytes, 128 KiB at most, of an input that is advanced; `None` when all
    /// of the input is taken and nothing more comes of it.
    ///
    /// # Errors
    /// [`Damage`], for ever.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, Damage> {
        while self.is_full || !input.is_empty() {
            let count = match self.step(input) {
                Ok(count) => count,
                Err(damage) => {
                    self.state = Err(damage);
                    return Err(damage);
                }
            };
            if count > 0 {
                return Ok(Some(&self.output[..count]));
            }
        }
        Ok(None)
    }

    /// Whether more comes out without any more input.
    pub fn has_more(&self) -> bool {
        self.is_full
    }

    /// Checks that the content is whole.
    ///
    /// # Errors
    /// [`Damage`] if it is not.
    pub fn finish(&self) -> Result<(), Damage> {
        match self.state {
            Err(damage) => Err(damage),
            Ok(false) => Err(Damage::Truncated),
            Ok(true) if self.size.is_some_and(|size| size != self.produced) => Err(Damage::Size),
            Ok(true) => Ok(()),
        }
    }

    /// Decompresses once, and returns how much came out.
    fn step(&mut self, bytes: &mut &[u8]) -> Result<usize, Damage> {
        if self.state? {
            return Err(Damage::TrailingData);
        }
        let mut input = InBuffer::around(bytes);
        let mut output = OutBuffer::around(&mut self.output[..]);
        let left = self.context.decompress_stream(&mut output, &mut input);
        self.state = Ok(left.map_err(|code| Damage::Frame(zstd_safe::get_error_name(code)))? == 0);
        *bytes = &bytes[input.pos..];
        let count = output.pos();
        self.produced += count as u64;
        self.is_full = count == PIECE && self.state == Ok(false);
        // Before any of it is handed out.
        if self.size.is_some_and(|size| self.produced > size) {
            Err(Damage::Size)
        } else {
            Ok(count)
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("produced", &self.produced)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Decompresses what is written to it, and writes it on, as a [`Decompressor`] does. Nothing is
/// complete before [`Decoder::finish`]. Its errors of kind [`io::ErrorKind::InvalidData`] hold a
/// [`Damage`].
pub struct Decoder<W> {
    inner: W,
    decompressor: Decompressor,
}

impl<W: Write> Decoder<W> {
    /// Decompresses to `inner`: exactly `size` bytes, if that is known.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]
    pub fn new(inner: W, size: Option<u64>) -> io::Result<Self> {
        Ok(Self { inner, decompressor: Decompressor::new(size)? })
    }

    /// Checks that the content is whole, and returns what was written to.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it is not.
    pub fn finish(self) -> io::Result<W> {
        self.decompressor.finish().map_err(invalid).map(|()| self.inner)
    }
}

impl<W: Write> Write for Decoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut input = bytes;
        while let Some(output) = self.decompressor.next(&mut input).map_err(invalid)? {
            if let Err(error) = self.inner.write_all(output) {
                // What follows has no place.
                self.decompressor.state = Err(Damage::NotWritten);
                return Err(error);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> fmt::Debug for Decoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("decompressor", &self.decompressor).finish_non_exhaustive()
    }
}

/// Reads a sample for [`is_compressible`]: 64 KiB from the beginning, the middle and the end; all
/// of a smaller file. Leaves the reader at its beginning.
///
/// # Errors
/// The errors of the reader.
pub fn sample(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut sample = Vec::new();
    let pieces = if size <= 3 * SAMPLE {
        [0, SAMPLE, 2 * SAMPLE]
    } else {
        [0, (size - SAMPLE) / 2, size - SAMPLE]
    };
    for start in pieces {
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(SAMPLE).read_to_end(&mut sample)?;
    }
    file.rewind()?;
    Ok(sample)
}

/// Whether compressing saves more than a tenth of a sample. `false` if there is not enough memory.
pub fn is_compressible(sample: &[u8]) -> bool {
    let compressed =
        Encoder::new(sample).and_then(|mut encoder| io::copy(&mut encoder, &mut io::sink()));
    compressed.is_ok_and(|compressed| {
        compressed.saturating_mul(10) < (sample.len() as u64).saturating_mul(9)
    })
}

fn invalid(damage: Damage) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, damage)
}

fn failed(code: zstd_safe::ErrorCode) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}
