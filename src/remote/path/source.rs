//! A file that is uploaded; a change during the upload is detected.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;

use crate::remote::Error;
use crate::remote::blocking::{Io, read_some};
use crate::remote::journal::Entry;

/// A file that is uploaded.
pub(super) struct Source {
    pub(super) file: File,
    pub(super) identity: Identity,
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

/// What tells a file from others, and from itself after a change.
#[derive(PartialEq, Eq)]
pub(super) struct Identity([u64; 7]);

impl Identity {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let times =
            [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
        let [modified, modified_ns, changed, changed_ns] = times.map(i64::cast_unsigned);
        let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.len());
        Self([device, inode, size, modified, modified_ns, changed, changed_ns])
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }
}

/// A source whose upload is noted.
pub(super) struct Noted<'s, I> {
    pub(super) source: &'s mut I,
    pub(super) entry: Option<Entry>,
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
