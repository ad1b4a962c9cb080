//! Sources of uploads: a file, a directory as a tar stream, or standard input, compressed where
//! that helps; with their names, metadata, and detection of changes.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use fss::archive::{LeftOut, Manifest, Omission, Pack};
use fss::compress::{self, Encoder};
use fss::profile::SourceIdentity;
use fss::sealed::Metadata;
use rustix::fs::OFlags;

use crate::terminal::failure::{Failure, code, typed};

/// Bytes of a directory's stream that show whether compressing helps.
const SAMPLE: u64 = 192 * 1024;

/// What is compressed before it is sent, so that the server need not reserve room for a file of
/// unknown size.
const SMALL: u64 = 4 * 1024 * 1024;

/// For `open`, whose flags have another type in the standard library.
const NONBLOCK: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// Whether to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compress {
    /// Where a sample shows that it helps
    Auto,
    Always,
    Never,
}

pub struct Source {
    path: PathBuf,
    content: Content,
    /// What it is listed under.
    pub name: String,
    /// Bytes before they are compressed, if that is known.
    pub size: Option<u64>,
    compressed: bool,
    identity: Option<SourceIdentity>,
    /// Of a directory.
    manifest: Option<Manifest>,
    /// What of it stays behind, or will not be unpacked by others.
    pub warnings: Vec<String>,
    /// What of it could not be read.
    pub unreadable: Vec<Failure>,
    /// A directory that is not uploaded, wherever it is.
    without: PathBuf,
}

enum Content {
    Standard(Reader<io::Stdin>),
    File(Reader<File>),
    Directory(Box<Reader<Pack>>),
}

/// The bytes, as they are or compressed.
enum Reader<R> {
    /// With the number of bytes that were read.
    Plain(R, u64),
    Compressed(Encoder<R>),
    /// Compressed beforehand, so that their number is known.
    Whole(Cursor<Vec<u8>>),
}

impl<R: Read> Reader<R> {
    fn new(inner: R, compressed: bool, size: Option<u64>) -> io::Result<Self> {
        if !compressed {
            return Ok(Self::Plain(inner, 0));
        }
        let Some(size) = size.filter(|&size| size <= SMALL) else {
            return Ok(Self::Compressed(Encoder::new(inner)?));
        };
        let mut whole = Vec::new();
        // Whatever is behind: a file that grows is not the same any more.
        Encoder::new(inner.take(size))?.read_to_end(&mut whole)?;
        Ok(Self::Whole(Cursor::new(whole)))
    }

    /// How many bytes there are; `size` is that of what is read.
    fn encoded_size(&self, size: Option<u64>) -> Option<u64> {
        match self {
            Self::Plain(..) => size,
            Self::Compressed(_) => None,
            Self::Whole(whole) => Some(whole.get_ref().len() as u64),
        }
    }

    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner, position) => {
                let count = inner.read(room)?;
                *position += count as u64;
                Ok(count)
            }
            Self::Compressed(encoder) => encoder.read(room),
            Self::Whole(whole) => whole.read(room),
        }
    }

    /// How many bytes of what is compressed were taken; `size` is how many there are.
    fn position(&self, size: Option<u64>) -> u64 {
        match self {
            Self::Plain(_, position) => *position,
            Self::Compressed(encoder) => encoder.total_in(),
            Self::Whole(whole) => {
                let (taken, length) =
                    (u128::from(whole.position()), whole.get_ref().len().max(1) as u128);
                u64::try_from(u128::from(size.unwrap_or(0)) * taken / length).unwrap_or(u64::MAX)
            }
        }
    }

    /// Reads what is not wanted: the same bytes are compressed to the same.
    fn discard(&mut self, count: u64) -> io::Result<()> {
        let (mut left, mut room) = (count, vec![0; 64 * 1024]);
        while left > 0 {
            let wanted = usize::try_from(left).map_or(room.len(), |left| left.min(room.len()));
            let read = self.read(&mut room[..wanted])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read as u64;
        }
        Ok(())
    }
}

impl Source {
    /// Opens what is at a path. The directory `without` changes while it is uploaded, so it is left
    /// out.
    pub fn open(path: &Path, compress: Compress, without: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Self::standard_input(compress == Compress::Always)
                .map_err(|error| cannot_read(path, &error));
        }
        let metadata = fs::metadata(path).map_err(|error| cannot_read(path, &error))?;
        if metadata.is_dir() {
            Self::directory(path, &metadata, compress, without)
        } else {
            Self::file(path, compress)
        }
    }

    fn standard_input(compressed: bool) -> io::Result<Self> {
        let content = Content::Standard(Reader::new(io::stdin(), compressed, None)?);
        let (path, name) = (PathBuf::from("-"), "stdin".to_owned());
        Ok(Self::of(path, content, name, compressed))
    }

    /// Of unknown size, and without anything else that is known of a file.
    fn of(path: PathBuf, content: Content, name: String, compressed: bool) -> Self {
        let (warnings, unreadable, without) = (Vec::new(), Vec::new(), PathBuf::new());
        Self {
            path,
            content,
            name,
            size: None,
            compressed,
            identity: None,
            manifest: None,
            warnings,
            unreadable,
            without,
        }
    }

    fn file(path: &Path, compress: Compress) -> Result<Self, Failure> {
        let failed = |error| cannot_read(path, &error);
        // Opening a pipe that nobody writes to would wait.
        let mut file =
            File::options().read(true).custom_flags(NONBLOCK).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(no_file(path));
        }
        let compressed = match compress {
            Compress::Auto => {
                compress::is_compressible(&compress::sample(&mut file).map_err(failed)?)
            }
            Compress::Always => true,
            Compress::Never => false,
        };
        let size = Some(metadata.len());
        let content = Content::File(Reader::new(file, compressed, size).map_err(failed)?);
        let name = file_name(path)?.to_string_lossy().into_owned();
        let identity = Some(SourceIdentity::from(&metadata));
        Ok(Self { size, identity, ..Self::of(path.to_owned(), content, name, compressed) })
    }

    fn directory(
        path: &Path,
        metadata: &fs::Metadata,
        compress: Compress,
        without: &Path,
    ) -> Result<Self, Failure> {
        let failed = |error| cannot_read(path, &error);
        let pack = walk(path, without)?;
        let compressed = match compress {
            Compress::Auto => {
                let mut sample = Vec::new();
                walk(path, without)?.take(SAMPLE).read_to_end(&mut sample).map_err(failed)?;
                compress::is_compressible(&sample)
            }
            Compress::Always => true,
            Compress::Never => false,
        };
        let (mut warnings, mut unreadable) = (Vec::new(), Vec::new());
        for LeftOut { path: within, why } in pack.left_out() {
            let what = format!("{} is left out", path.join(within).display());
            match why {
                Omission::Kind => {
                    warnings.push(format!("{what}: it is not a file, a directory or a link"));
                }
                Omission::Excluded => warnings
                    .push(format!("{what}: it is the profile, which changes with every upload")),
                Omission::Unreadable(error) => {
                    let hint = "check that you may read it; the rest is uploaded";
                    unreadable.push(Failure::new(code::OTHER, what, error.to_string(), hint));
                }
                other => warnings.push(format!("{what}: {other:?}")),
            }
        }
        let outward = pack.outward_links().iter().map(|path| {
            format!(
                "the link {} may lead out of the directory: it comes back to this profile only, others get the archive with -o -",
                path.display()
            )
        });
        warnings.extend(outward);
        let (size, manifest) = (Some(pack.total_size()), Some(pack.manifest()));
        let content =
            Content::Directory(Box::new(Reader::new(pack, compressed, size).map_err(failed)?));
        let name = file_name(path)?.to_string_lossy().into_owned();
        let (identity, without) = (Some(SourceIdentity::from(metadata)), without.to_owned());
        let source = Self::of(path.to_owned(), content, name, compressed);
        Ok(Self { size, identity, manifest, warnings, unreadable, without, ..source })
    }

    /// Exactly how many bytes will be read, if that is known.
    pub fn encoded_size(&self) -> Option<u64> {
        match &self.content {
            Content::Standard(_) => None,
            Content::File(reader) => reader.encoded_size(self.size),
            Content::Directory(reader) => reader.encoded_size(self.size),
        }
    }

    /// What tells it from others, and from itself after a change: only of what gives the same bytes
    /// again.
    pub fn identity(&self) -> Option<SourceIdentity> {
        self.identity
    }

    /// Whether it is still what it was when it was opened.
    pub fn is_same(&self) -> Result<bool, Failure> {
        if let Some(manifest) = self.manifest {
            return Ok(walk(&self.path, &self.without)?.manifest() == manifest);
        }
        let metadata = match &self.content {
            Content::File(Reader::Plain(file, _)) => file.metadata(),
            Content::Standard(_) => return Ok(true),
            _ => fs::metadata(&self.path),
        };
        let metadata = metadata.map_err(|error| cannot_read(&self.path, &error))?;
        Ok(self.identity.is_none_or(|identity| identity == SourceIdentity::from(&metadata)))
    }

    /// How the bytes come to be, in words that are the same only if the bytes are.
    pub fn encoding(&self) -> String {
        let manifest =
            self.manifest.map_or_else(String::new, |manifest| format!("tar-{manifest} "));
        let compressed =
            if self.compressed { compress::encoding_id() } else { "identity".to_owned() };
        format!("{manifest}{compressed}")
    }

    /// What is sealed with it.
    pub fn sealed_metadata(&self, name: Option<&str>) -> Result<Metadata, Failure> {
        let mut sealed = match (name, &self.content) {
            (Some(name), _) => Metadata::named(name),
            (None, Content::Standard(_)) => Metadata::named(&self.name),
            (None, _) => Metadata::with_name_bytes(file_name(&self.path)?.as_bytes()),
        };
        if self.compressed {
            sealed = sealed.with("encoding", "zstd");
        }
        if let Content::Directory(_) = self.content {
            sealed = sealed.with("kind", "directory");
        }
        if let Some(size) = self.size {
            sealed = sealed.with("size", size.to_string());
        }
        if self.identity.is_some() {
            let metadata =
                fs::metadata(&self.path).map_err(|error| cannot_read(&self.path, &error))?;
            sealed = sealed.with("mode", format!("{:o}", metadata.mode() & 0o7777));
            if let Ok(mtime) = u64::try_from(metadata.mtime()) {
                sealed = sealed.with("mtime", mtime.to_string());
            }
        }
        Ok(sealed)
    }

    /// Goes to where an upload goes on. Only forwards.
    pub fn seek(&mut self, position: u64) -> Result<(), Failure> {
        let gone = match &mut self.content {
            // A pipe has no positions, and none of them is resumed.
            _ if position == 0 => Ok(()),
            Content::Standard(_) => return Ok(()),
            Content::File(Reader::Plain(file, at)) => {
                *at = position;
                file.seek(SeekFrom::Start(position)).map(drop)
            }
            Content::File(reader) => reader.discard(position),
            Content::Directory(reader) => match &mut **reader {
                Reader::Plain(pack, at) => {
                    *at = position;
                    pack.skip(position).map_err(io::Error::from)
                }
                compressed => compressed.discard(position),
            },
        };
        gone.map_err(|error| cannot_read(&self.path, &error))
    }

    /// How many bytes were taken of those that [`Source::size`] counts.
    pub fn position(&self) -> u64 {
        match &self.content {
            Content::Standard(reader) => reader.position(self.size),
            Content::File(reader) => reader.position(self.size),
            Content::Directory(reader) => reader.position(self.size),
        }
    }

    pub fn read(&mut self, room: &mut [u8]) -> Result<usize, Failure> {
        loop {
            let read = match &mut self.content {
                Content::Standard(input) => input.read(room),
                Content::File(reader) => reader.read(room),
                Content::Directory(reader) => reader.read(room),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| cannot_read(&self.path, &error)),
            }
        }
    }
}

fn walk(path: &Path, without: &Path) -> Result<Pack, Failure> {
    Pack::without(path, without).map_err(|error| {
        let what = format!("cannot read {}", path.display());
        Failure::new(code::OTHER, what, error.to_string(), "check that you may read all of it")
    })
}

/// The last component of a path, also of `.` and `..`.
fn file_name(path: &Path) -> Result<std::ffi::OsString, Failure> {
    if let Some(name) = path.file_name() {
        return Ok(name.to_owned());
    }
    let whole = fs::canonicalize(path).map_err(|error| cannot_read(path, &error))?;
    Ok(whole.file_name().unwrap_or("root".as_ref()).to_owned())
}

/// A pipe, a socket or a device: what it gives may have no end, and comes only once.
fn no_file(path: &Path) -> Failure {
    let what = format!("cannot read {}", path.display());
    let hint = format!("standard input: {} < {}", typed("upload -"), path.display());
    Failure::usage(what, "it is a pipe, a socket or a device, and not a file", hint)
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    let hint = "check the name, and that you may read it";
    Failure::new(code::OTHER, format!("cannot read {}", path.display()), error.to_string(), hint)
}
