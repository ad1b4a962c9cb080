//! Between a machine and a store: requests as data, and the storage side of one connection that answers them.
//!
//! A [`crate::server::ServerEngine`] asks with [`StoreRequest`]s and never touches a store. Whoever drives it answers,
//! from a synchronous store with [`Transfer::answer`] (on this thread or on a pool), or in any other way.

use bytes::Bytes;

use super::{Download, Store, StoreError, StoreErrorKind, Upload};
use crate::cookie::Cookie;
use crate::crypto::legacy::Verifier;

/// What an engine asks of storage. It asks one thing at a time, and waits for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRequest {
    /// Names the request in [`crate::server::ServerEngine::complete`]; it is never used again on this connection.
    pub id: RequestId,
    /// What to do.
    pub operation: StoreOperation,
}

/// Names a request of one engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// The operations of storage, on the one file that a connection is busy with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOperation {
    /// Begin a new file: answered by [`StoreReply::Created`].
    Create {
        /// What its password is to be checked with.
        verifier: Verifier,
    },
    /// Take bytes of the new file: answered by [`StoreReply::Done`].
    Write {
        /// Where they begin.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
    /// Make the new file durable and visible: answered by [`StoreReply::Done`].
    Commit,
    /// Find a file: answered by [`StoreReply::Opened`].
    Open {
        /// Its cookie.
        cookie: Cookie,
    },
    /// Read from the file that was opened: answered by [`StoreReply::Data`].
    Read {
        /// Where to begin.
        offset: u64,
        /// How many bytes; they are all there.
        length: usize,
    },
    /// The file that was opened has been delivered: answered by [`StoreReply::Done`].
    Delivered,
}

/// The answers of storage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreReply {
    /// The new file will have this cookie.
    Created {
        /// The cookie, reserved for it.
        cookie: Cookie,
    },
    /// The file that was looked for, if there is one.
    Opened {
        /// What is known of it.
        file: Option<StoredFile>,
    },
    /// The bytes that were asked for.
    Data(Bytes),
    /// It is done.
    Done,
}

/// What a machine needs to know of a stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// What its password is checked with.
    pub verifier: Verifier,
    /// Its stored size in bytes.
    pub size: u64,
}

/// The storage side of one connection: at most one file on its way in, and one on its way out.
///
/// Dropping it abandons an upload that is not committed.
pub struct Transfer<S> {
    store: S,
    upload: Option<Box<dyn Upload>>,
    download: Option<Box<dyn Download>>,
}

impl<S: Store> Transfer<S> {
    /// Starts with no file.
    pub fn new(store: S) -> Self {
        Self { store, upload: None, download: None }
    }

    /// Does what an engine asks, and waits for it.
    ///
    /// # Errors
    /// Those of the store; [`StoreErrorKind::Misuse`] for requests in an order that no engine makes.
    pub fn answer(&mut self, operation: StoreOperation) -> Result<StoreReply, StoreError> {
        let out_of_order = || StoreError::new(StoreErrorKind::Misuse, "a storage request without the one before it");
        match operation {
            StoreOperation::Create { verifier } => {
                let upload = self.upload.insert(self.store.create(&verifier)?);
                Ok(StoreReply::Created { cookie: upload.cookie().clone() })
            }
            StoreOperation::Write { offset, data } => {
                self.upload.as_mut().ok_or_else(out_of_order)?.write(offset, data).map(|()| StoreReply::Done)
            }
            StoreOperation::Commit => self.upload.take().ok_or_else(out_of_order)?.commit().map(|()| StoreReply::Done),
            StoreOperation::Open { cookie } => {
                self.download = self.store.open(&cookie)?;
                let file = self.download.as_ref().map(|file| StoredFile { verifier: file.verifier().clone(), size: file.size() });
                Ok(StoreReply::Opened { file })
            }
            StoreOperation::Read { offset, length } => {
                self.download.as_mut().ok_or_else(out_of_order)?.read(offset, length).map(StoreReply::Data)
            }
            StoreOperation::Delivered => self.download.take().ok_or_else(out_of_order)?.delivered().map(|()| StoreReply::Done),
        }
    }

    /// Lets go of the files that the connection was busy with.
    pub fn abandon(&mut self) {
        self.upload = None;
        self.download = None;
    }
}

impl<S> std::fmt::Debug for Transfer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (upload, download) = (self.upload.is_some(), self.download.is_some());
        f.debug_struct("Transfer").field("upload", &upload).field("download", &download).finish_non_exhaustive()
    }
}
