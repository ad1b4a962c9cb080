//! Uploads from paths and downloads to paths: files and directories.

#[cfg(feature = "archive")]
mod directory;
#[cfg(not(feature = "archive"))]
mod no_directory;
mod source;
mod target;

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::blocking::Io;
use super::journal::Entry;
use super::task::Downloading;
use super::{Client, Error, Fetched, Get, Put, Stored};
use crate::types::secret::Password;
#[cfg(not(feature = "archive"))]
use no_directory as directory;
use source::{Identity, Noted, Source};
use target::Target;

impl Client {
    /// Uploads a file or, with the feature `archive`, a directory, with its size and, unless `put`
    /// has one, its name. When a connection fails the upload is resumed.
    ///
    /// Of a directory sockets, pipes and devices are left out.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Source`] if it is neither a file nor a directory, or cannot be read;
    /// [`Error::SourceChanged`] if it was changed while it was uploaded. Then there is no such
    /// file.
    pub fn put_path(&self, path: &Path, password: &Password, put: &Put) -> Result<Stored, Error> {
        // A pipe is not waited for.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let open = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
        let file = open.map_err(Error::Source)?;
        let metadata = file.metadata().map_err(Error::Source)?;
        let name = file_name(path)?;
        if metadata.is_dir() {
            let mut source = directory::Source::new(path)?;
            let put = put.clone().of_path(&name, source.size(), "directory");
            let entry = self.shared().entry("upload", &[&source.identity(), &put.identity()]);
            return self.upload_noted(&mut source, entry, password, &put);
        }
        if !metadata.is_file() {
            let why = "it is neither a file nor a directory";
            return Err(Error::Source(io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        let put = put.clone().of_path(&name, metadata.len(), "file");
        let identity = Identity::of(&metadata);
        let entry = self.shared().entry("upload", &[&identity.to_bytes(), &put.identity()]);
        self.upload_noted(&mut Source { file, identity }, entry, password, &put)
    }

    fn upload_noted(
        &self,
        source: &mut impl Io,
        entry: Option<Entry>,
        password: &Password,
        put: &Put,
    ) -> Result<Stored, Error> {
        let note = entry.as_ref().map_or(Ok(None), Entry::load)?;
        let mut source = Noted { source, entry };
        let stored = self.upload(&mut source, note.as_deref(), password, put)?;
        source.entry.as_ref().map_or(Ok(()), Entry::remove)?;
        Ok(stored)
    }

    /// Downloads a file or a directory to a path where nothing is yet. It is there only once it is
    /// whole and durable, and before the server is told that it has arrived. Only its owner can
    /// read it. When a connection fails the download is resumed.
    ///
    /// The path is yours to choose: what the file was called by its uploader
    /// ([`Fetched::metadata`]) is a label. Of a directory nothing is written outside of the path,
    /// and no link is made that leads there.
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
        let get = file.into();
        let mut task = Downloading::new(&get, password);
        let target = std::path::absolute(path).map_err(Error::Sink)?;
        let cookie = get.cookie().as_str().as_bytes();
        let parts = [cookie, target.as_os_str().as_bytes()];
        let entry = self.shared().entry("download", &parts);
        let mut target = Target::of(&target, entry, &mut task)?;
        let fetched = self.download(&mut task, &mut target, &get, password);
        if fetched.as_ref().is_err_and(|error| !error.is_transient()) {
            target.discard()?;
        }
        fetched
    }
}

/// The last component of a path, also of `.` and `..`.
fn file_name(path: &Path) -> Result<OsString, Error> {
    if let Some(name) = path.file_name() {
        return Ok(name.to_owned());
    }
    let whole = fs::canonicalize(path).map_err(Error::Source)?;
    Ok(whole.file_name().unwrap_or("root".as_ref()).to_owned())
}
