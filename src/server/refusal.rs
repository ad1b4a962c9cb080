//! What a server tells a client about an error: the texts of FSS 1.0, to the letter
//! (`docs/protocol.md` §6), and the codes of FSS/2 (§20).

use crate::error::{Error, Phase, Refusal};
use crate::store::StoreErrorKind;
use crate::wire::error_frame::ErrorCode;
use crate::wire::hello::InvalidHello;

/// After how many seconds a place may be free again: most operations take less.
const BUSY_FOR: u64 = 5;

/// The code of an error in FSS/2, with the seconds to wait if there are any; `None` where there is
/// nothing to say.
///
/// This is the only place that decides it. What must not be told apart has one code.
pub fn refusal_code(error: &Error) -> Option<(ErrorCode, Option<u64>)> {
    let code = match error {
        Error::PeerRefused(_) | Error::Disconnected(_) => return None,
        Error::Refused(refusal) => return Some(code_of_refusal(*refusal)),
        Error::InvalidMessage(invalid) => invalid.code(),
        Error::InvalidHello(InvalidHello::Version) => ErrorCode::Version,
        Error::TimedOut(_) => ErrorCode::Idle,
        Error::Store(error) => match error.kind() {
            StoreErrorKind::Full => ErrorCode::NoRoom,
            StoreErrorKind::Quota => ErrorCode::Quota,
            StoreErrorKind::NotAMember => ErrorCode::NotAMember,
            StoreErrorKind::NameTaken => ErrorCode::NameTaken,
            StoreErrorKind::BadInvite => ErrorCode::BadInvite,
            StoreErrorKind::TooManyUploads => ErrorCode::TooManyUploads,
            StoreErrorKind::TooManyFiles => ErrorCode::TooManyFiles,
            StoreErrorKind::Superseded => ErrorCode::Superseded,
            StoreErrorKind::Busy => return Some((ErrorCode::Busy, Some(1))),
            // What came of it is unknown: a refusal would say that it is not done.
            StoreErrorKind::Stopped => return None,
            _ => ErrorCode::Storage,
        },
        // What fails here is not the client's doing.
        Error::Crypto | Error::Misuse(_) => ErrorCode::Storage,
        _ => ErrorCode::Protocol,
    };
    Some((code, None))
}

fn code_of_refusal(refusal: Refusal) -> (ErrorCode, Option<u64>) {
    let code = match refusal {
        Refusal::TooManyAttempts { retry } => return (ErrorCode::TooManyAttempts, Some(retry)),
        Refusal::TooManyConnections => return (ErrorCode::Busy, Some(BUSY_FOR)),
        Refusal::UnknownCookie
        | Refusal::WrongPassword
        | Refusal::OtherHeader
        | Refusal::UnknownEntry => ErrorCode::Refused,
        Refusal::FileTooLarge { .. } => ErrorCode::TooLarge,
        Refusal::OtherSize | Refusal::InvalidOffset => ErrorCode::BadRequest,
        _ => ErrorCode::Protocol,
    };
    (code, None)
}

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
pub fn refusal_text(error: &Error, during: Operation, phase: Phase) -> Option<RefusalText> {
    let text = match (error, during) {
        (Error::PeerRefused(_), _) => return None,
        (Error::Store(error), _) if error.kind() == StoreErrorKind::Stopped => return None,
        (_, _) if phase == Phase::KeyExchange => return None,
        (Error::Refused(Refusal::UnknownRequest), _) => {
            return Some(RefusalText { text: "illegal user state", in_clear: true });
        }
        (Error::Disconnected(_) | Error::TimedOut(_), Operation::None) => return None,
        (Error::Refused(Refusal::WrongPassword), _) => "Invalid password",
        (Error::Refused(Refusal::InvalidCookie), _) => "Invalid cookie",
        (Error::Refused(Refusal::UnknownCookie), _) | (_, Operation::None) => {
            "Failed to proceed with the selected operation"
        }
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
