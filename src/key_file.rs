//! A private key in a directory, locked with an operation code or a password (`docs/protocol.md`
//! §9, §10).
//!
//! There are two forms. The *modern* one is the standard's: encrypted PKCS#8 in PEM (PBES2 with
//! scrypt and AES-256-CBC), and nothing else; opening the key is the check of the code. The
//! *legacy* one of 2019 has a bare hash of the code beside the key (`.shc`, `.vh`), which lets
//! whoever reads it guess fast. Both are read; new directories get the modern one unless the other
//! is asked for.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use pkcs8::der::Decode as _;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, pkcs5};
use rand_core::CryptoRng;

use crate::crypto::key_encoding::{pkcs1_to_pkcs8, pkcs8_to_pkcs1};
use crate::crypto::legacy::{self, FileKey, Verifier};
use crate::crypto::{CryptoProvider, PrivateKey};
use crate::types::secret::{Password, Secret};
use crate::{durable, pem};

const KEY_FILE: &str = ".pk";
const MODERN_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const LEGACY_LABEL: &str = "RSA PRIVATE KEY";
/// The largest key file that is read; a 4096-bit key needs about 3.5 KiB.
const LARGEST_FILE: u64 = 64 * 1024;
/// The work of opening a key, and of each guess at its code: scrypt with N = 2^16, r = 10, p = 1.
/// That is 80 MiB, and a little more time than the Argon2id takes that seals files (`cargo bench -p
/// fss-benches --bench passwords`): a guesser who has a profile chooses the cheaper of the two.
const SCRYPT_LOG_N: u8 = 16;
const SCRYPT_R: u32 = 10;
const SCRYPT_P: u32 = 1;

/// The most memory, in bytes, that a key file may make scrypt take. Ours need 80 MiB.
const MOST_SCRYPT_MEMORY: u64 = 1 << 30;

/// The most rounds of PBKDF2 that a key file may ask for. Ours have none, those of other programs
/// may.
const MOST_PBKDF2_ROUNDS: u32 = 10_000_000;

/// Whose directory a key is in. It decides the name of the legacy form's hash file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// A server's data directory: the key is locked with the operation code.
    Server,
    /// A client's profile: the key is locked with the client's password.
    Client,
}

impl KeyRole {
    fn verifier_file(self) -> &'static str {
        match self {
            Self::Server => ".shc",
            Self::Client => ".vh",
        }
    }
}

/// How a key is locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyEncoding {
    /// Encrypted PKCS#8 in PEM.
    #[default]
    Modern,
    /// As in 2019: AES-256-CBC under a hash of the code, and another hash of it beside.
    Legacy,
}

/// The place of a locked key.
#[derive(Clone, Debug)]
pub struct KeyFile {
    directory: PathBuf,
    owner: KeyRole,
}

impl KeyFile {
    /// The key of this directory, whether it is there yet or not.
    pub fn new(directory: &Path, owner: KeyRole) -> Self {
        Self { directory: directory.to_owned(), owner }
    }

    /// Whether there is a key file.
    pub fn exists(&self) -> bool {
        self.key_path().symlink_metadata().is_ok()
    }

    /// Locks a new key into the directory.
    ///
    /// # Errors
    /// [`KeyFileErrorKind::Exists`] if there is one already; a key is never overwritten.
    pub fn create(
        &self,
        form: KeyEncoding,
        key: &dyn PrivateKey,
        code: &Password,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyFileError> {
        if self.exists() {
            return Err(self.error(KeyFileErrorKind::Exists));
        }
        self.write(form, &self.export(key)?, code, rng, durable::new_file)
    }

    /// The form in which the key is locked.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file is missing or cannot be read.
    pub fn form(&self) -> Result<KeyEncoding, KeyFileError> {
        self.read().map(|bytes| form_of(&bytes))
    }

    /// Opens the key.
    ///
    /// # Errors
    /// [`KeyFileErrorKind::WrongCode`], or what else keeps the key from being used.
    pub fn open(
        &self,
        code: &Password,
        provider: &dyn CryptoProvider,
    ) -> Result<Arc<dyn PrivateKey>, KeyFileError> {
        durable::remove_temporaries(&self.directory, &[KEY_FILE, self.owner.verifier_file()]);
        let (_, pkcs8_der) = self.unlock(code)?;
        provider
            .load_private_key(&pkcs8_der)
            .map_err(|rejected| self.error(KeyFileErrorKind::Damaged(rejected.to_string())))
    }

    /// Locks the key with another code, in the form in which it is.
    ///
    /// Should power fail at any moment, the key opens with the old or with the new code.
    ///
    /// # Errors
    /// As [`KeyFile::open`], and those of writing.
    pub fn change_code(
        &self,
        old: &Password,
        new: &Password,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyFileError> {
        let (form, pkcs8_der) = self.unlock(old)?;
        self.write(form, &pkcs8_der, new, rng, durable::replace_file)
    }

    /// Converts a legacy key to the modern form. A modern one stays as it is.
    ///
    /// # Errors
    /// As [`KeyFile::open`], and those of writing.
    pub fn upgrade(&self, code: &Password, rng: &mut dyn CryptoRng) -> Result<(), KeyFileError> {
        match self.unlock(code)? {
            (KeyEncoding::Modern, _) => Ok(()),
            (KeyEncoding::Legacy, pkcs8_der) => {
                self.write(KeyEncoding::Modern, &pkcs8_der, code, rng, durable::replace_file)
            }
        }
    }

    fn export(&self, key: &dyn PrivateKey) -> Result<Secret, KeyFileError> {
        key.to_pkcs8_der().map_err(|_| self.error(KeyFileErrorKind::Locking))
    }

    fn unlock(&self, code: &Password) -> Result<(KeyEncoding, Secret), KeyFileError> {
        let bytes = self.read()?;
        let form = form_of(&bytes);
        let pkcs8_der = match form {
            KeyEncoding::Modern => {
                let pkcs8_der =
                    unlock_modern(&bytes, code).map_err(|problem| self.error(problem))?;
                // Left behind by an upgrade that was cut short; it would undo what scrypt is for.
                let _ = durable::remove_file(&self.verifier_path());
                pkcs8_der
            }
            KeyEncoding::Legacy => {
                let right =
                    self.stored_verifier().is_some_and(|stored| stored == Verifier::of_code(code));
                let problem = if right {
                    KeyFileErrorKind::Damaged("it does not open with the right code".into())
                } else {
                    KeyFileErrorKind::WrongCode
                };
                let pkcs8_der = unlock_legacy(bytes, code).ok_or_else(|| self.error(problem))?;
                if !right {
                    // A change of code was cut short between the two files: finish it, so that 2019
                    // code can read them.
                    let _ = durable::replace_file(
                        &self.verifier_path(),
                        Verifier::of_code(code).as_bytes(),
                    );
                }
                pkcs8_der
            }
        };
        Ok((form, pkcs8_der))
    }

    /// Writes the key file first: it alone decides which code opens the key.
    fn write(
        &self,
        form: KeyEncoding,
        pkcs8_der: &Secret,
        code: &Password,
        rng: &mut dyn CryptoRng,
        put: impl FnOnce(&Path, &[u8]) -> io::Result<()>,
    ) -> Result<(), KeyFileError> {
        let locked = match form {
            KeyEncoding::Modern => lock_modern(pkcs8_der, code, rng),
            KeyEncoding::Legacy => lock_legacy(pkcs8_der, code),
        };
        let locked = locked.ok_or_else(|| self.error(KeyFileErrorKind::Locking))?;
        let io = |error| self.error(KeyFileErrorKind::Io(error));
        match put(&self.key_path(), &locked) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(self.error(KeyFileErrorKind::Exists));
            }
            written => written.map_err(io)?,
        }
        match form {
            KeyEncoding::Modern => durable::remove_file(&self.verifier_path()),
            KeyEncoding::Legacy => {
                durable::replace_file(&self.verifier_path(), Verifier::of_code(code).as_bytes())
            }
        }
        .map_err(io)
    }

    fn read(&self) -> Result<Vec<u8>, KeyFileError> {
        let path = self.key_path();
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.error(KeyFileErrorKind::Missing));
            }
            Err(error) => return Err(self.error(KeyFileErrorKind::Io(error))),
        };
        if length == 0 || length > LARGEST_FILE {
            return Err(self.error(KeyFileErrorKind::Damaged(format!(
                "it has {length} bytes, which no key file has"
            ))));
        }
        fs::read(&path).map_err(|error| self.error(KeyFileErrorKind::Io(error)))
    }

    /// The hash beside a legacy key, if it is there and has the right length.
    fn stored_verifier(&self) -> Option<Verifier> {
        let mut bytes = Vec::new();
        let file = fs::File::open(self.verifier_path()).ok()?;
        file.take(Verifier::LENGTH as u64 + 1).read_to_end(&mut bytes).ok()?;
        bytes.try_into().ok().map(Verifier::from_bytes)
    }

    fn key_path(&self) -> PathBuf {
        self.directory.join(KEY_FILE)
    }

    fn verifier_path(&self) -> PathBuf {
        self.directory.join(self.owner.verifier_file())
    }

    fn error(&self, problem: KeyFileErrorKind) -> KeyFileError {
        KeyFileError { path: self.key_path(), owner: self.owner, problem }
    }
}

fn form_of(bytes: &[u8]) -> KeyEncoding {
    if bytes.starts_with(b"-----BEGIN ") { KeyEncoding::Modern } else { KeyEncoding::Legacy }
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
            "the work that it asks for is none, or more than 1 GiB of memory or a minute".into(),
        ));
    }
    // One wrong code in 256 gives a padding that looks right, and then bytes that are no key: the
    // form has no checksum.
    let opened = info.decrypt(code.expose()).map_err(|_| KeyFileErrorKind::WrongCode)?;
    Ok(Secret::new(opened.as_bytes().to_vec()))
}

/// A key file may come from anywhere: what it asks for is checked before any of it is done.
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
                && memory.is_some_and(|memory| memory <= MOST_SCRYPT_MEMORY)
        }
        (None, Some(pbkdf2)) => (1..=MOST_PBKDF2_ROUNDS).contains(&pbkdf2.iteration_count),
        (None, None) => false,
    }
}

/// 2019 pads with PKCS#7, but adds nothing to a key that already fills its blocks. A full block
/// serves every reader.
fn lock_legacy(pkcs8_der: &Secret, code: &Password) -> Option<Vec<u8>> {
    let pkcs1_der = pkcs8_to_pkcs1(pkcs8_der).ok()?;
    let mut text = pem::write(pkcs1_der.expose(), LEGACY_LABEL);
    let padding = legacy::BLOCK - text.len() % legacy::BLOCK;
    text.extend(std::iter::repeat_n(u8::try_from(padding).ok()?, padding));
    Some(FileKey::derive(code).encrypt(&text))
}

/// Padding needs no look: the key ends where its PEM ends.
fn unlock_legacy(mut bytes: Vec<u8>, code: &Password) -> Option<Secret> {
    FileKey::derive(code).decrypt(&mut bytes).ok()?;
    let text = Secret::new(bytes);
    let (pkcs1_der, _) = pem::read(text.expose(), LEGACY_LABEL).ok()??;
    pkcs1_to_pkcs8(&Secret::new(pkcs1_der)).ok()
}

/// What keeps a key file from being used, and where it is.
#[derive(Debug)]
pub struct KeyFileError {
    /// The key file.
    pub path: PathBuf,
    /// Whose key it is.
    pub owner: KeyRole,
    /// What is wrong.
    pub problem: KeyFileErrorKind,
}

/// What keeps a key file from being used.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyFileErrorKind {
    /// There is no key file.
    Missing,
    /// There is one already, and it is not overwritten.
    Exists,
    /// The operation code or password is wrong.
    WrongCode,
    /// The file is not what it should be.
    Damaged(String),
    /// The key cannot be put into this form.
    Locking,
    /// The operating system refused.
    Io(io::Error),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let code = match self.owner {
            KeyRole::Server => "operation code",
            KeyRole::Client => "password",
        };
        match &self.problem {
            KeyFileErrorKind::Missing => write!(f, "there is no key file {path}"),
            KeyFileErrorKind::Exists => write!(f, "there is a key file {path} already"),
            KeyFileErrorKind::WrongCode => write!(f, "the {code} does not open {path}"),
            KeyFileErrorKind::Damaged(what) => write!(f, "the key file {path} is damaged: {what}"),
            KeyFileErrorKind::Locking => write!(f, "the key cannot be locked into {path}"),
            KeyFileErrorKind::Io(error) => write!(f, "cannot use the key file {path}: {error}"),
        }
    }
}

impl std::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            KeyFileErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
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
