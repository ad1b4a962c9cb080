//! What a server tells a client about an error: the texts of FSS 1.0, to the letter (`docs/protocol.md` §6).

use crate::error::{Error, Moment, Refusal};

/// A text for an error frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalText {
    /// The details of the frame.
    pub text: &'static str,
    /// Whether the frame goes out unencrypted, as 2019 servers do with this one.
    pub in_clear: bool,
}

/// What an error is called on the wire, and `None` where FSS 1.0 has nothing to say.
///
/// This is the only place that decides it.
pub fn refusal_text(error: &Error, during: Operation, moment: Moment) -> Option<RefusalText> {
    let text = match (error, during) {
        (Error::PeerRefused(_), _) => return None,
        (_, _) if moment == Moment::KeyExchange => return None,
        (Error::Refused(Refusal::UnknownRequest), _) => {
            return Some(RefusalText { text: "illegal user state", in_clear: true });
        }
        (Error::Disconnected(_) | Error::TimedOut(_), Operation::None) => return None,
        (Error::Refused(Refusal::WrongPassword), _) => "Invalid password",
        (Error::Refused(Refusal::InvalidCookie), _) => "Invalid cookie",
        (Error::Refused(Refusal::UnknownCookie), _) | (_, Operation::None) => "Failed to proceed with the selected operation",
        (_, Operation::Upload) => "cannot upload the file",
        (_, Operation::Download) => "cannot download the file",
    };
    Some(RefusalText { text, in_clear: false })
}

/// What a connection is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Nothing yet: no request has been accepted.
    None,
    /// A file comes in.
    Upload,
    /// A file goes out.
    Download,
}
