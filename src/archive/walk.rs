//! All that is in a directory, in an order that depends on nothing but the names: a directory comes before what is in it,
//! and names are sorted by their bytes. In memory are the names of one directory for each level.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::entry::{Entry, Kind, PERMISSIONS};
use super::time::Mtime;
use super::tree::Tree;
use super::{Error, names};

#[derive(Debug)]
pub(super) struct Walk {
    tree: Tree,
    levels: Vec<Level>,
    begun: bool,
}

#[derive(Debug)]
struct Level {
    path: PathBuf,
    /// Those still to come, the next one last.
    names: Vec<OsString>,
}

/// Something that is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
    /// Where it leads, if it is a symbolic link.
    pub(super) target: Option<PathBuf>,
}

impl Walk {
    pub(super) fn new(root: &Path) -> Result<Self, Error> {
        let tree = Tree::at(root).map_err(Error::local("open", root))?;
        Ok(Self { tree, levels: Vec::new(), begun: false })
    }

    /// What comes next; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Found>, Error> {
        if !self.begun {
            self.begun = true;
            let stat = fstat(self.tree.root()).map_err(Error::local("look at", Path::new("")))?;
            self.descend(PathBuf::new())?;
            return Ok(Some(Found { path: PathBuf::new(), stat, target: None }));
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            let above = self.tree.directory(&level.path).map_err(Error::local("open", &level.path))?;
            let (stat, target) = look(above, &name).map_err(Error::local("look at", &path))?;
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                self.descend(path.clone())?;
            }
            if !names::fits(&path) {
                return Err(Error::local("pack", &path)(Errno::NAMETOOLONG));
            }
            return Ok(Some(Found { path, stat, target }));
        }
        Ok(None)
    }

    fn descend(&mut self, path: PathBuf) -> Result<(), Error> {
        let names = self.tree.directory(&path).and_then(list).map_err(Error::local("read", &path))?;
        self.levels.push(Level { path, names });
        Ok(())
    }

    /// Opens a file to read it; also gives what it is now.
    pub(super) fn open(&mut self, path: &Path) -> Result<(File, Stat), Error> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::Changed { path: path.to_owned() });
        };
        // Something else may have taken its name, and opening a pipe would wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = self.tree.directory(above).and_then(|above| openat(above, name, flags, Mode::empty()));
        let file = opened.map_err(Error::local("open", path))?;
        let stat = fstat(&file).map_err(Error::local("look at", path))?;
        Ok((file.into(), stat))
    }
}

fn list(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort_unstable_by(|a, b| b.as_bytes().cmp(a.as_bytes()));
    Ok(names)
}

fn look(above: BorrowedFd<'_>, name: &OsString) -> rustix::io::Result<(Stat, Option<PathBuf>)> {
    let stat = statat(above, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let target = if FileType::from_raw_mode(stat.st_mode).is_symlink() {
        let target = readlinkat(above, name, Vec::new())?;
        Some(OsString::from_vec(target.into_bytes()).into())
    } else {
        None
    };
    Ok((stat, target))
}

impl Found {
    /// What it is in an archive, if archives hold such things.
    pub(super) fn entry(&self) -> Option<Entry> {
        let kind = match (FileType::from_raw_mode(self.stat.st_mode), &self.target) {
            (FileType::RegularFile, _) => Kind::File { size: size(&self.stat) },
            (FileType::Directory, _) => Kind::Directory,
            (FileType::Symlink, Some(target)) => Kind::Link { target: target.clone() },
            _ => return None,
        };
        Some(Entry { path: self.path.clone(), kind, mode: permissions(&self.stat), mtime: mtime(&self.stat) })
    }
}

pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

pub(super) fn permissions(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode) & PERMISSIONS
}

// The types of these fields are not the same everywhere.
#[allow(clippy::unnecessary_fallible_conversions, clippy::useless_conversion)]
pub(super) fn mtime(stat: &Stat) -> Mtime {
    Mtime { seconds: stat.st_mtime.into(), nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) }
}
