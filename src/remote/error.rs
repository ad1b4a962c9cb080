//! What can go wrong between a program and its files on a server.

use std::io;

use crate::sealed::DerivationFailed;

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection to the server: check its address, and try again.
    #[error("cannot connect to {server}")]
    Connect {
        /// Its address.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// The connection failed, or the server refused ([`crate::Error::PeerRefused`]), or is not the
    /// one that it was ([`crate::Error::ServerKeyChanged`]), or interferes
    /// ([`crate::Error::Integrity`]).
    #[error(transparent)]
    Session(#[from] crate::Error),
    /// The keys of servers cannot be read or kept.
    #[error("cannot use the known servers")]
    ServerKeys(#[source] io::Error),
    /// What was to be uploaded cannot be read.
    #[error("cannot read what is to be uploaded")]
    Source(#[source] io::Error),
    /// What was downloaded cannot be written; [`io::ErrorKind::AlreadyExists`] if something is
    /// there already.
    #[error("cannot write what is downloaded")]
    Sink(#[source] io::Error),
    /// What was compressed is not what its uploader said that it is.
    #[error("the file cannot be decompressed")]
    Content(#[source] io::Error),
    /// There is not enough memory to make a key of the password.
    #[error(transparent)]
    Key(#[from] DerivationFailed),
    /// It is a file of FSS 1.0: [`crate::client::legacy`] and [`crate::client::LegacyDownload`] get
    /// those.
    #[error("the file is one of FSS 1.0, which is not sealed")]
    NotSealed,
    /// It is compressed and does not say how large it becomes, so it could fill any disk.
    #[error("the file is compressed, and does not say how large it becomes")]
    Unbounded,
    /// It is compressed or to be compressed, and this program was built without the feature
    /// `compress`.
    #[error("this program was built without compression")]
    NoCompression,
    /// The server lists files without end.
    #[error("the server lists more files than are taken")]
    EndlessList,
    /// The server closed the connection before it had answered.
    #[error("the server closed before it answered")]
    NoAnswer,
}
