//! Error frames of both sides of FSS/2 (`docs/protocol.md` §20).

pub use super::error_code::ErrorCode;
use super::frame::Arguments;
use super::message::{InvalidMessage, Named};
use super::peer_message::PeerMessage;

/// An error frame, `E`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFrame {
    /// The code for programs; `None` in FSS 1.0, and if this version does not know it.
    pub code: Option<ErrorCode>,
    /// The text for people.
    pub text: PeerMessage,
    /// After how many seconds the client may retry.
    pub retry: Option<u64>,
}

impl ErrorFrame {
    /// A refusal with this code and its sentence.
    pub fn new(code: ErrorCode, retry: Option<u64>) -> Self {
        Self { code: Some(code), text: PeerMessage::new(code.sentence().as_bytes()), retry }
    }

    /// A refusal of FSS 1.0, which has only a text.
    pub fn in_words(text: PeerMessage) -> Self {
        Self { code: None, text, retry: None }
    }

    /// Whether it ends the connection, not only the operation. One whose code is not known does,
    /// like [`ErrorCode::Protocol`] (§20.1).
    pub fn ends_connection(&self) -> bool {
        self.code.is_none_or(ErrorCode::ends_connection)
    }

    pub(super) fn from_arguments(arguments: &Arguments<'_>) -> Result<Self, InvalidMessage> {
        let [text] = arguments.positional() else { return Err(InvalidMessage::Arguments) };
        let code = ErrorCode::parse(arguments.value("code").ok_or(InvalidMessage::Arguments)?);
        Ok(Self { code, text: PeerMessage::new(text), retry: arguments.number("retry")? })
    }

    /// The frame, with the sentence that belongs to the code.
    pub fn encode(&self) -> Vec<u8> {
        let code = self.code.unwrap_or(ErrorCode::Protocol);
        let mut named = Named::default();
        named.text("code", code.as_str()).number("retry", self.retry);
        named.frame(b'E', Some(code.sentence().as_bytes()))
    }
}
