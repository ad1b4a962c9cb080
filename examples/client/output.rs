//! Where a downloaded file goes: under a temporary name until it is whole and durable, and then in one step to its own.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fss::SystemRng;
use fss::sealed::Metadata;
use rand_core::Rng as _;

use crate::interrupt::{self, Part};
use crate::support::failure::{Failure, code};

/// A file that is being written. Dropping it unfinished removes what has been written, unless it is to go on.
pub enum Output {
    Standard,
    File { file: Option<File>, path: PathBuf, force: bool, attributes: Attributes, written: u64 },
}

/// What a file has besides its bytes.
#[derive(Default)]
pub struct Attributes {
    mode: Option<u32>,
    modified: Option<SystemTime>,
}

/// A directory that cannot be read is taken for one that is not.
fn is_empty(directory: &Path) -> bool {
    directory.read_dir().is_ok_and(|mut entries| entries.next().is_none())
}

impl Output {
    /// Standard output for `-`, else a new file, which is not there before [`Output::create`].
    pub fn new(path: &Path, force: bool) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        let what = || format!("{} is not overwritten", path.display());
        match path.metadata() {
            Ok(there) if there.is_dir() && !force => {
                let why = "there is a directory of this name";
                return Err(Failure::new(code::OTHER, what(), why, "-o with a name inside it"));
            }
            // What is in it may be nobody's to lose.
            Ok(there) if there.is_dir() && !is_empty(path) => {
                let why = "there is a directory of this name, and it is not empty";
                return Err(Failure::new(code::OTHER, what(), why, "remove it first, or -o with another name"));
            }
            Ok(there) if force && !there.is_dir() && !there.is_file() => {
                let why = "it is a device or a pipe, and not a file";
                return Err(Failure::new(code::OTHER, what(), why, "-o - and a redirection"));
            }
            _ => {}
        }
        if !force && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        if path.file_name().is_none() {
            return Err(Failure::usage(
                format!("cannot write {}", path.display()),
                "it is no name of a file",
                "-o with another name",
            ));
        }
        Ok(Self::File { file: None, path: path.to_owned(), force, attributes: Attributes::default(), written: 0 })
    }

    /// Where the file is to be.
    pub fn path(&self) -> &Path {
        match self {
            Self::Standard => Path::new("-"),
            Self::File { path, .. } => path,
        }
    }

    /// Whether what has the name is replaced; `None` for standard output, which has none.
    pub fn replaces(&self) -> Option<bool> {
        match self {
            Self::Standard => None,
            Self::File { force, .. } => Some(*force),
        }
    }

    /// The file gets another name, which must be free too. Only before it is created.
    pub fn rename(&mut self, name: &Path) -> Result<(), Failure> {
        if let Self::File { path, force, .. } = self {
            *self = Self::new(&path.with_file_name(name), *force)?;
        }
        Ok(())
    }

    /// The file gets mode and time of the one that was sealed. Nobody gets more rights by it than to read, write and run.
    pub fn keep_attributes(&mut self, metadata: Option<&Metadata>) {
        if let (Self::File { attributes, .. }, Some(metadata)) = (self, metadata) {
            let mode = metadata.get("mode").and_then(|mode| u32::from_str_radix(mode, 8).ok());
            let modified = metadata.get("mtime").and_then(|time| time.parse().ok());
            attributes.mode = mode.map(|mode| mode & 0o777);
            attributes.modified = modified.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        }
    }

    /// The file's own name, which it gets in the end.
    pub fn target(&self) -> Result<Option<PathBuf>, Failure> {
        match self {
            Self::Standard => Ok(None),
            Self::File { path, .. } => std::path::absolute(path).map(Some).map_err(|error| cannot_write(path, &error)),
        }
    }

    /// Begins to write, under a temporary name beside the file's own; gives that.
    pub fn create(&mut self) -> Result<Option<PathBuf>, Failure> {
        let Self::File { file, path, .. } = self else { return Ok(None) };
        if path.is_dir() {
            let why = "there is a directory of this name";
            return Err(Failure::new(code::OTHER, format!("cannot write {}", path.display()), why, "-o with another name"));
        }
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{:08x}.fss-part", SystemRng.next_u32()));
        let temporary = path.with_file_name(name);
        // Noted first, so that an interruption at any moment finds it.
        interrupt::set_part(Some(Part { path: temporary.clone(), keep: false }));
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let created = created.map_err(|error| cannot_write(path, &error))?;
        be_alone(&created, path)?;
        *file = Some(created);
        Ok(Some(temporary))
    }

    /// Goes on with what is under a temporary name already, after `position` bytes.
    pub fn go_on(&mut self, temporary: &Path, position: u64) -> Result<(), Failure> {
        let Self::File { file, path, written, .. } = self else { return Ok(()) };
        let mut opened = OpenOptions::new().write(true).open(temporary).map_err(|error| cannot_write(path, &error))?;
        be_alone(&opened, path)?;
        interrupt::set_part(Some(Part { path: temporary.to_owned(), keep: true }));
        let there = opened.set_len(position).and_then(|()| opened.seek(SeekFrom::Start(position)));
        there.map_err(|error| cannot_write(path, &error))?;
        (*file, *written) = (Some(opened), position);
        Ok(())
    }

    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write_all(bytes).map_err(|error| cannot_write(self.path(), &error))
    }

    /// Makes durable what has been written, and keeps it even if the program ends.
    pub fn sync(&mut self) -> Result<(), Failure> {
        let Self::File { file: Some(file), path, .. } = self else { return Ok(()) };
        file.sync_data().map_err(|error| cannot_write(path, &error))?;
        interrupt::keep_part(true);
        Ok(())
    }

    /// Makes the file durable under its own name.
    pub fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::Standard => io::stdout().flush().map_err(|error| cannot_write(Path::new("standard output"), &error)),
            Self::File { file, path, force, attributes, written } => {
                let Some((file, temporary)) = file.take().zip(interrupt::part_path()) else { return Ok(()) };
                attributes.give_to(&file);
                let synced = file.sync_all().and_then(|()| file.metadata());
                if let Some(length) = synced.as_ref().ok().map(fs::Metadata::len).filter(|length| length != written) {
                    return Err(changed(path, *written, length));
                }
                let published = synced.and_then(|_| publish(&temporary, path, *force));
                let _ = fs::remove_file(&temporary);
                interrupt::set_part(None);
                match published {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(path)),
                    published => published.map_err(|error| cannot_write(path, &error))?,
                }
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                File::open(parent).and_then(|directory| directory.sync_all()).map_err(|error| cannot_write(path, &error))
            }
        }
    }
}

impl Attributes {
    /// A file system that does not know them is no reason to do without the file.
    fn give_to(&self, file: &File) {
        if let Some(mode) = self.mode {
            let _ = file.set_permissions(Permissions::from_mode(mode));
        }
        if let Some(modified) = self.modified {
            let _ = file.set_modified(modified);
        }
    }
}

/// Gives a file its own name; unless `force`, only if nothing has it.
fn publish(temporary: &Path, path: &Path, force: bool) -> io::Result<()> {
    if force {
        return fs::rename(temporary, path);
    }
    match fs::hard_link(temporary, path) {
        // A file system without links: the best that is left is to look first.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && path.symlink_metadata().is_err() => {
            fs::rename(temporary, path)
        }
        linked => linked,
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard => io::stdout().write(bytes),
            Self::File { file: Some(file), written, .. } => file.write(bytes).inspect(|count| *written += *count as u64),
            Self::File { file: None, .. } => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        interrupt::drop_part();
    }
}

/// Two that write the same part file would make another file of it.
fn be_alone(part: &File, path: &Path) -> Result<(), Failure> {
    match part.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let what = format!("cannot write {}", path.display());
            Err(Failure::new(code::OTHER, what, "another process is downloading it there", "-o with another name"))
        }
        // A file system without locks is no reason not to write.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// What lies on the disk is not what came.
fn changed(path: &Path, written: u64, length: u64) -> Failure {
    let what = format!("cannot write {}", path.display());
    let why = format!("{written} bytes were written, and the file has {length}: another program has changed it");
    Failure::new(code::INTEGRITY, what, why, "the same command again")
}

fn exists(path: &Path) -> Failure {
    let what = format!("{} is not overwritten", path.display());
    Failure::new(code::OTHER, what, "a file of this name is there", "--force, or -o with another name")
}

pub fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let (code, hint) =
        if full { (code::NO_ROOM, "make room on the disk") } else { (code::OTHER, "-o with a place where you may write") };
    Failure::new(code, format!("cannot write {}", path.display()), error.to_string(), hint)
}
