//! Blobs in a directory, in the layout of 2019: `F-<cookie>/F` is the content, `F-<cookie>/H` the
//! verifier (`docs/protocol.md` §9, §25.3). Uploads are in `.incoming`, and one rename publishes
//! them when they are durable.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::indexed::{Blobs, FreeSpace, OpenBlob, StagedBlob};
use super::{StoreError, StoreErrorKind};
use crate::crypto::legacy::Verifier;
use crate::durable;

const INCOMING: &str = ".incoming";
const LOCK: &str = ".lock";
const CONTENT: &str = "F";
const VERIFIER: &str = "H";
const PREFIX: &str = "F-";

/// Blobs in a directory.
#[derive(Debug)]
pub struct FilesystemBlobs {
    root: PathBuf,
    /// Held as long as the blobs are: the lock goes with the file.
    _lock: Option<File>,
}

impl FilesystemBlobs {
    /// Uses a directory, which is created if it is not there. It is locked against other processes.
    ///
    /// # Errors
    /// [`StoreErrorKind::Busy`] if another process is using it, and what the operating system says.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        durable::create_directory(root).map_err(failed("create", root))?;
        let path = root.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let detail = format!("another process is using {}", root.display());
                return Err(StoreError::new(StoreErrorKind::Busy, detail));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        let incoming = root.join(INCOMING);
        durable::create_directory(&incoming).map_err(failed("create", &incoming))?;
        if !incoming.symlink_metadata().map_err(failed("look at", &incoming))?.is_dir() {
            // Through a link, we would remove files of others.
            return Err(StoreError::new(
                StoreErrorKind::Foreign,
                format!("{} is a link", incoming.display()),
            ));
        }
        Ok(Self { root: root.to_owned(), _lock: Some(lock) })
    }

    /// Only for reading, while another process may hold the lock.
    #[cfg(feature = "sqlite")]
    pub(super) fn beside(root: &Path) -> Self {
        Self { root: root.to_owned(), _lock: None }
    }

    fn incoming(&self) -> PathBuf {
        self.root.join(INCOMING)
    }

    /// The place of a staged blob.
    fn place(&self, blob: &str) -> PathBuf {
        self.incoming().join(blob)
    }

    /// The place of a published blob. The name comes from a database that others can write, so it
    /// is not trusted.
    fn published_place(&self, blob: &str) -> Result<PathBuf, StoreError> {
        if !is_blob(blob) {
            let detail = format!(
                "the index of {} names {blob:?}, which is not a directory of a file",
                self.root.display()
            );
            return Err(StoreError::new(StoreErrorKind::Damaged, detail));
        }
        Ok(self.root.join(blob))
    }
}

impl Blobs for FilesystemBlobs {
    fn stage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError> {
        let published = self.published_place(blob)?;
        let directory = self.place(blob);
        // Not durable by itself: a sync is, and the rename that publishes it.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(failed("create", &directory))?;
        let path = directory.join(CONTENT);
        let content = durable::create_file(&path).map_err(failed("create", &path))?;
        let (root, verifier) = (self.root.clone(), verifier.clone());
        Ok(Box::new(Staged { content, directory, published, root, verifier, names_synced: false }))
    }

    fn restage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError> {
        let published = self.published_place(blob)?;
        let directory = self.place(blob);
        if !is_there(&directory)? && is_there(&published)? {
            // It was published before a power cut, and its record was not. After the next cut
            // either place is valid.
            fs::rename(&published, &directory).map_err(failed("take back", &published))?;
        }
        let verifier_path = directory.join(VERIFIER);
        durable::remove_file(&verifier_path).map_err(failed("remove", &verifier_path))?;
        // A power cut may have lost what was never synced.
        if !is_there(&directory)? {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&directory)
                .map_err(failed("create", &directory))?;
        }
        let (content, _) = open_regular(
            OpenOptions::new().append(true).create(true).mode(0o600),
            &directory.join(CONTENT),
        )?;
        let (root, verifier) = (self.root.clone(), verifier.clone());
        Ok(Box::new(Staged { content, directory, published, root, verifier, names_synced: false }))
    }

    fn staged(&self) -> Result<Vec<String>, StoreError> {
        blobs_in(&self.incoming())
    }

    fn published(&self) -> Result<Vec<String>, StoreError> {
        blobs_in(&self.root)
    }

    fn recover(&self, blob: &str) -> Result<(), StoreError> {
        let (staged, published) = (self.place(blob), self.published_place(blob)?);
        if !is_there(&staged)? {
            return Ok(());
        }
        if !is_there(&published)? {
            let settled = fs::rename(&staged, &published).and_then(|()| sync_names(&self.root));
            return settled.map_err(failed("store", &published));
        }
        // A directory that has two names loses its content under both.
        if is_same(&staged, &published)? { Ok(()) } else { remove_tree(&staged).map(drop) }
    }

    fn exists(&self, blob: &str) -> Result<bool, StoreError> {
        // A name that no blob can have names nothing.
        self.published_place(blob).map_or(Ok(false), |published| is_there(&published))
    }

    fn open(&self, blob: &str) -> Result<Box<dyn OpenBlob>, StoreError> {
        let directory = self.published_place(blob)?;
        let verifier_path = directory.join(VERIFIER);
        let mut verifier = [0; Verifier::LENGTH];
        let (file, size) = open_regular(OpenOptions::new().read(true), &verifier_path)?;
        if size != verifier.len() as u64 {
            let detail = format!(
                "{} has {size} bytes instead of {}",
                verifier_path.display(),
                Verifier::LENGTH
            );
            return Err(StoreError::new(StoreErrorKind::Damaged, detail));
        }
        file.read_exact_at(&mut verifier, 0).map_err(failed("read", &verifier_path))?;
        let path = directory.join(CONTENT);
        let (content, size) = open_regular(OpenOptions::new().read(true), &path)?;
        Ok(Box::new(Opened { content, path, size, verifier: Verifier::from_bytes(verifier) }))
    }

    fn free(&self) -> Result<Option<FreeSpace>, StoreError> {
        let disk = rustix::fs::statvfs(&self.root)
            .map_err(|error| failed("look at the disk of", &self.root)(error.into()))?;
        // A file system without a fixed number of inodes says that it has none.
        let files = (disk.f_files > 0).then_some(disk.f_favail);
        Ok(Some(FreeSpace { bytes: disk.f_bavail.saturating_mul(disk.f_frsize), files }))
    }

    fn discard(&self, blob: &str) -> Result<bool, StoreError> {
        let Ok(published) = self.published_place(blob) else { return Ok(false) };
        let staged = self.place(blob);
        let is_published = is_there(&staged)? && is_same(&staged, &published)?;
        let removed = remove_tree(&staged)?;
        if is_published {
            remove_tree(&published)?;
        }
        Ok(removed)
    }

    fn remove(&self, blob: &str) -> Result<(), StoreError> {
        let Ok(published) = self.published_place(blob) else { return Ok(()) };
        let staged = self.place(blob);
        let is_staged = is_there(&published)? && is_same(&staged, &published)?;
        if remove_tree(&published)? {
            durable::sync_directory(&self.root).map_err(failed("sync", &self.root))?;
        }
        if is_staged {
            remove_tree(&staged)?;
        }
        Ok(())
    }
}

struct Staged {
    content: File,
    directory: PathBuf,
    published: PathBuf,
    root: PathBuf,
    verifier: Verifier,
    /// Whether the names that lead to the content are durable.
    names_synced: bool,
}

impl StagedBlob for Staged {
    fn length(&self) -> Result<u64, StoreError> {
        let metadata = self.content.metadata().map_err(failed("look into", &self.directory))?;
        Ok(metadata.len())
    }

    fn append(&mut self, data: &[u8]) -> Result<(), StoreError> {
        self.content.write_all(data).map_err(failed("write to", &self.directory))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let sync = || {
            self.content.sync_data()?;
            if !self.names_synced {
                durable::sync_directory(&self.directory)?;
                durable::sync_directory(&self.root.join(INCOMING))?;
            }
            Ok(())
        };
        sync().map_err(failed("sync", &self.directory))?;
        self.names_synced = true;
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> Result<(), StoreError> {
        self.content
            .set_len(length)
            .and_then(|()| self.content.sync_all())
            .map_err(failed("cut", &self.directory))
    }

    fn publish(self: Box<Self>) -> Result<(), StoreError> {
        let io = failed("store", &self.published);
        let publish = || {
            let mut verifier = durable::create_file(&self.directory.join(VERIFIER))?;
            verifier.write_all(self.verifier.as_bytes())?;
            verifier.sync_all()?;
            self.content.sync_all()?;
            durable::sync_directory(&self.directory)?;
            // No other process creates names here, since we hold the lock, and a rename never
            // replaces a directory with files. What has the name already is ours only if a power
            // cut has left it with both names.
            if self.published.symlink_metadata().is_ok() {
                if !is_same(&self.directory, &self.published).is_ok_and(|same| same) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                return sync_names(&self.root);
            }
            fs::rename(&self.directory, &self.published)?;
            sync_names(&self.root).inspect_err(|_| {
                // A blob that is not durable must not be found. An error here must not hide the
                // first one.
                let _ = fs::rename(&self.published, &self.directory);
            })
        };
        publish().map_err(io)
    }
}

struct Opened {
    content: File,
    path: PathBuf,
    size: u64,
    verifier: Verifier,
}

impl OpenBlob for Opened {
    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        match self.content.read_exact_at(buffer, offset) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let detail =
                    format!("{} has become shorter than {} bytes", self.path.display(), self.size);
                Err(StoreError::new(StoreErrorKind::Damaged, detail))
            }
            Err(error) => Err(failed("read", &self.path)(error)),
        }
    }
}

/// Whether a name can be a blob's.
fn is_blob(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.contains(['/', '\\', '\0'])
}

/// What has the name of a blob in a directory.
fn blobs_in(directory: &Path) -> Result<Vec<String>, StoreError> {
    let names = || {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
    };
    let names = names().map_err(failed("read", directory))?;
    Ok(names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .filter(|name| is_blob(name))
        .collect())
}

/// Makes a rename durable under both names: otherwise some file systems keep the old one too after
/// a power cut, and removing it would remove the content of the new one.
fn sync_names(root: &Path) -> io::Result<()> {
    durable::sync_directory(root)?;
    durable::sync_directory(&root.join(INCOMING))
}

/// Whether two names lead to the same directory; not so if one of them leads nowhere.
fn is_same(one: &Path, other: &Path) -> Result<bool, StoreError> {
    let identity = |path: &Path| match path.symlink_metadata() {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path)(error)),
    };
    Ok(identity(one)?.is_some_and(|one| identity(other).is_ok_and(|other| other == Some(one))))
}

fn is_there(path: &Path) -> Result<bool, StoreError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// Opens a file that must be a regular one: a link or a device in its place is not followed.
fn open_regular(options: &mut OpenOptions, path: &Path) -> Result<(File, u64), StoreError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match options.custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::new(
                StoreErrorKind::Damaged,
                format!("{} is missing", path.display()),
            ));
        }
        Err(error) => return Err(failed("open", path)(error)),
    };
    let metadata = file.metadata().map_err(failed("open", path))?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(StoreError::new(
            StoreErrorKind::Damaged,
            format!("{} is not a regular file", path.display()),
        ))
    }
}

/// Removes a directory and its content, or a file, and returns whether there was one.
fn remove_tree(path: &Path) -> Result<bool, StoreError> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        removed => removed,
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let what = format!("cannot {action} {}", path.display());
    move |error| StoreError::io(&what, &error)
}
