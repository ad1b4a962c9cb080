//! A failure as it is shown: what failed, why, and what to do next, with an exit code that scripts
//! can rely on.

#![warn(clippy::wildcard_enum_match_arm)]

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use fss::Report;
use fss::text::printable;

/// Exit codes: documented in the README, and only ever extended.
pub mod code {
    pub const OTHER: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const NO_SUCH_FILE: u8 = 10;
    pub const LIMIT: u8 = 11;
    pub const WRONG_PASSWORD: u8 = 12;
    pub const KEY_CHANGED: u8 = 13;
    pub const NO_ROOM: u8 = 14;
    pub const INTEGRITY: u8 = 15;
    pub const ATTEMPTS: u8 = 16;
    pub const NETWORK: u8 = 75;
    pub const INTERRUPTED: u8 = 130;
}

/// What failed, why, and what to try.
#[derive(Debug)]
pub struct Failure {
    pub what: String,
    pub why: String,
    pub hint: String,
    pub code: u8,
}

impl Failure {
    pub fn new(
        code: u8,
        what: impl Into<String>,
        why: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), why: why.into(), hint: hint.into(), code }
    }

    pub fn usage(what: impl Into<String>, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(code::USAGE, what, why, hint)
    }

    /// Shows the failure on standard error, and gives its exit code.
    pub fn report(&self) -> ExitCode {
        super::print::aside(self);
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  why:  {}", printable(&self.what), printable(&self.why))?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n  try:  {}", printable(&self.hint)) }
    }
}

/// What the user may type next: arguments behind the name that the program was started by.
pub fn typed(arguments: &str) -> String {
    format!("{} {arguments}", program())
}

/// The name that the program was started by.
pub fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().map_or_else(|| "fss".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The exit code of what the operating system refused: a full disk has its own, whatever was
/// written there.
pub fn io_code(error: &io::Error) -> u8 {
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if is_full { code::NO_ROOM } else { code::OTHER }
}

impl From<fss::store::StoreError> for Failure {
    fn from(error: fss::store::StoreError) -> Self {
        use fss::store::StoreErrorKind;
        let (code, hint) = match error.kind() {
            StoreErrorKind::Full => (code::NO_ROOM, "make room on the disk"),
            StoreErrorKind::Busy => {
                (code::OTHER, "wait until the other process has ended, or choose another directory")
            }
            StoreErrorKind::Damaged => (code::OTHER, "restore the file from a backup"),
            StoreErrorKind::Foreign => (code::OTHER, "choose another directory"),
            StoreErrorKind::Denied => {
                (code::OTHER, "run it as the user that the directory belongs to")
            }
            StoreErrorKind::Exists
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Misuse
            | StoreErrorKind::Quota
            | StoreErrorKind::NotAMember
            | StoreErrorKind::NameTaken
            | StoreErrorKind::BadInvite
            | StoreErrorKind::TooManyUploads
            | StoreErrorKind::TooManyFiles
            | StoreErrorKind::Superseded
            | StoreErrorKind::Stopped => {
                (code::OTHER, "check that the directory exists and that you may write to it")
            }
        };
        Self::new(code, "cannot use the stored data", error.to_string(), hint)
    }
}

impl From<fss::key_file::KeyFileError> for Failure {
    fn from(error: fss::key_file::KeyFileError) -> Self {
        use fss::key_file::{KeyFileErrorKind, KeyRole};
        let (code, hint) = match (&error.kind, error.role) {
            (KeyFileErrorKind::WrongCode, KeyRole::Server) => {
                (code::WRONG_PASSWORD, "the operation code that the directory has now")
            }
            (KeyFileErrorKind::WrongCode, KeyRole::Client) => {
                (code::WRONG_PASSWORD, "the password that the profile has now")
            }
            (KeyFileErrorKind::Missing, _) => {
                (code::OTHER, "choose the directory that has the key, or start with a new one")
            }
            (KeyFileErrorKind::Exists, _) => {
                (code::OTHER, "use the key that is there, or choose another directory")
            }
            (KeyFileErrorKind::Io(error), _) if io_code(error) == code::NO_ROOM => {
                (code::NO_ROOM, "make room on the disk")
            }
            (KeyFileErrorKind::Damaged(_), _) => (
                code::OTHER,
                "restore the key file from a backup; without it the owner of this key cannot be recognised",
            ),
            (KeyFileErrorKind::Locking | KeyFileErrorKind::Io(_), _) => {
                (code::OTHER, "check that the directory exists and that you may write to it")
            }
        };
        let what =
            if code == code::WRONG_PASSWORD { "Wrong Password" } else { "cannot use the key" };
        Self::new(code, what, Report(&error).to_string(), hint)
    }
}
