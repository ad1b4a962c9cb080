//! Files and directories of the file system, up and down.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand_core::Rng as _;
use rustix::fs::OFlags;

use super::blocking::{Io, read_some};
use super::journal::{Entry, NoteReader, NoteWriter};
use super::task::{DownloadNote, Downloading};
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

/// What tells a file from others, and from itself after a change.
#[derive(PartialEq, Eq)]
struct Identity([u64; 7]);

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        let times =
            [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
        let [modified, modified_ns, changed, changed_ns] = times.map(i64::cast_unsigned);
        let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.len());
        Self([device, inode, size, modified, modified_ns, changed, changed_ns])
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }
}

/// A source whose upload is noted.
struct Noted<'s, I> {
    source: &'s mut I,
    entry: Option<Entry>,
}

impl<I: Io> Io for Noted<'_, I> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        self.source.read(room)
    }

    fn can_rewind(&self) -> bool {
        self.source.can_rewind()
    }

    fn rewind(&mut self, position: u64) -> Result<(), Error> {
        self.source.rewind(position)
    }

    fn note(&mut self, note: &[u8]) -> Result<(), Error> {
        self.entry.as_ref().map_or(Ok(()), |entry| entry.save(note))
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
struct Target<'p> {
    path: &'p Path,
    entry: Option<Entry>,
    state: State,
}

enum State {
    /// It is not known yet whether it is a file or a directory.
    Waiting,
    File(PartFile),
    Directory(Box<directory::Target>),
    /// It has its name.
    Complete,
}

impl<'p> Target<'p> {
    /// Continues with what another process has left, if there is anything.
    fn of(path: &'p Path, entry: Option<Entry>, task: &mut Downloading<'_>) -> Result<Self, Error> {
        let note = entry.as_ref().map_or(Ok(None), Entry::load)?;
        let part = note.map_or(Ok(None), |note| PartFile::reopen(path, &note, task))?;
        let state = part.map_or(State::Waiting, State::File);
        Ok(Self { path, entry, state })
    }

    /// What was written is no beginning of the file, or will not be continued.
    fn discard(&mut self) -> Result<(), Error> {
        if let State::File(part) = &mut self.state {
            part.is_kept = false;
            return self.forget();
        }
        Ok(())
    }

    fn forget(&self) -> Result<(), Error> {
        self.entry.as_ref().map_or(Ok(()), Entry::remove)
    }
}

impl Io for Target<'_> {
    fn begin(&mut self, metadata: &Metadata) -> Result<(), Error> {
        if let State::Waiting = self.state {
            self.state = if metadata.get("kind") == Some("directory") {
                State::Directory(Box::new(directory::Target::new(self.path, metadata.size())?))
            } else {
                let digest = self.entry.is_some().then(Box::default);
                State::File(PartFile::create(self.path, digest).map_err(Error::Sink)?)
            };
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.state {
            State::File(file) => file.write(bytes).map_err(Error::Sink),
            State::Directory(directory) => directory.write(bytes),
            State::Waiting | State::Complete => Ok(()),
        }
    }

    fn note(&mut self, note: &[u8]) -> Result<(), Error> {
        if let (State::File(part), Some(entry)) = (&mut self.state, &self.entry)
            && let Some(note) = part.note(note).map_err(Error::Sink)?
        {
            entry.save(&note)?;
            part.is_kept = true;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Complete) {
            State::File(part) => {
                part.finish(self.path).map_err(Error::Sink)?;
                self.forget()
            }
            State::Directory(directory) => directory.finish(),
            State::Waiting | State::Complete => Err(Error::NoAnswer),
        }
    }
}

/// A file under a temporary name, which gets its own when it is finished. It is removed if it never
/// is, unless it is noted.
struct PartFile {
    content: File,
    temporary: PathBuf,
    /// Of what was written, if that is to be noted.
    digest: Option<Box<blake3::Hasher>>,
    is_kept: bool,
}

impl PartFile {
    fn create(target: &Path, digest: Option<Box<blake3::Hasher>>) -> io::Result<Self> {
        let name = format!(".{:016x}.fss-part", SystemRng.next_u64());
        let temporary = target.with_file_name(name);
        let content =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        // A file system without locks is no reason not to write.
        if let Err(TryLockError::WouldBlock) = content.try_lock() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Self { content, temporary, digest, is_kept: false })
    }

    /// The part that is noted. One that is not what it was is removed; one that another process
    /// writes to is an error.
    fn reopen(
        target: &Path,
        note: &[u8],
        task: &mut Downloading<'_>,
    ) -> Result<Option<Self>, Error> {
        let mut note = NoteReader(note);
        let (Some(name), Some(digest), Some(noted)) = (note.field(), note.array(), note.field())
        else {
            return Ok(None);
        };
        let Some(name) = Path::new(OsStr::from_bytes(name)).file_name() else { return Ok(None) };
        let temporary = target.with_file_name(name);
        let nofollow = OFlags::NOFOLLOW.bits().cast_signed();
        let open =
            OpenOptions::new().read(true).write(true).custom_flags(nofollow).open(&temporary);
        let is_file = |part: &File| part.metadata().is_ok_and(|metadata| metadata.is_file());
        let Some(content) = open.ok().filter(is_file) else { return Ok(None) };
        if let Err(TryLockError::WouldBlock) = content.try_lock() {
            let why = "another process is downloading it there";
            return Err(Error::Sink(io::Error::new(io::ErrorKind::AlreadyExists, why)));
        }
        let mut part = Self { content, temporary, digest: Some(Box::default()), is_kept: false };
        if let Some(noted) = DownloadNote::decode(noted)
            && part.is_whole_to(noted.bytes, digest).map_err(Error::Sink)?
            && task.resume(noted)
        {
            part.is_kept = true;
            return Ok(Some(part));
        }
        Ok(None)
    }

    /// Whether its first bytes are those that were written; what follows them is cut off.
    fn is_whole_to(&mut self, bytes: u64, expected: [u8; 32]) -> io::Result<bool> {
        let Some(digest) = &mut self.digest else { return Ok(false) };
        let read = io::copy(&mut (&self.content).take(bytes), &mut **digest)?;
        if read != bytes || digest.finalize() != expected {
            return Ok(false);
        }
        self.content.set_len(bytes)?;
        self.content.seek(SeekFrom::Start(bytes))?;
        Ok(true)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.content.write_all(bytes)?;
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        Ok(())
    }

    /// What is to be noted, once what was written is durable.
    fn note(&self, note: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some(digest) = &self.digest else { return Ok(None) };
        self.content.sync_data()?;
        let name = self.temporary.file_name().unwrap_or_default().as_bytes();
        let digest = digest.finalize();
        let fields = NoteWriter::default().field(name).field(digest.as_bytes()).field(note);
        Ok(Some(fields.finish()))
    }

    fn finish(mut self, target: &Path) -> io::Result<()> {
        self.is_kept = false;
        self.content.sync_all()?;
        // A link replaces nothing that has come to be there meanwhile.
        fs::hard_link(&self.temporary, target)?;
        sync_parent(target)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // Under its own name it stays.
            let _ = fs::remove_file(&self.temporary);
        }
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

        /// What must be the same for an upload to be resumed.
        pub(super) fn identity(&self) -> Vec<u8> {
            self.pack.manifest().to_string().into_bytes()
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

        pub(super) fn identity(&self) -> Vec<u8> {
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
