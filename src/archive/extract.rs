//! Creates the entries of an archive in a directory that no other process uses.
//!
//! A directory gets its mode and time when the archive leaves it: creating an entry in it changes
//! the time, and its mode may forbid that. So only the open directories are remembered, and one
//! that the archive returns to is remembered as it is then.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::fs::{
    fchmod, fstat, futimens, mkdirat, openat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::entry::{Entry, Kind, PERMISSIONS};
use super::time::Mtime;
use super::tree::Tree;
use super::walk::{mtime, permissions};
use super::{Damage, Error, names};

#[derive(Debug)]
pub(super) struct Extractor {
    tree: Tree,
    outward_links: bool,
    /// The bits of a mode that the umask, or the file system, allows.
    allowed: Mode,
    /// The directory that is being filled, after those above it.
    open: Vec<Attributes>,
    file: Option<(File, Attributes)>,
}

#[derive(Debug)]
struct Attributes {
    path: PathBuf,
    mode: Mode,
    mtime: Mtime,
}

/// Why an entry is not created: it is not allowed, or the system failed.
#[derive(Debug)]
pub(super) enum ExtractError {
    Damage(Damage),
    Local(Error),
}

impl From<Damage> for ExtractError {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<Error> for ExtractError {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

impl Extractor {
    pub(super) fn new(tree: Tree, outward_links: bool) -> Result<Self, Error> {
        let root = PathBuf::new();
        let stat = fstat(tree.root()).map_err(Error::local("look at", &root))?;
        let allowed = probe(tree.root()).map_err(Error::local("create in", &root))?;
        let root = Attributes { path: root, mode: permissions(&stat), mtime: mtime(&stat) };
        Ok(Self { tree, outward_links, allowed, open: vec![root], file: None })
    }

    pub(super) fn entry(&mut self, entry: Entry) -> Result<(), ExtractError> {
        let Entry { path, kind, mode, mtime } = entry;
        let attributes = Attributes { path, mode: mode & self.allowed, mtime };
        match kind {
            Kind::File { .. } => self.begin_file(attributes),
            Kind::Link { target } => self.link(&attributes, &target),
            Kind::Directory => {
                self.enter(&attributes.path)?;
                // The one that was entered.
                self.open.pop();
                self.open.push(attributes);
                Ok(())
            }
        }
    }

    pub(super) fn content(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.file {
            Some((file, attributes)) => {
                file.write_all(bytes).map_err(Error::local("write", &attributes.path))
            }
            None => Ok(()),
        }
    }

    pub(super) fn end_file(&mut self) -> Result<(), Error> {
        let Some((file, attributes)) = self.file.take() else { return Ok(()) };
        apply(&file, &attributes)
            .and_then(|()| sync_one(&file))
            .map_err(Error::local("finish", &attributes.path))
    }

    /// Makes everything durable.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        while !self.open.is_empty() {
            self.leave()?;
        }
        sync_all(&self.tree).map_err(Error::local("sync", Path::new("")))
    }

    fn begin_file(&mut self, attributes: Attributes) -> Result<(), ExtractError> {
        let (path, name) = self.enter_parent(&attributes.path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let owner_only = Mode::RUSR | Mode::WUSR;
        let made =
            self.tree.directory(path).and_then(|above| openat(above, name, flags, owner_only));
        let file = made.map_err(|error| unless_duplicate(error, "create", &attributes.path))?;
        self.file = Some((file.into(), attributes));
        Ok(())
    }

    fn link(
        &mut self,
        Attributes { path, mtime, .. }: &Attributes,
        target: &Path,
    ) -> Result<(), ExtractError> {
        if !self.outward_links && !names::stays_inside(path, target.as_os_str().as_bytes()) {
            return Err(Damage::EscapesRoot.into());
        }
        let (above, name) = self.enter_parent(path)?;
        let above = self.tree.directory(above).map_err(Error::local("open", above))?;
        symlinkat(target, above, name).map_err(|error| unless_duplicate(error, "create", path))?;
        let times = utimensat(above, name, &timestamps(*mtime), AtFlags::SYMLINK_NOFOLLOW);
        Ok(times.map_err(Error::local("finish", path))?)
    }

    fn enter_parent<'p>(&mut self, path: &'p Path) -> Result<(&'p Path, &'p Path), ExtractError> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Damage::Name.into());
        };
        self.enter(above)?;
        Ok((above, name.as_ref()))
    }

    /// Makes a directory the current one. Its missing parents are created.
    fn enter(&mut self, path: &Path) -> Result<(), ExtractError> {
        while let Some(last) = self.open.last()
            && !path.starts_with(&last.path)
        {
            self.leave()?;
        }
        let mut at = self.open.last().map_or_else(PathBuf::new, |last| last.path.clone());
        for name in path.iter().skip(at.iter().count()) {
            let created =
                self.tree.directory(&at).and_then(|above| mkdirat(above, name, PERMISSIONS));
            at.push(name);
            match created {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(Error::local("create", &at)(error).into()),
            }
            let directory = match self.tree.directory(&at) {
                Ok(directory) => directory,
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(Damage::NotADirectory.into()),
                Err(error) => return Err(Error::local("open", &at)(error).into()),
            };
            let stat = fstat(directory).map_err(Error::local("look at", &at))?;
            let mode = permissions(&stat);
            fchmod(directory, mode | Mode::RWXU).map_err(Error::local("open up", &at))?;
            self.open.push(Attributes { path: at.clone(), mode, mtime: mtime(&stat) });
        }
        Ok(())
    }

    /// Sets mode and time of the current directory.
    fn leave(&mut self) -> Result<(), Error> {
        let Some(last) = self.open.pop() else { return Ok(()) };
        let directory = self.tree.directory(&last.path);
        let left = directory.and_then(|directory| {
            apply(directory, &last)?;
            sync_one(directory)
        });
        left.map_err(Error::local("finish", &last.path))
    }
}

/// The permissions that a new directory gets if all are requested. The umask itself can only be
/// read by setting it, for the whole process.
fn probe(root: BorrowedFd<'_>) -> rustix::io::Result<Mode> {
    const NAME: &str = "probe";
    mkdirat(root, NAME, PERMISSIONS)?;
    let stat = statat(root, NAME, AtFlags::SYMLINK_NOFOLLOW);
    unlinkat(root, NAME, AtFlags::REMOVEDIR)?;
    Ok(permissions(&stat?))
}

fn apply(made: impl AsFd, attributes: &Attributes) -> rustix::io::Result<()> {
    fchmod(&made, attributes.mode)?;
    futimens(&made, &timestamps(attributes.mtime))
}

fn timestamps(Mtime { seconds, nanoseconds }: Mtime) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    }
}

fn unless_duplicate(error: Errno, action: &'static str, path: &Path) -> ExtractError {
    if error == Errno::EXIST {
        Damage::Duplicate.into()
    } else {
        Error::local(action, path)(error).into()
    }
}

/// If a whole file system can be synced, one sync at the end is far cheaper than one for each file.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod sync {
    use std::os::fd::AsFd;

    use super::Tree;

    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn sync_one(_: impl AsFd) -> rustix::io::Result<()> {
        Ok(())
    }

    pub(super) fn sync_all(tree: &Tree) -> rustix::io::Result<()> {
        rustix::fs::syncfs(tree.root())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod sync {
    use std::os::fd::AsFd;

    use super::Tree;

    pub(super) fn sync_one(made: impl AsFd) -> rustix::io::Result<()> {
        rustix::fs::fsync(made)
    }

    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn sync_all(_: &Tree) -> rustix::io::Result<()> {
        Ok(())
    }
}
use sync::{sync_all, sync_one};
