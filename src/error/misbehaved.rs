//! What a peer does that the protocol does not allow, in frames that are valid by themselves.

use crate::wire::frame_kind::FrameKind;

/// How a peer broke the protocol with valid frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PeerMisbehaved {
    /// A frame came where another one was due (`docs/protocol.md` §5, §17 to §19).
    #[error("it sent {got} where {expected} was due")]
    UnexpectedFrame {
        /// What came.
        got: FrameKind,
        /// What the protocol allows here. Where it allows several, the one that goes on.
        expected: FrameKind,
    },
    /// A frame came where none was due.
    #[error("it sent a frame where none was due")]
    UnsolicitedFrame,
    /// The answer to a hello is neither a hello nor an error (`docs/protocol.md` §13).
    #[error("it answered a hello with something else")]
    NotAHello,
    /// An acknowledgement is of more than was sent, of less than the one before it, or of too little
    /// more (`docs/protocol.md` §17.6, §18.7).
    #[error("it acknowledged an offset out of order")]
    AcknowledgedOutOfOrder,
    /// The window of an upload has no room for a chunk (`docs/protocol.md` §17.4).
    #[error("it granted a window of less than 64 KiB")]
    SmallWindow,
    /// A part of a list is empty and promises more: it would be asked for again for ever.
    #[error("it sent an empty part of a list, and promised more")]
    EmptyListPart,
}
