//! Directories as tar streams, for uploads and downloads.

use std::io;
use std::path::{Path, PathBuf};

use crate::remote::Error;
use crate::remote::blocking::{Io, read_some};

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
