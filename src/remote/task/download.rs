//! A download: bytes from the session, decompressed if need be, to a sink, over one connection or
//! several.

use super::query::sealed;
use super::{Effect, Task};
use crate::chain::ChainDigest;
use crate::client::{ClientEvent, ClientSession, Download, LegacyDownload, Operation, Received};
use crate::remote::compression::Decompression;
use crate::remote::journal::{NoteReader, NoteWriter};
use crate::remote::{Error, Fetched, Get};
use crate::sealed::{Header, Key, Metadata};
use crate::types::secret::Password;

pub(in crate::remote) struct Downloading<'a> {
    get: &'a Get,
    password: &'a Password,
    /// What it is sealed with, once that is known: another one is not accepted later.
    header: Option<Header>,
    /// How to continue on another connection.
    earlier: Option<Received>,
    /// Bytes that the sessions have handed out before the last checkpoint, and in all.
    checkpoint: u64,
    received: u64,
    /// Bytes that come a second time.
    repeated: u64,
    /// How many bytes of the session's present ones are taken.
    taken: usize,
    checkpoints: usize,
    begun: Option<Begun>,
    is_noted: bool,
    is_whole: bool,
}

/// The kind of a note, and its version.
const DOWNLOAD: &[u8] = b"download 1";

struct Begun {
    metadata: Metadata,
    expires: Option<u64>,
    decompression: Decompression,
    /// Bytes of the file, as it becomes, so far and in all.
    written: u64,
    total: Option<u64>,
}

/// How another process can continue a download.
pub(in crate::remote) struct DownloadNote {
    header: Header,
    received: Received,
    /// Bytes of the file that were written.
    pub(in crate::remote) bytes: u64,
}

impl DownloadNote {
    fn encode(&self) -> Option<Vec<u8>> {
        let Received { offset, chain, metadata } = &self.received;
        let note = NoteWriter::default()
            .field(DOWNLOAD)
            .field(&self.header.to_bytes())
            .number(*offset)
            .field(chain.as_bytes())
            .field(&metadata.encode().ok()?)
            .number(self.bytes);
        Some(note.finish())
    }

    /// `None` if it is no such note.
    pub(in crate::remote) fn decode(note: &[u8]) -> Option<Self> {
        let mut note = NoteReader(note);
        note.field().filter(|kind| *kind == DOWNLOAD)?;
        let header = Header::parse(note.field()?).ok()?;
        let (offset, chain) = (note.number()?, ChainDigest::from_bytes(note.array()?));
        let (metadata, _) = Metadata::decode(note.field()?).ok()?;
        let bytes = note.number()?;
        Some(Self { header, received: Received { offset, chain, metadata }, bytes })
    }
}

impl<'a> Downloading<'a> {
    pub(in crate::remote) fn new(get: &'a Get, password: &'a Password) -> Self {
        Self {
            get,
            password,
            header: get.header().cloned(),
            earlier: None,
            checkpoint: 0,
            received: 0,
            repeated: 0,
            taken: 0,
            checkpoints: 0,
            begun: None,
            is_noted: true,
            is_whole: false,
        }
    }

    /// Continues what another process has noted; `false` if that is another file.
    pub(in crate::remote) fn resume(&mut self, note: DownloadNote) -> bool {
        if self.header.as_ref().is_some_and(|known| *known != note.header) {
            return false;
        }
        (self.header, self.earlier) = (Some(note.header), Some(note.received));
        (self.received, self.checkpoint) = (note.bytes, note.bytes);
        true
    }

    /// Whether what is written are the session's bytes as they are, so that it can be resumed from
    /// what is written.
    fn is_plain(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| {
            matches!(begun.decompression, Decompression::Identity)
                && begun.metadata.get("kind") != Some("directory")
        })
    }

    /// The file comes, or comes again.
    fn begin(
        &mut self,
        metadata: Metadata,
        size: Option<u64>,
        expires: Option<u64>,
    ) -> Result<Effect, Error> {
        self.repeated = self.received - self.checkpoint;
        if let Some(begun) = &mut self.begun {
            return if begun.metadata == metadata {
                begun.expires = expires;
                Ok(Effect::Nothing)
            } else {
                Err(Error::FileChanged)
            };
        }
        let is_compressed = metadata.get("encoding") == Some("zstd");
        let total = metadata.size().or(size.filter(|_| !is_compressed));
        self.get.check_limit(total)?;
        let decompression = Decompression::new(is_compressed, metadata.size())?;
        // What another process has written.
        let written = self.received;
        self.begun =
            Some(Begun { metadata: metadata.clone(), expires, decompression, written, total });
        Ok(Effect::Begin(metadata))
    }
}

impl Task for Downloading<'_> {
    type Outcome = Fetched;

    fn start(&mut self, session: &mut ClientSession) -> Result<Effect, Error> {
        self.taken = 0;
        if self.get.is_legacy() {
            // It has no checkpoints.
            let (cookie, size) = (self.get.cookie().clone(), self.get.legacy_size());
            let password = self.password.clone();
            session.start(Operation::LegacyDownload(LegacyDownload { cookie, password, size }));
            return Ok(Effect::Nothing);
        }
        if let Some(header) = &self.header {
            return Ok(Effect::Derive(header.clone()));
        }
        session.start(Operation::Challenge { cookie: self.get.cookie().clone() });
        Ok(Effect::Nothing)
    }

    fn unlocked(&mut self, session: &mut ClientSession, key: Key) {
        // It was asked for with this header.
        let Some(header) = self.header.clone() else { return };
        session.start(Operation::Download(Download {
            cookie: self.get.cookie().clone(),
            header,
            key,
            earlier: self.earlier.clone(),
            chain: self.get.chain(),
        }));
    }

    fn event(&mut self, _session: &mut ClientSession, event: ClientEvent) -> Result<Effect, Error> {
        match event {
            ClientEvent::Challenged(format) => {
                let header = sealed(format)?;
                self.header = Some(header.clone());
                Ok(Effect::Derive(header))
            }
            ClientEvent::DownloadStarted { metadata, size, expires } => {
                self.begin(metadata.unwrap_or_default(), size, expires)
            }
            ClientEvent::Checkpoint { offset, chain } => {
                if let Some(begun) = &self.begun {
                    let metadata = begun.metadata.clone();
                    self.earlier = Some(Received { offset, chain, metadata });
                    self.checkpoint = self.received - self.repeated;
                    self.checkpoints += usize::from(self.repeated == 0);
                    self.is_noted = self.repeated > 0 || !self.is_plain();
                }
                Ok(Effect::Nothing)
            }
            // The next poll tells the server that it has arrived.
            ClientEvent::Downloaded { .. } => {
                let begun = self.begun.as_ref().ok_or(Error::NoAnswer)?;
                begun.decompression.finish()?;
                if self.repeated > 0 {
                    return Err(Error::FileChanged);
                }
                self.is_whole = true;
                Ok(Effect::Finish)
            }
            _ => Ok(Effect::Nothing),
        }
    }

    fn output<'s>(&'s mut self, session: &'s mut ClientSession) -> Result<Option<&'s [u8]>, Error> {
        let begun = self.begun.as_mut().ok_or(Error::NoAnswer)?;
        let available = session.data().len();
        let again = available - self.taken;
        let again = usize::try_from(self.repeated).map_or(again, |repeated| again.min(repeated));
        (self.taken, self.repeated) = (self.taken + again, self.repeated - again as u64);
        if !begun.decompression.has_more(&session.data()[self.taken..]) {
            self.taken = 0;
            session.consumed(available);
            return Ok(None);
        }
        let mut input = &session.data()[self.taken..];
        let before = input.len();
        let output = begun.decompression.next(&mut input)?;
        let used = before - input.len();
        (self.taken, self.received) = (self.taken + used, self.received + used as u64);
        begun.written += output.len() as u64;
        self.get.check_limit(Some(begun.written))?;
        self.get.report(begun.written, begun.total);
        Ok(Some(output))
    }

    fn checkpoints(&self) -> usize {
        self.checkpoints
    }

    fn note(&mut self) -> Option<Vec<u8>> {
        let (header, earlier) = (self.header.as_ref()?, self.earlier.as_ref()?);
        if std::mem::replace(&mut self.is_noted, true) {
            return None;
        }
        let (header, received) = (header.clone(), earlier.clone());
        DownloadNote { header, received, bytes: self.checkpoint }.encode()
    }

    fn outcome(&mut self) -> Result<Fetched, Error> {
        let begun = self.begun.take().filter(|_| self.is_whole).ok_or(Error::NoAnswer)?;
        Ok(Fetched { metadata: begun.metadata, size: begun.written, expires: begun.expires })
    }
}
