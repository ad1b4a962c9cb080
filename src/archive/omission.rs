//! What is omitted when a directory is packed.

use std::io;
use std::path::PathBuf;

/// Something in a directory that is not packed.
#[derive(Debug)]
pub struct LeftOut {
    /// Where it is, relative to the directory.
    pub path: PathBuf,
    /// Why it is not packed.
    pub why: Omission,
}

/// Why something is not packed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Omission {
    /// It is a socket, a pipe or a device.
    Kind,
    /// It is the directory that the caller excluded.
    Excluded,
    /// It cannot be read, or its path is beyond [`super::MAX_PATH`] or [`super::MAX_DEPTH`].
    Unreadable(io::Error),
}
