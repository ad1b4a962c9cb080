//! A new directory under a temporary name next to its final one, which it gets when it is complete.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Mode, RenameFlags, fsync, mkdirat, open, renameat, renameat_with, statat,
};
use rustix::io::Errno;

use super::Error;
use super::tree::{DIRECTORY, Tree, open_directory};
use crate::remove::remove_all;

/// What has the temporary name is removed in the end: this directory, or what it has replaced.
#[derive(Debug)]
pub(super) struct Staged {
    target: PathBuf,
    parent: OwnedFd,
    name: OsString,
    temporary: OsString,
    replace: bool,
    leftover: Leftover,
}

/// What has the temporary name, if anything has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftover {
    /// What was made here.
    Ours,
    /// What had the name before.
    Replaced,
    /// Either: it stays.
    Unknown,
}

impl Staged {
    /// Makes the directory under this temporary name. Until it is published only its owner can look
    /// into it.
    pub(super) fn new(
        target: &Path,
        temporary: OsString,
        replace: bool,
    ) -> Result<(Self, Tree), Error> {
        let create = |error: Errno| Error::local("create", target)(error);
        let name = target.file_name().ok_or(Errno::INVAL).map_err(create)?.to_owned();
        let parent = open(parent(target), DIRECTORY, Mode::empty())
            .map_err(Error::local("open", parent(target)))?;
        let staged = Self {
            target: target.to_owned(),
            parent,
            name,
            temporary,
            replace,
            leftover: Leftover::Ours,
        };
        if !replace && staged.is_taken(&staged.name).map_err(create)? {
            return Err(create(Errno::EXIST));
        }
        mkdirat(&staged.parent, &staged.temporary, Mode::RWXU).map_err(create)?;
        let root =
            open_directory(staged.parent.as_fd(), staged.temporary.as_ref()).map_err(create)?;
        Ok((staged, Tree::new(root)))
    }

    /// Where it is until it has its name.
    pub(super) fn path(&self) -> PathBuf {
        self.target.with_file_name(&self.temporary)
    }

    /// Gives the directory its name for good.
    pub(super) fn publish(mut self) -> Result<(), Error> {
        let mut way = RenameFlags::NOREPLACE;
        let mut moved = self.rename(&self.temporary, &self.name, way);
        if moved == Err(Errno::EXIST) && self.replace {
            way = RenameFlags::EXCHANGE;
            moved = self.rename(&self.temporary, &self.name, way);
        }
        moved.map_err(Error::local("create", &self.target))?;
        if let Err(error) = fsync(&self.parent) {
            // What is not durable must not be found.
            if self.rename(&self.name, &self.temporary, way).is_err() {
                self.leftover = Leftover::Unknown;
            }
            return Err(Error::local("create", &self.target)(error));
        }
        self.leftover = Leftover::Replaced;
        Ok(())
    }

    fn is_taken(&self, name: &OsStr) -> rustix::io::Result<bool> {
        match statat(&self.parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &OsStr, to: &OsStr, way: RenameFlags) -> rustix::io::Result<()> {
        match renameat_with(&self.parent, from, &self.parent, to, way) {
            // Not every file system can. A plain rename does not replace a directory either, if
            // there is anything in it.
            Err(Errno::NOSYS | Errno::INVAL | Errno::NOTSUP) if way == RenameFlags::NOREPLACE => {
                if self.is_taken(to)? {
                    Err(Errno::EXIST)
                } else {
                    renameat(&self.parent, from, &self.parent, to)
                }
            }
            renamed => renamed,
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.leftover == Leftover::Unknown {
            return;
        }
        let there = parent(&self.target).join(&self.temporary);
        // An error of the removal cannot be reported from a drop.
        let _ = remove_all(&there, self.leftover == Leftover::Ours);
    }
}

fn parent(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
