//! How either side of FSS/2 refuses (`docs/protocol.md` §20).

pub use super::error_code::ErrorCode;
use super::frame::Arguments;
use super::message::{InvalidMessage, Named};
use super::peer_message::PeerMessage;

/// An `E`, of either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFrame {
    /// What programs go by; `None` in FSS 1.0, and if it is one that this version does not know.
    pub code: Option<ErrorCode>,
    /// What people are told.
    pub text: PeerMessage,
    /// After how many seconds it may be tried again.
    pub retry: Option<u64>,
}

impl ErrorFrame {
    /// A refusal of ours.
    pub fn new(code: ErrorCode, retry: Option<u64>) -> Self {
        Self { code: Some(code), text: PeerMessage::new(code.sentence().as_bytes()), retry }
    }

    /// A refusal of FSS 1.0, which has nothing but words.
    pub fn in_words(text: PeerMessage) -> Self {
        Self { code: None, text, retry: None }
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
