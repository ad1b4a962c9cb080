//! Removes an unfinished file, or an unfinished directory with its content.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Removes what has this name. `ours` means that only this process has written to it: then modes
/// that forbid removal are changed. It is no error if there is nothing.
pub(crate) fn remove_all(path: &Path, ours: bool) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && ours => {
            open_up(path).and_then(|()| fs::remove_dir_all(path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Makes all directories writable for their owner. It follows names, so it is safe only where no
/// other user can write.
fn open_up(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
