//! Upload and download.
//!
//! [`remote::Client`](crate::remote::Client) blocks; [`remote::AsyncClient`](crate::remote) (feature
//! `tokio`) has the same methods with `.await`. A client has one server, an identity, and a rule
//! whom it trusts:
//!
//! ```no_run
//! use fss::remote::{Client, Put, Trust};
//! use fss::{Config, Password};
//!
//! let server_key = "0sGYyqQ3p5Iq6bOLnVlDzzzZJtXVYV1lkq0JGFs4m5U="; // from its operator
//! # let server_key = fss::crypto::Fingerprint::from_bytes([0; 32]).to_string();
//! let client =
//!     Client::new(Config::generate()?, "files.example.org:954", Trust::Pinned(server_key.parse()?));
//! let password = Password::new("correct horse battery staple")?;
//! let stored = client.put(&b"a file"[..], &password, &Put::named("notes.txt"))?;
//! println!("cookie: {}", stored.cookie);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Trust
//!
//! Nothing is sent to a server before it has proved which key it has (`docs/protocol.md` §13).
//! [`Trust::Pinned`](crate::remote::Trust) names the key. [`Trust::OnFirstUse`](crate::remote::Trust)
//! accepts any key the first time, and only that one from then on; it remembers keys in a
//! [`ServerKeys`](crate::remote::ServerKeys): in memory, in a profile
//! (`fss::profile::KnownServers`), or in a place of your own. A server with another key is an
//! error, [`Error::ServerKeyChanged`](crate::Error::ServerKeyChanged), and never tried again.
//!
//! # Identity
//!
//! The key of the [`Config`](crate::Config) owns what is uploaded: with it files are listed and
//! deleted without their passwords. [`Config::generate`](crate::Config::generate) makes a new one
//! for each process; keep one in a file to be the same client tomorrow:
//!
//! ```
//! use fss::crypto::default_provider;
//! use fss::key_file::{KeyEncoding, KeyDirectory, KeyRole};
//! use fss::SystemRng;
//! # use fss::{Config, Password};
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let password = Password::new("opens the key")?;
//! let (provider, file) = (default_provider(), KeyDirectory::new(directory, KeyRole::Client));
//! if !file.exists() {
//!     let key = provider.generate_private_key(&mut SystemRng)?;
//!     file.create(KeyEncoding::Modern, &*key, &password, &mut SystemRng)?;
//! }
//! let config = Config::new(provider.clone(), file.open(&password, &*provider)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to keep
//!
//! [`Stored`](crate::remote::Stored) has the cookie, the header and the chain of a file. Cookie and
//! password are enough to get it back. With all three, a server that returns another file is
//! found out before a byte of it is written.
//!
//! # Interrupted transfers
//!
//! When a connection fails, or the server is busy, a call tries again as
//! [`Retry`](crate::remote::Retry) says, and resumes where it was: uploads of paths and of anything
//! that seeks ([`put_seekable`](crate::remote::Client::put_seekable)), and all downloads. With a
//! [`Journal`](crate::remote::Journal) transfers of paths survive the process:
//!
//! ```no_run
//! use std::{path::Path, sync::Arc, time::Duration};
//! use fss::remote::{Client, MemoryJournal, Put, Retry};
//! # fn with(client: Client, password: fss::Password) -> Result<(), Box<dyn std::error::Error>> {
//! let client = client
//!     .with_retry(Retry::default().attempts(10).pauses(Duration::from_secs(1), Duration::from_secs(60)))
//!     .with_journal(Arc::new(MemoryJournal::default()));
//! let put = Put::default().on_progress(|progress| eprintln!("{} bytes", progress.bytes));
//! let stored = client.put_path(Path::new("backup.img"), &password, &put)?;
//! client.get_path(&stored, &password, Path::new("restored.img"))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! Every refusal is an `Err`. [`Error::is_transient`](crate::remote::Error::is_transient) separates
//! what may go well later from what will not. After an error a sink has a beginning of the file at
//! most, to be thrown away; a path has nothing.
//!
//! # Several operations on one connection
//!
//! [`Client`](crate::remote::Client) makes a connection for each call. To do much on one, run a
//! [`ClientSession`](crate::client::ClientSession) on a driver yourself: it asks for the next
//! operation until it is told that there is none.
//!
//! # FSS 1.0
//!
//! [`Client::legacy`](crate::remote::Client::legacy) speaks it to servers that know nothing else,
//! and [`Get::legacy`](crate::remote::Get::legacy) gets old files from those that do. Neither
//! happens unless it is called, and a password that seals files is never sent.
