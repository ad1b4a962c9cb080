//! Storage: the contract of a store, and the backends.
//!
//! A store sees ciphertext and verifiers, never a password or a plaintext. This is its contract;
//! the suite in `conformance` (feature `conformance`) checks it for any backend, except for
//! crashes:
//!
//! - A file is invisible until [`FileWriter::commit`] returns, and durable from then on: data,
//!   names and record.
//! - An upload of FSS 1.0 that is dropped without a commit leaves nothing, nor does a crash: a
//!   store cleans up when it is opened. One of FSS/2 stays pending until its lease ends.
//! - No two files ever have the same cookie.
//! - [`FileReader::delivered`] is called only after the client acknowledged the whole file.
//!
//! [`MemoryStore`] keeps files in memory. `EmbeddedStore` is the default of real servers: a SQLite
//! index and a directory of files, in the layout of 2019. It is an [`IndexedStore`], which owns the
//! order of steps between any [`Index`] and any [`Blobs`].

use std::time::Duration;

use bytes::Bytes;

use crate::chain::{Chain, ChainDigest};
use crate::crypto::Fingerprint;
use crate::crypto::legacy::Verifier;
use crate::sealed::Header;
use crate::types::cookie::Cookie;
// Wire and store describe files and users with the same types.
pub use crate::format::{NewUpload, StoredFormat};
pub use crate::types::entry::Entry;
pub use crate::types::user::{Account, InvalidInvite, InvalidUserName, Invite, UserName};

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(all(feature = "sqlite", feature = "filesystem"))]
pub mod embedded;
mod error;
#[cfg(feature = "filesystem")]
pub mod filesystem;
pub mod indexed;
pub mod memory;
mod options;
mod retention;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod transfer;
#[cfg(feature = "sqlite")]
pub mod users;
mod verify;

#[cfg(all(feature = "sqlite", feature = "filesystem"))]
pub use embedded::EmbeddedStore;
pub use error::{StoreError, StoreErrorKind};
pub use indexed::{Blobs, Index, IndexedStore};
pub use memory::MemoryStore;
pub use options::OpenOptions;
pub use retention::{Claim, DownloadClaims, Retention, RetentionTerms};
#[cfg(feature = "sqlite")]
pub use users::Users;
#[cfg(all(feature = "sqlite", feature = "filesystem"))]
pub use verify::verify_directory;
pub use verify::{Finding, Verified};

/// Stores files under cookies. Shared by all connections of a server.
///
/// Files of both versions are in one store. It also has what FSS/2 adds: resumed uploads, owners
/// and users. Its rules are those of `docs/protocol.md` §17 to §19 and §25.
///
/// [`Store::create`], [`Store::open`] and [`Store::remove`] make a store. Without the others it has
/// no resume, no lists and no users, which clients are told. A store that wraps another one forwards
/// all of them.
pub trait Store: Send + Sync {
    /// Starts a new file, which is invisible until its commit, and reserves its cookie.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::NotAMember`], [`StoreErrorKind::Quota`],
    /// [`StoreErrorKind::TooManyFiles`] and [`StoreErrorKind::TooManyUploads`] are for the owner to
    /// resolve.
    fn create(&self, file: &NewFile) -> Result<Box<dyn FileWriter>, StoreError>;

    /// What the resume of an upload of FSS/2 is checked with, whether it is pending or complete.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find_upload(&self, cookie: &Cookie) -> Result<Option<UploadKey>, StoreError> {
        let _ = cookie;
        Ok(None)
    }

    /// Takes over a pending upload and resumes it at the largest durable checkpoint that is not
    /// above `offset`. The next step of its former holder fails with
    /// [`StoreErrorKind::Superseded`]. `None` if no upload has this cookie.
    ///
    /// # Errors
    /// [`StoreError`]
    fn resume(&self, cookie: &Cookie, offset: u64) -> Result<Option<Resumed>, StoreError> {
        let _ = (cookie, offset);
        Ok(None)
    }

    /// Opens a file for reading; `None` if no file has this cookie, or it has expired. An open file
    /// can be read to its end, even if it is removed meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]
    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn FileReader>>, StoreError>;

    /// The format of a file, if there is one. Its bytes need not be readable for that.
    ///
    /// # Errors
    /// [`StoreError`]
    fn format(&self, cookie: &Cookie) -> Result<Option<StoredFormat>, StoreError> {
        Ok(self.open(cookie)?.map(|file| file.file().header.clone().into()))
    }

    /// Removes a file, and returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError>;

    /// Removes a file of this owner, which need not be readable. One that was removed within the
    /// last [`LEASE`] is remembered, so that a command whose answer was lost can be repeated
    /// (`docs/protocol.md` §19.2); at most the latest [`REMOVED_REMEMBERED`] are.
    ///
    /// # Errors
    /// [`StoreError`]
    fn remove_owned(&self, cookie: &Cookie, owner: &Fingerprint) -> Result<Removal, StoreError> {
        let is_owned =
            self.open(cookie)?.is_some_and(|file| file.file().owner.as_ref() == Some(owner));
        Ok(if is_owned && self.remove(cookie)? { Removal::Removed } else { Removal::NotOwned })
    }

    /// The next files of an owner, oldest first, after the one with the cookie `after`; at most
    /// [`LISTED_AT_ONCE`]. `None` if `after` is not one of them.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::NotAMember`]
    fn list(
        &self,
        owner: &Fingerprint,
        after: Option<&Cookie>,
    ) -> Result<Option<Listing>, StoreError> {
        let _ = (owner, after);
        Ok(Some(Listing::default()))
    }

    /// Creates a user, or returns the existing one of the key.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::NameTaken`], [`StoreErrorKind::BadInvite`]
    fn sign_up(
        &self,
        key: &Fingerprint,
        name: &UserName,
        invite: Option<&Invite>,
    ) -> Result<Account, StoreError> {
        let _ = (key, name, invite);
        Err(StoreError::new(StoreErrorKind::BadInvite, "this store has no users"))
    }

    /// The user with this key.
    ///
    /// # Errors
    /// [`StoreError`]
    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError> {
        let _ = key;
        Ok(None)
    }
}

/// The most files in one answer to a list.
pub const LISTED_AT_ONCE: usize = 256;

/// How long an interrupted upload is kept after its last checkpoint (`docs/protocol.md` §17.16).
pub const LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many removed files are remembered at most (`docs/protocol.md` §19.2).
pub const REMOVED_REMEMBERED: usize = 10_000;

/// A file to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewFile {
    /// Of FSS 1.0. If it is interrupted, it is removed.
    Legacy {
        /// The verifier of its password.
        verifier: Verifier,
    },
    /// Of FSS/2. If it is interrupted, it is pending: it can be resumed until its lease ends.
    Sealed {
        /// What the client announced.
        upload: NewUpload,
        /// The client's proved key.
        owner: Fingerprint,
    },
}

impl NewFile {
    /// The chain of the file before its first byte.
    pub fn chain(&self) -> Chain {
        match self {
            Self::Legacy { .. } => Chain::new(b""),
            Self::Sealed { upload, .. } => Chain::new(&upload.header.to_bytes()),
        }
    }

    /// The file when it is complete, with its stored size in bytes and its chain.
    pub fn into_stored(self, size: u64, chain: ChainDigest) -> StoredFile {
        let stored = match self {
            Self::Legacy { verifier } => StoredFile::new(verifier, size),
            Self::Sealed { upload, owner } => StoredFile::new(upload.verifier, size)
                .with_header(Some(upload.header))
                .with_owner(Some(owner)),
        };
        stored.with_chain(Some(chain))
    }
}

/// What a file counts against its owner's quota beyond its bytes, in bytes (`docs/protocol.md`
/// §19.5): a directory and two files that are rounded up to blocks, three inodes, and records.
/// Without it empty files would be free.
pub const FILE_CHARGE: u64 = 16 * 1024;

/// How long a claim is kept for its key after it was made or last used (`docs/protocol.md` §25.7):
/// long enough to come back, and not too long for others to wait.
pub const CLAIM_LEASE: Duration = Duration::from_secs(60 * 60);

/// What the resume of an upload is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadKey {
    /// The header that it started with.
    pub header: Header,
    /// The verifier of its password.
    pub verifier: Verifier,
    /// The key that started it.
    pub owner: Option<Fingerprint>,
}

impl UploadKey {
    /// The header, verifier and owner of an upload.
    pub fn new(header: Header, verifier: Verifier, owner: Option<Fingerprint>) -> Self {
        Self { header, verifier, owner }
    }
}

/// An upload that is resumed (`docs/protocol.md` §17.10).
#[non_exhaustive]
pub struct Resumed {
    /// The rest of it; `None` if it is complete.
    pub upload: Option<Box<dyn FileWriter>>,
    /// Where it resumes: a checkpoint, or the size.
    pub offset: u64,
    /// The chain there.
    pub chain: ChainDigest,
    /// The size that was announced.
    pub size: Option<u64>,
    /// When the file expires, or would if it was completed now, in Unix seconds.
    pub expires: Option<u64>,
}

impl Resumed {
    /// A pending upload that continues at a checkpoint.
    pub fn pending(upload: Box<dyn FileWriter>, offset: u64, chain: ChainDigest) -> Self {
        let expires = upload.expires();
        Self { upload: Some(upload), offset, chain, size: None, expires }
    }

    /// An upload that is complete, with the size of the file and its final chain.
    pub fn complete(size: u64, chain: ChainDigest) -> Self {
        Self { upload: None, offset: size, chain, size: Some(size), expires: None }
    }

    /// The same with the size that was announced, in bytes without the header.
    #[must_use]
    pub fn with_size(mut self, size: Option<u64>) -> Self {
        self.size = size;
        self
    }

    /// The same with the time of the file's expiry, in Unix seconds.
    #[must_use]
    pub fn with_expires(mut self, expires: Option<u64>) -> Self {
        self.expires = expires;
        self
    }
}

/// An upload. Dropping one of FSS 1.0 abandons it; one of FSS/2 stays pending.
pub trait FileWriter: Send {
    /// The cookie that the file will have.
    fn cookie(&self) -> &Cookie;

    /// When the file would expire if it was completed now, in Unix seconds: never, by default.
    fn expires(&self) -> Option<u64> {
        None
    }

    /// The retention that the file is granted: without limits, by default.
    fn granted(&self) -> RetentionTerms {
        RetentionTerms::default()
    }

    /// Accepts the bytes at `offset`, which is where the last ones ended; the header of a sealed
    /// file is not counted. They are then accepted, not durable. The checkpoints of a sealed file
    /// (`docs/protocol.md` §22.3) become durable by themselves, soon after they are passed.
    ///
    /// The bytes may be kept without a copy. While this runs they count as one of
    /// [`Limits::record_buffers`](crate::Limits::record_buffers); the store itself bounds what it
    /// keeps after it has returned, 257 KiB for each `data` however short a slice of it is kept.
    ///
    /// # Errors
    /// [`StoreError`]; the upload must then be dropped. [`StoreErrorKind::Superseded`] if another
    /// connection took over.
    fn write(&mut self, offset: u64, data: Bytes) -> Result<(), StoreError>;

    /// Makes the file durable, then visible, and returns its chain.
    ///
    /// # Errors
    /// [`StoreError`]; the file is then not there. One of FSS 1.0 never will be; one of FSS/2 is
    /// still pending.
    fn commit(self: Box<Self>) -> Result<ChainDigest, StoreError>;
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredFile {
    /// The header of a sealed file; `None` for one of FSS 1.0.
    pub header: Option<Header>,
    /// The verifier of its password.
    pub verifier: Verifier,
    /// The stored size in bytes, the header not counted.
    pub size: u64,
    /// The final chain, if it was recorded.
    pub chain: Option<ChainDigest>,
    /// When it expires, in Unix seconds.
    pub expires: Option<u64>,
    /// The key that uploaded it, if that was proved.
    pub owner: Option<Fingerprint>,
}

impl StoredFile {
    /// A file of FSS 1.0 that is kept for ever. `size` is in bytes, without a header.
    pub fn new(verifier: Verifier, size: u64) -> Self {
        Self { header: None, verifier, size, chain: None, expires: None, owner: None }
    }

    /// The same file with the header of a sealed one.
    #[must_use]
    pub fn with_header(mut self, header: Option<Header>) -> Self {
        self.header = header;
        self
    }

    /// The same file with its final chain.
    #[must_use]
    pub fn with_chain(mut self, chain: Option<ChainDigest>) -> Self {
        self.chain = chain;
        self
    }

    /// The same file with the time of its expiry, in Unix seconds.
    #[must_use]
    pub fn with_expires(mut self, expires: Option<u64>) -> Self {
        self.expires = expires;
        self
    }

    /// The same file with the key that uploaded it.
    #[must_use]
    pub fn with_owner(mut self, owner: Option<Fingerprint>) -> Self {
        self.owner = owner;
        self
    }
}

/// A download. Its claim stays when it is dropped, so that the client can come back.
pub trait FileReader: Send {
    /// The file.
    fn file(&self) -> &StoredFile;

    /// Claims one of the deliveries for the client with this key, if they are limited, or continues
    /// the claim that it has; `false` if none is left (`docs/protocol.md` §25.7). Durable. The
    /// claim lasts for [`CLAIM_LEASE`] after the last read. They are not, by default.
    ///
    /// # Errors
    /// [`StoreError`]
    fn claim(&mut self, by: &Fingerprint) -> Result<bool, StoreError> {
        let _ = by;
        Ok(true)
    }

    /// Fills `buffer` with the bytes at `offset`, the header not counted.
    ///
    /// # Errors
    /// [`StoreError`]; also where the file has become shorter than its size. What is in the buffer
    /// is then not used.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError>;

    /// The client has acknowledged the whole file: only now is one of the deliveries used up. After
    /// the last one the file is removed.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delivered(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The outcome of a removal by a file's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The file is removed.
    Removed,
    /// It was removed before.
    RemovedBefore,
    /// The owner has no such file, and none is remembered.
    NotOwned,
}

impl Removal {
    /// The outcome for a missing file.
    pub(crate) fn of_missing(is_remembered: bool) -> Self {
        if is_remembered { Self::RemovedBefore } else { Self::NotOwned }
    }
}

/// Some of an owner's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The files.
    pub files: Vec<Entry>,
    /// Whether there are more after them.
    pub more: bool,
}

impl Listing {
    /// Files of one owner, oldest first, and whether there are more after them.
    pub fn new(files: Vec<Entry>, more: bool) -> Self {
        Self { files, more }
    }
}

macro_rules! forward_store {
    ($($pointer:ty),*) => {$(
        impl<S: Store + ?Sized> Store for $pointer {
            fn create(&self, file: &NewFile) -> Result<Box<dyn FileWriter>, StoreError> {
                (**self).create(file)
            }

            fn find_upload(&self, cookie: &Cookie) -> Result<Option<UploadKey>, StoreError> {
                (**self).find_upload(cookie)
            }

            fn resume(&self, cookie: &Cookie, offset: u64) -> Result<Option<Resumed>, StoreError> {
                (**self).resume(cookie, offset)
            }

            fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn FileReader>>, StoreError> {
                (**self).open(cookie)
            }

            fn format(&self, cookie: &Cookie) -> Result<Option<StoredFormat>, StoreError> {
                (**self).format(cookie)
            }

            fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
                (**self).remove(cookie)
            }

            fn remove_owned(&self, cookie: &Cookie, owner: &Fingerprint) -> Result<Removal, StoreError> {
                (**self).remove_owned(cookie, owner)
            }

            fn list(&self, owner: &Fingerprint, after: Option<&Cookie>) -> Result<Option<Listing>, StoreError> {
                (**self).list(owner, after)
            }

            fn sign_up(&self, key: &Fingerprint, name: &UserName, invite: Option<&Invite>) -> Result<Account, StoreError> {
                (**self).sign_up(key, name, invite)
            }

            fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError> {
                (**self).account(key)
            }
        }
    )*};
}
forward_store!(&S, Box<S>, std::sync::Arc<S>);
