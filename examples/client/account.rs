//! The user's profile: where it is, its password, and its key.

use std::env;
use std::path::PathBuf;

use fss::crypto::default_provider;
use fss::locked_key::KeyForm;
use fss::profile::{FileRecord, Profile, ProfileError};
use fss::{Config, Password};

use crate::listing;
use crate::options::Options;
use crate::print;
use crate::support::failure::{Failure, code};
use crate::support::secrets::Wanted;

const PASSWORD: Wanted = Wanted { name: "password", variable: "FSS_PASSWORD" };
const NEW_PASSWORD: Wanted = Wanted { name: "password", variable: "FSS_NEW_PASSWORD" };
pub const FILE_PASSWORD: Wanted = Wanted { name: "password of the file", variable: "FSS_FILE_PASSWORD" };

/// The user's profile, still locked.
pub struct Account {
    pub profile: Profile,
    directory: PathBuf,
    quiet: bool,
}

/// The user's profile, opened with its password.
pub struct Unlocked {
    pub config: Config,
    pub password: Password,
}

impl Account {
    pub fn open(options: &Options) -> Result<Self, Failure> {
        let directory = match &options.profile {
            Some(directory) => directory.clone(),
            None => default_directory()?,
        };
        Ok(Self { profile: Profile::open(&directory)?, directory, quiet: options.quiet })
    }

    /// Opens the profile with its password; a new profile gets one.
    pub fn unlock(&self) -> Result<Unlocked, Failure> {
        let provider = default_provider();
        let (password, key) = if self.profile.has_key() {
            let password = PASSWORD.get()?;
            let key = self.profile.unlock(&password, &*provider)?;
            (password, key)
        } else {
            if !self.quiet {
                eprintln!("This is a new profile, in {}. Its password will open it, and your files.", self.directory.display());
            }
            let password = PASSWORD.get_new()?;
            let key = self.profile.create_key(KeyForm::Modern, &password, &*provider)?;
            (password, key)
        };
        Ok(Unlocked { config: Config::new(provider, key), password })
    }

    pub fn change_password(&self) -> Result<(), Failure> {
        let old = PASSWORD.get()?;
        self.profile.unlock(&old, &*default_provider())?;
        // The rule first, so that nobody is asked for a new password in vain.
        let count = self.profile.files().list()?.len();
        if count > 0 {
            return Err(ProfileError::FilesListed { count }.into());
        }
        self.profile.change_password(&old, &NEW_PASSWORD.get_new()?)?;
        print::line("The password is changed.")
    }

    /// The one file of this name or cookie; `None` if there is none.
    pub fn find(&self, name_or_cookie: &str) -> Result<Option<FileRecord>, Failure> {
        let mut files = self.profile.files().find(name_or_cookie)?;
        if files.len() > 1 {
            for file in &files {
                eprintln!("{}", listing::line(file));
            }
            let why = format!("{} files have this name", files.len());
            return Err(Failure::usage(format!("{name_or_cookie:?} is not clear"), why, "the cookie of the one you mean"));
        }
        Ok(files.pop())
    }
}

fn default_directory() -> Result<PathBuf, Failure> {
    let absolute = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    let missing =
        || Failure::usage("there is no place for the profile", "neither XDG_DATA_HOME nor HOME is set", "--profile DIR");
    data.map(|data| data.join("fss")).ok_or_else(missing)
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Files(error) => error.into(),
            ProfileError::Key(error) => error.into(),
            ProfileError::FilesListed { .. } => Self::new(
                code::OTHER,
                "the password stays as it is",
                error.to_string(),
                "download the files you need, take them off the list with `clean`, and change it then",
            ),
            other => Self::new(code::OTHER, "cannot use the profile", other.to_string(), ""),
        }
    }
}
