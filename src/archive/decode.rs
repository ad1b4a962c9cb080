//! Parses a tar stream, however it is divided: `ustar`, POSIX and GNU.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, RawMode};
use tar::{EntryType, Header};

use super::entry::{Entry, Kind, PERMISSIONS};
use super::extended::Overrides;
use super::time::Mtime;
use super::{BLOCK, BLOCK_LENGTH, Damage, END, Error, MAX_PATH, names};

/// The most bytes of an extended header.
const MAX_EXTENSION: u64 = 64 * 1024;

/// The events of an archive, in its order.
#[derive(Debug)]
pub(super) enum Event<'b> {
    /// An entry. The content of a file is next.
    Entry(Entry),
    /// Some content of the current file.
    Content(&'b [u8]),
    /// The current file is complete.
    FileEnd,
}

#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// What is collected: a header, or an extension.
    buffer: Vec<u8>,
    overrides: Overrides,
    /// Bytes that may still come.
    left: u64,
    /// What errors name.
    at: PathBuf,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    Extension {
        kind: Extension,
        left: u64,
        padding: u64,
    },
    Content {
        left: u64,
        padding: u64,
    },
    Padding {
        left: u64,
    },
    End {
        zeros: u64,
    },
    /// Nothing is accepted after an error.
    Failed(Damage),
}

#[derive(Clone, Copy, Debug)]
enum Extension {
    Next,
    All,
    GnuName,
    GnuTarget,
}

impl Decoder {
    /// A decoder for a stream of at most `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        let (buffer, overrides) = (Vec::new(), Overrides::default());
        Self { state: State::Header, buffer, overrides, left: limit, at: PathBuf::from(".") }
    }

    /// The next event, or `None` if the input is used up. After an error it returns the same error.
    pub(super) fn next<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<Event<'b>>, Error> {
        self.step(input).map_err(|why| self.fail(why))
    }

    /// Checks that the archive is complete.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match self.state {
            State::End { zeros } if zeros >= END => Ok(()),
            State::Failed(why) => Err(self.fail(why)),
            _ => Err(self.fail(Damage::Truncated)),
        }
    }

    /// The error for the present entry.
    pub(super) fn fail(&mut self, why: Damage) -> Error {
        self.state = State::Failed(why);
        Error::Damaged { at: self.at.clone(), why }
    }

    fn step<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<Event<'b>>, Damage> {
        loop {
            match self.state {
                State::Content { left: 0, padding } => {
                    self.state = State::Padding { left: padding };
                    return Ok(Some(Event::FileEnd));
                }
                State::Padding { left: 0 } => self.state = State::Header,
                State::Extension { kind, left: 0, padding } => {
                    self.state = State::Padding { left: padding };
                    let extension = std::mem::take(&mut self.buffer);
                    self.extend(kind, extension)?;
                }
                State::Failed(why) => return Err(why),
                _ if input.is_empty() => return Ok(None),
                State::Header => {
                    let wanted = BLOCK_LENGTH - self.buffer.len();
                    let bytes = self.take(input, wanted as u64)?;
                    self.buffer.extend_from_slice(bytes);
                    if self.buffer.len() == BLOCK_LENGTH {
                        let block = std::mem::take(&mut self.buffer);
                        if let Some(entry) = self.header(Header::from_byte_slice(&block))? {
                            return Ok(Some(Event::Entry(entry)));
                        }
                    }
                }
                State::Extension { kind, left, padding } => {
                    let bytes = self.take(input, left)?;
                    self.buffer.extend_from_slice(bytes);
                    self.state =
                        State::Extension { kind, left: left - bytes.len() as u64, padding };
                }
                State::Content { left, padding } => {
                    let bytes = self.take(input, left)?;
                    self.state = State::Content { left: left - bytes.len() as u64, padding };
                    return Ok(Some(Event::Content(bytes)));
                }
                State::Padding { left } => {
                    let bytes = self.take(input, left)?;
                    self.state = State::Padding { left: left - bytes.len() as u64 };
                }
                State::End { zeros } => {
                    let bytes = self.take(input, u64::MAX)?;
                    if bytes.iter().any(|&byte| byte != 0) {
                        return Err(Damage::TrailingData);
                    }
                    self.state = State::End { zeros: zeros.saturating_add(bytes.len() as u64) };
                }
            }
        }
    }

    /// Takes at most `most` bytes of the input.
    fn take<'b>(&mut self, input: &mut &'b [u8], most: u64) -> Result<&'b [u8], Damage> {
        let count = usize::try_from(most).map_or(input.len(), |most| most.min(input.len()));
        let (bytes, rest) = input.split_at(count);
        self.left = self.left.checked_sub(count as u64).ok_or(Damage::TooLarge)?;
        *input = rest;
        Ok(bytes)
    }

    /// Reads a header, and sets the state for what follows it.
    fn header(&mut self, header: &Header) -> Result<Option<Entry>, Damage> {
        let block = header.as_bytes();
        if block.iter().all(|&byte| byte == 0) {
            if !self.overrides.is_empty() {
                return Err(Damage::ExtendedHeader);
            }
            self.state = State::End { zeros: BLOCK };
            return Ok(None);
        }
        check(header)?;
        let size = size(header)?;
        let extension = match header.entry_type() {
            EntryType::XHeader => Extension::Next,
            EntryType::XGlobalHeader => Extension::All,
            EntryType::GNULongName => Extension::GnuName,
            EntryType::GNULongLink => Extension::GnuTarget,
            _ => return self.entry(header, size).map(Some),
        };
        if size > MAX_EXTENSION {
            return Err(Damage::ExtendedHeader);
        }
        self.state = State::Extension { kind: extension, left: size, padding: padding(size) };
        Ok(None)
    }

    fn extend(&mut self, kind: Extension, mut bytes: Vec<u8>) -> Result<(), Damage> {
        match kind {
            Extension::Next => return self.overrides.read(&bytes),
            Extension::All => {
                // Others only use them for what does not matter here.
                let mut global = Overrides::default();
                global.read(&bytes)?;
                return if global.is_empty() { Ok(()) } else { Err(Damage::ExtendedHeader) };
            }
            Extension::GnuName | Extension::GnuTarget => {}
        }
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        if let Extension::GnuName = kind {
            self.overrides.path = Some(bytes);
        } else {
            self.overrides.target = Some(bytes);
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header, size: u64) -> Result<Entry, Damage> {
        let Overrides { path, target, size: larger, mtime } = std::mem::take(&mut self.overrides);
        let name = path.unwrap_or_else(|| header.path_bytes().into_owned());
        self.at = OsString::from_vec(name[..name.len().min(MAX_PATH)].to_vec()).into();
        let size = larger.unwrap_or(size);
        if size > self.left {
            return Err(Damage::TooLarge);
        }
        let kind = match header.entry_type() {
            // A directory in the format before there was a type for them.
            EntryType::Regular if name.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File { size },
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Link { target: link_target(header, target)? },
            EntryType::Link => return Err(Damage::HardLink),
            EntryType::GNUSparse => return Err(Damage::Sparse),
            other => return Err(Damage::Kind(other.as_byte())),
        };
        let path = names::path(&name)?;
        let is_root = path == Path::new("");
        match kind {
            Kind::File { .. } | Kind::Link { .. } if is_root => return Err(Damage::Name),
            Kind::File { .. } => self.state = State::Content { left: size, padding: padding(size) },
            _ if size > 0 => return Err(Damage::Content),
            _ => {}
        }
        // A binary time may be negative; `tar` returns the same bits.
        let plain = || Some(Mtime { seconds: header.mtime().ok()?.cast_signed(), nanoseconds: 0 });
        let mtime = mtime.or_else(plain).ok_or(Damage::Number)?;
        Ok(Entry { path, kind, mode: mode(header)? & PERMISSIONS, mtime })
    }
}

fn link_target(header: &Header, longer: Option<Vec<u8>>) -> Result<PathBuf, Damage> {
    let target = longer.or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
    if target.is_empty() || target.contains(&0) {
        return Err(Damage::Name);
    }
    if target.len() > MAX_PATH {
        return Err(Damage::NameTooLong);
    }
    Ok(OsString::from_vec(target).into())
}

fn check(header: &Header) -> Result<(), Damage> {
    let mut right = header.clone();
    right.set_cksum();
    match (header.cksum(), right.cksum()) {
        (Ok(there), Ok(right)) if there == right => Ok(()),
        _ => Err(Damage::NotAHeader),
    }
}

fn size(header: &Header) -> Result<u64, Damage> {
    let field = &header.as_old().size;
    // A binary size has 95 bits and a sign, of which `tar` reads the lower 64.
    if field[0] & 0x80 != 0 && field[..4] != [0x80, 0, 0, 0] {
        return Err(Damage::Number);
    }
    header.entry_size().map_err(|_| Damage::Number)
}

// The type of a mode is not the same everywhere.
#[allow(clippy::unnecessary_fallible_conversions)]
fn mode(header: &Header) -> Result<Mode, Damage> {
    let bits = header.mode().map_err(|_| Damage::Number)? & 0o7777;
    RawMode::try_from(bits).map(Mode::from_raw_mode).map_err(|_| Damage::Number)
}

/// The padding of the last block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}
