//! How files of both versions are stored. Sealed content has a module of its own,
//! [`crate::sealed`].

pub mod legacy_content;
mod stored;

pub use stored::{NewUpload, StoredFormat};
