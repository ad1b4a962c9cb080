//! Writing files so that they survive a power cut: temporary name, sync, rename, sync of the
//! directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand_core::Rng as _;

use crate::types::random::SystemRng;

/// How temporary names end.
const TEMPORARY: &str = ".tmp";

/// Creates a directory that only its owner can enter, and its missing parents, durably. An existing
/// one is not changed.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && path.symlink_metadata().is_err();
    let made: Vec<&Path> = path.ancestors().take_while(missing).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    made.into_iter().try_for_each(sync_parent)
}

/// Creates a new file that only its owner can read, for appending.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

/// Replaces or creates a file with these bytes: after a crash at any moment the old or the new one
/// is there, whole.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put_file(path, bytes, |temporary| fs::rename(temporary, path))
}

/// Creates a file with these bytes, whole or not at all. Fails if it exists.
pub(crate) fn new_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put_file(path, bytes, |temporary| fs::hard_link(temporary, path))
}

/// Writes a file under a temporary name, and publishes it when it is durable.
fn put_file(
    path: &Path,
    bytes: &[u8],
    publish: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let (temporary, mut file) = create_temporary(path)?;
    let published = (|| {
        file.write_all(bytes)?;
        file.sync_all()?;
        publish(&temporary)
    })();
    // After a rename there is none. An error here must not hide the first one.
    let _ = fs::remove_file(&temporary);
    published.and_then(|()| sync_parent(path))
}

/// Creates a file under a temporary name and locks it while it is written, so that
/// [`remove_temporaries`] can tell it from one that a killed process has left.
fn create_temporary(path: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{:08x}{TEMPORARY}", SystemRng.next_u32()));
        let file = create_file(temporary.as_ref())?;
        // Not every file system has locks; without them no temporary file is ever removed.
        let is_locked = file.lock().is_ok();
        if !is_locked || file.metadata()?.nlink() > 0 {
            return Ok((temporary.into(), file));
        }
        // Another process removed it before it was locked.
    }
}

/// Removes the temporary files that killed writers of these files have left in a directory. Best
/// effort: the next call tries again.
pub(crate) fn remove_temporaries(directory: &Path, names: &[&str]) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| names.iter().any(|of| is_temporary(name, of)))
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_temporary(name: &str, of: &str) -> bool {
    let number = name
        .strip_prefix(of)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(TEMPORARY));
    number.is_some_and(|number| {
        number.len() == 8 && number.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// Removes a file durably. It is no error if there is none.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_parent(path)),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes the name of a file durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}
