//! The content format and the verifiers of FSS 1.0 (`docs/protocol.md` §8).
//!
//! None of it detects a changed file, or makes guessing passwords costly. It is here because 2019
//! peers use it.

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha384};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::types::secret::Password;

/// Length of an AES block in bytes.
pub const BLOCK: usize = 16;

/// The key and iv of a file, which FSS 1.0 derives from the password alone.
#[derive(Clone)]
pub struct FileKey {
    key: Zeroizing<[u8; 32]>,
    iv: Zeroizing<[u8; BLOCK]>,
}

impl FileKey {
    /// `key = SHA-256(password)`, `iv = MD5(key)`.
    pub fn derive(password: &Password) -> Self {
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(Sha256::digest(password.expose()).into());
        let iv = Zeroizing::new(Md5::digest(*key).into());
        Self { key, iv }
    }

    /// What a server stores to check the password: SHA-384 of the key.
    pub fn verifier(&self) -> Verifier {
        Verifier(Sha384::digest(*self.key).into())
    }

    /// Encrypts `bytes`, padding them with 1, 2, … n to whole blocks if they are not, and starting
    /// at the iv.
    pub fn encrypt(&self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = Zeroizing::new(bytes.to_vec());
        let padding = buffer.len().next_multiple_of(BLOCK) - buffer.len();
        buffer.extend((1..).take(padding));
        let length = buffer.len();
        let encryptor = cbc::Encryptor::<Aes256>::new(&(*self.key).into(), &(*self.iv).into());
        match encryptor.encrypt_padded::<NoPadding>(&mut buffer, length) {
            Ok(encrypted) => encrypted.to_vec(),
            Err(_) => unreachable!("whole blocks need no padding"),
        }
    }

    /// Decrypts whole blocks in place, starting at the iv. Padding is not removed.
    ///
    /// # Errors
    /// [`NotWholeBlocks`]
    pub fn decrypt(&self, bytes: &mut [u8]) -> Result<(), NotWholeBlocks> {
        let length = bytes.len();
        let decryptor = cbc::Decryptor::<Aes256>::new(&(*self.key).into(), &(*self.iv).into());
        decryptor
            .decrypt_padded::<NoPadding>(bytes)
            .map(drop)
            .map_err(|_| NotWholeBlocks { length })
    }
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey(..)")
    }
}

/// The ciphertext is not a whole number of AES blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are not whole blocks")]
pub struct NotWholeBlocks {
    /// How many bytes there are.
    pub length: usize,
}

/// The 48 bytes with which a server checks a file's password. Compared in constant time.
#[derive(Clone)]
pub struct Verifier([u8; Self::LENGTH]);

impl Verifier {
    /// Length in bytes.
    pub const LENGTH: usize = 48;

    /// A verifier as it is stored.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// `SHA-384(code)`: the content of `.shc` and `.vh` (`docs/protocol.md` §9, §10).
    pub fn of_code(code: &Password) -> Self {
        Self(Sha384::digest(code.expose()).into())
    }

    /// The bytes to be stored.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Verifier {}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(..)")
    }
}
