//! Records: `length || AES-256-GCM`, numbered, each direction with its own key (`docs/protocol.md`
//! §14).

use std::sync::Arc;

use super::key_schedule::{self, Traffic};
use crate::crypto::aead::{AeadKey, KEY_LENGTH, NONCE_LENGTH, TAG_LENGTH};
use crate::crypto::{CryptoFailure, CryptoProvider};

/// Bytes of the length before a record.
pub const PREFIX: usize = 4;

/// The longest plaintext of a record: 4 whole sealed chunks and some more.
pub const MAX_PLAINTEXT: usize = 257 * 1024;

/// The shortest plaintext: a flag and NUL.
const MIN_PLAINTEXT: usize = 2;

/// Records that one key and iv are used for.
pub const RATCHET: u64 = 1 << 20;

/// One direction's key, iv and number. The peer has the same.
pub struct Direction {
    provider: Arc<dyn CryptoProvider>,
    traffic: Traffic,
    key: Box<dyn AeadKey>,
    number: u64,
    ratchet: u64,
}

impl Direction {
    /// Starts with record 0.
    pub fn new(provider: Arc<dyn CryptoProvider>, traffic: Traffic) -> Self {
        Self::with_ratchet(provider, traffic, RATCHET)
    }

    /// The same with another number of records between changes of the key, for tests. The peer must
    /// use the same number.
    pub fn with_ratchet(provider: Arc<dyn CryptoProvider>, traffic: Traffic, ratchet: u64) -> Self {
        let key = key_of(&*provider, &traffic);
        Self { provider, traffic, key, number: 0, ratchet: ratchet.max(1) }
    }

    /// Seals `record` in place: 4 bytes for the length, the plaintext, 16 bytes for the tag.
    ///
    /// # Errors
    /// [`CryptoFailure`] if it is too short or too long, or the library fails.
    pub fn seal(&mut self, record: &mut [u8]) -> Result<(), CryptoFailure> {
        let (prefix, sealed) = record.split_first_chunk_mut::<PREFIX>().ok_or(CryptoFailure)?;
        *prefix = u32::try_from(sealed.len()).map_err(|_| CryptoFailure)?.to_be_bytes();
        if sealed_length(*prefix).is_none() {
            return Err(CryptoFailure);
        }
        let nonce = self.next_nonce()?;
        let (data, tag) = sealed.split_last_chunk_mut::<TAG_LENGTH>().ok_or(CryptoFailure)?;
        *tag = self.key.seal(nonce, prefix, data)?;
        Ok(())
    }

    /// Opens `record`, which is whole, in place, and returns the plaintext within it.
    ///
    /// # Errors
    /// [`CryptoFailure`] without detail: it is not the next record of this direction. The
    /// connection must then end.
    pub fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<&'a mut [u8], CryptoFailure> {
        let (prefix, sealed) = record.split_first_chunk_mut::<PREFIX>().ok_or(CryptoFailure)?;
        if sealed_length(*prefix) != Some(sealed.len()) {
            return Err(CryptoFailure);
        }
        let nonce = self.next_nonce()?;
        self.key.open(nonce, prefix, sealed)?;
        let end = sealed.len() - TAG_LENGTH;
        Ok(&mut sealed[..end])
    }

    /// How many records have been sealed or opened.
    pub fn number(&self) -> u64 {
        self.number
    }

    fn next_nonce(&mut self) -> Result<[u8; NONCE_LENGTH], CryptoFailure> {
        if self.number > 0 && self.number.is_multiple_of(self.ratchet) {
            self.traffic = key_schedule::next(&self.traffic)?;
            self.key = key_of(&*self.provider, &self.traffic);
        }
        let mut nonce = [0; NONCE_LENGTH];
        nonce.copy_from_slice(&self.traffic[KEY_LENGTH..]);
        for (byte, number) in nonce[NONCE_LENGTH - 8..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        self.number = self.number.checked_add(1).ok_or(CryptoFailure)?;
        Ok(nonce)
    }
}

/// The length of a record after its prefix; `None` if it is out of bounds, which must be checked
/// before anything is buffered for it.
pub fn sealed_length(prefix: [u8; PREFIX]) -> Option<usize> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).ok()?;
    (MIN_PLAINTEXT + TAG_LENGTH..=MAX_PLAINTEXT + TAG_LENGTH).contains(&length).then_some(length)
}

fn key_of(provider: &dyn CryptoProvider, traffic: &Traffic) -> Box<dyn AeadKey> {
    let mut key = zeroize::Zeroizing::new([0; KEY_LENGTH]);
    key.copy_from_slice(&traffic[..KEY_LENGTH]);
    provider.aead_key(&key)
}

impl std::fmt::Debug for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direction").field("number", &self.number).finish_non_exhaustive()
    }
}
