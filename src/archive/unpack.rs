//! A tar stream, taken in pieces, becomes a directory.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rand_core::Rng as _;
use rustix::io::Errno;

use super::Error;
use super::decode::{Decoder, Event};
use super::extract::{ExtractError, Extractor};
use super::staged::Staged;
use crate::types::random::SystemRng;

/// Options of unpacking, all off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnpackOptions {
    /// Whatever has the name of the directory is replaced: exchanged at the end, in one step, and
    /// then removed with all that is in it. What cannot be removed stays next to it, as
    /// `.fss-*.tmp`.
    pub replace: bool,
    /// Symbolic links are made wherever they lead. Nothing is ever written through them, but other
    /// programs may follow them: it is for archives of one's own.
    pub outward_links: bool,
}

/// Makes a directory from a tar stream. It has its name only when it is whole and durable; until
/// [`Unpack::finish`] has said so it is under another name beside, and is removed if it is not to
/// be.
///
/// Archives come from others, so nothing is taken that could reach beyond the directory:
///
/// - Names that are absolute, or have `..` in them, are refused, and so are names behind a symbolic
///   link.
/// - Symbolic links must lead to somewhere within; see [`UnpackOptions::outward_links`].
/// - Hard links, devices, pipes, sparse files, and a name that comes twice are refused.
/// - Names are at most [`super::MAX_NAME`] bytes, within the archive at most [`super::MAX_PATH`]
///   and [`super::MAX_DEPTH`] deep. How many there are is not limited, but each takes 512 bytes of
///   the stream.
/// - Of modes only the permissions are kept, and of those what the umask leaves, so nothing is
///   set-user-id; and everything belongs to the user who unpacks.
/// - There must be two blocks of zeros at the end, and nothing but zeros after them.
///
/// Other names are taken as they are: they need not be UTF-8, and may hold escape sequences. Errors
/// show them escaped.
///
/// Memory is at most 64 KiB for an extended header, and the names and times of the directories
/// above the present entry.
#[derive(Debug)]
pub struct Unpack {
    decoder: Decoder,
    /// None after an error on this side.
    extractor: Option<Extractor>,
    staged: Staged,
}

impl Unpack {
    /// Begins to make a directory with this name. The stream may have at most `size` bytes, if that
    /// is known, and so may its files together.
    ///
    /// # Errors
    /// [`Error::Local`], also if something has this name and is not to be replaced.
    pub fn new(target: &Path, size: Option<u64>, options: UnpackOptions) -> Result<Self, Error> {
        let temporary = format!(".fss-{:016x}.tmp", SystemRng.next_u64());
        Self::with_temporary(target, temporary.as_ref(), size, options)
    }

    /// As [`Unpack::new`], with a temporary name of the caller's, who can so note it before there
    /// is anything of this name.
    ///
    /// # Errors
    /// As [`Unpack::new`]; also if something has the temporary name.
    pub fn with_temporary(
        target: &Path,
        temporary: &OsStr,
        size: Option<u64>,
        options: UnpackOptions,
    ) -> Result<Self, Error> {
        let (staged, tree) = Staged::new(target, temporary.to_owned(), options.replace)?;
        let extractor = Extractor::new(tree, options.outward_links)?;
        Ok(Self {
            decoder: Decoder::new(size.unwrap_or(u64::MAX)),
            extractor: Some(extractor),
            staged,
        })
    }

    /// Where the directory is until it has its name: what is to be removed if the program has to
    /// end before.
    pub fn temporary(&self) -> PathBuf {
        self.staged.path()
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Local`]. After an error there are only errors.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while let Some(event) = self.decoder.next(&mut bytes)? {
            let extractor = self.extractor.as_mut().ok_or_else(has_failed)?;
            let done = match event {
                Event::Entry(entry) => extractor.entry(entry),
                Event::Content(content) => extractor.content(content).map_err(ExtractError::Local),
                Event::FileEnd => extractor.end_file().map_err(ExtractError::Local),
            };
            match done {
                Ok(()) => {}
                Err(ExtractError::Damage(why)) => return Err(self.decoder.fail(why)),
                Err(ExtractError::Local(error)) => {
                    self.extractor = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Gives the directory its name. When this returns, the directory is durable.
    ///
    /// On Linux that syncs the file system that it is on, which is cheap for many small files, and
    /// waits for what other programs have written there too.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the stream is not at its end, and [`Error::Local`]. Nothing is left
    /// then.
    pub fn finish(mut self) -> Result<(), Error> {
        self.decoder.finish()?;
        self.extractor.take().ok_or_else(has_failed)?.finish()?;
        self.staged.publish()
    }
}

fn has_failed() -> Error {
    Error::local("go on unpacking", Path::new(""))(Errno::CANCELED)
}

/// As [`Unpack::take`]; the errors hold an [`Error`].
impl Write for Unpack {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
