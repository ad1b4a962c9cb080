//! The frames of a server in FSS/2, with their arguments checked (`docs/protocol.md` §13, §17 to
//! §19).

use super::error_frame::ErrorFrame;
use super::frame::{Arguments, Frame};
use super::frame_kind::FrameKind;
use super::message::{InvalidMessage, Named, cookie};
use crate::chain::ChainDigest;
use crate::format::StoredFormat;
use crate::sealed::Header;
use crate::types::MAX_NUMBER;
use crate::types::cookie::Cookie;
use crate::types::entry::Entry;
use crate::types::user::{Account, UserName};

/// A frame of a server. `Debug` shows no whole cookies.
///
/// Three frames start with `R OK`. The request that is answered decides which one it is, so the
/// caller passes a [`ReplyContext`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `K`: the first record.
    Welcome(Welcome),
    /// `R COOKIE offset= window=`: the upload may go on there.
    Accepted {
        /// The file's cookie.
        cookie: Cookie,
        /// Where the client continues.
        offset: u64,
        /// How far it may be ahead of what is acknowledged.
        window: u64,
        /// The chain at the offset, if that is not 0.
        chain: Option<ChainDigest>,
        /// When the file would expire, in Unix seconds.
        expires: Option<u64>,
        /// For how many seconds it is kept after its completion, if not for ever.
        keep: Option<u64>,
        /// For how many downloads it is kept, if they are limited.
        downloads: Option<u64>,
    },
    /// `R OK offset=`: bytes were received; with a chain the file is durable and visible.
    Received {
        /// Bytes received, without the header.
        offset: u64,
        /// The final chain.
        chain: Option<ChainDigest>,
    },
    /// `S Challenge`: the parameters of a proof.
    Challenge(StoredFormat),
    /// `S Approved`: the file follows.
    Approved {
        /// The whole size, without the header.
        size: u64,
        /// The final chain, if it was recorded.
        chain: Option<ChainDigest>,
        /// When the file expires, in Unix seconds.
        expires: Option<u64>,
        /// Whether it is a file of FSS 1.0.
        legacy: bool,
    },
    /// `F`: bytes of a file; an empty one ends it.
    Data(&'a [u8]),
    /// `R COOKIE size= stored=`: a file of a list.
    Entry(Entry),
    /// `R END`: the list is complete, or its next part can be requested.
    EndOfList {
        /// Whether there is more.
        more: bool,
    },
    /// `R OK` of a deletion.
    Deleted,
    /// `R OK` of a sign-up, or of a request for information.
    Information {
        /// The server's limits; not in the answer to a sign-up.
        limits: Option<ServerLimits>,
        /// The user that the client's key is, if it has signed up.
        account: Option<Account>,
    },
    /// `E`
    Refusal(ErrorFrame),
}

/// The identity of a server, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The server's identity, an unchecked `SubjectPublicKeyInfo` in DER.
    pub identity: Vec<u8>,
    /// Its signature for this connection.
    pub signature: Vec<u8>,
    /// Its limits.
    pub limits: ServerLimits,
}

/// What a server accepts (`docs/protocol.md` §13.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The largest upload, in bytes without the header; `None` if that is not limited.
    pub largest_file: Option<u64>,
    /// The upload window that it usually grants, in bytes.
    pub window: u64,
}

/// What a client waits for, which distinguishes `R` frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyContext {
    /// The answer to an upload, or to its data.
    Upload,
    /// The answer to a list.
    List,
    /// The answer to a deletion.
    Deletion,
    /// The answer to a sign-up or to a request for information.
    Information,
    /// Anything else: no `R` frame is valid.
    Other,
}

impl<'a> Reply<'a> {
    /// What it is, for errors and logs.
    pub fn kind(&self) -> FrameKind {
        match self {
            Self::Welcome(_) => FrameKind::Identity,
            Self::Accepted { .. } => FrameKind::Cookie,
            Self::Received { .. } => FrameKind::Acknowledgement,
            Self::Challenge(_) => FrameKind::Challenge,
            Self::Approved { .. } => FrameKind::Approval,
            Self::Data([]) => FrameKind::EndOfFile,
            Self::Data(_) => FrameKind::Data,
            Self::Entry(_) => FrameKind::ListEntry,
            Self::EndOfList { .. } => FrameKind::EndOfList,
            Self::Deleted => FrameKind::Deletion,
            Self::Information { .. } => FrameKind::Information,
            Self::Refusal(_) => FrameKind::Error,
        }
    }

    /// Parses a frame from a server.
    ///
    /// # Errors
    /// [`InvalidMessage`]
    pub fn parse(plaintext: &'a [u8], awaited: ReplyContext) -> Result<Self, InvalidMessage> {
        let (flag, arguments) = match Frame::parse(plaintext).map_err(InvalidMessage::Frame)? {
            Frame::Data(data) => return Ok(Self::Data(data)),
            Frame::Other(flag, arguments) => (flag, arguments),
        };
        match (flag, arguments.positional()) {
            (b'K', []) => Ok(Self::Welcome(Welcome {
                identity: arguments.base64("identity")?.ok_or(InvalidMessage::Arguments)?,
                signature: arguments.base64("signature")?.ok_or(InvalidMessage::Arguments)?,
                limits: ServerLimits::from_arguments(&arguments)?
                    .ok_or(InvalidMessage::Arguments)?,
            })),
            (b'R', [first]) => parse_result(first, &arguments, awaited),
            (b'S', [b"Challenge"]) => parse_challenge(&arguments).map(Self::Challenge),
            (b'S', [b"Approved"]) => Ok(Self::Approved {
                size: required(&arguments, "size")?,
                chain: chain(&arguments)?,
                expires: arguments.number("expires")?,
                legacy: is_legacy(&arguments)?,
            }),
            (b'E', _) => ErrorFrame::from_arguments(&arguments).map(Self::Refusal),
            (b'K' | b'R' | b'S', _) => Err(InvalidMessage::Arguments),
            _ => Err(InvalidMessage::Flag),
        }
    }

    /// The frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut named = Named::default();
        let (flag, positional): (u8, Option<&[u8]>) = match self {
            Self::Data(data) => return [Frame::DATA_PREFIX, data].concat(),
            Self::Refusal(refused) => return refused.encode(),
            Self::Welcome(welcome) => {
                named.bytes("identity", &welcome.identity).bytes("signature", &welcome.signature);
                welcome.limits.write(&mut named);
                (b'K', None)
            }
            Self::Accepted { cookie, offset, window, chain, expires, keep, downloads } => {
                named.number("offset", Some(*offset)).number("window", Some(*window));
                write_chain(&mut named, *chain);
                named
                    .number("expires", *expires)
                    .number("keep", *keep)
                    .number("downloads", *downloads);
                (b'R', Some(cookie.as_str().as_bytes()))
            }
            Self::Received { offset, chain } => {
                named.number("offset", Some(*offset));
                write_chain(&mut named, *chain);
                (b'R', Some(b"OK"))
            }
            Self::Challenge(StoredFormat::Sealed(header)) => {
                named.bytes("seal", &header.to_bytes());
                (b'S', Some(b"Challenge"))
            }
            Self::Challenge(StoredFormat::Legacy) => {
                named.text("format", LEGACY);
                (b'S', Some(b"Challenge"))
            }
            Self::Approved { size, chain, expires, legacy } => {
                named.number("size", Some(*size));
                write_chain(&mut named, *chain);
                named.number("expires", *expires);
                if *legacy {
                    named.text("format", LEGACY);
                }
                (b'S', Some(b"Approved"))
            }
            Self::Entry(entry) => {
                named.number("size", Some(entry.size)).number("stored", Some(entry.stored));
                named.number("expires", entry.expires).number("downloads", entry.downloads);
                (b'R', Some(entry.cookie.as_str().as_bytes()))
            }
            Self::EndOfList { more } => {
                named.number("more", more.then_some(1));
                (b'R', Some(b"END"))
            }
            Self::Deleted => (b'R', Some(b"OK")),
            Self::Information { limits, account } => {
                if let Some(limits) = limits {
                    limits.write(&mut named);
                }
                if let Some(Account { name, quota, used }) = account {
                    named
                        .text("name", name.as_str())
                        .number("quota", Some(quota.unwrap_or(MAX_NUMBER)))
                        .number("used", Some(*used));
                }
                (b'R', Some(b"OK"))
            }
        };
        named.frame(flag, positional)
    }
}

const LEGACY: &str = "1.0";

fn parse_result(
    first: &[u8],
    arguments: &Arguments<'_>,
    awaited: ReplyContext,
) -> Result<Reply<'static>, InvalidMessage> {
    match (awaited, first) {
        (ReplyContext::Upload, b"OK") => {
            Ok(Reply::Received { offset: required(arguments, "offset")?, chain: chain(arguments)? })
        }
        (ReplyContext::Upload, file) => Ok(Reply::Accepted {
            cookie: cookie(file)?,
            offset: required(arguments, "offset")?,
            window: required(arguments, "window")?,
            chain: chain(arguments)?,
            expires: arguments.number("expires")?,
            keep: arguments.number("keep")?,
            downloads: arguments.number("downloads")?,
        }),
        (ReplyContext::List, b"END") => match arguments.number("more")? {
            None => Ok(Reply::EndOfList { more: false }),
            Some(1) => Ok(Reply::EndOfList { more: true }),
            Some(_) => Err(InvalidMessage::Arguments),
        },
        (ReplyContext::List, file) => Ok(Reply::Entry(Entry {
            cookie: cookie(file)?,
            size: required(arguments, "size")?,
            stored: required(arguments, "stored")?,
            expires: arguments.number("expires")?,
            downloads: arguments.number("downloads")?,
        })),
        (ReplyContext::Deletion, b"OK") => Ok(Reply::Deleted),
        (ReplyContext::Information, b"OK") => {
            let account = match arguments.value("name") {
                None => None,
                Some(name) => Some(Account {
                    name: UserName::parse(name).map_err(|_| InvalidMessage::Arguments)?,
                    quota: limit(required(arguments, "quota")?),
                    used: required(arguments, "used")?,
                }),
            };
            Ok(Reply::Information { limits: ServerLimits::from_arguments(arguments)?, account })
        }
        (ReplyContext::Deletion | ReplyContext::Information | ReplyContext::Other, _) => {
            Err(InvalidMessage::Arguments)
        }
    }
}

fn parse_challenge(arguments: &Arguments<'_>) -> Result<StoredFormat, InvalidMessage> {
    match (arguments.bytes::<{ Header::LENGTH }>("seal")?, is_legacy(arguments)?) {
        (Some(header), false) => {
            Header::parse(&header).map(StoredFormat::Sealed).map_err(|_| InvalidMessage::Arguments)
        }
        (None, true) => Ok(StoredFormat::Legacy),
        _ => Err(InvalidMessage::Arguments),
    }
}

fn is_legacy(arguments: &Arguments<'_>) -> Result<bool, InvalidMessage> {
    match arguments.value("format") {
        None => Ok(false),
        Some(format) if format == LEGACY.as_bytes() => Ok(true),
        Some(_) => Err(InvalidMessage::Arguments),
    }
}

fn required(arguments: &Arguments<'_>, name: &str) -> Result<u64, InvalidMessage> {
    arguments.number(name)?.ok_or(InvalidMessage::Arguments)
}

/// The largest number that a frame can have stands for no limit (`docs/protocol.md` §13.8, §19.5).
fn limit(number: u64) -> Option<u64> {
    Some(number).filter(|&number| number < MAX_NUMBER)
}

fn chain(arguments: &Arguments<'_>) -> Result<Option<ChainDigest>, InvalidMessage> {
    arguments
        .value("chain")
        .map(|hex| ChainDigest::from_hex(hex).ok_or(InvalidMessage::Arguments))
        .transpose()
}

fn write_chain(named: &mut Named, chain: Option<ChainDigest>) {
    if let Some(chain) = chain {
        named.text("chain", &chain.to_string());
    }
}

impl ServerLimits {
    /// These limits, in bytes.
    pub const fn new(largest_file: Option<u64>, window: u64) -> Self {
        Self { largest_file, window }
    }

    /// Both or none.
    fn from_arguments(arguments: &Arguments<'_>) -> Result<Option<Self>, InvalidMessage> {
        match (arguments.number("largest-file")?, arguments.number("window")?) {
            (Some(largest_file), Some(window)) => Ok(Some(Self::new(limit(largest_file), window))),
            (None, None) => Ok(None),
            _ => Err(InvalidMessage::Arguments),
        }
    }

    fn write(self, named: &mut Named) {
        let largest_file = self.largest_file.unwrap_or(MAX_NUMBER);
        named.number("largest-file", Some(largest_file)).number("window", Some(self.window));
    }
}
