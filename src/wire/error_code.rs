//! The codes of refusals in FSS/2 (`docs/protocol.md` §20).

/// Why a request is refused, as a code for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Unknown cookie, wrong password, wrong owner or wrong header, which must be
    /// indistinguishable.
    Refused,
    /// An upload or a list by a key that is not a user, on a server for members.
    NotAMember,
    /// The file, or its next part, does not fit into the user's quota.
    Quota,
    /// The server has no space.
    NoRoom,
    /// The file is larger than the server accepts.
    TooLarge,
    /// Wrong passwords have caused a delay.
    TooManyAttempts,
    /// A limit of unfinished uploads is reached.
    TooManyUploads,
    /// The key has as many files as it may have.
    TooManyFiles,
    /// Another connection resumed this upload.
    Superseded,
    /// A limit of connections or of work is reached.
    Busy,
    /// The version is not supported.
    Version,
    /// The arguments are not valid.
    BadRequest,
    /// The name is another user's, or cannot be one.
    NameTaken,
    /// The invite is unknown, used, too old or missing.
    BadInvite,
    /// The peer was silent too long.
    Idle,
    /// The storage of the sender has failed.
    Storage,
    /// Record, frame or order is wrong, without saying which.
    Protocol,
}

impl ErrorCode {
    /// All codes.
    pub const ALL: [Self; 17] = [
        Self::Refused,
        Self::NotAMember,
        Self::Quota,
        Self::NoRoom,
        Self::TooLarge,
        Self::TooManyAttempts,
        Self::TooManyUploads,
        Self::TooManyFiles,
        Self::Superseded,
        Self::Busy,
        Self::Version,
        Self::BadRequest,
        Self::NameTaken,
        Self::BadInvite,
        Self::Idle,
        Self::Storage,
        Self::Protocol,
    ];

    /// The code on the wire.
    pub fn as_str(self) -> &'static str {
        self.texts().0
    }

    /// The sentence for people.
    pub fn sentence(self) -> &'static str {
        self.texts().1
    }

    /// Parses a code; an unknown one ends the connection like [`ErrorCode::Protocol`].
    pub fn parse(code: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str().as_bytes() == code)
    }

    /// Whether it always ends the connection, not only the operation.
    pub fn ends_connection(self) -> bool {
        matches!(self, Self::Protocol | Self::Idle | Self::Version | Self::Superseded)
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Refused => ("refused", "No such file, or the wrong password."),
            Self::NotAMember => ("not-a-member", "This server is for its members."),
            Self::Quota => ("quota", "The file does not fit into your quota."),
            Self::NoRoom => ("no-room", "The server has no room."),
            Self::TooLarge => ("too-large", "The file is larger than this server takes."),
            Self::TooManyAttempts => ("too-many-attempts", "Too many attempts."),
            Self::TooManyUploads => ("too-many-uploads", "Too many unfinished uploads."),
            Self::TooManyFiles => {
                ("too-many-files", "You have as many files here as one key may have.")
            }
            Self::Superseded => ("superseded", "Another connection resumed this upload."),
            Self::Busy => ("busy", "The server is busy."),
            Self::Version => ("version", "This version is not spoken here."),
            Self::BadRequest => ("bad-request", "The request is not valid."),
            Self::NameTaken => ("name-taken", "This name is not available."),
            Self::BadInvite => ("bad-invite", "The invite is not valid."),
            Self::Idle => ("idle", "Nothing came for too long."),
            Self::Storage => ("storage", "The storage has failed."),
            Self::Protocol => ("protocol", "The protocol was broken."),
        }
    }
}
