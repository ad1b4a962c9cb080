//! A digest that detects changes of a directory, for resuming its upload (`docs/protocol.md`
//! §17.15).

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::walk::Found;

/// A digest over place, kind, device, inode, size, times, mode and link target of all that is
/// packed. An archive made while it is the same, by the same version of this library, has the same
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Manifest([u8; 32]);

/// In lower-case hex, to be noted with an upload.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manifest({self})")
    }
}

/// Incremented whenever the same directory would be packed to other bytes.
const VERSION: &[u8] = b"fss archive 1";

/// Computes a manifest.
pub(super) struct Digest(blake3::Hasher);

impl Digest {
    pub(super) fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(VERSION);
        Self(hasher)
    }

    pub(super) fn add(&mut self, found: &Found) {
        let stat = &found.stat;
        self.add_path(&found.path);
        self.0.update(&stat.st_mode.to_le_bytes());
        self.0.update(&stat.st_dev.to_le_bytes());
        self.0.update(&stat.st_ino.to_le_bytes());
        self.0.update(&stat.st_size.to_le_bytes());
        self.0.update(&stat.st_mtime.to_le_bytes());
        self.0.update(&stat.st_mtime_nsec.to_le_bytes());
        self.0.update(&stat.st_ctime.to_le_bytes());
        self.0.update(&stat.st_ctime_nsec.to_le_bytes());
        self.add_path(found.target.as_deref().unwrap_or(Path::new("")));
    }

    fn add_path(&mut self, path: &Path) {
        let bytes = path.as_os_str().as_bytes();
        self.0.update(&bytes.len().to_le_bytes());
        self.0.update(bytes);
    }

    pub(super) fn finish(&self) -> Manifest {
        Manifest(*self.0.finalize().as_bytes())
    }
}
