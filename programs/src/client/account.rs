//! The user's profile: where it is, its password, and its key.

use std::cell::RefCell;
use std::env;
use std::path::PathBuf;
use std::rc::Rc;

use fss::crypto::default_provider;
use fss::key_file::{KeyEncoding, KeyFileErrorKind};
use fss::profile::{FileRecord, Format, PasswordId, Passwords, Profile, ProfileError};
use fss::{Config, Password, Report};
use serde_json::json;

use crate::client::listing;
use crate::client::options::Options;
use crate::client::report::{self, Reporter};
use crate::terminal::failure::{Failure, code, typed};
use crate::terminal::secrets::Wanted;

pub const PASSWORD: Wanted = Wanted { name: "password", variable: "FSS_PASSWORD" };
pub const NEW_PASSWORD: Wanted = Wanted { name: "password", variable: "FSS_NEW_PASSWORD" };
pub const FILE_PASSWORD: Wanted =
    Wanted { name: "password of the file", variable: "FSS_FILE_PASSWORD" };

/// The user's profile, still locked.
pub struct Account {
    pub profile: Profile,
    pub reporter: Reporter,
    pub directory: PathBuf,
    /// Opened once for all that is done with it.
    unlocked: RefCell<Option<Rc<Unlocked>>>,
}

/// The user's profile, opened with its password.
pub struct Unlocked {
    pub config: Config,
    pub passwords: Passwords,
}

impl Unlocked {
    /// One of the profile's passwords: the present one, or a former one that a file still has.
    pub fn password_of(&self, id: PasswordId) -> Result<&Password, Failure> {
        let password = self.passwords.password_of(id)?;
        let hint = "--own-password, and the password that the file was uploaded with";
        password.ok_or_else(|| {
            Failure::new(
                code::OTHER,
                "the file's password is not known",
                "the profile has lost it",
                hint,
            )
        })
    }
}

impl Account {
    pub fn open(options: &Options, reporter: Reporter) -> Result<Self, Failure> {
        let directory = match &options.profile {
            Some(directory) => directory.clone(),
            None => default_directory()?,
        };
        let profile = Profile::open(&directory)?;
        // What commands that were killed have left. What cannot be removed now is removed by a
        // later one.
        let _ = profile.downloads().sweep();
        let _ = profile.uploads().sweep();
        Ok(Self { profile, reporter, directory, unlocked: RefCell::default() })
    }

    /// Opens the profile with its password; a new profile gets one.
    pub fn unlock(&self) -> Result<Rc<Unlocked>, Failure> {
        if let Some(unlocked) = &*self.unlocked.borrow() {
            return Ok(Rc::clone(unlocked));
        }
        let provider = default_provider();
        let unlocked = if self.profile.has_key() {
            self.profile.unlock(&PASSWORD.get()?, &*provider)?
        } else {
            let directory = self.directory.display();
            self.reporter.say(&format!(
                "This is a new profile, in {directory}. Its password will open it, and your files."
            ));
            let password = PASSWORD.get_new()?;
            match self.profile.create_key(KeyEncoding::Modern, &password, &*provider) {
                // Another client of this profile was first.
                Err(ProfileError::Key(error)) if matches!(error.kind, KeyFileErrorKind::Exists) => {
                    self.profile.unlock(&password, &*provider)?
                }
                created => created?,
            }
        };
        let unlocked = Rc::new(Unlocked {
            config: Config::new(provider, unlocked.key),
            passwords: unlocked.passwords,
        });
        *self.unlocked.borrow_mut() = Some(Rc::clone(&unlocked));
        Ok(unlocked)
    }

    /// A password is about to be used for a format; its first use decides which one it is good for.
    pub fn bind(&self, id: PasswordId, format: Format) -> Result<(), Failure> {
        Ok(self.profile.bind_password(id, format)?)
    }

    /// The present password, to be sent in FSS 1.0.
    pub fn to_send<'u>(&self, unlocked: &'u Unlocked) -> Result<&'u Password, Failure> {
        self.bind(unlocked.passwords.present_id(), Format::Legacy)?;
        Ok(unlocked.passwords.present())
    }

    /// The password of a listed file, to be sent in FSS 1.0.
    pub fn to_send_of<'u>(
        &self,
        unlocked: &'u Unlocked,
        record: &FileRecord,
    ) -> Result<&'u Password, Failure> {
        self.bind(record.password, Format::Legacy)?;
        unlocked.password_of(record.password)
    }

    pub fn forget_server(&self, server: &str) -> Result<(), Failure> {
        if self.profile.known_servers().forget(server)? {
            let object = json!({ "event": "server-forgotten", "server": server });
            return self.reporter.result(format_args!("{server} is forgotten."), object);
        }
        let why = "no key of it is remembered";
        Err(Failure::usage(
            format!("{server} is not known"),
            why,
            "--server HOST:PORT, as in the other commands",
        ))
    }

    pub fn change_password(&self, modern: bool) -> Result<(), Failure> {
        let old = PASSWORD.get()?;
        // First, so that nobody is asked for a new password in vain.
        self.profile.unlock(&old, &*default_provider())?;
        self.profile.check_change(modern)?;
        let new = NEW_PASSWORD.get_new()?;
        // What is open is open with the password of before.
        *self.unlocked.borrow_mut() = None;
        if modern {
            self.profile.modernize(&old, &new)?;
        } else {
            self.profile.change_password(&old, &new)?;
        }
        self.reporter.result("The password is changed.", json!({ "event": "password-changed" }))
    }

    /// The one file of this name or cookie; `None` if there is none.
    pub fn find(&self, name_or_cookie: &str) -> Result<Option<FileRecord>, Failure> {
        let mut files = self.profile.files().find(name_or_cookie)?;
        if files.len() > 1 {
            for file in &files {
                self.reporter.candidate(&listing::line(file), report::candidate(file))?;
            }
            let why = format!("{} files have this name", files.len());
            return Err(Failure::usage(
                format!("{name_or_cookie:?} is not clear"),
                why,
                "the cookie of the one you mean",
            ));
        }
        Ok(files.pop())
    }
}

fn default_directory() -> Result<PathBuf, Failure> {
    let absolute =
        |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    let missing = || {
        Failure::usage(
            "there is no place for the profile",
            "neither XDG_DATA_HOME nor HOME is set",
            "--profile DIR",
        )
    };
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
                format!(
                    "if no program of 2019 needs this profile any more: {}",
                    typed("change-password --modern")
                ),
            ),
            ProfileError::PasswordWasSent => Self::new(
                code::OTHER,
                "the file is not sealed with the profile's password",
                "a server of FSS 1.0 may know that password",
                format!(
                    "{} (--modern for a profile of 2019), or --own-password",
                    typed("change-password")
                ),
            ),
            ProfileError::PasswordSealsFiles => Self::new(
                code::OTHER,
                "the profile's password is not sent in FSS 1.0",
                "it seals files, which the server could then open",
                "--own-password, or no --protocol 1.0",
            ),
            other @ ProfileError::PasswordUsedBefore => Self::new(
                code::OTHER,
                "the password stays as it is",
                other.to_string(),
                "another new password",
            ),
            other @ (ProfileError::NoKey(_)
            | ProfileError::FormerPasswords(_)
            | ProfileError::FormerPasswordsDamaged
            | ProfileError::ServerKeyChanged { .. }) => {
                Self::new(code::OTHER, "cannot use the profile", Report(&other).to_string(), "")
            }
        }
    }
}
