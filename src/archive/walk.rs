//! All that is in a directory, in an order that depends on nothing but the names: a directory comes
//! before what is in it, and names are sorted by their bytes. In memory are the names of one
//! directory for each level.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::entry::{Entry, Kind, PERMISSIONS};
use super::omission::{LeftOut, Omission};
use super::time::Mtime;
use super::tree::Tree;
use super::{Error, names};

#[derive(Debug)]
pub(super) struct Walk {
    tree: Tree,
    levels: Vec<Level>,
    begun: bool,
    /// Device and inode of a directory that is left out.
    without: Option<(u64, u64)>,
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
    /// A file, opened to be read.
    pub(super) file: Option<File>,
}

/// What a walk comes across.
#[derive(Debug)]
pub(super) enum Visit {
    Found(Box<Found>),
    /// It is not packed, nor is anything beneath it.
    LeftOut(LeftOut),
}

impl Walk {
    pub(super) fn new(root: &Path, without: Option<(u64, u64)>) -> Result<Self, Error> {
        let tree = Tree::at(root).map_err(Error::local("open", root))?;
        Ok(Self { tree, levels: Vec::new(), begun: false, without })
    }

    /// What comes next; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Visit>, Error> {
        if !self.begun {
            self.begun = true;
            let stat = fstat(self.tree.root()).map_err(Error::local("look at", Path::new("")))?;
            self.descend(&PathBuf::new()).map_err(Error::local("read", Path::new("")))?;
            return Ok(Some(Visit::Found(Box::new(Found {
                path: PathBuf::new(),
                stat,
                target: None,
                file: None,
            }))));
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let (above, path) = (level.path.clone(), level.path.join(&name));
            match self.visit(&above, &name, &path) {
                Ok(Some(found)) => return Ok(Some(Visit::Found(Box::new(found)))),
                Ok(None) => return Ok(Some(Visit::LeftOut(LeftOut { path, why: Omission::Kind }))),
                // It is gone since its directory was read.
                Err(Refusal::Unreadable(Errno::NOENT)) => {}
                Err(Refusal::Unreadable(error)) => {
                    return Ok(Some(Visit::LeftOut(LeftOut {
                        path,
                        why: Omission::Unreadable(error.into()),
                    })));
                }
                Err(Refusal::Excluded) => {
                    return Ok(Some(Visit::LeftOut(LeftOut { path, why: Omission::Excluded })));
                }
            }
        }
        Ok(None)
    }

    /// Looks at something, and opens it if there is anything to be read; `None` if archives hold no
    /// such thing.
    fn visit(&mut self, above: &Path, name: &OsStr, path: &Path) -> Result<Option<Found>, Refusal> {
        if !names::fits(path) {
            return Err(Errno::NAMETOOLONG.into());
        }
        let directory = self.tree.directory(above)?;
        let (stat, target) = look(directory, name)?;
        let mut found = Found { path: path.to_owned(), stat, target, file: None };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if self.without == Some(identity(&stat)) => {
                return Err(Refusal::Excluded);
            }
            FileType::Directory => self.descend(path)?,
            FileType::RegularFile => {
                // Something else may have taken its name, and opening a pipe would wait.
                let flags = OFlags::RDONLY
                    | OFlags::NOFOLLOW
                    | OFlags::NONBLOCK
                    | OFlags::NOCTTY
                    | OFlags::CLOEXEC;
                let file = openat(directory, name, flags, Mode::empty())?;
                // What it is now counts.
                found.stat = fstat(&file)?;
                found.file = Some(file.into());
            }
            FileType::Symlink => {}
            _ => return Ok(None),
        }
        Ok(found.entry().map(|_| found))
    }

    fn descend(&mut self, path: &Path) -> rustix::io::Result<()> {
        let names = self.tree.directory(path).and_then(list)?;
        self.levels.push(Level { path: path.to_owned(), names });
        Ok(())
    }
}

/// Why something is left out.
enum Refusal {
    Unreadable(Errno),
    Excluded,
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Unreadable(error)
    }
}

/// Device and inode.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
fn identity(stat: &Stat) -> (u64, u64) {
    // The types of these fields are not the same everywhere.
    (stat.st_dev as u64, stat.st_ino as u64)
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

fn look(above: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<(Stat, Option<PathBuf>)> {
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
        Some(Entry {
            path: self.path.clone(),
            kind,
            mode: permissions(&self.stat),
            mtime: mtime(&self.stat),
        })
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
    Mtime {
        seconds: stat.st_mtime.into(),
        nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    }
}
