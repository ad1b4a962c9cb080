//! A private key, locked with an operation code or a password (`docs/protocol.md` §9, §10).
//!
//! There are two encodings. The *modern* one is the standard's: encrypted PKCS#8 in PEM (PBES2 with
//! scrypt and AES-256-CBC), and nothing else; decrypting the key is the check of the code. The
//! *legacy* one of 2019 is encrypted under an unsalted hash of the code. Both are read; new keys get
//! the modern one unless the other is asked for.
//!
//! A [`KeyFile`] is the file in memory, for programs that keep it in a key store, a database or a
//! browser. `KeyDirectory` (feature `filesystem`) keeps it in a directory.
//!
//! ```
//! use fss::crypto::default_provider;
//! use fss::key_file::{KeyEncoding, KeyFile};
//! use fss::{Config, Password, SystemRng};
//!
//! let (config, code) = (Config::generate()?, Password::new("correct horse battery staple")?);
//! let file = KeyFile::seal(&**config.identity(), &code, KeyEncoding::Modern, &mut SystemRng)?;
//! let file = KeyFile::parse(file.as_bytes())?;
//! let key = file.open(&code, &*default_provider())?;
//! assert_eq!(key.public_key(), config.identity().public_key());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "filesystem")]
mod directory;

use std::io;
use std::sync::Arc;

use pkcs8::der::Decode as _;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, pkcs5};
use rand_core::CryptoRng;

use crate::crypto::key_encoding::{pkcs1_to_pkcs8, pkcs8_to_pkcs1};
use crate::crypto::legacy::{self, FileKey};
use crate::crypto::{CryptoProvider, PrivateKey};
use crate::pem;
use crate::types::secret::{Password, Secret};

#[cfg(feature = "filesystem")]
pub use directory::{KeyDirectory, KeyFileError, KeyRole};

const MODERN_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const LEGACY_LABEL: &str = "RSA PRIVATE KEY";
/// The largest key file that is read, in bytes; a 4096-bit key needs about 3.5 KiB.
const MAX_LENGTH: u64 = 64 * 1024;
/// The work of opening a key, and of each guess at its code: scrypt with N = 2^16, r = 10, p = 1.
/// That is 80 MiB, and a little more time than the Argon2id that seals files (`cargo bench -p
/// fss-benches --bench passwords`): an attacker who has a profile guesses at the cheaper of the two.
const SCRYPT_LOG_N: u8 = 16;
const SCRYPT_R: u32 = 10;
const SCRYPT_P: u32 = 1;

/// The most memory, in bytes, that a key file may make scrypt allocate. Ours need 80 MiB.
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;

/// The most rounds of PBKDF2 that a key file may ask for. Ours have none, those of other programs
/// may.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// How a key is locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyEncoding {
    /// Encrypted PKCS#8 in PEM (`docs/protocol.md` §10).
    #[default]
    Modern,
    /// As in 2019: AES-256-CBC under a hash of the code (`docs/protocol.md` §9). Anyone who reads it
    /// can guess the code fast.
    Legacy,
}

/// A locked private key in memory: the content of a key file.
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// Ciphertext.
    bytes: Vec<u8>,
}

impl KeyFile {
    /// Locks a key with a code. The modern encoding takes about 0.1 s and 80 MiB of memory.
    ///
    /// # Errors
    /// [`KeyFileErrorKind::Locking`] if the key cannot be exported.
    pub fn seal(
        key: &dyn PrivateKey,
        code: &Password,
        encoding: KeyEncoding,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, KeyFileErrorKind> {
        let pkcs8_der = key.to_pkcs8_der().map_err(|_| KeyFileErrorKind::Locking)?;
        Self::lock(&pkcs8_der, code, encoding, rng)
    }

    /// Accepts the bytes of a key file, from anywhere. What is in them is checked when it is opened.
    ///
    /// # Errors
    /// [`KeyFileErrorKind::Damaged`] if they are none, or more than 64 KiB.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileErrorKind> {
        check_length(bytes.len() as u64)?;
        Ok(Self { bytes: bytes.to_owned() })
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How the key is locked.
    pub fn encoding(&self) -> KeyEncoding {
        if self.bytes.starts_with(b"-----BEGIN ") {
            KeyEncoding::Modern
        } else {
            KeyEncoding::Legacy
        }
    }

    /// Opens the key. A file may ask for up to 1 GiB of memory; ours take 80 MiB and about 0.1 s.
    ///
    /// # Errors
    /// [`KeyFileErrorKind::WrongCode`]; a damaged key in the legacy encoding, which has no checksum,
    /// is reported as that too. [`KeyFileErrorKind::Damaged`] if it is not a key file, if it asks for
    /// too much work, or if the provider rejects its key.
    pub fn open(
        &self,
        code: &Password,
        provider: &dyn CryptoProvider,
    ) -> Result<Arc<dyn PrivateKey>, KeyFileErrorKind> {
        load(&self.unlock(code)?, provider)
    }

    fn lock(
        pkcs8_der: &Secret,
        code: &Password,
        encoding: KeyEncoding,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, KeyFileErrorKind> {
        let bytes = match encoding {
            KeyEncoding::Modern => lock_modern(pkcs8_der, code, rng),
            KeyEncoding::Legacy => lock_legacy(pkcs8_der, code),
        };
        Ok(Self { bytes: bytes.ok_or(KeyFileErrorKind::Locking)? })
    }

    fn unlock(&self, code: &Password) -> Result<Secret, KeyFileErrorKind> {
        match self.encoding() {
            KeyEncoding::Modern => unlock_modern(&self.bytes, code),
            KeyEncoding::Legacy => {
                unlock_legacy(self.bytes.clone(), code).ok_or(KeyFileErrorKind::WrongCode)
            }
        }
    }
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileErrorKind {
    /// There is no key file in the directory.
    #[error("there is no key file")]
    Missing,
    /// The directory has a key file already, which is not overwritten.
    #[error("there is a key file already")]
    Exists,
    /// The operation code or password is wrong.
    #[error("the code does not open the key")]
    WrongCode,
    /// The bytes are not a key file.
    #[error("the key file is damaged: {0}")]
    Damaged(String),
    /// The key cannot be exported or encoded.
    #[error("the key cannot be locked into a file")]
    Locking,
    /// An error of the operating system.
    #[error("cannot use the key file")]
    Io(#[source] io::Error),
}

/// Fails for a length that no key file has, so that nothing else is read into memory.
fn check_length(length: u64) -> Result<(), KeyFileErrorKind> {
    if length == 0 || length > MAX_LENGTH {
        let detail = format!("it has {length} bytes, which no key file has");
        return Err(KeyFileErrorKind::Damaged(detail));
    }
    Ok(())
}

fn load(
    pkcs8_der: &Secret,
    provider: &dyn CryptoProvider,
) -> Result<Arc<dyn PrivateKey>, KeyFileErrorKind> {
    provider
        .load_private_key(pkcs8_der)
        .map_err(|rejected| KeyFileErrorKind::Damaged(rejected.to_string()))
}

fn lock_modern(pkcs8_der: &Secret, code: &Password, rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
    let info = PrivateKeyInfoRef::from_der(pkcs8_der.expose()).ok()?;
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut iv);
    let scrypt = pkcs5::scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).ok()?;
    let parameters = pkcs5::pbes2::Parameters::generate_scrypt_aes256cbc(scrypt, &salt, iv).ok()?;
    let locked = info.encrypt_with_params(parameters, code.expose()).ok()?;
    let mut text = pem::write(locked.as_bytes(), MODERN_LABEL).to_vec();
    text.push(b'\n');
    Some(text)
}

fn unlock_modern(bytes: &[u8], code: &Password) -> Result<Secret, KeyFileErrorKind> {
    let damaged = || KeyFileErrorKind::Damaged("it is not an encrypted PKCS#8 key in PEM".into());
    let (der, _) = pem::read(bytes, MODERN_LABEL).ok().flatten().ok_or_else(damaged)?;
    let info = EncryptedPrivateKeyInfoRef::from_der(&der).map_err(|_| damaged())?;
    let parameters = info.encryption_algorithm.pbes2().ok_or_else(damaged)?;
    if !is_affordable(&parameters.kdf) {
        return Err(KeyFileErrorKind::Damaged(
            "it asks for no work, or for more than 1 GiB of memory or a minute".into(),
        ));
    }
    // With one wrong code in 256 the padding is valid and the bytes are not a key: the encoding has
    // no checksum.
    let opened = info.decrypt(code.expose()).map_err(|_| KeyFileErrorKind::WrongCode)?;
    Ok(Secret::new(opened.as_bytes().to_vec()))
}

/// A key file may come from an attacker, so its cost is checked before any work is done.
fn is_affordable(kdf: &pkcs5::pbes2::Kdf) -> bool {
    match (kdf.scrypt(), kdf.pbkdf2()) {
        (Some(scrypt), _) => {
            let (n, r, p) = (
                scrypt.cost_parameter,
                u64::from(scrypt.block_size),
                u64::from(scrypt.parallelization),
            );
            let memory = n.checked_mul(r).and_then(|blocks| blocks.checked_mul(128));
            n >= 2
                && n.is_power_of_two()
                && r > 0
                && (1..=16).contains(&p)
                && memory.is_some_and(|memory| memory <= MAX_SCRYPT_MEMORY)
        }
        (None, Some(pbkdf2)) => (1..=MAX_PBKDF2_ROUNDS).contains(&pbkdf2.iteration_count),
        (None, None) => false,
    }
}

/// Code of 2019 pads with PKCS#7, but adds nothing to a key that already fills its blocks. Every
/// reader accepts a full block of padding.
fn lock_legacy(pkcs8_der: &Secret, code: &Password) -> Option<Vec<u8>> {
    let pkcs1_der = pkcs8_to_pkcs1(pkcs8_der).ok()?;
    let mut text = pem::write(pkcs1_der.expose(), LEGACY_LABEL);
    let padding = legacy::BLOCK - text.len() % legacy::BLOCK;
    text.extend(std::iter::repeat_n(u8::try_from(padding).ok()?, padding));
    Some(FileKey::derive(code).encrypt(&text))
}

/// The padding is not checked: the key ends where its PEM ends.
fn unlock_legacy(mut bytes: Vec<u8>, code: &Password) -> Option<Secret> {
    FileKey::derive(code).decrypt(&mut bytes).ok()?;
    let text = Secret::new(bytes);
    let (pkcs1_der, _) = pem::read(text.expose(), LEGACY_LABEL).ok()??;
    pkcs1_to_pkcs8(&Secret::new(pkcs1_der)).ok()
}

#[cfg(test)]
mod tests {
    use pkcs8::der::Encode as _;

    use super::*;

    /// Such bytes come out of one wrong code in 256.
    #[test]
    fn bytes_that_decrypt_and_are_no_key_are_a_wrong_code() {
        let parameters =
            pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(1000, &[7; 16], [8; 16])
                .expect("valid");
        let scheme = pkcs5::EncryptionScheme::from(parameters);
        let encrypted_data = scheme.encrypt(b"code", b"no key at all").expect("it encrypts");
        let encrypted_data =
            pkcs8::der::asn1::OctetString::new(encrypted_data).expect("it is short");
        let info = pkcs8::EncryptedPrivateKeyInfo { encryption_algorithm: scheme, encrypted_data };
        let text = pem::write(&info.to_der().expect("it is short"), MODERN_LABEL);
        let code = Password::new("code").expect("valid");
        assert!(matches!(unlock_modern(&text, &code), Err(KeyFileErrorKind::WrongCode)));
    }
}
