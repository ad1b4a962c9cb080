//! The file or directory that a download creates. It gets its name only when it is complete.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rand_core::Rng as _;
use rustix::fs::OFlags;

use super::directory;
use crate::durable::sync_parent;
use crate::remote::Error;
use crate::remote::blocking::Io;
use crate::remote::journal::{Entry, NoteReader, NoteWriter};
use crate::remote::task::{DownloadNote, Downloading};
use crate::sealed::Metadata;
use crate::types::random::SystemRng;

/// What is made of a download.
pub(super) struct Target<'p> {
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
    pub(super) fn of(
        path: &'p Path,
        entry: Option<Entry>,
        task: &mut Downloading<'_>,
    ) -> Result<Self, Error> {
        let note = entry.as_ref().map_or(Ok(None), Entry::load)?;
        let part = note.map_or(Ok(None), |note| PartFile::reopen(path, &note, task))?;
        let state = part.map_or(State::Waiting, State::File);
        Ok(Self { path, entry, state })
    }

    /// What was written is no beginning of the file, or will not be continued.
    pub(super) fn discard(&mut self) -> Result<(), Error> {
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
