//! A directory and what is beneath it, reached from its handle, one name at a time, and never
//! through a link.
//!
//! As no name here is `..`, this keeps what `openat2` would with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`, in the same way on every Unix, and without the limit to the length of a
//! path.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Result;

/// To open a directory.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Paths are relative to the root, which is the empty path, and made of plain names only.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    /// The directory of the last visit: the next one is most often to it or to one beneath.
    last: Option<(PathBuf, OwnedFd)>,
}

impl Tree {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root, last: None }
    }

    /// The tree beneath a directory, which may be named through links.
    pub(super) fn at(path: &Path) -> Result<Self> {
        open(path, DIRECTORY, Mode::empty()).map(Self::new)
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens a directory of this tree.
    ///
    /// # Errors
    /// `NOTDIR` or `LOOP` if something on the way is not a directory.
    pub(super) fn directory(&mut self, path: &Path) -> Result<BorrowedFd<'_>> {
        let (mut at, mut handle) = match self.last.take().filter(|(last, _)| path.starts_with(last))
        {
            Some((last, handle)) => (last, Some(handle)),
            None => (PathBuf::new(), None),
        };
        for name in path.iter().skip(at.iter().count()) {
            let above = handle.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            handle = Some(open_directory(above, name.as_ref())?);
            at.push(name);
        }
        self.last = handle.map(|handle| (at, handle));
        Ok(self.last.as_ref().map_or(self.root.as_fd(), |(_, handle)| handle.as_fd()))
    }
}

/// Opens a directory by its name in another.
pub(super) fn open_directory(above: BorrowedFd<'_>, name: &Path) -> Result<OwnedFd> {
    openat(above, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}
