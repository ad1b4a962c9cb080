//! Files and directories of the file system, up and down.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand_core::Rng as _;
use rustix::fs::OFlags;

use super::blocking::{Io, read_some};
use super::{Client, Error, Fetched, Get, Put, Stored};
use crate::durable::sync_parent;
use crate::sealed::Metadata;
use crate::types::random::SystemRng;
use crate::types::secret::Password;

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
            let source = directory::Source::new(path)?;
            let put = put.clone().of_path(&name, source.size(), "directory");
            return self.upload(source, password, &put);
        }
        if !metadata.is_file() {
            let why = "it is neither a file nor a directory";
            return Err(Error::Source(io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        let put = put.clone().of_path(&name, metadata.len(), "file");
        self.upload(Source { file, identity: Identity::of(&metadata) }, password, &put)
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
        self.download(&file.into(), password, Target::Waiting(path))
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

/// What tells a file from itself after a change.
#[derive(PartialEq, Eq)]
struct Identity {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A file that is uploaded.
struct Source {
    file: File,
    identity: Identity,
}

impl Source {
    fn check(&self) -> Result<(), Error> {
        let metadata = self.file.metadata().map_err(Error::Source)?;
        if Identity::of(&metadata) == self.identity { Ok(()) } else { Err(Error::SourceChanged) }
    }
}

impl Io for Source {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        let count = read_some(&mut self.file, room)?;
        if count == 0 {
            // Before the server is told that this is all.
            self.check()?;
        }
        Ok(count)
    }

    fn rewind(&mut self, position: u64) -> Result<(), Error> {
        self.check()?;
        self.file.seek(SeekFrom::Start(position)).map(drop).map_err(Error::Source)
    }
}

/// What is made of a download.
enum Target<'p> {
    /// It is not known yet whether it is a file or a directory.
    Waiting(&'p Path),
    File(NewFile),
    Directory(Box<directory::Target>),
    /// It has its name.
    Complete,
}

impl Io for Target<'_> {
    fn begin(&mut self, metadata: &Metadata) -> Result<(), Error> {
        let Self::Waiting(path) = *self else { return Ok(()) };
        *self = if metadata.get("kind") == Some("directory") {
            Self::Directory(Box::new(directory::Target::new(path, metadata.size())?))
        } else {
            Self::File(NewFile::create(path).map_err(Error::Sink)?)
        };
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::File(file) => file.content.write_all(bytes).map_err(Error::Sink),
            Self::Directory(directory) => directory.write(bytes),
            Self::Waiting(_) | Self::Complete => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        match std::mem::replace(self, Self::Complete) {
            Self::File(file) => file.finish().map_err(Error::Sink),
            Self::Directory(directory) => directory.finish(),
            Self::Waiting(_) | Self::Complete => Err(Error::NoAnswer),
        }
    }
}

/// A file under a temporary name, which gets its own when it is finished, and is removed if it
/// never is.
struct NewFile {
    content: File,
    temporary: PathBuf,
    target: PathBuf,
}

impl NewFile {
    fn create(target: &Path) -> io::Result<Self> {
        let name = format!(".{:016x}.fss-part", SystemRng.next_u64());
        let temporary = target.with_file_name(name);
        let content =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { content, temporary, target: target.to_owned() })
    }

    fn finish(self) -> io::Result<()> {
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

#[cfg(feature = "archive")]
mod directory {
    use std::io;
    use std::path::{Path, PathBuf};

    use super::{Error, Io, read_some};
    use crate::archive::{self, Omission, Pack, Unpack, UnpackOptions};

    /// A directory that is uploaded.
    pub(super) struct Source {
        path: PathBuf,
        pack: Pack,
    }

    impl Source {
        pub(super) fn new(path: &Path) -> Result<Self, Error> {
            let pack = Pack::new(path).map_err(source)?;
            for left_out in pack.left_out() {
                if let Omission::Unreadable(error) = &left_out.why {
                    let path = path.join(&left_out.path);
                    let why = format!("{} cannot be read: {error}", path.display());
                    return Err(Error::Source(io::Error::new(error.kind(), why)));
                }
            }
            Ok(Self { path: path.to_owned(), pack })
        }

        pub(super) fn size(&self) -> u64 {
            self.pack.total_size()
        }

        /// The directory as it is now, if it is as it was.
        fn again(&self) -> Result<Pack, Error> {
            let pack = Pack::new(&self.path).map_err(source)?;
            let is_same = pack.manifest() == self.pack.manifest();
            if is_same { Ok(pack) } else { Err(Error::SourceChanged) }
        }
    }

    impl Io for Source {
        fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
            let count = read_some(&mut self.pack, room)?;
            if count == 0 && !room.is_empty() {
                // Before the server is told that this is all.
                self.again()?;
            }
            Ok(count)
        }

        fn rewind(&mut self, position: u64) -> Result<(), Error> {
            self.pack = self.again()?;
            self.pack.skip(position).map_err(source)
        }
    }

    fn source(error: archive::Error) -> Error {
        Error::Source(error.into())
    }

    /// A directory that is made.
    pub(super) struct Target(Unpack);

    impl Target {
        pub(super) fn new(path: &Path, size: Option<u64>) -> Result<Self, Error> {
            Unpack::new(path, size, UnpackOptions::default()).map(Self).map_err(target)
        }

        pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
            self.0.take(bytes).map_err(target)
        }

        pub(super) fn finish(self) -> Result<(), Error> {
            self.0.finish().map_err(target)
        }
    }

    fn target(error: archive::Error) -> Error {
        if error.is_integrity() { Error::Content(error.into()) } else { Error::Sink(error.into()) }
    }
}

#[cfg(not(feature = "archive"))]
mod directory {
    use std::path::Path;

    use super::{Error, Io};

    pub(super) enum Source {}

    impl Source {
        pub(super) fn new(_path: &Path) -> Result<Self, Error> {
            Err(Error::NoDirectories)
        }

        pub(super) fn size(&self) -> u64 {
            match *self {}
        }
    }

    impl Io for Source {}

    pub(super) enum Target {}

    impl Target {
        pub(super) fn new(_path: &Path, _size: Option<u64>) -> Result<Self, Error> {
            Err(Error::NoDirectories)
        }

        pub(super) fn write(&mut self, _bytes: &[u8]) -> Result<(), Error> {
            match *self {}
        }

        pub(super) fn finish(self) -> Result<(), Error> {
            match self {}
        }
    }
}
