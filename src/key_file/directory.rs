//! A key file in a directory, durably, with the hash that 2019 code wants next to it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use rand_core::CryptoRng;

use super::{KeyEncoding, KeyFile, KeyFileErrorKind, check_length, load};
use crate::crypto::legacy::Verifier;
use crate::crypto::{CryptoProvider, PrivateKey};
use crate::durable;
use crate::types::secret::{Password, Secret};

const KEY_FILE: &str = ".pk";

/// What a directory with a key is for. It decides the name of the legacy encoding's hash file
/// (`docs/protocol.md` §9).
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

/// A directory that has a [`KeyFile`], or gets one.
///
/// The legacy encoding stores a bare hash of the code in a second file (`.shc`, `.vh`). Anyone who
/// reads that can guess the code fast.
#[derive(Clone, Debug)]
pub struct KeyDirectory {
    path: PathBuf,
    role: KeyRole,
}

impl KeyDirectory {
    /// The key of this directory, which need not exist yet.
    pub fn new(path: &Path, role: KeyRole) -> Self {
        Self { path: path.to_owned(), role }
    }

    /// Whether there is a key file.
    pub fn exists(&self) -> bool {
        self.key_path().symlink_metadata().is_ok()
    }

    /// Locks a new key into the directory, durably.
    ///
    /// # Errors
    /// [`KeyFileErrorKind::Exists`] if there is one already; a key is never overwritten.
    pub fn create(
        &self,
        encoding: KeyEncoding,
        key: &dyn PrivateKey,
        code: &Password,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyFileError> {
        if self.exists() {
            return Err(self.error(KeyFileErrorKind::Exists));
        }
        let file = KeyFile::seal(key, code, encoding, rng).map_err(|kind| self.error(kind))?;
        self.write(&file, code, durable::new_file)
    }

    /// How the key is locked.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file is missing or cannot be read.
    pub fn encoding(&self) -> Result<KeyEncoding, KeyFileError> {
        self.read().map(|file| file.encoding())
    }

    /// Opens the key.
    ///
    /// # Errors
    /// As [`KeyFile::open`], and those of reading.
    pub fn open(
        &self,
        code: &Password,
        provider: &dyn CryptoProvider,
    ) -> Result<Arc<dyn PrivateKey>, KeyFileError> {
        durable::remove_temporaries(&self.path, &[KEY_FILE, self.role.verifier_file()]);
        let (_, pkcs8_der) = self.unlock(code)?;
        load(&pkcs8_der, provider).map_err(|kind| self.error(kind))
    }

    /// Locks the key with another code, in the same encoding.
    ///
    /// After a power cut at any moment, the key opens with the old or with the new code.
    ///
    /// # Errors
    /// As [`KeyDirectory::open`], and those of writing.
    pub fn change_code(
        &self,
        old: &Password,
        new: &Password,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyFileError> {
        let (encoding, pkcs8_der) = self.unlock(old)?;
        self.replace(&pkcs8_der, new, encoding, rng)
    }

    /// Converts a legacy key to the modern encoding. A modern one stays as it is.
    ///
    /// # Errors
    /// As [`KeyDirectory::open`], and those of writing.
    pub fn upgrade(&self, code: &Password, rng: &mut dyn CryptoRng) -> Result<(), KeyFileError> {
        match self.unlock(code)? {
            (KeyEncoding::Modern, _) => Ok(()),
            (KeyEncoding::Legacy, pkcs8_der) => {
                self.replace(&pkcs8_der, code, KeyEncoding::Modern, rng)
            }
        }
    }

    fn unlock(&self, code: &Password) -> Result<(KeyEncoding, Secret), KeyFileError> {
        let file = self.read()?;
        let unlocked = file.unlock(code);
        let encoding = file.encoding();
        match encoding {
            KeyEncoding::Modern => {
                if unlocked.is_ok() {
                    // An interrupted upgrade has left the hash, which would undo what scrypt is for.
                    let _ = durable::remove_file(&self.verifier_path());
                }
            }
            KeyEncoding::Legacy => {
                let verifier = Verifier::of_code(code);
                let is_verified = self.stored_verifier().as_ref() == Some(&verifier);
                match &unlocked {
                    Err(KeyFileErrorKind::WrongCode) if is_verified => {
                        let detail = "it does not open with the right code".into();
                        return Err(self.error(KeyFileErrorKind::Damaged(detail)));
                    }
                    Ok(_) if !is_verified => {
                        // A change of code was interrupted between the two files: finish it, so that
                        // 2019 code can read them.
                        let _ = durable::replace_file(&self.verifier_path(), verifier.as_bytes());
                    }
                    _ => {}
                }
            }
        }
        unlocked.map(|pkcs8_der| (encoding, pkcs8_der)).map_err(|kind| self.error(kind))
    }

    fn replace(
        &self,
        pkcs8_der: &Secret,
        code: &Password,
        encoding: KeyEncoding,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyFileError> {
        let file =
            KeyFile::lock(pkcs8_der, code, encoding, rng).map_err(|kind| self.error(kind))?;
        self.write(&file, code, durable::replace_file)
    }

    /// Writes the key file first: it alone decides which code opens the key.
    fn write(
        &self,
        file: &KeyFile,
        code: &Password,
        put: impl FnOnce(&Path, &[u8]) -> io::Result<()>,
    ) -> Result<(), KeyFileError> {
        let io = |error| self.error(KeyFileErrorKind::Io(error));
        match put(&self.key_path(), file.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(self.error(KeyFileErrorKind::Exists));
            }
            written => written.map_err(io)?,
        }
        match file.encoding() {
            KeyEncoding::Modern => durable::remove_file(&self.verifier_path()),
            KeyEncoding::Legacy => {
                durable::replace_file(&self.verifier_path(), Verifier::of_code(code).as_bytes())
            }
        }
        .map_err(io)
    }

    fn read(&self) -> Result<KeyFile, KeyFileError> {
        let path = self.key_path();
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.error(KeyFileErrorKind::Missing));
            }
            Err(error) => return Err(self.error(KeyFileErrorKind::Io(error))),
        };
        check_length(length).map_err(|kind| self.error(kind))?;
        let bytes = fs::read(&path).map_err(|error| self.error(KeyFileErrorKind::Io(error)))?;
        KeyFile::parse(&bytes).map_err(|kind| self.error(kind))
    }

    /// The hash of a legacy key's code, if it is there and has the right length.
    fn stored_verifier(&self) -> Option<Verifier> {
        let mut bytes = Vec::new();
        let file = fs::File::open(self.verifier_path()).ok()?;
        file.take(Verifier::LENGTH as u64 + 1).read_to_end(&mut bytes).ok()?;
        bytes.try_into().ok().map(Verifier::from_bytes)
    }

    fn key_path(&self) -> PathBuf {
        self.path.join(KEY_FILE)
    }

    fn verifier_path(&self) -> PathBuf {
        self.path.join(self.role.verifier_file())
    }

    fn error(&self, kind: KeyFileErrorKind) -> KeyFileError {
        KeyFileError { path: self.key_path(), role: self.role, kind }
    }
}

/// Why the key file of a directory cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyFileError {
    /// The key file.
    pub path: PathBuf,
    /// What the directory is for.
    pub role: KeyRole,
    /// What is wrong.
    pub kind: KeyFileErrorKind,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let code = match self.role {
            KeyRole::Server => "operation code",
            KeyRole::Client => "password",
        };
        match &self.kind {
            KeyFileErrorKind::Missing => write!(f, "there is no key file {path}"),
            KeyFileErrorKind::Exists => write!(f, "there is a key file {path} already"),
            KeyFileErrorKind::WrongCode => write!(f, "the {code} does not open {path}"),
            KeyFileErrorKind::Damaged(what) => write!(f, "the key file {path} is damaged: {what}"),
            KeyFileErrorKind::Locking => write!(f, "the key cannot be locked into {path}"),
            KeyFileErrorKind::Io(_) => write!(f, "cannot use the key file {path}"),
        }
    }
}

impl std::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            KeyFileErrorKind::Io(error) => Some(error),
            KeyFileErrorKind::Missing
            | KeyFileErrorKind::Exists
            | KeyFileErrorKind::WrongCode
            | KeyFileErrorKind::Damaged(_)
            | KeyFileErrorKind::Locking => None,
        }
    }
}
