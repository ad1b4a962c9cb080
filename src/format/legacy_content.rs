//! Reading a file that FSS 1.0 stored: chunk by chunk, and where it ends (`docs/protocol.md` §8).

use std::collections::VecDeque;

use zeroize::Zeroizing;

use crate::crypto::legacy::{BLOCK, FileKey};
use crate::sealed::Integrity;

/// The most file bytes in one chunk.
pub const CHUNK: usize = 1024;

/// What a 2019 server decodes from the text `FIN`, and appends to every file as another encrypted
/// block.
const STRAY: [u8; 2] = [0x14, 0x83];

/// The stored length of a file of `size` bytes: only its last chunk is padded.
pub fn stored_length(size: u64) -> u64 {
    size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64)
}

/// The stored length of a file of `size` bytes with the stray block of a 2019 server.
fn longest(size: u64) -> u64 {
    stored_length(size).saturating_add(BLOCK as u64)
}

/// Decrypts a stored file, chunk by chunk, and cuts it at its true size.
///
/// The stored length hides the size. If the caller knows the size, a file that cannot have it is
/// rejected, and the end is exact. Otherwise the end is a guess: a block that a 2019 server
/// appended is recognised and dropped, and then bytes 1, 2, … n at the end are taken for padding.
#[derive(Debug)]
pub struct Decryptor {
    key: FileKey,
    size: Option<u64>,
    stored: u64,
    /// Chunks that may still be cut: the last one, and the one before it, which a stray block may
    /// follow.
    waiting: VecDeque<Zeroizing<Vec<u8>>>,
}

impl Decryptor {
    /// Starts at the beginning of a file.
    pub fn new(key: FileKey, size: Option<u64>) -> Self {
        Self { key, size, stored: 0, waiting: VecDeque::new() }
    }

    /// Accepts the next stored chunk, and appends the bytes of the file that are now certain to
    /// `output`.
    ///
    /// # Errors
    /// [`Integrity`] for a chunk that FSS 1.0 could not have stored.
    pub fn chunk(&mut self, stored: &[u8], output: &mut Vec<u8>) -> Result<(), Integrity> {
        let after_a_short_one = !self.stored.is_multiple_of(CHUNK as u64);
        if stored.is_empty()
            || stored.len() > CHUNK
            || !stored.len().is_multiple_of(BLOCK)
            || after_a_short_one
        {
            return Err(Integrity::ChunkLength { length: stored.len() });
        }
        self.stored += stored.len() as u64;
        if let Some(size) = self.size
            && self.stored > longest(size)
        {
            return Err(Integrity::StoredLength { stored: self.stored, size });
        }
        self.waiting.push_back(Zeroizing::new(stored.to_vec()));
        if self.waiting.len() > 2 {
            self.release(output)?;
        }
        Ok(())
    }

    /// Ends the file: appends the rest of it to `output`.
    ///
    /// # Errors
    /// [`Integrity::StoredLength`] if the file cannot have the size that the caller expects.
    pub fn finish(&mut self, output: &mut Vec<u8>) -> Result<(), Integrity> {
        match self.size {
            Some(size) => self.finish_at(size, output),
            None => self.finish_by_guess(output),
        }
    }

    fn finish_at(&mut self, size: u64, output: &mut Vec<u8>) -> Result<(), Integrity> {
        if self.stored != stored_length(size) && self.stored != longest(size) {
            return Err(Integrity::StoredLength { stored: self.stored, size });
        }
        let waiting: u64 = self.waiting.iter().map(|chunk| chunk.len() as u64).sum();
        let excess = self.stored - size;
        let start = output.len();
        while !self.waiting.is_empty() {
            self.release(output)?;
        }
        // At most the two waiting chunks are cut: the excess is padding and one stray block.
        output.truncate(start + usize::try_from(waiting.saturating_sub(excess)).unwrap_or(0));
        Ok(())
    }

    fn finish_by_guess(&mut self, output: &mut Vec<u8>) -> Result<(), Integrity> {
        let stray = self.key.encrypt(&STRAY);
        if let Some(last) = self.waiting.back_mut().filter(|last| last.ends_with(&stray)) {
            let length = last.len();
            last.truncate(length - BLOCK);
        }
        let start = output.len();
        while !self.waiting.is_empty() {
            self.release(output)?;
        }
        let padding = padding(&output[start..]);
        output.truncate(output.len() - padding);
        Ok(())
    }

    fn release(&mut self, output: &mut Vec<u8>) -> Result<(), Integrity> {
        if let Some(mut chunk) = self.waiting.pop_front() {
            self.key.decrypt(&mut chunk)?;
            output.extend_from_slice(&chunk);
        }
        Ok(())
    }
}

/// The length of the padding of FSS 1.0 at the end: bytes 1, 2, … n, with n at most 15.
fn padding(bytes: &[u8]) -> usize {
    let counts = |&n: &usize| {
        bytes.len() >= n
            && bytes[bytes.len() - n..]
                .iter()
                .zip(1..)
                .all(|(&byte, expected): (&u8, u8)| byte == expected)
    };
    (1..BLOCK).find(counts).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::secret::Password;

    fn key() -> FileKey {
        FileKey::derive(&Password::new("a").expect("valid"))
    }

    fn store(file: &[u8], stray: bool) -> Vec<u8> {
        let mut stored: Vec<u8> =
            file.chunks(CHUNK).flat_map(|chunk| key().encrypt(chunk)).collect();
        if stray {
            stored.extend(key().encrypt(&STRAY));
        }
        stored
    }

    fn load(stored: &[u8], size: Option<u64>) -> Result<Vec<u8>, Integrity> {
        let (mut decryptor, mut file) = (Decryptor::new(key(), size), Vec::new());
        stored.chunks(CHUNK).try_for_each(|chunk| decryptor.chunk(chunk, &mut file))?;
        decryptor.finish(&mut file)?;
        Ok(file)
    }

    #[test]
    fn every_size_comes_back_known_or_guessed_with_or_without_the_stray_block() {
        for size in (0..50).chain(1000..1060).chain(2030..2070) {
            let file: Vec<u8> = (100..200).cycle().take(size).collect();
            for stray in [false, true] {
                let stored = store(&file, stray);
                assert_eq!(load(&stored, Some(size as u64)).as_ref(), Ok(&file), "{size} {stray}");
                assert_eq!(load(&stored, None).as_ref(), Ok(&file), "{size} {stray}");
            }
        }
    }

    #[test]
    fn a_stored_length_that_does_not_fit_the_size_is_refused() {
        let stored = store(&[7; 100], false);
        for size in [0, 95, 96, 113, 5000] {
            let fits = stored_length(size) == 112 || stored_length(size) == 96;
            assert_eq!(load(&stored, Some(size)).is_ok(), fits, "{size}");
        }
        assert_eq!(
            load(&stored, Some(113)),
            Err(Integrity::StoredLength { stored: 112, size: 113 })
        );
    }

    #[test]
    fn chunks_that_nobody_stores_are_refused() {
        let mut decryptor = Decryptor::new(key(), None);
        let mut file = Vec::new();
        for length in [0, 1, 15, CHUNK + BLOCK] {
            assert_eq!(
                decryptor.chunk(&vec![0; length], &mut file),
                Err(Integrity::ChunkLength { length })
            );
        }
        assert_eq!(decryptor.chunk(&[0; BLOCK], &mut file), Ok(()));
        assert_eq!(
            decryptor.chunk(&[0; BLOCK], &mut file),
            Err(Integrity::ChunkLength { length: BLOCK })
        );
    }
}
