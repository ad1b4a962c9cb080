//! What a frame is, of either side and version: for errors and logs.

use std::fmt;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A request of a client.
    Request,
    /// The server's identity and its proof.
    Identity,
    /// The cookie of an upload that may begin.
    Cookie,
    /// The approval of a download.
    Approval,
    /// What to make a proof with.
    Challenge,
    /// A part of a file.
    Data,
    /// The end of a file.
    EndOfFile,
    /// So much has come.
    Acknowledgement,
    /// A file of a list.
    ListEntry,
    /// The end of a list.
    EndOfList,
    /// A file was deleted.
    Deletion,
    /// What a server knows of itself and of its client.
    Information,
    /// An error frame.
    Error,
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "a request",
            Self::Identity => "the server's identity",
            Self::Cookie => "a cookie",
            Self::Approval => "an approval",
            Self::Challenge => "a challenge",
            Self::Data => "a part of a file",
            Self::EndOfFile => "the end of a file",
            Self::Acknowledgement => "an acknowledgement",
            Self::ListEntry => "a file of a list",
            Self::EndOfList => "the end of a list",
            Self::Deletion => "the answer to a deletion",
            Self::Information => "information",
            Self::Error => "an error",
        })
    }
}
