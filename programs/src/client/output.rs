//! Output files: a download has a temporary name until it is complete and durable, and is then
//! renamed in one step.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fss::sealed::Metadata;
use rustix::fs::Mode;

use crate::client::interrupt::{self, Part};
use crate::terminal::failure::{Failure, code, io_code};

/// The most files whose names differ only by a number at the end.
const MOST_ALIKE: u32 = 10_000;

/// A file that is being written. Dropping it unfinished removes what has been written, unless it is
/// to go on.
pub enum Output {
    Standard,
    File(Box<NamedOutput>),
}

pub struct NamedOutput {
    file: Option<File>,
    /// What the user asked for.
    target: PathBuf,
    path: PathBuf,
    naming: Naming,
    attributes: Attributes,
    written: u64,
}

/// Whose name it is that the file gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// The user's own, from the command line or the list: what has it is replaced, if `force`.
    Users { force: bool },
    /// The uploader's: it replaces nothing, and gives way to what is there.
    Uploaders,
}

/// What a file has besides its bytes.
#[derive(Default)]
pub struct Attributes {
    mode: Option<u32>,
    modified: Option<SystemTime>,
}

/// A directory that cannot be read is taken for one that is not.
fn is_empty(directory: &Path) -> bool {
    directory.read_dir().is_ok_and(|mut entries| entries.next().is_none())
}

impl Output {
    /// A new file, which is not there before [`Output::create`].
    pub fn new(path: &Path, force: bool) -> Result<Self, Failure> {
        check_place(path, force)?;
        let target = std::path::absolute(path).map_err(|error| cannot_write(path, &error))?;
        let naming = Naming::Users { force };
        let (path, attributes) = (path.to_owned(), Attributes::default());
        Ok(Self::File(Box::new(NamedOutput {
            file: None,
            target,
            path,
            naming,
            attributes,
            written: 0,
        })))
    }

    /// Where the file is to be.
    pub fn path(&self) -> &Path {
        match self {
            Self::Standard => Path::new("-"),
            Self::File(named) => &named.path,
        }
    }

    /// Whether what has the name is replaced; `None` for standard output, which has none.
    pub fn replaces(&self) -> Option<bool> {
        match self {
            Self::Standard => None,
            Self::File(named) => Some(named.naming == Naming::Users { force: true }),
        }
    }

    /// The file gets another name of the user's, which must be free too. Only before it is created.
    pub fn rename(&mut self, name: &OsStr) -> Result<(), Failure> {
        let Self::File(named) = self else { return Ok(()) };
        let path = named.path.with_file_name(name);
        check_place(&path, named.naming == Naming::Users { force: true })?;
        named.path = path;
        Ok(())
    }

    /// The file gets the name that its uploader suggests, or one like it if that is taken. Only
    /// before it is created.
    pub fn suggest(&mut self, name: &OsStr) -> Result<(), Failure> {
        let Self::File(named) = self else { return Ok(()) };
        named.naming = Naming::Uploaders;
        named.path = free_name(&named.path.with_file_name(name))?;
        Ok(())
    }

    /// The file gets mode and time of the one that was sealed. Nobody gets more rights by it than
    /// to read, write and run, and nobody any that the umask keeps back.
    pub fn keep_attributes(&mut self, metadata: Option<&Metadata>) {
        if let (Self::File(named), Some(metadata)) = (self, metadata) {
            let mode = metadata.get("mode").and_then(|mode| u32::from_str_radix(mode, 8).ok());
            let modified = metadata.get("mtime").and_then(|time| time.parse().ok());
            named.attributes.mode = mode.map(|mode| mode & 0o777 & !umask());
            named.attributes.modified =
                modified.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        }
    }

    /// What the user asked the file to be written to, by which the same wish is known again.
    pub fn target(&self) -> Option<&Path> {
        match self {
            Self::Standard => None,
            Self::File(named) => Some(&named.target),
        }
    }

    /// Begins to write under a temporary name; standard output has none.
    pub fn create(&mut self, temporary: Option<&Path>) -> Result<(), Failure> {
        let (Self::File(named), Some(temporary)) = (self, temporary) else { return Ok(()) };
        if named.path.is_dir() {
            let what = format!("cannot write {}", named.path.display());
            return Err(Failure::new(
                code::OTHER,
                what,
                "there is a directory of this name",
                "-o with another name",
            ));
        }
        let _writing = interrupt::writing();
        interrupt::set_part(Some(Part { path: temporary.to_owned(), keep: false }));
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary);
        let created = created.map_err(|error| cannot_write(&named.path, &error))?;
        be_alone(&created, &named.path)?;
        named.file = Some(created);
        Ok(())
    }

    /// Goes on with what is under a temporary name already, after `position` bytes.
    pub fn go_on(&mut self, temporary: &Path, position: u64) -> Result<(), Failure> {
        let Self::File(named) = self else { return Ok(()) };
        let failed = |error: io::Error| cannot_write(&named.path, &error);
        let mut opened = OpenOptions::new().write(true).open(temporary).map_err(failed)?;
        be_alone(&opened, &named.path)?;
        interrupt::set_part(Some(Part { path: temporary.to_owned(), keep: true }));
        opened
            .set_len(position)
            .and_then(|()| opened.seek(SeekFrom::Start(position)))
            .map_err(failed)?;
        (named.file, named.written) = (Some(opened), position);
        Ok(())
    }

    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write_all(bytes).map_err(|error| cannot_write(self.path(), &error))
    }

    /// Makes durable what has been written, and keeps it even if the program ends.
    pub fn sync(&mut self) -> Result<(), Failure> {
        let Self::File(named) = self else { return Ok(()) };
        let Some(file) = &named.file else { return Ok(()) };
        file.sync_data().map_err(|error| cannot_write(&named.path, &error))?;
        interrupt::keep_part(true);
        Ok(())
    }

    /// Makes the file durable under its own name.
    pub fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::Standard => io::stdout()
                .flush()
                .map_err(|error| cannot_write(Path::new("standard output"), &error)),
            Self::File(named) => named.finish(),
        }
    }
}

impl NamedOutput {
    fn finish(&mut self) -> Result<(), Failure> {
        let _writing = interrupt::writing();
        let Some((file, temporary)) = self.file.take().zip(interrupt::part_path()) else {
            return Ok(());
        };
        self.attributes.give_to(&file);
        let synced = file.sync_all().and_then(|()| file.metadata());
        if let Some(length) =
            synced.as_ref().ok().map(fs::Metadata::len).filter(|length| *length != self.written)
        {
            return Err(changed(&self.path, self.written, length));
        }
        let mut published = synced.and_then(|_| publish(&temporary, &self.path, self.naming));
        while self.naming == Naming::Uploaders && published.as_ref().is_err_and(is_taken) {
            self.path = free_name(&self.path)?;
            published = publish(&temporary, &self.path, self.naming);
        }
        let _ = fs::remove_file(&temporary);
        interrupt::set_part(None);
        match published {
            Err(error) if is_taken(&error) => return Err(exists(&self.path)),
            published => published.map_err(|error| cannot_write(&self.path, &error))?,
        }
        File::open(parent(&self.path))
            .and_then(|directory| directory.sync_all())
            .map_err(|error| cannot_write(&self.path, &error))
    }
}

impl Attributes {
    /// A file system that does not know them is no reason to do without the file.
    fn give_to(&self, file: &File) {
        if let Some(mode) = self.mode {
            let _ = file.set_permissions(Permissions::from_mode(mode));
        }
        if let Some(modified) = self.modified {
            let _ = file.set_modified(modified);
        }
    }
}

/// The directory that a file is in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The mode bits that new files do not get.
fn umask() -> u32 {
    // It can only be read by setting it. The other thread of this program makes no files.
    let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(umask);
    umask.bits()
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists
}

/// This name, or the first of `NAME.1`, `NAME.2`, … that nothing has.
fn free_name(path: &Path) -> Result<PathBuf, Failure> {
    let numbered = (1..=MOST_ALIKE).map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    let mut names = std::iter::once(path.to_owned()).chain(numbered);
    names.find(|path| path.symlink_metadata().is_err()).ok_or_else(|| exists(path))
}

/// Gives a file its own name; unless what has it is to be replaced, only if nothing has.
fn publish(temporary: &Path, path: &Path, naming: Naming) -> io::Result<()> {
    if naming == (Naming::Users { force: true }) {
        return fs::rename(temporary, path);
    }
    match fs::hard_link(temporary, path) {
        // A file system without links: the best that is left is to look first.
        Err(error)
            if error.kind() != io::ErrorKind::AlreadyExists && path.symlink_metadata().is_err() =>
        {
            fs::rename(temporary, path)
        }
        linked => linked,
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard => io::stdout().write(bytes),
            Self::File(named) => {
                let NamedOutput { file: Some(file), written, .. } = &mut **named else {
                    return Ok(bytes.len());
                };
                let _writing = interrupt::writing();
                file.write(bytes).inspect(|count| *written += *count as u64)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _writing = interrupt::writing();
        interrupt::drop_part();
    }
}

/// Whether a file may get this name.
fn check_place(path: &Path, force: bool) -> Result<(), Failure> {
    let what = || format!("{} is not overwritten", path.display());
    match path.metadata() {
        Ok(there) if there.is_dir() && !force => {
            let why = "there is a directory of this name";
            return Err(Failure::new(code::OTHER, what(), why, "-o with a name inside it"));
        }
        // What is in it may be nobody's to lose.
        Ok(there) if there.is_dir() && !is_empty(path) => {
            let why = "there is a directory of this name, and it is not empty";
            return Err(Failure::new(
                code::OTHER,
                what(),
                why,
                "remove it first, or -o with another name",
            ));
        }
        Ok(there) if force && !there.is_dir() && !there.is_file() => {
            let why = "it is a device or a pipe, and not a file";
            return Err(Failure::new(code::OTHER, what(), why, "-o - and a redirection"));
        }
        _ => {}
    }
    if !force && path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    if path.file_name().is_none() {
        return Err(Failure::usage(
            format!("cannot write {}", path.display()),
            "it is not the name of a file",
            "-o with another name",
        ));
    }
    Ok(())
}

/// Two that write the same part file would make another file of it.
pub fn be_alone(part: &File, path: &Path) -> Result<(), Failure> {
    match part.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let what = format!("cannot write {}", path.display());
            Err(Failure::new(
                code::OTHER,
                what,
                "another process is downloading it there",
                "-o with another name",
            ))
        }
        // A file system without locks is no reason not to write.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// What lies on the disk is not what came.
fn changed(path: &Path, written: u64, length: u64) -> Failure {
    let what = format!("cannot write {}", path.display());
    let why = format!(
        "{written} bytes were written, and the file has {length}: another program has changed it"
    );
    Failure::new(code::INTEGRITY, what, why, "the same command again")
}

fn exists(path: &Path) -> Failure {
    let what = format!("{} is not overwritten", path.display());
    Failure::new(
        code::OTHER,
        what,
        "a file of this name is there",
        "--force, or -o with another name",
    )
}

pub fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let code = io_code(error);
    let hint = if code == code::NO_ROOM {
        "make room on the disk"
    } else {
        "-o with a place where you may write"
    };
    Failure::new(code, format!("cannot write {}", path.display()), error.to_string(), hint)
}
