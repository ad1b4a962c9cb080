//! A client's profile: its key, and the list of files that it has on servers (`docs/protocol.md` §10).
//!
//! One password opens the profile, locks its key, and is its files' password, as in 2019. A client directory of 2019 is
//! opened as it is and stays readable by the code of 2019.
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
//! # std::fs::remove_dir_all(directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod files;

use std::path::Path;
use std::sync::Arc;

pub use files::{FileRecord, Files};

use crate::crypto::{CryptoProvider, KeyRejected, PrivateKey};
use crate::durable;
use crate::locked_key::{KeyFileError, KeyForm, LockedKey, Owner};
use crate::random::SystemRng;
use crate::secret::Password;
use crate::store::StoreError;

const DATABASE: &str = "fssLocal.db";

/// A directory with a client's key and list of files.
#[derive(Debug)]
pub struct Profile {
    key: LockedKey,
    files: Files,
}

impl Profile {
    /// Opens the profile in a directory, or begins one: the directory is created, for its owner only, and has no key yet.
    ///
    /// # Errors
    /// [`ProfileError::Files`] if the directory or its database cannot be used.
    pub fn open(directory: &Path) -> Result<Self, ProfileError> {
        let cannot = || format!("cannot create the profile {}", directory.display());
        durable::create_directory(directory).map_err(|error| StoreError::io(cannot(), &error))?;
        Ok(Self { key: LockedKey::new(directory, Owner::Client), files: Files::open(&directory.join(DATABASE))? })
    }

    /// The list of files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Whether the profile has a key, and so a password.
    pub fn has_key(&self) -> bool {
        self.key.exists()
    }

    /// Makes the profile's key and locks it with a password.
    ///
    /// # Errors
    /// [`ProfileError::Key`] if there is one already, or it cannot be written.
    pub fn create_key(
        &self,
        form: KeyForm,
        password: &Password,
        provider: &dyn CryptoProvider,
    ) -> Result<Arc<dyn PrivateKey>, ProfileError> {
        let key = provider.generate_private_key(&mut SystemRng)?;
        self.key.create(form, &*key, password, &mut SystemRng)?;
        Ok(key)
    }

    /// Opens the profile's key.
    ///
    /// # Errors
    /// [`ProfileError::Key`], also for a wrong password.
    pub fn unlock(&self, password: &Password, provider: &dyn CryptoProvider) -> Result<Arc<dyn PrivateKey>, ProfileError> {
        Ok(self.key.open(password, provider)?)
    }

    /// Changes the password, under the rule of 2019: only while no file is listed, for the password is also their key.
    ///
    /// # Errors
    /// [`ProfileError::FilesListed`] if there are files, [`ProfileError::Key`] also for a wrong old password.
    pub fn change_password(&self, old: &Password, new: &Password) -> Result<(), ProfileError> {
        match self.files.list()?.len() {
            0 => Ok(self.key.change_code(old, new, &mut SystemRng)?),
            count => Err(ProfileError::FilesListed { count }),
        }
    }
}

/// What went wrong with a profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Its directory or database.
    #[error(transparent)]
    Files(#[from] StoreError),
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A new key could not be made.
    #[error("no key could be made: {0}")]
    NoKey(#[from] KeyRejected),
    /// The password is the key of the files that are listed, so it stays.
    #[error("the password cannot be changed while files are listed ({count}): it is their key")]
    FilesListed {
        /// How many there are.
        count: usize,
    },
}
