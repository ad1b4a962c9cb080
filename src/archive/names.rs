//! Which names and link targets of an archive are accepted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Damage, MAX_DEPTH, MAX_NAME, MAX_PATH};

/// The path within the directory of a name in an archive; the empty path is the directory itself.
///
/// # Errors
/// [`Damage::Name`], [`Damage::NameTooLong`]
pub(super) fn path(name: &[u8]) -> Result<PathBuf, Damage> {
    if name.is_empty() || name.starts_with(b"/") || name.contains(&0) {
        return Err(Damage::Name);
    }
    let mut path = PathBuf::new();
    for component in components(name) {
        if component == b".." {
            return Err(Damage::Name);
        }
        if component.len() > MAX_NAME {
            return Err(Damage::NameTooLong);
        }
        path.push(OsStr::from_bytes(component));
    }
    if fits(&path) { Ok(path) } else { Err(Damage::NameTooLong) }
}

/// Whether a path is within the limits of an archive.
pub(super) fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= MAX_PATH && path.iter().count() <= MAX_DEPTH
}

/// Whether a symbolic link at this path certainly leads to a place within the directory.
///
/// `..` is accepted only at the beginning of its target. After a name it would depend on where that
/// name leads: two links that both look harmless can lead out together.
pub(super) fn stays_inside(place: &Path, target: &[u8]) -> bool {
    let mut names = components(target).peekable();
    let mut depth = place.iter().count().saturating_sub(1);
    while names.next_if_eq(&b"..".as_slice()).is_some() {
        match depth.checked_sub(1) {
            Some(above) => depth = above,
            None => return false,
        }
    }
    !target.starts_with(b"/") && names.all(|name| name != b"..")
}

fn components(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|&byte| byte == b'/').filter(|&component| !matches!(component, b"" | b"."))
}
