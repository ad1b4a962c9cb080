//! What files of both versions are stored as. Sealed content has a module of its own,
//! [`crate::sealed`].

pub mod legacy_content;
mod stored;

pub use stored::{NewUpload, StoredFormat};
