//! Errors. Names are shown escaped: they come from a disk or a peer, and may contain anything.

use std::io;
use std::path::{Path, PathBuf};

/// Why a directory cannot be packed, or an archive not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refuses.
    #[error("cannot {action} {path:?}: {source}")]
    Local {
        /// What was tried.
        action: &'static str,
        /// What it was tried on: within the directory that is packed or unpacked, or the path that
        /// the caller gave.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The directory was changed while it was packed, so it does not have the announced size.
    #[error("{path:?} was changed while it was packed")]
    Changed {
        /// What shows it: a file, or the whole directory.
        path: PathBuf,
    },
    /// The archive is damaged or malicious. Nothing of it is kept.
    #[error("the archive is refused at {at:?}: {why}")]
    Damaged {
        /// The entry that was being read, or the one before it if its name is not known yet. A name
        /// beyond the limits is cut.
        at: PathBuf,
        /// What is wrong.
        why: Damage,
    },
}

/// What is wrong with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A header does not have its checksum.
    #[error("there is no header where one must be")]
    NotAHeader,
    /// A number is malformed or out of range.
    #[error("a number in the header is not valid")]
    Number,
    /// An extended header is malformed, larger than 64 KiB, or belongs to nothing.
    #[error("the extended header is not valid")]
    ExtendedHeader,
    /// The name is empty, absolute, or contains `..` or NUL.
    #[error("the name is not one within the directory")]
    Name,
    /// The name is longer or deeper than the limits.
    #[error("the name is too long or too deep")]
    NameTooLong,
    /// The target of a symbolic link is not certainly within the directory.
    #[error("the link leads out of the directory, or may lead out of it")]
    EscapesRoot,
    /// A hard link.
    #[error("hard links are not accepted")]
    HardLink,
    /// A file stored with holes.
    #[error("sparse files are not accepted")]
    Sparse,
    /// Neither a file nor a directory nor a symbolic link: a device, a pipe, or what a newer tar
    /// may know.
    #[error("entries of type {0:#04x} are not accepted")]
    Kind(u8),
    /// A directory or a link that has content.
    #[error("an entry that is not a file has content")]
    Content,
    /// The name exists already.
    #[error("the name is duplicated")]
    Duplicate,
    /// It needs a directory where something else is: a link is never followed.
    #[error("a directory is needed where something else is")]
    NotADirectory,
    /// It has more bytes than were announced.
    #[error("it has more bytes than were announced")]
    TooLarge,
    /// It ends too early.
    #[error("the archive is truncated")]
    Truncated,
    /// Something follows its end.
    #[error("something follows the end")]
    TrailingData,
}

impl Error {
    /// Whether the archive is damaged or malicious; otherwise the fault is on this side.
    pub fn is_integrity(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    pub(super) fn local<E: Into<io::Error>>(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        let path = if path == Path::new("") { Path::new(".") } else { path };
        move |error| Self::Local { action, path: path.to_owned(), source: error.into() }
    }
}

/// Of kind [`io::ErrorKind::InvalidData`] if the archive is at fault. The [`Error`] is within.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Local { source, .. } => source.kind(),
            Error::Damaged { .. } => io::ErrorKind::InvalidData,
            Error::Changed { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
