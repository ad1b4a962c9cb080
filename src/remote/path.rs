//! Files of the file system, up and down.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rand_core::Rng as _;
use rustix::fs::OFlags;

use super::{Client, Error, Fetched, Get, Put, Stored};
use crate::durable::sync_parent;
use crate::types::random::SystemRng;
use crate::types::secret::Password;

impl Client {
    /// Uploads a file, with its size and, unless `put` has one, its name.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Source`] if it is not a regular file, or cannot be read.
    pub fn put_path(&self, path: &Path, password: &Password, put: &Put) -> Result<Stored, Error> {
        // A pipe is not waited for.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(path)
            .map_err(Error::Source)?;
        let metadata = file.metadata().map_err(Error::Source)?;
        if !metadata.is_file() {
            return Err(Error::Source(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            )));
        }
        let name = path.file_name().unwrap_or_default();
        self.put(file, password, &put.clone().of_file(name, metadata.len()))
    }

    /// Downloads a file to a path where nothing is yet. It is there only once it is whole and
    /// durable, and before the server is told that it has arrived. Only its owner can read it.
    ///
    /// The path is yours to choose: what the file was called by its uploader
    /// ([`Fetched::metadata`]) is a label.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Sink`] also if something is there already. Then nothing was changed.
    pub fn get_path(
        &self,
        file: impl Into<Get>,
        password: &Password,
        path: &Path,
    ) -> Result<Fetched, Error> {
        if path.symlink_metadata().is_ok() {
            return Err(Error::Sink(io::ErrorKind::AlreadyExists.into()));
        }
        let file = file.into();
        let mut target = NewFile::create(path).map_err(Error::Sink)?;
        self.get(file, password, &mut target)
    }
}

/// A file under a temporary name, which gets its own when it is flushed, and is removed if it never
/// was.
struct NewFile {
    content: File,
    temporary: PathBuf,
    target: PathBuf,
}

impl NewFile {
    fn create(target: &Path) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(format!("{:016x}.fss-part", SystemRng.next_u64()));
        let temporary = target.with_file_name(name);
        let content =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { content, temporary, target: target.to_owned() })
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.content.write(bytes)
    }

    /// All has come.
    fn flush(&mut self) -> io::Result<()> {
        self.content.sync_all()?;
        // A link replaces nothing that has come to be there meanwhile.
        fs::hard_link(&self.temporary, &self.target)?;
        sync_parent(&self.target)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Under its own name it stays.
        let _ = fs::remove_file(&self.temporary);
    }
}
