//! Between a machine and a store: requests as data, and the storage side of one connection that
//! answers them.
//!
//! A [`crate::server::ServerEngine`] asks with [`StoreRequest`]s and never touches a store. Its
//! driver answers, for a synchronous store with [`Transfer::answer`] (on this thread or on a pool),
//! or in any other way.

use std::fmt;

use bytes::Bytes;

use super::{
    Account, FileReader, FileWriter, Invite, Listing, NewFile, Removal, Resumed, RetentionTerms,
    Store, StoreError, StoreErrorKind, StoredFile, StoredFormat, UploadKey, UserName,
};
use crate::chain::ChainDigest;
use crate::crypto::Fingerprint;
use crate::pool::PooledBuffer;
use crate::types::cookie::Cookie;

/// What an engine asks of storage: one thing at a time, and it waits for the answer. What is about
/// a file is about the one that the connection is busy with.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreRequest {
    /// Begin a new file: answered by [`StoreReply::Created`].
    Create {
        /// What is known of it.
        file: Box<NewFile>,
    },
    /// Find what the resume of an upload is checked with: answered by [`StoreReply::FoundUpload`].
    FindUpload {
        /// Its cookie.
        cookie: Cookie,
    },
    /// Resume an upload: answered by [`StoreReply::Resumed`].
    Resume {
        /// Its cookie.
        cookie: Cookie,
        /// Where the client wants to resume.
        offset: u64,
    },
    /// Write bytes of the upload: answered by [`StoreReply::Done`].
    Write {
        /// Where they begin.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
    /// Make the file durable and visible: answered by [`StoreReply::Committed`].
    Commit,
    /// Find a file: answered by [`StoreReply::Opened`].
    Open {
        /// Its cookie.
        cookie: Cookie,
    },
    /// Find the format of a file: answered by [`StoreReply::Format`].
    FindFormat {
        /// Its cookie.
        cookie: Cookie,
    },
    /// Claim a delivery of the file that was opened: answered by [`StoreReply::Claimed`].
    Claim {
        /// The client's proved key.
        by: Fingerprint,
    },
    /// Read from the file that was opened: answered by [`StoreReply::Data`].
    Read {
        /// Where to begin.
        offset: u64,
        /// The buffer to fill; so many bytes are all there. Answer with it.
        buffer: ReadBuffer,
    },
    /// The file that was opened has been delivered: answered by [`StoreReply::Done`].
    Delivered,
    /// Remove a file: answered by [`StoreReply::Removed`].
    Remove {
        /// Its cookie.
        cookie: Cookie,
    },
    /// Remove a file of an owner, or find that it was removed not long ago: answered by
    /// [`StoreReply::RemovedOwned`].
    RemoveOwned {
        /// Its cookie.
        cookie: Cookie,
        /// Whose it was.
        owner: Fingerprint,
    },
    /// List files: answered by [`StoreReply::Listed`].
    List {
        /// Whose.
        owner: Fingerprint,
        /// After which one.
        after: Option<Cookie>,
    },
    /// Create a user: answered by [`StoreReply::Account`].
    SignUp {
        /// The client's proved key.
        key: Fingerprint,
        /// The name that is wanted.
        name: UserName,
        /// The invite, if there is one.
        invite: Option<Invite>,
    },
    /// Find a user: answered by [`StoreReply::Account`].
    Account {
        /// The client's proved key.
        key: Fingerprint,
    },
}

/// The answers of storage.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreReply {
    /// The new file begins.
    Created {
        /// The cookie, reserved for it.
        cookie: Cookie,
        /// When it would expire if it was completed now, in Unix seconds.
        expires: Option<u64>,
        /// What it is granted of what its client asked for.
        granted: RetentionTerms,
    },
    /// What a resume is checked with, if there is such an upload.
    FoundUpload(Option<UploadKey>),
    /// The upload goes on, if it is still there.
    Resumed(Option<ResumedUpload>),
    /// The file is durable and visible.
    Committed {
        /// Its final chain.
        chain: ChainDigest,
    },
    /// The file that was looked for, if there is one.
    Opened {
        /// What is known of it.
        file: Option<Box<StoredFile>>,
    },
    /// What the file is stored as, if there is one.
    Format(Option<StoredFormat>),
    /// Whether a delivery was claimed.
    Claimed(bool),
    /// The buffer of the request, filled with the bytes that were asked for.
    Data(ReadBuffer),
    /// Whether there was such a file.
    Removed(bool),
    /// What became of the file.
    RemovedOwned(Removal),
    /// The files, unless the one to begin after is none of the owner's.
    Listed(Option<Listing>),
    /// The user, if there is one.
    Account(Option<Account>),
    /// The operation is done.
    Done,
}

/// A buffer for bytes of a file, which an engine lends to storage. Whoever has it owns it: the
/// engine while it sends from it, storage while it reads into it.
///
/// One for a file of FSS/2 is counted in
/// [`Limits::record_buffers`](crate::Limits::record_buffers) until it is dropped. If it is dropped
/// and the request is not answered, the next poll asks again with another one.
pub struct ReadBuffer(Memory);

enum Memory {
    Own(Vec<u8>),
    /// The buffer of a record, in which the bytes begin at `start`.
    Record {
        record: PooledBuffer,
        start: usize,
        length: usize,
    },
}

impl ReadBuffer {
    /// A buffer with memory of its own, for tests of a storage.
    pub fn new(length: usize) -> Self {
        Self(Memory::Own(vec![0; length]))
    }

    /// A part of the buffer of a record; `None` if it has fewer bytes.
    pub(crate) fn in_record(record: PooledBuffer, start: usize, length: usize) -> Option<Self> {
        record.as_ref().get(start..)?.get(..length)?;
        Some(Self(Memory::Record { record, start, length }))
    }

    /// The buffer of the record; `None` if this one has memory of its own.
    pub(crate) fn into_record(self) -> Option<PooledBuffer> {
        match self.0 {
            Memory::Record { record, .. } => Some(record),
            Memory::Own(_) => None,
        }
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Memory::Own(bytes) => bytes,
            Memory::Record { record, start, length } => &record.as_ref()[*start..][..*length],
        }
    }
}

impl AsMut<[u8]> for ReadBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Memory::Own(bytes) => bytes,
            Memory::Record { record, start, length } => &mut record.as_mut()[*start..][..*length],
        }
    }
}

/// The same bytes.
impl PartialEq for ReadBuffer {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for ReadBuffer {}

impl fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadBuffer").field(&self.as_ref().len()).finish()
    }
}

/// Where an upload resumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumedUpload {
    /// Whether it is complete already.
    pub complete: bool,
    /// A checkpoint, or the size.
    pub offset: u64,
    /// The chain there.
    pub chain: ChainDigest,
    /// The size that was announced.
    pub size: Option<u64>,
    /// When it expires, or would if it was completed now, in Unix seconds.
    pub expires: Option<u64>,
    /// What it is granted of what its client asked for; not of one that is complete.
    pub granted: RetentionTerms,
}

/// The storage side of one connection: at most one upload and one download.
///
/// Dropping it abandons an upload that is not committed.
pub struct Transfer<S> {
    store: S,
    upload: Option<Box<dyn FileWriter>>,
    download: Option<Box<dyn FileReader>>,
}

impl<S: Store> Transfer<S> {
    /// A connection without a file.
    pub fn new(store: S) -> Self {
        Self { store, upload: None, download: None }
    }

    /// Does what an engine asks, and waits for it.
    ///
    /// # Errors
    /// Those of the store; [`StoreErrorKind::Misuse`] for requests in an order that no engine
    /// makes.
    pub fn answer(&mut self, request: StoreRequest) -> Result<StoreReply, StoreError> {
        let out_of_order = || {
            StoreError::new(StoreErrorKind::Misuse, "a storage request without the one before it")
        };
        match request {
            StoreRequest::Create { file } => {
                self.upload = None;
                let upload = self.upload.insert(self.store.create(&file)?);
                Ok(StoreReply::Created {
                    cookie: upload.cookie().clone(),
                    expires: upload.expires(),
                    granted: upload.granted(),
                })
            }
            StoreRequest::FindUpload { cookie } => {
                self.store.find_upload(&cookie).map(StoreReply::FoundUpload)
            }
            StoreRequest::Resume { cookie, offset } => {
                // Otherwise this connection would supersede itself.
                self.upload = None;
                let resumed = self.store.resume(&cookie, offset)?;
                Ok(StoreReply::Resumed(resumed.map(
                    |Resumed { upload, offset, chain, size, expires }| {
                        let complete = upload.is_none();
                        let granted = upload
                            .as_ref()
                            .map_or_else(RetentionTerms::default, |upload| upload.granted());
                        self.upload = upload;
                        ResumedUpload { complete, offset, chain, size, expires, granted }
                    },
                )))
            }
            StoreRequest::Write { offset, data } => self
                .upload
                .as_mut()
                .ok_or_else(out_of_order)?
                .write(offset, data)
                .map(|()| StoreReply::Done),
            StoreRequest::Commit => {
                let chain = self.upload.take().ok_or_else(out_of_order)?.commit()?;
                Ok(StoreReply::Committed { chain })
            }
            StoreRequest::Open { cookie } => {
                self.download = None;
                self.download = self.store.open(&cookie)?;
                Ok(StoreReply::Opened {
                    file: self.download.as_ref().map(|download| Box::new(download.file().clone())),
                })
            }
            StoreRequest::Claim { by } => {
                self.download.as_mut().ok_or_else(out_of_order)?.claim(&by).map(StoreReply::Claimed)
            }
            StoreRequest::Read { offset, mut buffer } => {
                self.download.as_mut().ok_or_else(out_of_order)?.read(offset, buffer.as_mut())?;
                Ok(StoreReply::Data(buffer))
            }
            StoreRequest::Delivered => self
                .download
                .take()
                .ok_or_else(out_of_order)?
                .delivered()
                .map(|()| StoreReply::Done),
            StoreRequest::Remove { cookie } => {
                self.download = None;
                self.store.remove(&cookie).map(StoreReply::Removed)
            }
            StoreRequest::FindFormat { cookie } => {
                self.store.format(&cookie).map(StoreReply::Format)
            }
            StoreRequest::RemoveOwned { cookie, owner } => {
                self.store.remove_owned(&cookie, &owner).map(StoreReply::RemovedOwned)
            }
            StoreRequest::List { owner, after } => {
                self.store.list(&owner, after.as_ref()).map(StoreReply::Listed)
            }
            StoreRequest::SignUp { key, name, invite } => self
                .store
                .sign_up(&key, &name, invite.as_ref())
                .map(|account| StoreReply::Account(Some(account))),
            StoreRequest::Account { key } => self.store.account(&key).map(StoreReply::Account),
        }
    }

    /// Drops the upload and the download.
    pub fn abandon(&mut self) {
        self.upload = None;
        self.download = None;
    }
}

impl<S> fmt::Debug for Transfer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (upload, download) = (self.upload.is_some(), self.download.is_some());
        f.debug_struct("Transfer")
            .field("upload", &upload)
            .field("download", &download)
            .finish_non_exhaustive()
    }
}
