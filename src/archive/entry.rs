//! The entries of an archive and their encoding: a `ustar` header, with an extended one of POSIX
//! before it for what does not fit.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::Mode;
use tar::{EntryType, Header};

use super::extended;
use super::time::Mtime;
use super::{BLOCK, BLOCK_LENGTH};

/// An entry of a directory, or the directory itself.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Relative to the directory, which is the empty path.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// [`PERMISSIONS`] only.
    pub(super) mode: Mode,
    pub(super) mtime: Mtime,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    File { size: u64 },
    Directory,
    Link { target: PathBuf },
}

/// The bits of a mode that are kept: not those that give rights to the user who runs a file
/// (setuid, setgid).
pub(super) const PERMISSIONS: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);

impl Entry {
    /// Bytes of content.
    pub(super) fn size(&self) -> u64 {
        if let Kind::File { size } = self.kind { size } else { 0 }
    }

    /// Bytes that the entry takes in an archive beyond its headers.
    pub(super) fn stored(&self) -> u64 {
        self.size().next_multiple_of(BLOCK)
    }

    /// The headers of the entry.
    pub(super) fn headers(&self) -> Vec<u8> {
        let path =
            if self.path.as_os_str().is_empty() { b"." } else { self.path.as_os_str().as_bytes() };
        let (kind, target) = match &self.kind {
            Kind::File { .. } => (EntryType::Regular, None),
            Kind::Directory => (EntryType::Directory, None),
            Kind::Link { target } => (EntryType::Symlink, Some(target.as_os_str().as_bytes())),
        };
        let mut header = Header::new_ustar();
        let mut records = Vec::new();
        if !put(&mut header.as_old_mut().name, path) {
            extended::write(&mut records, "path", path);
        }
        if let Some(target) = target
            && !put(&mut header.as_old_mut().linkname, target)
        {
            extended::write(&mut records, "linkpath", target);
        }
        if let Some(seconds) = self.mtime.plain() {
            header.set_mtime(seconds);
        } else {
            extended::write(&mut records, "mtime", self.mtime.to_string().as_bytes());
        }
        // Above 8 GiB in binary, which every tar reads.
        let header = finished(header, kind, self.mode, self.size());
        if records.is_empty() {
            return header.to_vec();
        }
        let mut extension = Header::new_ustar();
        put(&mut extension.as_old_mut().name, b"././@PaxHeader");
        let mut headers =
            finished(extension, EntryType::XHeader, Mode::RUSR | Mode::WUSR, records.len() as u64)
                .to_vec();
        headers.append(&mut records);
        headers.resize(headers.len().next_multiple_of(BLOCK_LENGTH), 0);
        headers.extend(header);
        headers
    }
}

/// Fills a field with as much of the value as fits; returns whether all of it did.
fn put(field: &mut [u8], value: &[u8]) -> bool {
    let fits = value.len().min(field.len());
    field[..fits].copy_from_slice(&value[..fits]);
    fits == value.len()
}

// The type of a mode is not the same everywhere.
#[allow(clippy::useless_conversion)]
fn finished(mut header: Header, kind: EntryType, mode: Mode, size: u64) -> [u8; BLOCK_LENGTH] {
    header.set_entry_type(kind);
    header.set_mode(mode.bits().into());
    // Owners are not stored: where it is unpacked they would be other users, or none.
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}
