//! What a server replies to an error: an error frame of FSS/2 (`docs/protocol.md` §20), or the text
//! of FSS 1.0, to the letter (§6).
//!
//! Nothing else decides it. What must not be told apart has one code: an unknown cookie, a wrong
//! password and a wrong owner are `refused` alike.

#![warn(clippy::wildcard_enum_match_arm)]

use crate::error::{Error, Phase, Refusal};
use crate::store::StoreErrorKind;
use crate::wire::error_frame::{ErrorCode, ErrorFrame};
use crate::wire::hello::InvalidHello;

/// Seconds after which there may be room for another connection: most operations take less.
const BUSY_FOR: u64 = 5;
/// Seconds after which a store may be free that another process is using.
const STORE_BUSY_FOR: u64 = 1;

/// The error frame of FSS/2, or `None` where there is nothing to say.
pub(super) fn error_frame(error: &Error) -> Option<ErrorFrame> {
    let code = match error {
        Error::PeerRefused(_) | Error::Disconnected(_) => return None,
        Error::Refused(refusal) => return Some(frame_of_refusal(*refusal)),
        Error::Store(error) => return frame_of_store_error(error.kind()),
        Error::InvalidMessage(invalid) => invalid.code(),
        Error::InvalidHello(InvalidHello::Version) => ErrorCode::Version,
        Error::TimedOut(_) => ErrorCode::Idle,
        // What fails here is not the client's doing.
        Error::Crypto | Error::Misuse(_) | Error::Internal => ErrorCode::Storage,
        Error::InvalidKeyExchange(_)
        | Error::KeyRejected(_)
        | Error::BlockDoesNotOpen
        | Error::BlockAfterShortBlock
        | Error::MessageTooLong { .. }
        | Error::InvalidLegacyFrame(_)
        | Error::RecordDoesNotOpen
        | Error::InvalidHello(InvalidHello::Frame(_) | InvalidHello::Form | InvalidHello::Share)
        | Error::ServerNotProved
        | Error::ServerKeyChanged { .. }
        | Error::OwnKey
        | Error::Misbehaved(_)
        | Error::Integrity(_) => ErrorCode::Protocol,
    };
    Some(ErrorFrame::new(code, None))
}

fn frame_of_refusal(refusal: Refusal) -> ErrorFrame {
    let (code, retry) = match refusal {
        Refusal::TooManyAttempts { retry } => (ErrorCode::TooManyAttempts, Some(retry)),
        Refusal::TooManyConnections => (ErrorCode::Busy, Some(BUSY_FOR)),
        Refusal::UnknownCookie
        | Refusal::WrongPassword
        | Refusal::OtherHeader
        | Refusal::UnknownEntry => (ErrorCode::Refused, None),
        Refusal::FileTooLarge { .. } => (ErrorCode::TooLarge, None),
        Refusal::OtherSize | Refusal::InvalidOffset => (ErrorCode::BadRequest, None),
        Refusal::InvalidCookie
        | Refusal::InvalidPassword
        | Refusal::UnknownRequest
        | Refusal::ChunkAfterShortChunk
        | Refusal::PartAfterShortPart
        | Refusal::BeyondWindow
        | Refusal::KeyNotCanonical
        | Refusal::LegacyNotSpoken => (ErrorCode::Protocol, None),
    };
    ErrorFrame::new(code, retry)
}

fn frame_of_store_error(kind: StoreErrorKind) -> Option<ErrorFrame> {
    let (code, retry) = match kind {
        // What came of it is unknown, and a refusal would say that it was not done.
        StoreErrorKind::Stopped => return None,
        StoreErrorKind::Busy => (ErrorCode::Busy, Some(STORE_BUSY_FOR)),
        StoreErrorKind::Full => (ErrorCode::NoRoom, None),
        StoreErrorKind::Quota => (ErrorCode::Quota, None),
        StoreErrorKind::NotAMember => (ErrorCode::NotAMember, None),
        StoreErrorKind::NameTaken => (ErrorCode::NameTaken, None),
        StoreErrorKind::BadInvite => (ErrorCode::BadInvite, None),
        StoreErrorKind::TooManyUploads => (ErrorCode::TooManyUploads, None),
        StoreErrorKind::TooManyFiles => (ErrorCode::TooManyFiles, None),
        StoreErrorKind::Superseded => (ErrorCode::Superseded, None),
        StoreErrorKind::Exists
        | StoreErrorKind::Damaged
        | StoreErrorKind::Foreign
        | StoreErrorKind::Denied
        | StoreErrorKind::Unavailable
        | StoreErrorKind::Misuse => (ErrorCode::Storage, None),
    };
    Some(ErrorFrame::new(code, retry))
}

/// The details of an error frame of FSS 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LegacyErrorText {
    pub(super) text: &'static str,
    /// Whether the frame goes out unencrypted, as 2019 servers send this one.
    pub(super) in_clear: bool,
}

/// What a connection of FSS 1.0 is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegacyOperation {
    /// No request has been accepted.
    None,
    /// A file comes in.
    Upload,
    /// A file goes out.
    Download,
}

/// The text of FSS 1.0, or `None` where there is nothing to say.
pub(super) fn legacy_error_text(
    error: &Error,
    during: LegacyOperation,
    phase: Phase,
) -> Option<LegacyErrorText> {
    if phase == Phase::KeyExchange {
        return None;
    }
    let sealed = |text| Some(LegacyErrorText { text, in_clear: false });
    match error {
        Error::PeerRefused(_) => return None,
        Error::Store(error) if error.kind() == StoreErrorKind::Stopped => return None,
        Error::Disconnected(_) | Error::TimedOut(_) if during == LegacyOperation::None => {
            return None;
        }
        Error::Refused(refusal) => match refusal {
            Refusal::UnknownRequest => {
                return Some(LegacyErrorText { text: "illegal user state", in_clear: true });
            }
            Refusal::WrongPassword => return sealed("Invalid password"),
            Refusal::InvalidCookie => return sealed("Invalid cookie"),
            Refusal::UnknownCookie => return sealed(NOT_PROCEEDED),
            Refusal::TooManyAttempts { .. }
            | Refusal::InvalidPassword
            | Refusal::ChunkAfterShortChunk
            | Refusal::FileTooLarge { .. }
            | Refusal::OtherHeader
            | Refusal::OtherSize
            | Refusal::PartAfterShortPart
            | Refusal::InvalidOffset
            | Refusal::BeyondWindow
            | Refusal::UnknownEntry
            | Refusal::KeyNotCanonical
            | Refusal::LegacyNotSpoken
            | Refusal::TooManyConnections => {}
        },
        Error::InvalidKeyExchange(_)
        | Error::KeyRejected(_)
        | Error::BlockDoesNotOpen
        | Error::BlockAfterShortBlock
        | Error::MessageTooLong { .. }
        | Error::InvalidLegacyFrame(_)
        | Error::RecordDoesNotOpen
        | Error::InvalidHello(_)
        | Error::InvalidMessage(_)
        | Error::ServerNotProved
        | Error::ServerKeyChanged { .. }
        | Error::OwnKey
        | Error::Misbehaved(_)
        | Error::Integrity(_)
        | Error::Disconnected(_)
        | Error::TimedOut(_)
        | Error::Store(_)
        | Error::Crypto
        | Error::Misuse(_)
        | Error::Internal => {}
    }
    sealed(match during {
        LegacyOperation::None => NOT_PROCEEDED,
        LegacyOperation::Upload => "cannot upload the file",
        LegacyOperation::Download => "cannot download the file",
    })
}

const NOT_PROCEEDED: &str = "Failed to proceed with the selected operation";
