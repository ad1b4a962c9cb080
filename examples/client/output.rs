//! Where a downloaded file goes: under a temporary name until it is whole and durable, and then in one step to its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::failure::{Failure, code};

/// A file that is being written. Dropping it unfinished removes what has been written.
pub enum Output {
    Standard,
    File { file: File, temporary: PathBuf, path: PathBuf, force: bool, finished: bool },
}

impl Output {
    /// Standard output for `-`, else a new file.
    pub fn create(path: &Path, force: bool) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        let failed = |error: io::Error| cannot_write(path, &error);
        if !force && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        if path.is_dir() {
            let why = "there is a directory of this name";
            return Err(Failure::new(code::OTHER, format!("cannot write {}", path.display()), why, "-o with a name inside it"));
        }
        let Some(name) = path.file_name() else {
            return Err(Failure::usage(
                format!("cannot write {}", path.display()),
                "it is no name of a file",
                "-o with another name",
            ));
        };
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.fss-part", std::process::id()));
        let temporary = path.with_file_name(temporary);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(failed)?;
        Ok(Self::File { file, temporary, path: path.to_owned(), force, finished: false })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Standard => io::stdout().write_all(bytes).map_err(|error| cannot_write(Path::new("standard output"), &error)),
            Self::File { file, path, .. } => file.write_all(bytes).map_err(|error| cannot_write(path, &error)),
        }
    }

    /// Makes the file durable under its own name.
    pub fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::Standard => io::stdout().flush().map_err(|error| cannot_write(Path::new("standard output"), &error)),
            Self::File { file, temporary, path, force, finished } => {
                file.sync_all().map_err(|error| cannot_write(path, &error))?;
                let flags = if *force { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
                match renameat_with(CWD, &*temporary, CWD, &*path, flags).map_err(io::Error::from) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(path)),
                    renamed => renamed.map_err(|error| cannot_write(path, &error))?,
                }
                *finished = true;
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                File::open(parent).and_then(|directory| directory.sync_all()).map_err(|error| cannot_write(path, &error))
            }
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Self::File { temporary, finished: false, .. } = self {
            // If it cannot be removed, there is nobody left to tell.
            let _ = fs::remove_file(temporary);
        }
    }
}

fn exists(path: &Path) -> Failure {
    let what = format!("{} is not overwritten", path.display());
    Failure::new(code::OTHER, what, "a file of this name is there", "--force, or -o with another name")
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let (code, hint) =
        if full { (code::NO_ROOM, "make room on the disk") } else { (code::OTHER, "-o with a place where you may write") };
    Failure::new(code, format!("cannot write {}", path.display()), error.to_string(), hint)
}

/// The name under which a file is written where none is asked for. What is listed is a label, never a path: only its last
/// component counts, and not even that if it is special or hidden.
pub fn local_name(label: &str) -> Option<&str> {
    let name = label.rsplit('/').next()?;
    let usable = !name.is_empty() && !name.starts_with('.') && !name.contains(char::is_control);
    usable.then_some(name)
}
