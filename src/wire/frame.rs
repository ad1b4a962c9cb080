//! Frames of FSS/2, the plaintext of records (`docs/protocol.md` §15). Those of FSS 1.0 are in
//! [`super::legacy_frame`].
//!
//! Parsing borrows from the record and copies nothing. The machines decide what a frame means.
//!
//! ```
//! use fss::wire::frame::{Arguments, Frame, write};
//! let record = write(b'R', &[b"OK"], &[("offset", b"65564")])?;
//! assert_eq!(record, b"R\0OK\0offset=65564\0");
//! let Frame::Other(b'R', arguments) = Frame::parse(&record)? else { panic!() };
//! assert_eq!(arguments.positional(), [b"OK"]);
//! assert_eq!(arguments.number("offset")?, Some(65564));
//! # Ok::<(), fss::wire::frame::InvalidFrame>(())
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most arguments of a frame.
pub const MAX_ARGUMENTS: usize = 32;

pub use crate::types::MAX_NUMBER;

/// A frame.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `F`: bytes of a file; an empty one ends it.
    Data(&'a [u8]),
    /// Any other flag, with its arguments.
    Other(u8, Arguments<'a>),
}

impl<'a> Frame<'a> {
    /// Bytes of a data frame before the data.
    pub const DATA_PREFIX: &'static [u8] = b"F\0";

    /// Reads the plaintext of a record.
    ///
    /// # Errors
    /// [`InvalidFrame`] if it is not a frame.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, InvalidFrame> {
        match plaintext {
            [b'F', 0, data @ ..] => Ok(Self::Data(data)),
            [flag, 0, arguments @ ..] if flag.is_ascii_alphabetic() => {
                Arguments::parse(arguments).map(|arguments| Self::Other(*flag, arguments))
            }
            _ => Err(InvalidFrame::NoFlag),
        }
    }
}

impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::Other(flag, arguments) => write!(f, "{}{arguments:?}", flag.escape_ascii()),
        }
    }
}

/// The arguments of a frame: positional ones, then named ones. `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Arguments<'a> {
    positional: Vec<&'a [u8]>,
    named: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Arguments<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, InvalidFrame> {
        let mut arguments = Self::default();
        if bytes.is_empty() {
            return Ok(arguments);
        }
        let bytes = bytes.strip_suffix(b"\0").ok_or(InvalidFrame::Unterminated)?;
        for (count, argument) in bytes.split(|&byte| byte == 0).enumerate() {
            if count >= MAX_ARGUMENTS {
                return Err(InvalidFrame::TooManyArguments);
            }
            match split_name(argument) {
                None if arguments.named.is_empty() => arguments.positional.push(argument),
                None => return Err(InvalidFrame::PositionalAfterNamed),
                Some((name, _)) if arguments.named.iter().any(|(there, _)| *there == name) => {
                    return Err(InvalidFrame::NameTwice);
                }
                Some(named) => arguments.named.push(named),
            }
        }
        Ok(arguments)
    }

    /// The positional arguments.
    pub fn positional(&self) -> &[&'a [u8]] {
        &self.positional
    }

    /// The named arguments, in their order.
    pub fn named(&self) -> &[(&'a str, &'a [u8])] {
        &self.named
    }

    /// The value of a name, as it is.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.named.iter().find(|(there, _)| *there == name).map(|(_, value)| *value)
    }

    /// The number of a name.
    ///
    /// # Errors
    /// [`InvalidFrame::Number`] if its value is not valid.
    pub fn number(&self, name: &str) -> Result<Option<u64>, InvalidFrame> {
        self.value(name).map(number).transpose()
    }

    /// The value of a name, exactly `N` bytes in base64.
    ///
    /// # Errors
    /// [`InvalidFrame::Base64`] if its value is not valid.
    pub fn bytes<const N: usize>(&self, name: &str) -> Result<Option<[u8; N]>, InvalidFrame> {
        self.value(name).map(from_base64).transpose()
    }

    /// The value of a name, any number of bytes in base64: the record bounds them.
    ///
    /// # Errors
    /// [`InvalidFrame::Base64`] if its value is not valid.
    pub fn base64(&self, name: &str) -> Result<Option<Vec<u8>>, InvalidFrame> {
        self.value(name)
            .map(|text| STANDARD.decode(text).map_err(|_| InvalidFrame::Base64))
            .transpose()
    }
}

impl std::fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.named.iter().map(|(name, _)| *name).collect();
        write!(f, "({} positional, {names:?})", self.positional.len())
    }
}

fn split_name(argument: &[u8]) -> Option<(&str, &[u8])> {
    let end = argument.iter().position(|&byte| !is_of_name(byte))?;
    let (name, value) = argument.split_at(end);
    let value = value.strip_prefix(b"=").filter(|_| end > 0)?;
    Some((std::str::from_utf8(name).ok()?, value))
}

/// Whether a name may have this character.
fn is_of_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

/// Reads a number: decimal, without sign or leading zero, at most 2^63 - 1.
///
/// # Errors
/// [`InvalidFrame::Number`] for anything else.
pub fn number(text: &[u8]) -> Result<u64, InvalidFrame> {
    let plain = match text {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let number =
        std::str::from_utf8(text).ok().filter(|_| plain).and_then(|text| text.parse().ok());
    number.filter(|&number| number <= MAX_NUMBER).ok_or(InvalidFrame::Number)
}

/// Reads exactly `N` bytes of canonical base64.
///
/// # Errors
/// [`InvalidFrame::Base64`] for anything else.
pub fn from_base64<const N: usize>(text: &[u8]) -> Result<[u8; N], InvalidFrame> {
    let wanted = N.div_ceil(3) * 4;
    let bytes = if text.len() == wanted { STANDARD.decode(text).ok() } else { None };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidFrame::Base64)
}

/// Writes bytes in base64, as frames have them.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Writes a frame other than data.
///
/// # Errors
/// [`InvalidFrame`] if it would be parsed as something else.
pub fn write(
    flag: u8,
    positional: &[&[u8]],
    named: &[(&str, &[u8])],
) -> Result<Vec<u8>, InvalidFrame> {
    // `F` is the flag of data, which has no arguments.
    if !flag.is_ascii_alphabetic() || flag == b'F' {
        return Err(InvalidFrame::NoFlag);
    }
    if positional.len() + named.len() > MAX_ARGUMENTS {
        return Err(InvalidFrame::TooManyArguments);
    }
    let mut frame = vec![flag, 0];
    for &argument in positional {
        if argument.contains(&0) || split_name(argument).is_some() {
            return Err(InvalidFrame::NulInArgument);
        }
        frame.extend_from_slice(argument);
        frame.push(0);
    }
    for (index, &(name, value)) in named.iter().enumerate() {
        if name.is_empty() || !name.bytes().all(is_of_name) || value.contains(&0) {
            return Err(InvalidFrame::NulInArgument);
        }
        if named[..index].iter().any(|&(there, _)| there == name) {
            return Err(InvalidFrame::NameTwice);
        }
        frame.extend_from_slice(name.as_bytes());
        frame.push(b'=');
        frame.extend_from_slice(value);
        frame.push(0);
    }
    Ok(frame)
}

/// Why a record is not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFrame {
    /// It does not begin with a letter and NUL.
    #[error("it does not begin with a flag")]
    NoFlag,
    /// Its last argument is not ended by NUL.
    #[error("its last argument does not end")]
    Unterminated,
    /// It has more than 32 arguments.
    #[error("it has more than {MAX_ARGUMENTS} arguments")]
    TooManyArguments,
    /// A positional argument comes after a named one.
    #[error("a positional argument comes after a named one")]
    PositionalAfterNamed,
    /// A name is duplicated.
    #[error("a name is duplicated")]
    NameTwice,
    /// An argument is not a number in its one encoding.
    #[error("an argument is not a number")]
    Number,
    /// An argument is not canonical base64 of the right length.
    #[error("an argument is not base64 of the right length")]
    Base64,
    /// An argument to be encoded contains NUL, or would be parsed as another one.
    #[error("an argument cannot be written")]
    NulInArgument,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_has_its_own_error() {
        let many = [b"R\0".as_slice(), &b"x\0".repeat(33)].concat();
        for (plaintext, error) in [
            (b"".as_slice(), InvalidFrame::NoFlag),
            (b"R", InvalidFrame::NoFlag),
            (b"1\0", InvalidFrame::NoFlag),
            (b"R\0OK", InvalidFrame::Unterminated),
            (b"R\0a=1\0OK\0", InvalidFrame::PositionalAfterNamed),
            (b"R\0a=1\0b=2\0a=1\0", InvalidFrame::NameTwice),
            (&many, InvalidFrame::TooManyArguments),
        ] {
            assert_eq!(Frame::parse(plaintext), Err(error), "{plaintext:?}");
        }
        for flag in [b'F', b'5'] {
            assert!(write(flag, &[b"x"], &[]).is_err());
        }
        assert_eq!(write(b'N', &[b"a\0b"], &[]), Err(InvalidFrame::NulInArgument));
        assert_eq!(
            write(b'N', &[b"a=b"], &[]),
            Err(InvalidFrame::NulInArgument),
            "it would be read as a named one"
        );
        assert!(write(b'N', &[b"A=b"], &[]).is_ok(), "names have no capitals");
    }

    /// Only what is parsed as what it was is written, and all of that.
    #[test]
    fn what_is_written_is_parsed_as_the_same() {
        let values = [&b""[..], b"x", b"=", b"a=b", b"A=b", b"\0"];
        let names = ["", "a", "b-1", "A", "a=", "a\0", "\u{e4}"];
        let one = || values.map(|value| vec![value]);
        let two = values.iter().flat_map(|&first| values.map(|second| vec![first, second]));
        let many = [vec![], vec![&b"x"[..]; MAX_ARGUMENTS], vec![&b"x"[..]; MAX_ARGUMENTS + 1]];
        let alone = names.iter().flat_map(|&name| values.map(|value| vec![(name, value)]));
        let pairs = names.iter().flat_map(|&name| names.map(|other| [name, other]));
        let pairs = pairs.map(|pair| pair.map(|name| (name, &b"v"[..])).to_vec());
        let all_named: Vec<_> = std::iter::once(vec![]).chain(alone).chain(pairs).collect();
        for positional in one().into_iter().chain(two).chain(many) {
            for named in &all_named {
                for flag in [b'R', b'F', b'5'] {
                    let mut frame = vec![flag, 0];
                    for argument in &positional {
                        frame.extend([argument, &b"\0"[..]].concat());
                    }
                    for (name, value) in named {
                        frame.extend([name.as_bytes(), b"=", value, b"\0"].concat());
                    }
                    let is_same = Frame::parse(&frame)
                        == Ok(Frame::Other(
                            flag,
                            Arguments { positional: positional.clone(), named: named.clone() },
                        ));
                    assert_eq!(write(flag, &positional, named).ok(), is_same.then_some(frame));
                }
            }
        }
    }

    #[test]
    fn there_is_one_way_to_write_a_number() {
        for (text, value) in [("0", 0), ("7", 7), ("9223372036854775807", MAX_NUMBER)] {
            assert_eq!(number(text.as_bytes()), Ok(value));
        }
        for text in [
            "",
            "00",
            "07",
            "+7",
            "-7",
            " 7",
            "7 ",
            "0x7",
            "9223372036854775808",
            "99999999999999999999",
            "٣",
        ] {
            assert_eq!(number(text.as_bytes()), Err(InvalidFrame::Number), "{text:?}");
        }
    }
}
