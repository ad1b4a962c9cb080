//! Sinks of downloads: a file, or a directory that is unpacked, decompressed if need be.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fss::archive::{self, Unpack, UnpackOptions};
use fss::compress::Decoder;
use fss::sealed::Metadata;

use crate::client::interrupt::{self, Part};
use crate::client::output::{Output, cannot_write};
use crate::terminal::failure::{Failure, code};

pub enum Sink {
    /// It is not known yet what comes.
    Waiting(Output),
    Plain(Destination),
    Compressed(Box<Decoder<Destination>>),
    /// It is finished, or has failed.
    Closed,
}

pub enum Destination {
    File(Output),
    Directory(Directory),
}

/// A directory that is being unpacked. What is not finished is removed.
pub struct Directory(Option<Box<Unpack>>);

impl Drop for Directory {
    fn drop(&mut self) {
        let _writing = interrupt::writing();
        self.0 = None;
        interrupt::set_part(None);
    }
}

/// What is known of what comes, besides its metadata.
#[derive(Clone, Copy)]
pub struct Expected {
    /// The user has packed it, and nobody else.
    pub own: bool,
    /// Its bytes when it is decoded.
    pub size: Option<u64>,
}

/// Whether what comes are the bytes of a file as they are.
pub fn is_plain(metadata: Option<&Metadata>) -> bool {
    let said = |name, usual| {
        metadata.and_then(|metadata| metadata.get(name)).is_none_or(|said| said == usual)
    };
    said("kind", "file") && said("encoding", "identity")
}

impl Sink {
    /// Gets ready for what the metadata says that will come, and makes it at `part`, unless it goes
    /// to standard output.
    pub fn open(
        &mut self,
        metadata: Option<&Metadata>,
        how: Expected,
        part: Option<&Path>,
    ) -> Result<(), Failure> {
        let Self::Waiting(mut output) = std::mem::replace(self, Self::Closed) else {
            return Ok(());
        };
        let path = output.path().to_owned();
        let failed = |error: io::Error| failed(&path, &error);
        let Expected { own, size } = how;
        let is_compressed = metadata.and_then(|metadata| metadata.get("encoding")) == Some("zstd");
        if is_compressed && size.is_none() && !own {
            return Err(unbounded(&path));
        }
        let is_directory = metadata.and_then(|metadata| metadata.get("kind")) == Some("directory");
        let destination = match (output.replaces(), part.and_then(Path::file_name)) {
            (Some(replace), Some(temporary)) if is_directory => {
                drop(output);
                let options = UnpackOptions { replace, outward_links: own };
                let _writing = interrupt::writing();
                let unpack = Unpack::with_temporary(&path, temporary, size, options)
                    .map_err(|error| failed(error.into()))?;
                interrupt::set_part(Some(Part { path: unpack.temporary(), keep: false }));
                Destination::Directory(Directory(Some(Box::new(unpack))))
            }
            // What goes to standard output is the tar stream.
            _ => {
                output.create(part)?;
                output.keep_attributes(metadata);
                Destination::File(output)
            }
        };
        *self = if is_compressed {
            Self::Compressed(Box::new(Decoder::new(destination, size).map_err(failed)?))
        } else {
            Self::Plain(destination)
        };
        Ok(())
    }

    /// The output, as long as nothing stands between it and what comes.
    pub fn output(&mut self) -> Option<&mut Output> {
        match self {
            Self::Waiting(output) | Self::Plain(Destination::File(output)) => Some(output),
            _ => None,
        }
    }

    pub fn put(&mut self, bytes: &[u8], path: &Path) -> Result<(), Failure> {
        let written = match self {
            Self::Plain(destination) => destination.write_all(bytes),
            Self::Compressed(decoder) => decoder.write_all(bytes),
            Self::Waiting(output) => output.write_all(bytes),
            Self::Closed => Ok(()),
        };
        written.map_err(|error| failed(path, &error))
    }

    /// Makes all durable under its own name, which may be another than `path` by now, and gives it.
    pub fn finish(&mut self, path: &Path) -> Result<PathBuf, Failure> {
        let destination = match std::mem::replace(self, Self::Closed) {
            Self::Waiting(output) => Destination::File(output),
            Self::Plain(destination) => destination,
            Self::Compressed(decoder) => decoder.finish().map_err(|error| failed(path, &error))?,
            Self::Closed => return Ok(path.to_owned()),
        };
        match destination {
            Destination::File(mut output) => output.finish().map(|()| output.path().to_owned()),
            Destination::Directory(mut directory) => {
                let _writing = interrupt::writing();
                if let Some(unpack) = directory.0.take() {
                    unpack.finish().map_err(|error| failed(path, &error.into()))?;
                }
                Ok(path.to_owned())
            }
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(output) => output.write(bytes),
            Self::Directory(Directory(Some(unpack))) => {
                let _writing = interrupt::writing();
                unpack.write(bytes)
            }
            Self::Directory(Directory(None)) => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A few bytes can become as many as there is room for on the disk.
fn unbounded(path: &Path) -> Failure {
    let what = format!("{} is not unpacked", path.display());
    let why = "it is not yours, is compressed, and does not tell its decompressed size";
    Failure::new(code::INTEGRITY, what, why, "ask its owner for the size: --size BYTES")
}

/// What is wrong with what came is another failure than what is wrong with the disk.
fn failed(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::InvalidData {
        let what = format!("cannot write {}", path.display());
        return Failure::new(
            code::INTEGRITY,
            what,
            error.to_string(),
            "nothing of it was kept; if you trust who made it, -o - gives it as it is",
        );
    }
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(archive::Error::Local { source, .. })
            if source.kind() == io::ErrorKind::AlreadyExists =>
        {
            let what = format!("{} is not overwritten", path.display());
            Failure::new(code::OTHER, what, error.to_string(), "--force, or -o with another name")
        }
        _ => cannot_write(path, error),
    }
}
