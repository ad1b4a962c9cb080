//! A client's profile: its key, its passwords, the list of its files on servers, its unfinished
//! transfers, and the servers that it knows (`docs/protocol.md` §10).
//!
//! One password opens the profile, locks its key, and is its files' password, as in 2019. When it
//! is changed the profile keeps the former ones for the files that have them. A client directory of
//! 2019 is opened as it is and stays readable by the code of 2019.
//!
//! ```
//! use fss::crypto::default_provider;
//! use fss::profile::{FileRecord, Profile};
//!
//! # let directory = std::env::temp_dir().join(format!("fss-doc-{}", std::process::id()));
//! let profile = Profile::open(&directory)?;
//! let password = fss::Password::new("correct horse battery staple")?;
//! profile.create_key(Default::default(), &password, &*default_provider())?;
//! let cookie = fss::OpaqueCookie::parse(b"7")?;
//! profile.files().insert(&FileRecord::new(cookie, "notes.txt", 2760))?;
//! assert_eq!(profile.files().search("notes")?.len(), 1);
//!
//! let new = fss::Password::new("staple battery horse correct")?;
//! profile.change_password(&password, &new)?;
//! let file = &profile.files().list()?[0];
//! let passwords = profile.unlock(&new, &*default_provider())?.passwords;
//! assert_eq!(passwords.password_of(file.password)?.map(|password| password.expose()), Some(password.expose()));
//! # std::fs::remove_dir_all(directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod database;
mod downloads;
mod files;
mod known_servers;
mod lock;
mod password_id;
mod passwords;
mod ring;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod transfers;
mod uploads;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use downloads::{DownloadRecord, Downloading, Downloads};
pub use files::{FileRecord, Files, Format};
pub use known_servers::{KnownServer, KnownServers, ProtocolVersion};
pub use password_id::PasswordId;
pub use passwords::Passwords;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub use transfers::Transfers;
pub use uploads::{Checkpoint, SourceIdentity, UploadRecord, Uploads};

use crate::crypto::{CryptoProvider, Fingerprint, KeyRejected, PrivateKey, default_provider};
use crate::durable;
use crate::key_file::{KeyDirectory, KeyEncoding, KeyFileError, KeyRole};
use crate::store::StoreError;
use crate::types::random::SystemRng;
use crate::types::secret::Password;
use database::Database;

const DATABASE: &str = "fssLocal.db";

/// A directory with a client's key, and a database of its files.
#[derive(Debug)]
pub struct Profile {
    directory: PathBuf,
    key: KeyDirectory,
    database: Database,
}

/// What a password unlocks.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unlocked {
    /// The profile's key.
    pub key: Arc<dyn PrivateKey>,
    /// Its passwords.
    pub passwords: Passwords,
}

impl Profile {
    /// Opens the profile in a directory, or creates one, for its owner only, without a key.
    ///
    /// # Errors
    /// [`ProfileError::Files`] if the directory or its database cannot be used.
    pub fn open(directory: &Path) -> Result<Self, ProfileError> {
        let cannot = || format!("cannot create the profile {}", directory.display());
        durable::create_directory(directory).map_err(|error| StoreError::io(cannot(), &error))?;
        // Several clients may create the same profile at once: one of them creates the tables.
        let _lock = lock::lock(directory)?;
        durable::remove_temporaries(directory, &[known_servers::FILE]);
        Ok(Self {
            directory: directory.to_owned(),
            key: KeyDirectory::new(directory, KeyRole::Client),
            database: Database::open(&directory.join(DATABASE))?,
        })
    }

    /// The list of files.
    pub fn files(&self) -> Files<'_> {
        Files::new(&self.database)
    }

    /// The unfinished uploads.
    pub fn uploads(&self) -> Uploads<'_> {
        Uploads::new(&self.database)
    }

    /// The unfinished downloads.
    pub fn downloads(&self) -> Downloads<'_> {
        Downloads::new(&self.database, &self.directory)
    }

    /// The journal of a high-level client ([`crate::remote`]), on a connection of its own.
    ///
    /// # Errors
    /// [`ProfileError::Files`] if the database cannot be opened.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub fn transfers(&self) -> Result<Transfers, ProfileError> {
        Ok(Transfers::new(Database::open(&self.directory.join(DATABASE))?))
    }

    /// The servers that it knows.
    pub fn known_servers(&self) -> KnownServers {
        KnownServers::new(&self.directory)
    }

    /// Whether the profile has a key, and so a password.
    pub fn has_key(&self) -> bool {
        self.key.exists()
    }

    /// Generates the profile's key and locks it with a password.
    ///
    /// # Errors
    /// [`ProfileError::Key`] if there is one already, or it cannot be written.
    pub fn create_key(
        &self,
        form: KeyEncoding,
        password: &Password,
        provider: &dyn CryptoProvider,
    ) -> Result<Unlocked, ProfileError> {
        let key = provider.generate_private_key(&mut SystemRng)?;
        let _lock = lock::lock(&self.directory)?;
        if !self.key.exists() {
            passwords::begin(&self.database, password, bound_by(form))?;
        }
        self.key.create(form, &*key, password, &mut SystemRng)?;
        Ok(Unlocked { key, passwords: Passwords::load(&self.database, password)? })
    }

    /// Opens the profile's key and its passwords.
    ///
    /// # Errors
    /// [`ProfileError::Key`], also for a wrong password.
    pub fn unlock(
        &self,
        password: &Password,
        provider: &dyn CryptoProvider,
    ) -> Result<Unlocked, ProfileError> {
        let _lock = lock::lock(&self.directory)?;
        self.unlock_locked(password, provider)
    }

    /// Changes the password. The files that are listed keep the one they have, and the profile
    /// remembers it.
    ///
    /// A profile in the 2019 form keeps its rule: only while no file is listed. See
    /// [`Profile::modernize`].
    ///
    /// # Errors
    /// [`ProfileError::FilesListed`], [`ProfileError::PasswordUsedBefore`], and
    /// [`ProfileError::Key`] also for a wrong old password.
    pub fn change_password(&self, old: &Password, new: &Password) -> Result<(), ProfileError> {
        self.change(old, new, false)
    }

    /// Changes the password as [`Profile::change_password`], but converts a profile in the 2019
    /// encoding to the modern one, even if files are listed (`docs/protocol.md` §23.4). Code of
    /// 2019 then can no longer use its key.
    ///
    /// # Errors
    /// [`ProfileError::PasswordUsedBefore`], and [`ProfileError::Key`] also for a wrong old
    /// password.
    pub fn modernize(&self, old: &Password, new: &Password) -> Result<(), ProfileError> {
        self.change(old, new, true)
    }

    /// Whether the password can be changed at all, with or without taking a profile in the 2019
    /// form over.
    ///
    /// # Errors
    /// [`ProfileError::FilesListed`]
    pub fn check_change(&self, modernize: bool) -> Result<(), ProfileError> {
        let form = if modernize { KeyEncoding::Modern } else { self.key.encoding()? };
        match self.files().list()?.len() {
            count if form == KeyEncoding::Legacy && count > 0 => {
                Err(ProfileError::FilesListed { count })
            }
            _ => Ok(()),
        }
    }

    /// A power cut between any two steps leaves a key that opens with one of the passwords, and a
    /// ring that opens with the same.
    fn change(&self, old: &Password, new: &Password, modernize: bool) -> Result<(), ProfileError> {
        let _lock = lock::lock(&self.directory)?;
        let passwords = self.unlock_locked(old, &*default_provider())?.passwords;
        self.check_change(modernize)?;
        let form = if modernize { KeyEncoding::Modern } else { self.key.encoding()? };
        let changed = passwords.prepare_change(&self.database, new, bound_by(form))?;
        if modernize {
            self.key.upgrade(old, &mut SystemRng)?;
        }
        self.key.change_code(old, new, &mut SystemRng)?;
        Ok(passwords::forget_rings(&self.database, changed)?)
    }

    fn unlock_locked(
        &self,
        password: &Password,
        provider: &dyn CryptoProvider,
    ) -> Result<Unlocked, ProfileError> {
        let key = self.key.open(password, provider)?;
        Ok(Unlocked { key, passwords: Passwords::load(&self.database, password)? })
    }
}

/// A program of 2019 may send the password that opens its form of the key at any time.
fn bound_by(form: KeyEncoding) -> Option<Format> {
    (form == KeyEncoding::Legacy).then_some(Format::Legacy)
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Its directory, its database, or another of its files.
    #[error(transparent)]
    Files(#[from] StoreError),
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A new key could not be generated.
    #[error("no key could be generated")]
    NoKey(#[from] KeyRejected),
    /// The password is the key of the listed files, so it cannot be changed, as in 2019.
    #[error("the password cannot be changed while files are listed ({count}): it is their key")]
    FilesListed {
        /// How many there are.
        count: usize,
    },
    /// The new password is the present one, or one that was before.
    #[error("the new password was the profile's before: choose another")]
    PasswordUsedBefore,
    /// The former passwords are sealed, and that could not be done or undone.
    #[error("the former passwords cannot be sealed or opened")]
    FormerPasswords(#[source] io::Error),
    /// The former passwords do not open with the present one.
    #[error(
        "the former passwords do not open with the present one: restore the profile from a backup, or give the file's password"
    )]
    FormerPasswordsDamaged,
    /// No sealed file gets a password that a server of FSS 1.0 may know.
    #[error(
        "the password was sent in FSS 1.0, or may have been, so it seals no file: change the profile's password, or give the file one of its own"
    )]
    PasswordWasSent,
    /// A server of FSS 1.0 must not learn the password of sealed files.
    #[error(
        "the password seals files, so it is not sent in FSS 1.0: change the profile's password, or give the file one of its own"
    )]
    PasswordSealsFiles,
    /// A server has another key than it had.
    #[error(
        "{server} has another key than before ({seen}, and had {known}), so somebody may be in between: ask its operator by another way, and forget the server only if he confirms the new key"
    )]
    ServerKeyChanged {
        /// The server, as it is known.
        server: String,
        /// The key that is known.
        known: Fingerprint,
        /// The key that it showed now.
        seen: Fingerprint,
    },
}
