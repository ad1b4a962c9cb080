//! Sealed content: a file encrypted end to end, in chunks that are opened independently
//! (`docs/protocol.md` §21).
//!
//! A server stores it and never sees the password or the plaintext. It can be written and read
//! without a server:
//!
//! ```
//! use std::io::{Read as _, Write as _};
//! use fss::sealed::{Cost, Header, MasterKey, Metadata, Reader, Writer};
//! use fss::{Password, SystemRng, crypto::default_provider};
//!
//! let provider = default_provider();
//! let header = Header::new(Cost::DEFAULT, &mut SystemRng);
//! let master = MasterKey::derive(&Password::new("correct horse battery staple")?, &header)?;
//! let key = master.key(&header, &*provider);
//! let mut writer = Writer::new(Vec::new(), &key, &header, &Metadata::named("notes.txt"), SystemRng)?;
//! writer.write_all(b"a file")?;
//! let sealed = writer.finish()?;
//!
//! let header = Header::parse(&sealed[..Header::LENGTH])?;
//! let mut reader = Reader::new(&sealed[Header::LENGTH..], &key, &header)?;
//! assert_eq!(reader.metadata().name(), Some("notes.txt"));
//! let mut file = String::new();
//! reader.read_to_string(&mut file)?;
//! assert_eq!(file, "a file");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chunk;
mod header;
mod integrity;
mod key;
mod metadata;
mod stream;

pub use chunk::{
    CHUNK, CHUNK_OVERHEAD, ChunkOpener, ChunkSealer, MAX_SEALED_CHUNK, content_length,
    stored_length,
};
pub use header::{Cost, Header, InvalidHeader};
pub use integrity::{Integrity, InvalidMetadata};
pub use key::{DerivationFailed, Key, MasterKey};
pub use metadata::Metadata;
pub use stream::{Reader, Writer};
