//! Disk space: whether a download fits, and whether its size is plausible. A few compressed bytes
//! can decompress to as many as the disk has.

use std::path::Path;

use rustix::fs::statvfs;

use crate::client::output::parent;
use crate::terminal::failure::{Failure, code};

/// What becomes larger than this, and that many times what it is on the server, is what somebody
/// must want: text compresses to a tenth or a twentieth.
const LARGE: u64 = 1 << 30;
const FAR_MORE: u64 = 32;
/// An entry of an archive has 512 bytes, and may be a directory, which takes a block of 4 KiB.
const ENTRY: u64 = 8;

/// Refuses what has more bytes than are free where it is to be.
pub fn check_free(path: &Path, bytes: u64) -> Result<(), Failure> {
    // A file system that does not say what it has is written to.
    let Some(free) = statvfs(parent(path)).ok().filter(|there| there.f_blocks > 0) else {
        return Ok(());
    };
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    if bytes <= free {
        return Ok(());
    }
    let what = format!("cannot write {}", path.display());
    let why = format!("it has {bytes} bytes, and {free} are free there");
    Err(Failure::new(
        code::NO_ROOM,
        what,
        why,
        "make room on the disk, or -o with a place that has it",
    ))
}

/// Whether somebody should be asked before so many bytes, be they an archive or not, are made of
/// those that are sent.
pub fn is_suspicious(becomes: u64, is_archive: bool, sent: u64) -> bool {
    let on_disk = if is_archive { becomes.saturating_mul(ENTRY) } else { becomes };
    on_disk > LARGE && becomes / FAR_MORE > sent
}
