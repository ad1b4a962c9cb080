//! The frames of a client in FSS/2, with their arguments checked (`docs/protocol.md` §17 to §19).
//!
//! ```
//! use fss::wire::request::Request;
//! let request = Request::parse(b"D\x00092071145115023\0")?;
//! assert_eq!(request, Request::Challenge { cookie: "092071145115023".parse()? });
//! assert_eq!(request.encode(), b"D\x00092071145115023\0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::error_frame::ErrorFrame;
use super::frame::{Arguments, Frame};
use super::frame_kind::FrameKind;
use super::message::{InvalidMessage, Named, cookie};
use crate::crypto::legacy::Verifier;
use crate::crypto::proof::Proof;
use crate::format::NewUpload;
use crate::sealed::Header;
use crate::types::cookie::Cookie;
pub use crate::types::user::INVITE_LENGTH;
use crate::types::user::{Invite, UserName};

/// A frame of a client. `Debug` shows neither whole cookies nor secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// `U` of a new file.
    Upload(NewUpload),
    /// `U` that resumes an upload.
    Resume {
        /// The header of the upload.
        header: Header,
        /// Its cookie.
        cookie: Cookie,
        /// The proof of its password.
        proof: Proof,
        /// The client's last checkpoint.
        offset: u64,
    },
    /// `D` without a proof: requests the header.
    Challenge {
        /// The file's cookie.
        cookie: Cookie,
    },
    /// `D` with a proof.
    Download {
        /// The file's cookie.
        cookie: Cookie,
        /// The proof of its password.
        proof: Proof,
        /// Where to start.
        offset: u64,
    },
    /// `D OK`: acknowledges bytes.
    Taken {
        /// The acknowledged bytes, without the header.
        offset: u64,
    },
    /// `F`: bytes of a file; an empty one ends it.
    Data(&'a [u8]),
    /// `L`
    List {
        /// The last cookie that is known.
        after: Option<Cookie>,
    },
    /// `X`
    Delete {
        /// The file's cookie.
        cookie: Cookie,
        /// Needed unless the client is the owner.
        proof: Option<Proof>,
    },
    /// `N`
    SignUp {
        /// The name that is wanted.
        name: UserName,
        /// The invite, if there is one.
        invite: Option<Invite>,
    },
    /// `I`
    Information,
    /// `E`: the client cannot continue.
    Refusal(ErrorFrame),
}

impl<'a> Request<'a> {
    /// What it is, for errors and logs.
    pub fn kind(&self) -> FrameKind {
        match self {
            Self::Upload(_)
            | Self::Resume { .. }
            | Self::Challenge { .. }
            | Self::Download { .. }
            | Self::List { .. }
            | Self::Delete { .. }
            | Self::SignUp { .. }
            | Self::Information => FrameKind::Request,
            Self::Taken { .. } => FrameKind::Acknowledgement,
            Self::Data([]) => FrameKind::EndOfFile,
            Self::Data(_) => FrameKind::Data,
            Self::Refusal(_) => FrameKind::Error,
        }
    }

    /// Parses a frame from a client.
    ///
    /// # Errors
    /// [`InvalidMessage`]
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, InvalidMessage> {
        let (flag, arguments) = match Frame::parse(plaintext).map_err(InvalidMessage::Frame)? {
            Frame::Data(data) => return Ok(Self::Data(data)),
            Frame::Other(flag, arguments) => (flag, arguments),
        };
        match flag {
            b'U' => parse_upload(&arguments),
            b'D' => parse_download(&arguments),
            b'L' => {
                let [] = arguments.positional() else { return Err(InvalidMessage::Arguments) };
                Ok(Self::List { after: arguments.value("after").map(cookie).transpose()? })
            }
            b'X' => {
                let [file] = arguments.positional() else { return Err(InvalidMessage::Arguments) };
                Ok(Self::Delete {
                    cookie: cookie(file)?,
                    proof: arguments.bytes("proof")?.map(Proof::from_bytes),
                })
            }
            b'N' => {
                let [name] = arguments.positional() else { return Err(InvalidMessage::Arguments) };
                Ok(Self::SignUp {
                    name: UserName::parse(name)?,
                    invite: arguments.bytes("invite")?.map(Invite::from_bytes),
                })
            }
            b'I' if arguments.positional().is_empty() => Ok(Self::Information),
            b'I' => Err(InvalidMessage::Arguments),
            b'E' => ErrorFrame::from_arguments(&arguments).map(Self::Refusal),
            _ => Err(InvalidMessage::Flag),
        }
    }

    /// The frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut named = Named::default();
        let (flag, positional): (u8, Option<&[u8]>) = match self {
            Self::Data(data) => return [Frame::DATA_PREFIX, data].concat(),
            Self::Upload(upload) => {
                named
                    .bytes("seal", &upload.header.to_bytes())
                    .bytes("verifier", upload.verifier.as_bytes());
                named
                    .number("size", upload.size)
                    .number("keep", upload.keep)
                    .number("downloads", upload.downloads);
                (b'U', None)
            }
            Self::Resume { header, cookie, proof, offset } => {
                named.bytes("seal", &header.to_bytes()).text("cookie", cookie.as_str());
                named.bytes("proof", proof.as_bytes()).number("offset", Some(*offset));
                (b'U', None)
            }
            Self::Challenge { cookie } => (b'D', Some(cookie.as_str().as_bytes())),
            Self::Download { cookie, proof, offset } => {
                named
                    .bytes("proof", proof.as_bytes())
                    .number("offset", Some(*offset).filter(|&offset| offset > 0));
                (b'D', Some(cookie.as_str().as_bytes()))
            }
            Self::Taken { offset } => {
                named.number("offset", Some(*offset));
                (b'D', Some(b"OK"))
            }
            Self::List { after } => {
                if let Some(cookie) = after {
                    named.text("after", cookie.as_str());
                }
                (b'L', None)
            }
            Self::Delete { cookie, proof } => {
                if let Some(proof) = proof {
                    named.bytes("proof", proof.as_bytes());
                }
                (b'X', Some(cookie.as_str().as_bytes()))
            }
            Self::SignUp { name, invite } => {
                if let Some(invite) = invite {
                    named.bytes("invite", invite.expose());
                }
                (b'N', Some(name.as_str().as_bytes()))
            }
            Self::Information => (b'I', None),
            Self::Refusal(refused) => return refused.encode(),
        };
        named.frame(flag, positional)
    }
}

fn parse_upload(arguments: &Arguments<'_>) -> Result<Request<'static>, InvalidMessage> {
    let [] = arguments.positional() else { return Err(InvalidMessage::Arguments) };
    let header = arguments.bytes::<{ Header::LENGTH }>("seal")?.ok_or(InvalidMessage::Arguments)?;
    let header = Header::parse(&header).map_err(|_| InvalidMessage::Arguments)?;
    if let Some(file) = arguments.value("cookie") {
        let proof =
            arguments.bytes("proof")?.map(Proof::from_bytes).ok_or(InvalidMessage::Arguments)?;
        let offset = arguments.number("offset")?.ok_or(InvalidMessage::Arguments)?;
        return Ok(Request::Resume { header, cookie: cookie(file)?, proof, offset });
    }
    let verifier =
        arguments.bytes("verifier")?.map(Verifier::from_bytes).ok_or(InvalidMessage::Arguments)?;
    let (size, keep, downloads) =
        (arguments.number("size")?, arguments.number("keep")?, arguments.number("downloads")?);
    if keep == Some(0) || downloads == Some(0) {
        return Err(InvalidMessage::Arguments);
    }
    Ok(Request::Upload(NewUpload { header, verifier, size, keep, downloads }))
}

fn parse_download(arguments: &Arguments<'_>) -> Result<Request<'static>, InvalidMessage> {
    let [file] = arguments.positional() else { return Err(InvalidMessage::Arguments) };
    let offset = arguments.number("offset")?;
    if *file == b"OK" {
        return offset.map(|offset| Request::Taken { offset }).ok_or(InvalidMessage::Arguments);
    }
    let cookie = cookie(file)?;
    Ok(match arguments.bytes("proof")?.map(Proof::from_bytes) {
        Some(proof) => Request::Download { cookie, proof, offset: offset.unwrap_or(0) },
        None => Request::Challenge { cookie },
    })
}
