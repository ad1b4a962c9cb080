//! A file to upload: its bytes, its name, and what tells whether it is still the same.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fss::profile::SourceIdentity;
use fss::sealed::Metadata;

use crate::support::failure::{Failure, code};

/// A file, or standard input.
pub struct Source {
    path: PathBuf,
    input: Input,
    /// What it is listed under.
    pub name: String,
}

enum Input {
    Standard(io::Stdin),
    File(File),
}

impl Source {
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self { path: path.to_owned(), input: Input::Standard(io::stdin()), name: "stdin".to_owned() });
        }
        let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
        if file.metadata().map_err(|error| cannot_read(path, &error))?.is_dir() {
            let what = format!("cannot upload {}", path.display());
            return Err(Failure::usage(what, "it is a directory, and only files are uploaded", "a tar archive of it"));
        }
        let name = path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
        Ok(Self { path: path.to_owned(), input: Input::File(file), name })
    }

    /// What tells it from other files, and from itself after a change: only of a regular file.
    pub fn identity(&self) -> Result<Option<SourceIdentity>, Failure> {
        Ok(self.metadata()?.map(|metadata| SourceIdentity::from(&metadata)))
    }

    fn metadata(&self) -> Result<Option<fs::Metadata>, Failure> {
        let Input::File(file) = &self.input else { return Ok(None) };
        let metadata = file.metadata().map_err(|error| cannot_read(&self.path, &error))?;
        Ok(Some(metadata).filter(fs::Metadata::is_file))
    }

    /// What is sealed with the file.
    pub fn sealed_metadata(&self, name: Option<&str>) -> Result<Metadata, Failure> {
        let own_name = self.path.file_name().unwrap_or(self.name.as_ref());
        let mut sealed = match (name, &self.input) {
            (Some(name), _) => Metadata::named(name),
            (None, Input::Standard(_)) => Metadata::named(&self.name),
            (None, Input::File(_)) => Metadata::with_name_bytes(own_name.as_bytes()),
        };
        if let Some(metadata) = self.metadata()? {
            sealed = sealed.with("size", metadata.len().to_string()).with("mode", format!("{:o}", metadata.mode() & 0o7777));
            if let Ok(mtime) = u64::try_from(metadata.mtime()) {
                sealed = sealed.with("mtime", mtime.to_string());
            }
        }
        Ok(sealed)
    }

    /// Goes to where an upload goes on.
    pub fn seek(&mut self, position: u64) -> Result<(), Failure> {
        match &mut self.input {
            Input::Standard(_) => Ok(()),
            // A pipe has no positions, and none of them is resumed.
            Input::File(_) if position == 0 => Ok(()),
            Input::File(file) => file.seek(SeekFrom::Start(position)).map(drop).map_err(|error| cannot_read(&self.path, &error)),
        }
    }

    pub fn read(&mut self, room: &mut [u8]) -> Result<usize, Failure> {
        loop {
            let read = match &mut self.input {
                Input::Standard(input) => input.read(room),
                Input::File(file) => file.read(room),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| cannot_read(&self.path, &error)),
            }
        }
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    let hint = "check the name, and that you may read it";
    Failure::new(code::OTHER, format!("cannot read {}", path.display()), error.to_string(), hint)
}
