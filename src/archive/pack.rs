//! A directory, read as a tar stream.

use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Stat, fstat};

use super::manifest::{Digest, Manifest};
use super::omission::LeftOut;
use super::walk::{Found, Visit, Walk, mtime, size};
use super::{END, END_LENGTH, Error, names};

/// Reads a directory as a tar stream. The same directory, unchanged, gives the same bytes.
///
/// Names (also those that are not UTF-8), permissions, times to the nanosecond and symbolic links
/// are kept; links are not followed. Owners, extended attributes and holes are not, and hard links
/// become files of their own. Other file systems that are mounted within are packed too.
///
/// Its errors while reading hold an [`Error`].
#[derive(Debug)]
pub struct Pack {
    root: PathBuf,
    survey: Survey,
    walk: Walk,
    /// Headers, padding or the end: bytes that are to be read next.
    ahead: Vec<u8>,
    taken: usize,
    content: Option<Content>,
    /// Bytes of all entries so far.
    planned: u64,
    ended: bool,
    changed: Vec<PathBuf>,
}

/// What a first walk has shown.
#[derive(Debug)]
struct Survey {
    manifest: Manifest,
    total: u64,
    left_out: Vec<LeftOut>,
    outward: Vec<PathBuf>,
}

/// The content of a file.
#[derive(Debug)]
struct Content {
    found: Box<Found>,
    position: u64,
}

impl Pack {
    /// Walks through a directory, without reading files. The path may be a link to it.
    ///
    /// # Errors
    /// [`Error::Local`] if it is not a directory, or cannot be read. What cannot be read in it is
    /// left out.
    pub fn new(root: &Path) -> Result<Self, Error> {
        Self::walk(root, None)
    }

    /// As [`Pack::new`], but leaves out a directory, if it is anywhere within: one that changes
    /// while it is packed.
    ///
    /// # Errors
    /// As [`Pack::new`]; also if there is nothing at `without`.
    pub fn without(root: &Path, without: &Path) -> Result<Self, Error> {
        let there = without.metadata().map_err(Error::local("look at", without))?;
        Self::walk(root, Some((there.dev(), there.ino())))
    }

    fn walk(root: &Path, without: Option<(u64, u64)>) -> Result<Self, Error> {
        let mut walk = Walk::new(root, without)?;
        let (mut total, mut digest) = (END, Digest::new());
        let (mut left_out, mut outward) = (Vec::new(), Vec::new());
        while let Some(visit) = walk.next()? {
            let found = match visit {
                Visit::Found(found) => found,
                Visit::LeftOut(something) => {
                    left_out.push(something);
                    continue;
                }
            };
            let Some(entry) = found.entry() else { continue };
            digest.add(&found);
            total = total.saturating_add(entry.headers().len() as u64 + entry.stored());
            if found.target.as_ref().is_some_and(|target| {
                !names::stays_inside(&found.path, target.as_os_str().as_bytes())
            }) {
                outward.push(found.path);
            }
        }
        Ok(Self {
            root: root.to_owned(),
            survey: Survey { manifest: digest.finish(), total, left_out, outward },
            walk: Walk::new(root, without)?,
            ahead: Vec::new(),
            taken: 0,
            content: None,
            planned: 0,
            ended: false,
            changed: Vec::new(),
        })
    }

    /// Bytes of the whole stream. It has exactly so many, or it ends with an error.
    pub fn total_size(&self) -> u64 {
        self.survey.total
    }

    /// What must be the same for an upload to go on.
    pub fn manifest(&self) -> Manifest {
        self.survey.manifest
    }

    /// What is not packed, and why.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.survey.left_out
    }

    /// Symbolic links that may lead out of the directory. They are packed, but an archive with such
    /// links is only unpacked by who allows them (`UnpackOptions::outward_links`).
    pub fn outward_links(&self) -> &[PathBuf] {
        &self.survey.outward
    }

    /// The files that were changed while they were read, so far: what was read of them may be of
    /// two versions.
    pub fn changed(&self) -> &[PathBuf] {
        &self.changed
    }

    /// Goes forward, as if so many bytes had been read. Files are not read for it.
    ///
    /// # Errors
    /// As reading; [`Error::Changed`] also if the stream has not so many bytes.
    pub fn skip(&mut self, mut bytes: u64) -> Result<(), Error> {
        while bytes > 0 {
            if self.taken < self.ahead.len() {
                let left = self.ahead.len() - self.taken;
                let count = usize::try_from(bytes).map_or(left, |bytes| bytes.min(left));
                self.taken += count;
                bytes -= count as u64;
            } else if let Some(content) = self.content.as_mut().filter(|content| content.left() > 0)
            {
                let count = bytes.min(content.left());
                content.position += count;
                bytes -= count;
            } else if !self.advance()? {
                return Err(Error::Changed { path: self.root.clone() });
            }
        }
        Ok(())
    }

    fn read_some(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        if room.is_empty() {
            return Ok(0);
        }
        loop {
            if self.taken < self.ahead.len() {
                let count = room.len().min(self.ahead.len() - self.taken);
                room[..count].copy_from_slice(&self.ahead[self.taken..self.taken + count]);
                self.taken += count;
                return Ok(count);
            }
            if let Some(content) = self.content.as_mut().filter(|content| content.left() > 0) {
                return content.read(room);
            }
            if !self.advance()? {
                return Ok(0);
            }
        }
    }

    /// Begins what comes next: padding, an entry, or the end. Says whether there was anything.
    fn advance(&mut self) -> Result<bool, Error> {
        self.ahead.clear();
        self.taken = 0;
        if let Some(content) = self.content.take() {
            let padding = content.found.entry().map_or(0, |entry| entry.stored() - entry.size());
            self.ahead.resize(usize::try_from(padding).unwrap_or(0), 0);
            if content.has_changed()? {
                self.changed.push(content.found.path);
            }
        } else if let Some(visit) = self.walk.next()? {
            let Visit::Found(found) = visit else { return Ok(true) };
            let Some(entry) = found.entry() else { return Ok(true) };
            self.ahead = entry.headers();
            self.plan(self.ahead.len() as u64 + entry.stored())?;
            self.content = (entry.size() > 0).then_some(Content { found, position: 0 });
        } else if self.ended {
            return Ok(false);
        } else if self.planned.checked_add(END) == Some(self.survey.total) {
            self.ended = true;
            self.ahead.resize(END_LENGTH, 0);
        } else {
            return Err(Error::Changed { path: self.root.clone() });
        }
        Ok(true)
    }

    /// The stream must not be longer than the announced total.
    fn plan(&mut self, bytes: u64) -> Result<(), Error> {
        self.planned = self.planned.saturating_add(bytes);
        if self.planned > self.survey.total {
            return Err(Error::Changed { path: self.root.clone() });
        }
        Ok(())
    }
}

impl Read for Pack {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(room)?)
    }
}

impl Content {
    /// Bytes still to come: those that were announced, even if the file has grown.
    fn left(&self) -> u64 {
        size(&self.found.stat) - self.position
    }

    fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        let path = &self.found.path;
        let changed = || Error::Changed { path: path.clone() };
        let left = self.left();
        let room_left = usize::try_from(left).map_or(room.len(), |left| left.min(room.len()));
        let file = self.found.file.as_ref().ok_or_else(changed)?;
        let read = loop {
            match file.read_at(&mut room[..room_left], self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read.map_err(Error::local("read", path))? {
            0 => Err(changed()),
            count => {
                self.position += count as u64;
                Ok(count)
            }
        }
    }

    fn has_changed(&self) -> Result<bool, Error> {
        let Some(file) = self.found.file.as_ref().filter(|_| self.position > 0) else {
            return Ok(false);
        };
        let now = fstat(file).map_err(Error::local("look at", &self.found.path))?;
        let identity = |stat: &Stat| {
            (stat.st_dev, stat.st_ino, size(stat), mtime(stat), stat.st_ctime, stat.st_ctime_nsec)
        };
        Ok(identity(&now) != identity(&self.found.stat))
    }
}
