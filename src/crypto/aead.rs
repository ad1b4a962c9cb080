//! AES-256-GCM, in place: records and sealed content are opened in their buffers.

use std::fmt::Debug;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

use super::CryptoFailure;

/// Length of a key in bytes.
pub const KEY_LENGTH: usize = 32;
/// Length of a nonce in bytes.
pub const NONCE_LENGTH: usize = 12;
/// Length of a tag in bytes.
pub const TAG_LENGTH: usize = 16;

/// A key for AES-256-GCM. The caller never uses a nonce twice with one key.
pub trait AeadKey: Debug + Send + Sync {
    /// Encrypts `data` in place and returns the tag.
    ///
    /// # Errors
    /// [`CryptoFailure`] if the library fails.
    fn seal(
        &self,
        nonce: [u8; NONCE_LENGTH],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LENGTH], CryptoFailure>;

    /// Decrypts `data`, the ciphertext with its tag at the end, in place: the plaintext is then
    /// before the tag.
    ///
    /// # Errors
    /// [`CryptoFailure`] if it is not what was sealed; the content of `data` is then unspecified.
    fn open(
        &self,
        nonce: [u8; NONCE_LENGTH],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<(), CryptoFailure>;
}

/// The key of the crate `aes-gcm`.
pub(super) struct RustCryptoAead(Aes256Gcm);

impl RustCryptoAead {
    pub(super) fn new(key: &[u8; KEY_LENGTH]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }
}

impl AeadKey for RustCryptoAead {
    fn seal(
        &self,
        nonce: [u8; NONCE_LENGTH],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LENGTH], CryptoFailure> {
        let tag = self
            .0
            .encrypt_inout_detached(&Nonce::from(nonce), additional, data.into())
            .map_err(|_| CryptoFailure)?;
        Ok(tag.into())
    }

    fn open(
        &self,
        nonce: [u8; NONCE_LENGTH],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<(), CryptoFailure> {
        let (data, tag) = data.split_last_chunk_mut::<TAG_LENGTH>().ok_or(CryptoFailure)?;
        let tag = Tag::from(*tag);
        self.0
            .decrypt_inout_detached(&Nonce::from(nonce), additional, data.into(), &tag)
            .map_err(|_| CryptoFailure)
    }
}

impl Debug for RustCryptoAead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rustcrypto AES-256-GCM key")
    }
}
