//! Directories as tar streams, and compression: what was packed comes back, and nothing gets out of
//! where it belongs.

mod compression;
mod gnu;
mod hostile;
mod packing;
mod round_trips;

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use fss::archive::{Error, Pack, Unpack, UnpackOptions};
use tempfile::{TempDir, tempdir};

/// A directory to work in, and something in it that must stay as it is.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempdir().expect("a directory"));
        fs::create_dir(place.path("canary")).expect("it is new");
        fs::write(place.path("canary/secret"), "untouched").expect("it is ours");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// That there is nothing but what was there, and these.
    fn has_only(&self, names: &[&str]) {
        let entries = fs::read_dir(self.0.path()).expect("readable");
        let mut there: Vec<_> = entries.map(|entry| entry.expect("readable").file_name()).collect();
        there.sort();
        let mut expected: Vec<&str> = [&["canary"], names].concat();
        expected.sort_unstable();
        assert_eq!(there, expected);
        let canary = tree(&self.path("canary"));
        assert_eq!(canary.len(), 2, "{canary:?}");
        assert_eq!(canary[Path::new("secret")].content, b"untouched");
    }
}

/// Not all of what was made here can be removed as it is.
impl Drop for Place {
    fn drop(&mut self) {
        let mut paths = vec![self.0.path().to_owned()];
        while let Some(path) = paths.pop() {
            let _ = fs::set_permissions(&path, Permissions::from_mode(0o700));
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            paths.extend(
                entries
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
    }
}

/// What is kept of a thing in a directory.
#[derive(Debug, PartialEq, Eq)]
struct Thing {
    kind: char,
    mode: u32,
    mtime: (i64, i64),
    content: Vec<u8>,
}

/// All that is in a directory; the empty path is itself. The mode of a link has no meaning.
fn tree(root: &Path) -> BTreeMap<PathBuf, Thing> {
    let mut things = BTreeMap::new();
    let mut paths = vec![PathBuf::new()];
    while let Some(path) = paths.pop() {
        let there = root.join(&path);
        let metadata = there.symlink_metadata().expect("it is there");
        let (mode, mtime) = (metadata.mode() & 0o7777, (metadata.mtime(), metadata.mtime_nsec()));
        let thing = if metadata.is_dir() {
            paths.extend(
                fs::read_dir(&there)
                    .expect("readable")
                    .map(|entry| path.join(entry.expect("readable").file_name())),
            );
            Thing { kind: 'd', mode, mtime, content: Vec::new() }
        } else if metadata.is_symlink() {
            let target =
                fs::read_link(&there).expect("it is a link").into_os_string().into_encoded_bytes();
            Thing { kind: 'l', mode: 0, mtime, content: target }
        } else {
            Thing { kind: 'f', mode, mtime, content: fs::read(&there).expect("readable") }
        };
        things.insert(path, thing);
    }
    things
}

/// Sets mode and time, the time to the nanosecond.
fn mark(path: &Path, mode: u32, seconds: u64, nanoseconds: u32) {
    let file = File::open(path).expect("it is there");
    file.set_modified(UNIX_EPOCH + Duration::new(seconds, nanoseconds)).expect("it is ours");
    file.set_permissions(Permissions::from_mode(mode)).expect("it is ours");
}

fn pack(root: &Path) -> Vec<u8> {
    let mut pack = Pack::new(root).expect("it can be packed");
    let mut stream = Vec::new();
    pack.read_to_end(&mut stream).expect("it can be read");
    assert_eq!(stream.len() as u64, pack.total_size());
    assert!(pack.changed().is_empty());
    stream
}

/// Unpacks in pieces of some length.
fn unpack_cut(
    stream: &[u8],
    target: &Path,
    options: UnpackOptions,
    cut: usize,
) -> Result<(), Error> {
    let mut unpack = Unpack::new(target, Some(stream.len() as u64), options)?;
    stream.chunks(cut).try_for_each(|piece| unpack.take(piece))?;
    unpack.finish()
}

fn unpack(stream: &[u8], target: &Path) -> Result<(), Error> {
    unpack_cut(stream, target, UnpackOptions::default(), 65_536)
}

/// Bytes that look like nothing, the same for the same seed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// Modes come back as they were only where the umask keeps nothing back.
fn without_umask() {
    rustix::process::umask(rustix::fs::Mode::empty());
}
