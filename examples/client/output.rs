//! Where a downloaded file goes: under a temporary name until it is whole and durable, and then in one step to its own.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fss::SystemRng;
use rand_core::Rng as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::support::failure::{Failure, code};

/// The file that is being written, for whoever has to remove it when the program is interrupted.
static PART: Mutex<Option<PathBuf>> = Mutex::new(None);

/// From now on Ctrl-C and SIGTERM remove what has been written of a download before they end the program.
pub fn remove_on_interrupt() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            if let Some(part) = part().take() {
                let _ = fs::remove_file(part);
            }
            std::process::exit(code::INTERRUPTED.into());
        }
    });
    Ok(())
}

fn part() -> MutexGuard<'static, Option<PathBuf>> {
    PART.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is being written. Dropping it unfinished removes what has been written.
pub enum Output {
    Standard,
    File { file: Option<File>, path: PathBuf, force: bool },
}

impl Output {
    /// Standard output for `-`, else a new file, which is not there before [`Output::create`].
    pub fn new(path: &Path, force: bool) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        if path.is_dir() {
            let why = "there is a directory of this name";
            return Err(Failure::new(code::OTHER, format!("cannot write {}", path.display()), why, "-o with a name inside it"));
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
        Ok(Self::File { file: None, path: path.to_owned(), force })
    }

    /// Begins to write, under a temporary name beside the file's own.
    pub fn create(&mut self) -> Result<(), Failure> {
        let Self::File { file, path, .. } = self else { return Ok(()) };
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{:08x}.fss-part", SystemRng.next_u32()));
        let temporary = path.with_file_name(name);
        // Noted first, so that an interruption at any moment finds it.
        *part() = Some(temporary.clone());
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        *file = Some(created.map_err(|error| cannot_write(path, &error))?);
        Ok(())
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Standard => io::stdout().write_all(bytes).map_err(|error| cannot_write(Path::new("standard output"), &error)),
            Self::File { file: Some(file), path, .. } => file.write_all(bytes).map_err(|error| cannot_write(path, &error)),
            Self::File { file: None, .. } => Ok(()),
        }
    }

    /// Makes the file durable under its own name.
    pub fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::Standard => io::stdout().flush().map_err(|error| cannot_write(Path::new("standard output"), &error)),
            Self::File { file, path, force } => {
                let Some((file, temporary)) = file.take().zip(part().clone()) else { return Ok(()) };
                let published = file.sync_all().and_then(|()| publish(&temporary, path, *force));
                let _ = fs::remove_file(&temporary);
                *part() = None;
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

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(part) = part().take() {
            // If it cannot be removed, there is nobody left to tell.
            let _ = fs::remove_file(part);
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
