//! Storage: what a server needs of it, and the backends.
//!
//! A store sees ciphertext and verifiers, never a password or a plaintext. Its contract, of which the suite in
//! `conformance` (behind the feature of that name) checks for any backend what can be checked without a crash:
//!
//! - A file is invisible until [`Upload::commit`] returns, and durable from then on: data, names and record.
//! - An upload that is dropped without a commit leaves nothing behind, and neither does a crash: a store cleans up what
//!   it finds when it is opened.
//! - No two files ever have the same cookie.
//! - [`Download::delivered`] is called only after the client acknowledged the whole file.
//!
//! [`MemoryStore`] keeps files in memory. `EmbeddedStore` is the default of real servers: a SQLite index and a
//! directory of files, in the layout of 2019. It is an [`IndexedStore`], which owns the order of steps between any
//! [`Index`] and any [`Blobs`].

use std::fmt;

use bytes::Bytes;

use crate::cookie::Cookie;
use crate::crypto::legacy::Verifier;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(all(feature = "sqlite", feature = "filesystem"))]
pub mod embedded;
#[cfg(feature = "filesystem")]
pub mod filesystem;
pub mod indexed;
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod transfer;
mod verify;

#[cfg(all(feature = "sqlite", feature = "filesystem"))]
pub use embedded::{EmbeddedStore, OpenOptions};
pub use indexed::{Blobs, Index, IndexedStore, Retention};
pub use memory::MemoryStore;
pub use verify::{Finding, Verified};

/// Keeps files under cookies. Shared by all connections of a server.
pub trait Store: Send + Sync {
    /// Begins a new file that nobody sees yet, and reserves its cookie.
    ///
    /// # Errors
    /// [`StoreError`]
    fn create(&self, verifier: &Verifier) -> Result<Box<dyn Upload>, StoreError>;

    /// Opens a file for reading; `None` if no file has this cookie. A file opened once can be read to its end, even if
    /// it is removed meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]
    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn Download>>, StoreError>;

    /// Removes a file, and says whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError>;
}

/// A file on its way in. Dropping it abandons it.
pub trait Upload: Send {
    /// The cookie that the file will have.
    fn cookie(&self) -> &Cookie;

    /// Takes the bytes at `offset`, which is where the last ones ended. Returning means accepted, not durable.
    ///
    /// # Errors
    /// [`StoreError`]; the upload is then only good for dropping.
    fn write(&mut self, offset: u64, data: Bytes) -> Result<(), StoreError>;

    /// Makes the file durable, then visible.
    ///
    /// # Errors
    /// [`StoreError`]; the file is then not there, and never will be.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// A file on its way out.
pub trait Download: Send {
    /// What the file's password is checked with.
    fn verifier(&self) -> &Verifier;

    /// The stored size in bytes.
    fn size(&self) -> u64;

    /// Reads exactly `length` bytes at `offset`.
    ///
    /// # Errors
    /// [`StoreError`]; also where the file has become shorter than [`Download::size`] said.
    fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, StoreError>;

    /// The client has acknowledged the whole file: if it was kept only until then, it is removed.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delivered(self: Box<Self>) -> Result<(), StoreError>;
}

macro_rules! forward_store {
    ($($pointer:ty),*) => {$(
        impl<S: Store + ?Sized> Store for $pointer {
            fn create(&self, verifier: &Verifier) -> Result<Box<dyn Upload>, StoreError> {
                (**self).create(verifier)
            }

            fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn Download>>, StoreError> {
                (**self).open(cookie)
            }

            fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
                (**self).remove(cookie)
            }
        }
    )*};
}
forward_store!(&S, Box<S>, std::sync::Arc<S>);

/// What went wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    kind: StoreErrorKind,
    detail: String,
}

/// The kinds of trouble that a program may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No room is left.
    Full,
    /// There is something of this name already.
    Exists,
    /// Another process is using the store.
    Busy,
    /// What is stored is not what it should be.
    Damaged,
    /// The place is there and is not a store of this kind.
    Foreign,
    /// The operating system or a remote service refused.
    Unavailable,
    /// A method was called when its contract does not allow it.
    Misuse,
}

impl StoreError {
    /// An error of this kind; `detail` says what failed and why.
    pub fn new(kind: StoreErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The error of an operation of the operating system: `what` failed because of `error`.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreErrorKind::Full,
            ErrorKind::AlreadyExists => StoreErrorKind::Exists,
            _ => StoreErrorKind::Unavailable,
        };
        Self::new(kind, format!("{what}: {error}"))
    }

    /// The kind.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for StoreError {}
