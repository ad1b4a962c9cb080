//! Compression of content with zstd, before it is sealed (`docs/protocol.md` §21.8–9).
//!
//! What is compressed is one frame of zstd. Both ways stream: an [`Encoder`] is read from, a
//! [`Decoder`] written to.
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
/// log2 of the largest window that is taken: a frame can make its reader hold so many bytes, 128
/// MiB.
pub const MAX_WINDOW_LOG: u32 = 27;
/// Bytes that go in and out of zstd at once: a block of zstd.
const PIECE: usize = 128 * 1024;
/// Bytes of each piece of a sample.
const SAMPLE: u64 = 64 * 1024;

/// Names the encoding and the version of the encoder: the same bytes are encoded to the same only
/// where this is the same.
pub fn encoding_id() -> String {
    format!("zstd-{LEVEL}-{}", zstd_safe::version_string())
}

/// Reads what another reader gives, compressed. What comes out depends on nothing but what goes in,
/// whatever is read at once on either side.
pub struct Encoder<R> {
    inner: R,
    context: CCtx<'static>,
    /// What was read, and how far it is taken.
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    ready: std::ops::Range<usize>,
    stage: Stage,
    total_in: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Content,
    /// All is read, and the frame is to be ended.
    Ending,
    Ended,
}

impl<R: Read> Encoder<R> {
    /// Compresses what `inner` gives.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]
    pub fn new(inner: R) -> io::Result<Self> {
        let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(CParameter::CompressionLevel(LEVEL)).map_err(failed)?;
        let (input, output) = (Vec::with_capacity(PIECE), vec![0; PIECE]);
        Ok(Self {
            inner,
            context,
            input,
            taken: 0,
            output,
            ready: 0..0,
            stage: Stage::Content,
            total_in: 0,
        })
    }

    /// How many bytes were read of the inner reader: how far the compression is.
    pub fn total_in(&self) -> u64 {
        self.total_in
    }

    /// Fills the output, as far as there is any.
    fn advance(&mut self) -> io::Result<()> {
        // zstd gets whole pieces, so that how the inner reader cuts them shows nowhere.
        if self.stage == Stage::Content && self.taken == self.input.len() {
            self.taken = 0;
            self.input.clear();
            self.inner.by_ref().take(PIECE as u64).read_to_end(&mut self.input)?;
            self.total_in += self.input.len() as u64;
            if self.input.is_empty() {
                self.stage = Stage::Ending;
            }
        }
        let mut output = OutBuffer::around(&mut self.output[..]);
        if self.stage == Stage::Ending {
            if self.context.end_stream(&mut output).map_err(failed)? == 0 {
                self.stage = Stage::Ended;
            }
        } else {
            let mut input = InBuffer { src: &self.input, pos: self.taken };
            self.context.compress_stream(&mut output, &mut input).map_err(failed)?;
            self.taken = input.pos;
        }
        self.ready = 0..output.pos();
        Ok(())
    }
}

impl<R: Read> Read for Encoder<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            if self.stage == Stage::Ended || room.is_empty() {
                return Ok(0);
            }
            self.advance()?;
        }
        let count = room.len().min(self.ready.len());
        room[..count].copy_from_slice(&self.output[self.ready.start..self.ready.start + count]);
        self.ready.start += count;
        Ok(count)
    }
}

impl<R> fmt::Debug for Encoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// Decodes what is written to it, and writes it on. Nothing is complete before [`Decoder::finish`].
///
/// Exactly one frame is taken: one that is skipped, or one behind the first, is refused. Memory is
/// at most the window of 2^[`MAX_WINDOW_LOG`] bytes, and 128 KiB, however much comes out. Its
/// errors of kind [`io::ErrorKind::InvalidData`] hold a [`Damage`].
pub struct Decoder<W> {
    inner: W,
    context: DCtx<'static>,
    output: Vec<u8>,
    size: Option<u64>,
    written: u64,
    /// Whether the frame has ended; or what has gone wrong, for nothing is taken after an error.
    state: Result<bool, Damage>,
}

/// Why compressed content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It is not zstd, is damaged, or needs a larger window than is taken.
    #[error("the compressed content is damaged: {0}")]
    Frame(&'static str),
    /// It has another size than was said.
    #[error("the content has another size than was announced")]
    Size,
    /// It ends too early.
    #[error("the compressed content is cut off")]
    Truncated,
    /// Something follows the frame.
    #[error("something follows the compressed content")]
    TrailingData,
    /// What was decoded could not be written, so what follows has no place.
    #[error("the content before could not be written")]
    NotWritten,
}

impl<W: Write> Decoder<W> {
    /// Decodes to `inner`: exactly `size` bytes, if that is known.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]
    pub fn new(inner: W, size: Option<u64>) -> io::Result<Self> {
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).map_err(failed)?;
        Ok(Self { inner, context, output: vec![0; PIECE], size, written: 0, state: Ok(false) })
    }

    /// Checks that the content is whole, and gives back what was written to.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it is not.
    pub fn finish(self) -> io::Result<W> {
        match self.state {
            Err(damage) => Err(invalid(damage)),
            Ok(false) => Err(invalid(Damage::Truncated)),
            Ok(true) if self.size.is_some_and(|size| size != self.written) => {
                Err(invalid(Damage::Size))
            }
            Ok(true) => Ok(self.inner),
        }
    }

    fn fail(&mut self, damage: Damage) -> io::Error {
        self.state = Err(damage);
        invalid(damage)
    }

    /// Decodes once; gives how much came out.
    fn step(&mut self, input: &mut InBuffer<'_>) -> Result<usize, Damage> {
        if self.state? {
            return Err(Damage::TrailingData);
        }
        let mut output = OutBuffer::around(&mut self.output[..]);
        let left = self.context.decompress_stream(&mut output, input);
        self.state = Ok(left.map_err(|code| Damage::Frame(zstd_safe::get_error_name(code)))? == 0);
        let count = output.pos();
        self.written += count as u64;
        // Before any of it is written.
        if self.size.is_some_and(|size| self.written > size) {
            Err(Damage::Size)
        } else {
            Ok(count)
        }
    }
}

impl<W: Write> Write for Decoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut input = InBuffer { src: bytes, pos: 0 };
        // A full output may mean that there is more of it, without any more input.
        let mut full = false;
        while full || input.pos < bytes.len() {
            let count = self.step(&mut input).map_err(|damage| self.fail(damage))?;
            if let Err(error) = self.inner.write_all(&self.output[..count]) {
                self.state = Err(Damage::NotWritten);
                return Err(error);
            }
            full = count == PIECE && self.state == Ok(false);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> fmt::Debug for Decoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("written", &self.written)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Reads a sample for [`is_compressible`]: 64 KiB from the beginning, the middle and the end; all
/// of a smaller file. Leaves the reader at its beginning.
///
/// # Errors
/// What the reader says.
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

/// Whether compressing saves more than a tenth of a sample. It does not if there is no memory for
/// it.
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
