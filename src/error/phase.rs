//! Where in an operation a connection was when it ended.

/// The part of an operation in which a connection ended or fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the peer's key was complete.
    KeyExchange,
    /// Before the request was complete, or before it was answered.
    Request,
    /// When no operation was going on (FSS/2).
    Rest,
    /// While the file was on its way.
    Transfer,
    /// Before the last message was acknowledged.
    Finish,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::KeyExchange => "during the key exchange",
            Self::Request => "before the request was answered",
            Self::Rest => "while nothing was asked",
            Self::Transfer => "in the middle of the file",
            Self::Finish => "before the end of the file was acknowledged",
        })
    }
}
