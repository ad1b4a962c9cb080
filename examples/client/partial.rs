//! A download that can go on: what of it is in its part file for good, and the journal's note of it.

use std::fs;
use std::path::PathBuf;

use fss::Cookie;
use fss::profile::{DownloadRecord, Profile};
use fss::sealed::{CHUNK, Header, Metadata};

use crate::output::Output;
use crate::support::failure::Failure;

/// Chunks between two notes: 16 MiB, so that a note costs little and little comes twice.
const CHUNKS_BETWEEN_NOTES: u64 = 256;

pub struct Partial {
    /// What is noted, or will be: a short download needs no note.
    record: DownloadRecord,
    noted: bool,
    /// Bytes of the plaintext before those of the file.
    prefix: u64,
    /// Bytes of the file so far.
    bytes: u64,
    /// Bytes of the file when this program began.
    pub before: u64,
}

impl Partial {
    /// What is there of the file, or nothing if it is new; `None` where the output is no file.
    pub fn find(
        profile: &Profile,
        output: &Output,
        server: &str,
        cookie: &Cookie,
        header: &Header,
    ) -> Result<Option<Self>, Failure> {
        let Some(target) = output.target()? else { return Ok(None) };
        match profile.downloads().find(&target, &cookie.clone().into())? {
            Some(record) if is_usable(&record, header) => {
                let (prefix, bytes) = (record.position.saturating_mul(CHUNK as u64) - record.bytes, record.bytes);
                return Ok(Some(Self { record, noted: true, prefix, bytes, before: bytes }));
            }
            Some(record) => discard(profile, &record)?,
            None => {}
        }
        let (server, header) = (Some(server.to_owned()), Some(header.clone()));
        let (cookie, part) = (cookie.clone().into(), PathBuf::new());
        let record = DownloadRecord { target, cookie, server, part, header, position: 0, bytes: 0, chain: None };
        Ok(Some(Self { record, noted: false, prefix: 0, bytes: 0, before: 0 }))
    }

    /// Whole chunks that are there already.
    pub fn chunks(&self) -> u64 {
        self.record.position
    }

    /// The server has approved: the part file is begun, or gone on with.
    pub fn start(&mut self, output: &mut Output, metadata: Option<&Metadata>) -> Result<(), Failure> {
        if self.noted {
            return output.go_on(&self.record.part, self.bytes);
        }
        let encoded = metadata.and_then(|metadata| metadata.encode().ok());
        self.prefix = encoded.map_or(0, |encoded| encoded.len() as u64);
        if let Some(part) = output.create()? {
            self.record.part = std::path::absolute(&part).unwrap_or(part);
        }
        Ok(())
    }

    /// So many bytes were written more, to the end of a chunk: now and then they are made durable, and noted.
    pub fn advance(&mut self, profile: &Profile, output: &mut Output, count: usize) -> Result<(), Failure> {
        self.bytes += count as u64;
        let chunks = (self.prefix + self.bytes) / CHUNK as u64;
        let at_chunk = (self.prefix + self.bytes).is_multiple_of(CHUNK as u64);
        if !at_chunk || chunks < self.record.position + CHUNKS_BETWEEN_NOTES {
            return Ok(());
        }
        output.sync()?;
        (self.record.position, self.record.bytes) = (chunks, self.bytes);
        if std::mem::replace(&mut self.noted, true) {
            profile.downloads().progress(&self.record.target, chunks, self.bytes)?;
        } else {
            profile.downloads().begin(&self.record)?;
        }
        Ok(())
    }

    /// What is there is not what it should be: the same download begins anew.
    pub fn give_up(self, profile: &Profile) -> Result<(), Failure> {
        if self.noted { discard(profile, &self.record) } else { Ok(()) }
    }

    /// The file is complete: nothing is to go on.
    pub fn finish(self, profile: &Profile) -> Result<(), Failure> {
        if self.noted {
            profile.downloads().remove(&self.record.target)?;
        }
        Ok(())
    }
}

/// Whether the part file has all that is noted of it.
fn is_usable(record: &DownloadRecord, header: &Header) -> bool {
    let there = record.part.metadata().is_ok_and(|part| part.is_file() && part.len() >= record.bytes);
    record.header.as_ref() == Some(header) && there && record.bytes <= record.position.saturating_mul(CHUNK as u64)
}

/// Nothing goes on with this part file: what is left of it would stay for ever.
fn discard(profile: &Profile, record: &DownloadRecord) -> Result<(), Failure> {
    // It may be gone already.
    let _ = fs::remove_file(&record.part);
    Ok(profile.downloads().remove(&record.target)?)
}
