//! What a program does wrong that drives a machine.

/// A method was called when its documentation does not allow it, or with what it does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ApiMisuse {
    /// [`Step::Request`](crate::Step::Request) came ten thousand times within a second, and was not
    /// answered.
    #[error("what the machine asked for was not given, and it was polled again and again")]
    RequestNotAnswered,
    /// Storage was answered that had not been asked.
    #[error("there is no storage request to answer")]
    NoStorageRequest,
    /// The reply is one to another kind of storage request.
    #[error("the reply does not fit the storage request")]
    WrongStorageReply,
    /// An operation was started while another one waits to begin.
    #[error("an operation was started while another one waits")]
    OperationWaits,
    /// An operation was started after the last one.
    #[error("an operation was started after the last one")]
    OperationAfterFinish,
    /// An upload is larger than any file may be.
    #[error("an upload has more bytes than any file")]
    UploadTooLarge,
    /// The source of an upload that is resumed is shorter than what the server has of it.
    #[error("the source has fewer bytes than the server has of it")]
    SourceTooShort,
    /// A download is resumed at an offset that is not between two chunks.
    #[error("a download is resumed within a chunk")]
    OffsetWithinChunk,
    /// Bytes of a file were supplied when none were asked for.
    #[error("file bytes were supplied when none were needed")]
    SuppliedUnasked,
    /// More bytes were supplied than there was room for.
    #[error("more file bytes were supplied than there was room for")]
    SuppliedTooMuch,
    /// The source ended before the size that was announced.
    #[error("the file has fewer bytes than were announced")]
    SuppliedTooLittle,
    /// Bytes of a file were consumed when there were none.
    #[error("file bytes were taken when there were none")]
    ConsumedUnasked,
    /// More bytes were consumed than there were.
    #[error("more file bytes were taken than there were")]
    ConsumedTooMuch,
}
