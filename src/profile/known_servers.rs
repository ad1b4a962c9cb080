//! The servers that a client knows by their keys, in a text file (`docs/protocol.md` §10, §13.4).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::ProfileError;
use super::lock::lock;
use crate::crypto::Fingerprint;
use crate::durable;
use crate::store::{StoreError, StoreErrorKind};

pub(super) const FILE: &str = "known_servers";
/// The largest file that is read: some ten thousand servers.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The servers that a profile knows. Each call reads the file, since other processes may change it.
#[derive(Debug)]
pub struct KnownServers {
    directory: PathBuf,
}

/// A known server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServer {
    /// `HOST:PORT`, in lower case.
    pub server: String,
    /// The fingerprint of its key.
    pub fingerprint: Fingerprint,
    /// The highest version that it has used.
    pub version: ProtocolVersion,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProtocolVersion {
    /// FSS 1.0.
    Legacy,
    /// FSS/2.
    Fss2,
}

impl ProtocolVersion {
    const ALL: [Self; 2] = [Self::Legacy, Self::Fss2];

    fn word(self) -> &'static str {
        match self {
            Self::Legacy => "1.0",
            Self::Fss2 => "FSS/2",
        }
    }
}

impl KnownServers {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// All known servers, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read or has an invalid line.
    pub fn load(&self) -> Result<Vec<KnownServer>, StoreError> {
        let path = self.path();
        let mut text = Vec::new();
        let read =
            File::open(&path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|error| {
                StoreError::io(format_args!("cannot read {}", path.display()), &error)
            })?,
        };
        let damaged = |what: String| {
            StoreError::new(StoreErrorKind::Damaged, format!("{}: {what}", path.display()))
        };
        if text.len() as u64 > LARGEST_FILE {
            return Err(damaged(format!(
                "it has more than {LARGEST_FILE} bytes, which no list of servers has"
            )));
        }
        let text = String::from_utf8(text)
            .map_err(|_| damaged("it is not text: restore or remove it".into()))?;
        let mut servers: Vec<KnownServer> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let Some(known) = KnownServer::parse(line) else {
                return Err(damaged(format!(
                    "line {number} is not `HOST:PORT SHA256:… FSS/2`: correct or remove it"
                )));
            };
            if servers.iter().any(|before| before.server == known.server) {
                return Err(damaged(format!(
                    "line {number} names a server that has a line already: remove one of them"
                )));
            }
            servers.push(known);
        }
        Ok(servers)
    }

    /// What is known of a server.
    ///
    /// # Errors
    /// [`StoreError`], as [`KnownServers::load`].
    pub fn get(&self, server: &str) -> Result<Option<KnownServer>, StoreError> {
        Ok(self.load()?.into_iter().find(|known| known.server.eq_ignore_ascii_case(server)))
    }

    /// Remembers a server's key, and the highest version that it has used.
    ///
    /// # Errors
    /// [`ProfileError::ServerKeyChanged`] if it is known by another key, which stays;
    /// [`ProfileError::Files`] if the file cannot be read or written, or this is not the name of a
    /// server.
    pub fn remember(
        &self,
        server: &str,
        fingerprint: Fingerprint,
        version: ProtocolVersion,
    ) -> Result<(), ProfileError> {
        let _lock = lock(&self.directory)?;
        let mut servers = self.load()?;
        let name = server_name(server).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::Misuse,
                format!("{server:?} cannot be remembered: it is not HOST:PORT"),
            )
        })?;
        match servers.iter_mut().find(|known| known.server == name) {
            Some(known) if known.fingerprint != fingerprint => {
                return Err(ProfileError::ServerKeyChanged {
                    server: name,
                    known: known.fingerprint,
                    seen: fingerprint,
                });
            }
            Some(known) if known.version >= version => return Ok(()),
            Some(known) => known.version = version,
            None => servers.push(KnownServer { server: name, fingerprint, version }),
        }
        Ok(self.write(&servers)?)
    }

    /// Forgets a server, and returns whether it was known. Its next key is that of an unknown
    /// server.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read or written.
    pub fn forget(&self, server: &str) -> Result<bool, StoreError> {
        let _lock = lock(&self.directory)?;
        let mut servers = self.load()?;
        let count = servers.len();
        servers.retain(|known| !known.server.eq_ignore_ascii_case(server));
        let known = servers.len() < count;
        if known {
            self.write(&servers)?;
        }
        Ok(known)
    }

    fn write(&self, servers: &[KnownServer]) -> Result<(), StoreError> {
        let mut text = String::new();
        for KnownServer { server, fingerprint, version } in servers {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{server} {fingerprint} {}", version.word());
        }
        let path = self.path();
        durable::replace_file(&path, text.as_bytes()).map_err(|error| {
            StoreError::io(format_args!("cannot write {}", path.display()), &error)
        })
    }

    fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }
}

impl KnownServer {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (server, fingerprint, version) = (words.next()?, words.next()?, words.next()?);
        let known = Self {
            server: server_name(server)?,
            fingerprint: fingerprint.parse().ok()?,
            version: ProtocolVersion::ALL.into_iter().find(|known| known.word() == version)?,
        };
        words.next().is_none().then_some(known)
    }
}

/// Names of hosts are the same in both cases; `None` for what would not be one word of a line.
fn server_name(server: &str) -> Option<String> {
    let (host, port) = server.rsplit_once(':')?;
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    (plain && port.parse::<u16>().is_ok()).then(|| server.to_ascii_lowercase())
}

#[cfg(any(feature = "blocking", feature = "tokio"))]
impl crate::remote::ServerKeys for KnownServers {
    fn get(&self, server: &str) -> std::io::Result<Option<Fingerprint>> {
        Ok(self.get(server).map_err(std::io::Error::other)?.map(|known| known.fingerprint))
    }

    fn remember(&self, server: &str, key: Fingerprint) -> std::io::Result<()> {
        self.remember(server, key, ProtocolVersion::Fss2).map_err(std::io::Error::other)
    }
}
