//! An upload: bytes of the source, compressed if wanted, to the session, over one connection or
//! several.

use super::{Effect, Task};
use crate::chain::ChainDigest;
use crate::client::{ClientEvent, ClientSession, Operation, Resume};
use crate::remote::compression::Compression;
use crate::remote::journal::{NoteReader, NoteWriter};
use crate::remote::{Error, Put, Stored};
use crate::sealed::{Header, Key};
use crate::types::cookie::Cookie;

pub(in crate::remote) struct Uploading<'a> {
    put: &'a Put,
    header: Header,
    compression: Compression,
    /// Once the server has accepted it.
    begun: Option<Begun>,
    /// Bytes of the source so far.
    position: u64,
    is_noted: bool,
    stored: Option<Stored>,
}

/// How many of the last checkpoints are noted for other processes: a server that lost more than a
/// GiB gets the file again.
const NOTED: usize = 64;

/// The kind of a note, and its version.
const UPLOAD: &[u8] = b"upload 1";

struct Begun {
    cookie: Cookie,
    /// Checkpoints, and the end if it came to that.
    noted: Vec<(u64, ChainDigest)>,
    keep: Option<u64>,
    downloads: Option<u64>,
}

impl Begun {
    fn encode(&self, header: &Header) -> Vec<u8> {
        let last = self.noted.len().saturating_sub(NOTED);
        let mut checkpoints = Vec::new();
        for (offset, chain) in &self.noted[last..] {
            checkpoints.extend_from_slice(&offset.to_le_bytes());
            checkpoints.extend_from_slice(chain.as_bytes());
        }
        let cookie = self.cookie.as_str().as_bytes();
        NoteWriter::default()
            .field(UPLOAD)
            .field(cookie)
            .field(&header.to_bytes())
            .field(&checkpoints)
            .finish()
    }

    fn decode(note: &[u8]) -> Option<(Header, Self)> {
        let mut note = NoteReader(note);
        note.field().filter(|kind| *kind == UPLOAD)?;
        let cookie = std::str::from_utf8(note.field()?).ok()?.parse().ok()?;
        let header = Header::parse(note.field()?).ok()?;
        let (checkpoints, []) = note.field()?.as_chunks::<40>() else { return None };
        let noted = checkpoints.iter().filter_map(|checkpoint| {
            let (offset, chain) = checkpoint.split_first_chunk()?;
            let chain = ChainDigest::from_bytes(chain.try_into().ok()?);
            Some((u64::from_le_bytes(*offset), chain))
        });
        Some((header, Self { cookie, noted: noted.collect(), keep: None, downloads: None }))
    }
}

impl<'a> Uploading<'a> {
    pub(in crate::remote) fn new(put: &'a Put, header: Header) -> Result<Self, Error> {
        let compression = Compression::new(put.is_compressed(), 0)?;
        Ok(Self {
            put,
            header,
            compression,
            begun: None,
            position: 0,
            is_noted: true,
            stored: None,
        })
    }

    /// Forgets what the server has of it, or had.
    pub(in crate::remote) fn begin_anew(&mut self) -> bool {
        self.begun.take().is_some()
    }

    /// Continues what another process has noted; ignores what is no such note.
    pub(in crate::remote) fn resume(&mut self, note: &[u8]) {
        if let Some((header, begun)) = Begun::decode(note) {
            (self.header, self.begun) = (header, Some(begun));
        }
    }

    fn noted(&mut self, offset: u64, chain: ChainDigest) {
        if let Some(begun) = &mut self.begun {
            begun.noted.push((offset, chain));
            self.is_noted = false;
        }
    }
}

impl Task for Uploading<'_> {
    type Outcome = Stored;

    fn start(&mut self, _session: &mut ClientSession) -> Result<Effect, Error> {
        Ok(Effect::Derive(self.header.clone()))
    }

    fn unlocked(&mut self, session: &mut ClientSession, key: Key) {
        let upload = self.put.upload(self.header.clone(), key);
        session.start(match &self.begun {
            None => Operation::Upload(upload),
            Some(begun) => {
                let (cookie, noted) = (begun.cookie.clone(), begun.noted.clone());
                Operation::Resume(Resume { upload, cookie, noted })
            }
        });
    }

    fn event(&mut self, _session: &mut ClientSession, event: ClientEvent) -> Result<Effect, Error> {
        match event {
            ClientEvent::UploadStarted { cookie, position, offset, keep, downloads, .. } => {
                let mut noted = self.begun.take().map_or_else(Vec::new, |begun| begun.noted);
                // Sealed again, the bytes after it are others.
                noted.retain(|(checkpoint, _)| *checkpoint <= offset);
                self.begun = Some(Begun { cookie, noted, keep, downloads });
                self.is_noted = false;
                self.compression = Compression::new(self.put.is_compressed(), position)?;
                // All of it is compressed again, to the same bytes.
                self.position = if self.compression.is_identity() { position } else { 0 };
                return Ok(Effect::Rewind(self.position));
            }
            ClientEvent::Checkpoint { offset, chain }
            | ClientEvent::Finishing { offset, chain } => {
                self.noted(offset, chain);
            }
            ClientEvent::Uploaded { cookie, chain, .. } => {
                let granted = self.begun.as_ref();
                let (keep, downloads) =
                    granted.map_or((None, None), |begun| (begun.keep, begun.downloads));
                let header = self.header.clone();
                self.stored = Some(Stored { cookie, header, chain, keep, downloads });
            }
            _ => {}
        }
        Ok(Effect::Nothing)
    }

    fn room<'s>(
        &'s mut self,
        session: &'s mut ClientSession,
    ) -> Result<Option<&'s mut [u8]>, Error> {
        if self.compression.is_identity() {
            return Ok(Some(session.supply()));
        }
        match self.compression.read(session.supply())? {
            Some(count) => {
                session.supplied(count);
                Ok(None)
            }
            None => Ok(self.compression.room()),
        }
    }

    fn filled(&mut self, session: &mut ClientSession, count: usize) -> bool {
        let is_identity = self.compression.is_identity();
        if is_identity {
            session.supplied(count);
        } else {
            self.compression.filled(count);
        }
        self.position += count as u64;
        self.put.report(self.position);
        is_identity
    }

    fn checkpoints(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.noted.len())
    }

    fn note(&mut self) -> Option<Vec<u8>> {
        let begun = self.begun.as_ref().filter(|_| !self.is_noted)?;
        self.is_noted = true;
        Some(begun.encode(&self.header))
    }

    fn outcome(&mut self) -> Result<Stored, Error> {
        self.stored.take().ok_or(Error::NoAnswer)
    }
}
