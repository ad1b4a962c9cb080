//! The lock of a profile, for reading and then changing its key, passwords or known servers.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::store::StoreError;

/// Waits for the lock of the profile in `directory`. It is held until the returned file is dropped.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(".lock");
    let take = || -> io::Result<File> {
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    take().map_err(|error| StoreError::io(format_args!("cannot lock {}", path.display()), &error))
}
