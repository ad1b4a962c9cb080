//! Frames: the plaintext of a message, `FLAG 00 ARG 00 [ARG 00]` (`docs/protocol.md` §4).
//!
//! Parsing borrows from the message and copies nothing. The machines decide what a frame means and
//! whether an argument is acceptable.
//!
//! ```
//! use fss::wire::legacy_frame::ClientFrame;
//! let frame = ClientFrame::parse(b"D\0092071145115023\0secret\0")?;
//! assert_eq!(frame, ClientFrame::Download { cookie: b"092071145115023", password: Some(b"secret") });
//! # Ok::<(), fss::wire::legacy_frame::InvalidLegacyFrame>(())
//! ```

use super::frame_kind::FrameKind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use crate::format::legacy_content::CHUNK;

/// In the place of a chunk, it ends the file: three characters, so never base64.
const FINISH: &[u8] = b"FIN";
const OK: &[u8] = b"OK";
const APPROVED: &[u8] = b"Approved";

/// A frame that a client sends. `Debug` shows neither password nor cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// `U`: asks to store a file under a password.
    Upload {
        /// The password, in clear: that is FSS 1.0.
        password: &'a [u8],
    },
    /// `D`: asks for a file.
    Download {
        /// The cookie, unchecked.
        cookie: &'a [u8],
        /// The password; it may be missing, and is then wrong.
        password: Option<&'a [u8]>,
    },
    /// `F`: a chunk of the file.
    Chunk(Base64<'a>),
    /// `F FIN`: the file is complete.
    Finish,
    /// `D OK`: a chunk, or the end, has been received.
    Received,
    /// `E`: what went wrong; the connection closes.
    Error {
        /// Text for people.
        details: &'a [u8],
    },
}

/// A frame that a server sends. `Debug` shows no cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ServerFrame<'a> {
    /// `R COOKIE`: an upload may begin, and this will be the file's cookie.
    Accepted {
        /// The cookie, unchecked.
        cookie: &'a [u8],
    },
    /// `R OK`: a chunk, or the end, has been received.
    Received,
    /// `S Approved`: the password is right and the file follows.
    Approved,
    /// `F`: a chunk of the file as it is stored.
    Chunk(Base64<'a>),
    /// `F FIN`: the file is complete.
    Finish,
    /// `E`: what went wrong; the connection closes.
    Error {
        /// Text for people.
        details: &'a [u8],
    },
}

/// The base64 text of a chunk: standard alphabet, padded, canonical, of at most 1024 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Base64<'a>(&'a [u8]);

impl<'a> Base64<'a> {
    /// The longest text of a chunk.
    pub const MAX_LENGTH: usize = CHUNK.div_ceil(3) * 4;

    /// Writes the chunk's bytes into `chunk` and returns how many they are.
    ///
    /// # Errors
    /// [`InvalidLegacyFrame::Base64`] if the text is not base64 as above, or of more than 1024 bytes.
    pub fn decode(self, chunk: &mut [u8; CHUNK]) -> Result<usize, InvalidLegacyFrame> {
        // A text of 1368 characters may encode 1026 bytes, for which the slice is too short.
        STANDARD.decode_slice(self.0, chunk).map_err(|_| InvalidLegacyFrame::Base64)
    }

    /// Encodes up to 1024 bytes into `text`, which it clears first.
    ///
    /// # Errors
    /// [`InvalidLegacyFrame::ArgumentTooLong`] if there are more.
    pub fn encode(chunk: &[u8], text: &'a mut String) -> Result<Self, InvalidLegacyFrame> {
        if chunk.len() > CHUNK {
            return Err(InvalidLegacyFrame::ArgumentTooLong);
        }
        text.clear();
        STANDARD.encode_string(chunk, text);
        Ok(Self(text.as_bytes()))
    }
}

impl std::fmt::Debug for Base64<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base64({} characters)", self.0.len())
    }
}

impl std::fmt::Debug for ServerFrame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerFrame({})", self.kind())
    }
}

impl std::fmt::Debug for ClientFrame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientFrame({})", self.kind())
    }
}

/// What is wrong with the plaintext of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLegacyFrame {
    /// An empty message.
    #[error("it is empty")]
    Empty,
    /// A flag that this side does not receive.
    #[error("its flag is unknown")]
    UnknownFlag,
    /// The last argument is not ended by NUL.
    #[error("its last argument is not ended")]
    Unterminated,
    /// Fewer arguments than the flag needs.
    #[error("an argument is missing")]
    MissingArgument,
    /// More arguments than the flag has.
    #[error("it has too many arguments")]
    ExtraArgument,
    /// An argument longer than the protocol allows.
    #[error("an argument is too long")]
    ArgumentTooLong,
    /// An argument with a NUL in it cannot be written.
    #[error("an argument contains NUL")]
    NulInArgument,
    /// A chunk that is not canonical base64 of at most 1024 bytes.
    #[error("its chunk is not base64 of at most 1024 bytes")]
    Base64,
    /// An argument that must be one of a few words is another.
    #[error("an argument is none of the words allowed")]
    UnknownWord,
}

/// The arguments of a frame, none of which contains NUL.
struct Arguments<'a> {
    first: &'a [u8],
    second: Option<&'a [u8]>,
}

impl<'a> Arguments<'a> {
    fn only(self) -> Result<&'a [u8], InvalidLegacyFrame> {
        match self.second {
            None => Ok(self.first),
            Some(_) => Err(InvalidLegacyFrame::ExtraArgument),
        }
    }
}

/// Splits a frame with one of the `flags`. No frame has more than two arguments.
fn split<'a>(plaintext: &'a [u8], flags: &[u8]) -> Result<(u8, Arguments<'a>), InvalidLegacyFrame> {
    let (flag, rest) = match plaintext {
        [] => return Err(InvalidLegacyFrame::Empty),
        [flag, rest @ ..] if !flags.contains(flag) || rest.first().is_some_and(|&end| end != 0) => {
            return Err(InvalidLegacyFrame::UnknownFlag);
        }
        [_] => return Err(InvalidLegacyFrame::MissingArgument),
        [flag, _, rest @ ..] => (*flag, rest),
    };
    let rest = match rest {
        [] => return Err(InvalidLegacyFrame::MissingArgument),
        [body @ .., 0] => body,
        // Clients of 2019 omit the last NUL of this one frame.
        b"OK" if flag == b'D' => rest,
        _ => return Err(InvalidLegacyFrame::Unterminated),
    };
    let mut arguments = rest.split(|&byte| byte == 0);
    let arguments = (arguments.next(), arguments.next(), arguments.next());
    match arguments {
        (Some(first), second, None) => Ok((flag, Arguments { first, second })),
        _ => Err(InvalidLegacyFrame::ExtraArgument),
    }
}

fn chunk_or_finish<'a, F>(
    argument: &'a [u8],
    chunk: impl FnOnce(Base64<'a>) -> F,
    finish: F,
) -> Result<F, InvalidLegacyFrame> {
    match argument {
        FINISH => Ok(finish),
        text if text.len() > Base64::MAX_LENGTH => Err(InvalidLegacyFrame::ArgumentTooLong),
        text => Ok(chunk(Base64(text))),
    }
}

impl<'a> ClientFrame<'a> {
    /// Reads the plaintext of a message from a client.
    ///
    /// # Errors
    /// [`InvalidLegacyFrame`] for anything that is not exactly one frame of the table in §4.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, InvalidLegacyFrame> {
        let (flag, arguments) = split(plaintext, b"UDFE")?;
        match flag {
            b'U' => Ok(Self::Upload { password: arguments.only()? }),
            b'D' => Ok(match (arguments.first, arguments.second) {
                (OK, None) => Self::Received,
                (cookie, password) => Self::Download { cookie, password },
            }),
            b'F' => chunk_or_finish(arguments.only()?, Self::Chunk, Self::Finish),
            b'E' => Ok(Self::Error { details: arguments.only()? }),
            _ => Err(InvalidLegacyFrame::UnknownFlag),
        }
    }

    /// Appends the frame to `plaintext`.
    ///
    /// # Errors
    /// [`InvalidLegacyFrame::NulInArgument`] if an argument contains NUL.
    pub fn encode(&self, plaintext: &mut Vec<u8>) -> Result<(), InvalidLegacyFrame> {
        match *self {
            Self::Upload { password } => join(plaintext, b'U', &[password]),
            Self::Download { cookie, password: None } => join(plaintext, b'D', &[cookie]),
            Self::Download { cookie, password: Some(password) } => {
                join(plaintext, b'D', &[cookie, password])
            }
            Self::Chunk(Base64(text)) => join(plaintext, b'F', &[text]),
            Self::Finish => join(plaintext, b'F', &[FINISH]),
            Self::Received => join(plaintext, b'D', &[OK]),
            Self::Error { details } => join(plaintext, b'E', &[details]),
        }
    }

    /// What it is, for errors and logs.
    pub fn kind(&self) -> FrameKind {
        match self {
            Self::Upload { .. } | Self::Download { .. } => FrameKind::Request,
            Self::Chunk(_) => FrameKind::Data,
            Self::Finish => FrameKind::EndOfFile,
            Self::Received => FrameKind::Acknowledgement,
            Self::Error { .. } => FrameKind::Error,
        }
    }
}

impl<'a> ServerFrame<'a> {
    /// Reads the plaintext of a message from a server.
    ///
    /// # Errors
    /// [`InvalidLegacyFrame`] for anything that is not exactly one frame of the table in §4.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, InvalidLegacyFrame> {
        let (flag, arguments) = split(plaintext, b"RSFE")?;
        let argument = arguments.only()?;
        match (flag, argument) {
            (b'R', OK) => Ok(Self::Received),
            (b'R', cookie) => Ok(Self::Accepted { cookie }),
            (b'S', APPROVED) => Ok(Self::Approved),
            (b'S', _) => Err(InvalidLegacyFrame::UnknownWord),
            (b'F', argument) => chunk_or_finish(argument, Self::Chunk, Self::Finish),
            (b'E', details) => Ok(Self::Error { details }),
            _ => Err(InvalidLegacyFrame::UnknownFlag),
        }
    }

    /// Appends the frame to `plaintext`.
    ///
    /// # Errors
    /// [`InvalidLegacyFrame::NulInArgument`] if an argument contains NUL.
    pub fn encode(&self, plaintext: &mut Vec<u8>) -> Result<(), InvalidLegacyFrame> {
        match *self {
            Self::Accepted { cookie } => join(plaintext, b'R', &[cookie]),
            Self::Received => join(plaintext, b'R', &[OK]),
            Self::Approved => join(plaintext, b'S', &[APPROVED]),
            Self::Chunk(Base64(text)) => join(plaintext, b'F', &[text]),
            Self::Finish => join(plaintext, b'F', &[FINISH]),
            Self::Error { details } => join(plaintext, b'E', &[details]),
        }
    }

    /// What it is, for errors and logs.
    pub fn kind(&self) -> FrameKind {
        match self {
            Self::Accepted { .. } => FrameKind::Cookie,
            Self::Received => FrameKind::Acknowledgement,
            Self::Approved => FrameKind::Approval,
            Self::Chunk(_) => FrameKind::Data,
            Self::Finish => FrameKind::EndOfFile,
            Self::Error { .. } => FrameKind::Error,
        }
    }
}

fn join(plaintext: &mut Vec<u8>, flag: u8, arguments: &[&[u8]]) -> Result<(), InvalidLegacyFrame> {
    if arguments.iter().any(|argument| argument.contains(&0)) {
        return Err(InvalidLegacyFrame::NulInArgument);
    }
    plaintext.extend_from_slice(&[flag, 0]);
    for argument in arguments {
        plaintext.extend_from_slice(argument);
        plaintext.push(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to get a frame wrong has an error of its own.
    #[test]
    fn each_mistake_has_its_own_error() {
        let long = [b"F\0".as_slice(), &[b'A'; 1372], b"\0"].concat();
        for (plaintext, error) in [
            (b"".as_slice(), InvalidLegacyFrame::Empty),
            (b"Q\0x\0", InvalidLegacyFrame::UnknownFlag),
            (b"H\0FSS/2\0share=AAAA\0secret=AAAA\0", InvalidLegacyFrame::UnknownFlag),
            (b"Q", InvalidLegacyFrame::UnknownFlag),
            (b"Up\0x\0", InvalidLegacyFrame::UnknownFlag),
            (b"U\0x", InvalidLegacyFrame::Unterminated),
            (b"D\0OK\0extra", InvalidLegacyFrame::Unterminated),
            (b"U", InvalidLegacyFrame::MissingArgument),
            (b"U\0", InvalidLegacyFrame::MissingArgument),
            (b"U\0a\0b\0", InvalidLegacyFrame::ExtraArgument),
            (b"D\0a\0b\0c\0", InvalidLegacyFrame::ExtraArgument),
            (&long, InvalidLegacyFrame::ArgumentTooLong),
        ] {
            assert_eq!(ClientFrame::parse(plaintext), Err(error), "{plaintext:?}");
        }
        assert_eq!(ServerFrame::parse(b"S\0Denied\0"), Err(InvalidLegacyFrame::UnknownWord));
        let mut out = Vec::new();
        assert_eq!(
            ClientFrame::Upload { password: b"a\0b" }.encode(&mut out),
            Err(InvalidLegacyFrame::NulInArgument)
        );
        assert!(out.is_empty());
    }

    #[test]
    fn base64_is_canonical_and_short() {
        let mut chunk = [0; CHUNK];
        let longest = STANDARD.encode([7; CHUNK]);
        assert_eq!(Base64(longest.as_bytes()).decode(&mut chunk), Ok(CHUNK));
        let too_long = STANDARD.encode([7; CHUNK + 1]);
        assert_eq!(too_long.len(), longest.len(), "the text alone does not show it");
        for bad in [too_long.as_str(), "QQ", "QR==", "QQ=", "Q===", "QQ==\n", "-_==", "FIN", " "] {
            assert_eq!(
                Base64(bad.as_bytes()).decode(&mut chunk),
                Err(InvalidLegacyFrame::Base64),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn the_last_nul_of_an_acknowledgement_may_be_missing() {
        assert_eq!(ClientFrame::parse(b"D\0OK"), Ok(ClientFrame::Received));
        assert_eq!(ClientFrame::parse(b"D\0OK\0"), Ok(ClientFrame::Received));
    }
}
