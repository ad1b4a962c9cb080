//! Sealing and opening with `std::io`: one chunk of memory, whatever the size of the file.

use std::io::{self, Read, Write};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::chunk::{CHUNK, CHUNK_OVERHEAD, ChunkOpener, ChunkSealer, MAX_SEALED_CHUNK};
use super::{Header, Key, Metadata};
use crate::crypto::aead::NONCE_LENGTH;

/// Seals what is written to it. The file is complete only after [`Writer::finish`]; without it a
/// reader rejects the file as truncated.
pub struct Writer<'k, W, R> {
    inner: W,
    key: &'k Key,
    sealer: ChunkSealer,
    rng: R,
    /// The chunk in progress: space for the nonce, then plaintext, then space for the tag.
    piece: Zeroizing<Vec<u8>>,
    filled: usize,
}

impl<'k, W: Write, R: CryptoRng> Writer<'k, W, R> {
    /// Writes the header, and starts the plaintext with the metadata.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the metadata cannot be encoded, and the errors of
    /// `inner`.
    pub fn new(
        mut inner: W,
        key: &'k Key,
        header: &Header,
        metadata: &Metadata,
        rng: R,
    ) -> io::Result<Self> {
        let metadata = metadata
            .encode()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        inner.write_all(&header.to_bytes())?;
        let piece = Zeroizing::new(vec![0; MAX_SEALED_CHUNK]);
        let mut writer =
            Self { inner, key, sealer: ChunkSealer::new(header, 0), rng, piece, filled: 0 };
        writer.write_all(&metadata)?;
        Ok(writer)
    }

    /// Seals the last chunk and returns the inner writer.
    ///
    /// # Errors
    /// The errors of `inner`.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let piece = &mut self.piece[..self.filled + CHUNK_OVERHEAD];
        self.sealer.seal(self.key, piece, last, &mut self.rng).map_err(io::Error::other)?;
        self.inner.write_all(piece)?;
        self.filled = 0;
        Ok(())
    }
}

impl<W: Write, R: CryptoRng> Write for Writer<'_, W, R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is sealed when more follows: only then is it known not to be the last.
        if self.filled == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let count = bytes.len().min(CHUNK - self.filled);
        let start = NONCE_LENGTH + self.filled;
        self.piece[start..start + count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        Ok(count)
    }

    /// Does not seal a partial chunk: only the last may be shorter.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W, R> std::fmt::Debug for Writer<'_, W, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("sealer", &self.sealer).finish_non_exhaustive()
    }
}

/// Opens what follows the header of a sealed file. Its errors of kind
/// [`io::ErrorKind::InvalidData`] hold an [`crate::Integrity`]: the file is damaged. What was read
/// before is authentic, but not the whole file.
pub struct Reader<'k, I> {
    inner: I,
    key: &'k Key,
    opener: ChunkOpener,
    index: u64,
    metadata: Metadata,
    /// The chunk that is open, and the first byte of the next one, without which it is the last.
    piece: Zeroizing<Vec<u8>>,
    available: std::ops::Range<usize>,
    ahead: Option<u8>,
    last: bool,
    /// Bytes of the content so far.
    content: u64,
}

impl<'k, I: Read> Reader<'k, I> {
    /// Reads and opens the first chunk, which has the metadata.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it does not open with this key, and the errors of `inner`.
    pub fn new(mut inner: I, key: &'k Key, header: &Header) -> io::Result<Self> {
        let mut first = [0];
        let ahead = if read_full(&mut inner, &mut first)? == 1 { Some(first[0]) } else { None };
        let mut reader = Self {
            inner,
            key,
            opener: ChunkOpener::new(header),
            index: 0,
            metadata: Metadata::default(),
            piece: Zeroizing::new(vec![0; MAX_SEALED_CHUNK + 1]),
            available: 0..0,
            ahead,
            last: false,
            content: 0,
        };
        reader.advance()?;
        let (metadata, length) =
            Metadata::decode(&reader.piece[reader.available.clone()]).map_err(invalid)?;
        reader.metadata = metadata;
        reader.available.start += length;
        reader.count()?;
        Ok(reader)
    }

    /// The file's metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Counts the available bytes, and checks the size after the last chunk.
    fn count(&mut self) -> io::Result<()> {
        self.content += self.available.len() as u64;
        let size = if self.last { self.metadata.check_size(self.content) } else { Ok(()) };
        // A reader that continues after the error must not find an end of the file.
        size.inspect_err(|_| (self.available, self.last) = (0..0, false)).map_err(invalid)
    }

    fn advance(&mut self) -> io::Result<()> {
        let mut filled = 0;
        if let Some(byte) = self.ahead.take() {
            self.piece[0] = byte;
            filled = 1;
        }
        filled += read_full(&mut self.inner, &mut self.piece[filled..])?;
        let last = filled <= MAX_SEALED_CHUNK;
        if !last {
            self.ahead = Some(self.piece[MAX_SEALED_CHUNK]);
            filled = MAX_SEALED_CHUNK;
        }
        let length = self
            .opener
            .open(self.key, &mut self.piece[..filled], self.index, last)
            .map_err(invalid)?
            .len();
        // Only after it has opened: a reader that continues after an error must not find an end.
        self.last = last;
        self.index += 1;
        self.available = NONCE_LENGTH..NONCE_LENGTH + length;
        Ok(())
    }
}

impl<I: Read> Read for Reader<'_, I> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.available.is_empty() {
            if self.last || room.is_empty() {
                return Ok(0);
            }
            self.advance()?;
            self.count()?;
        }
        let count = room.len().min(self.available.len());
        let start = self.available.start;
        room[..count].copy_from_slice(&self.piece[start..start + count]);
        self.available.start += count;
        Ok(count)
    }
}

impl<I> std::fmt::Debug for Reader<'_, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("index", &self.index)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Reads until the buffer is full or the input ends.
fn read_full(inner: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < room.len() {
        match inner.read(&mut room[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
