//! What requests and replies share: their errors, and the encoding of named arguments.

use super::error_code::ErrorCode;
use super::frame::{InvalidFrame, MAX_NUMBER, to_base64, write};
use crate::types::cookie::Cookie;
use crate::types::user::InvalidUserName;

/// Why a frame is not a valid request or reply. Each reason has its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// It is not a frame.
    #[error("it is not a frame of the protocol")]
    Frame(#[source] InvalidFrame),
    /// Its flag is not one of the sending side.
    #[error("its flag is not known")]
    Flag,
    /// An argument is missing, malformed or out of range.
    #[error("its arguments are not valid")]
    Arguments,
    /// The name cannot be that of a user.
    #[error(transparent)]
    Name(#[from] InvalidUserName),
}

impl InvalidMessage {
    /// The code that the peer receives.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Frame(_) | Self::Flag => ErrorCode::Protocol,
            Self::Arguments => ErrorCode::BadRequest,
            Self::Name(_) => ErrorCode::NameTaken,
        }
    }
}

/// Errors of values are errors of the request's arguments.
impl From<InvalidFrame> for InvalidMessage {
    fn from(_: InvalidFrame) -> Self {
        Self::Arguments
    }
}

/// Checks a cookie before it is used.
pub(super) fn cookie(text: &[u8]) -> Result<Cookie, InvalidMessage> {
    Cookie::parse(text).map_err(|_| InvalidMessage::Arguments)
}

/// Named arguments to be encoded into a frame.
#[derive(Default)]
pub(super) struct Named(Vec<(&'static str, Vec<u8>)>);

impl Named {
    pub(super) fn text(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.0.push((name, value.as_bytes().to_vec()));
        self
    }

    pub(super) fn bytes(&mut self, name: &'static str, value: &[u8]) -> &mut Self {
        self.text(name, &to_base64(value))
    }

    pub(super) fn number(&mut self, name: &'static str, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.text(name, &value.min(MAX_NUMBER).to_string()),
            None => self,
        }
    }

    pub(super) fn frame(&self, flag: u8, positional: Option<&[u8]>) -> Vec<u8> {
        let named: Vec<(&str, &[u8])> =
            self.0.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        match write(flag, positional.as_slice(), &named) {
            Ok(frame) => frame,
            Err(_) => {
                unreachable!("names, cookies, numbers, base64 and our own sentences can be written")
            }
        }
    }
}
