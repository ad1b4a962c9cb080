//! Directories as tar streams: [`Pack`] reads one, [`Unpack`] makes one (`docs/protocol.md` §21.8).
//!
//! Both stream, in memory that does not depend on how many files there are nor on how large they
//! are. Every present tar reads what is packed, and what another tar has packed is unpacked if it
//! keeps the rules of [`Unpack`].
//!
//! ```
//! use std::io::{self, Write as _};
//! use fss::archive::{Pack, Unpack, UnpackOptions};
//!
//! # let place = tempfile::tempdir()?;
//! # let (from, to) = (place.path().join("from"), place.path().join("to"));
//! std::fs::create_dir(&from)?;
//! std::fs::write(from.join("notes.txt"), "a file")?;
//! let mut pack = Pack::new(&from)?;
//! let mut unpack = Unpack::new(&to, Some(pack.total_size()), UnpackOptions::default())?;
//! io::copy(&mut pack, &mut unpack)?;
//! unpack.finish()?;
//! assert_eq!(std::fs::read_to_string(to.join("notes.txt"))?, "a file");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decode;
mod entry;
mod error;
mod extended;
mod extract;
mod manifest;
mod names;
mod omission;
mod pack;
mod staged;
mod time;
mod tree;
mod unpack;
mod walk;

pub use error::{Damage, Error};
pub use manifest::Manifest;
pub use omission::{LeftOut, Omission};
pub use pack::Pack;
pub use unpack::{Unpack, UnpackOptions};

/// The longest name in a directory, in bytes.
pub const MAX_NAME: usize = 255;
/// The longest path within an archive, and the longest target of a link, in bytes.
pub const MAX_PATH: usize = 4095;
/// The most components of a path.
pub const MAX_DEPTH: usize = 256;

const BLOCK_LENGTH: usize = 512;
const BLOCK: u64 = BLOCK_LENGTH as u64;
/// Two blocks of zeros end an archive.
const END_LENGTH: usize = 2 * BLOCK_LENGTH;
const END: u64 = END_LENGTH as u64;
