//! Errors of a store.

use std::fmt;

/// What went wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    kind: StoreErrorKind,
    detail: String,
}

/// The kinds of errors that a program may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No space is left.
    Full,
    /// The name exists already.
    Exists,
    /// Another process is using the store.
    Busy,
    /// The stored data is not valid.
    Damaged,
    /// The directory or database is not a store of this kind.
    Foreign,
    /// This process has no permission for that, or the file system is read-only.
    Denied,
    /// The operating system or a remote service refused.
    Unavailable,
    /// A method was called when its contract does not allow it.
    Misuse,
    /// The owner's quota is used up.
    Quota,
    /// Only users may do this.
    NotAMember,
    /// The name is another user's.
    NameTaken,
    /// The invite is unknown, used, too old or missing.
    BadInvite,
    /// The owner has too many uploads that are not complete.
    TooManyUploads,
    /// The owner has as many files as one key may have.
    TooManyFiles,
    /// Another connection has resumed this upload.
    Superseded,
    /// A change failed, and it is unknown whether it is there after a restart. Every call fails
    /// with this: drop the store and open it again, which decides.
    Stopped,
}

impl StoreError {
    /// An error of this kind; `detail` says what failed and why.
    pub fn new(kind: StoreErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The error of an operation of the operating system: `what` failed because of `error`.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                StoreErrorKind::Full
            }
            ErrorKind::AlreadyExists => StoreErrorKind::Exists,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreErrorKind::Denied,
            _ => StoreErrorKind::Unavailable,
        };
        Self::new(kind, format!("{what}: {error}"))
    }

    /// The kind.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for StoreError {}

/// The error of an upload that another connection has taken over.
pub(super) fn superseded() -> StoreError {
    StoreError::new(StoreErrorKind::Superseded, "another connection has resumed this upload")
}
