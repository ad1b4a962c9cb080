//! A download that can go on: what of it is in its part file for good, and the journal's note of it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;

use crc32fast::Hasher;
use fss::Cookie;
use fss::chain::{Chain, ChainDigest, PIECE};
use fss::client::Received;
use fss::profile::{DownloadRecord, Profile};
use fss::sealed::{CHUNK, Header, Metadata};

use crate::output::Output;
use crate::support::failure::Failure;

pub struct Partial {
    /// What is noted, or will be: a short download needs no note.
    record: DownloadRecord,
    noted: bool,
    /// Bytes of the file so far, and their checksum.
    bytes: u64,
    checksum: Hasher,
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
        if let Some(record) = profile.downloads().find(&target, &cookie.clone().into())? {
            if let Some((bytes, checksum)) = usable(&record, header) {
                return Ok(Some(Self { record, noted: true, bytes, checksum, before: bytes }));
            }
            discard(profile, &record)?;
        }
        let (server, header) = (Some(server.to_owned()), Some(header.clone()));
        // Metadata comes with the first chunk, and the part file gets its name when it is made.
        let (cookie, part, metadata) = (cookie.clone().into(), PathBuf::new(), Vec::new());
        let chain = Chain::new(b"").digest();
        let record = DownloadRecord { target, cookie, server, part, header, position: 0, chain, metadata, checksum: 0 };
        Ok(Some(Self { record, noted: false, bytes: 0, checksum: Hasher::new(), before: 0 }))
    }

    /// What there is to go on from, if anything.
    pub fn earlier(&self) -> Option<Received> {
        let DownloadRecord { position, chain, metadata, .. } = &self.record;
        let (metadata, _) = Metadata::decode(metadata).ok().filter(|_| self.noted)?;
        Some(Received { offset: position.checked_mul(PIECE)?, chain: *chain, metadata })
    }

    /// The server has approved: the part file is begun, or gone on with.
    pub fn start(&mut self, output: &mut Output, metadata: Option<&Metadata>) -> Result<(), Failure> {
        if self.noted {
            return output.go_on(&self.record.part, self.bytes);
        }
        self.record.metadata = metadata.and_then(|metadata| metadata.encode().ok()).unwrap_or_default();
        if let (Some(part), Some(target)) = (output.create()?, output.target()?) {
            self.record.part = std::path::absolute(&part).unwrap_or(part);
            self.record.target = target;
        }
        Ok(())
    }

    /// These bytes were written more.
    pub fn advance(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.checksum.update(data);
    }

    /// What was written so far ends with the chunk at this offset of the stored bytes: it is made durable, and noted.
    pub fn note(&mut self, profile: &Profile, output: &mut Output, offset: u64, chain: ChainDigest) -> Result<(), Failure> {
        output.sync()?;
        let checksum = self.checksum.clone().finalize();
        let position = offset / PIECE;
        (self.record.position, self.record.chain, self.record.checksum) = (position, chain, checksum);
        if std::mem::replace(&mut self.noted, true) {
            profile.downloads().progress(&self.record.target, position, chain, checksum)?;
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

/// How much of the file is there, if it is what is noted.
fn usable(record: &DownloadRecord, header: &Header) -> Option<(u64, Hasher)> {
    let is_known = record.header.as_ref() == Some(header) && Metadata::decode(&record.metadata).is_ok();
    let bytes = record.bytes().filter(|_| is_known)?;
    let mut part = File::open(&record.part).ok().filter(|part| part.metadata().is_ok_and(|part| part.is_file()))?.take(bytes);
    let (mut checksum, mut read, mut room) = (Hasher::new(), 0, vec![0; CHUNK]);
    loop {
        let count = part.read(&mut room).ok()?;
        if count == 0 {
            break;
        }
        checksum.update(&room[..count]);
        read += count as u64;
    }
    (read == bytes && checksum.clone().finalize() == record.checksum).then_some((bytes, checksum))
}

/// Nothing goes on with this part file: what is left of it would stay for ever.
fn discard(profile: &Profile, record: &DownloadRecord) -> Result<(), Failure> {
    // It may be gone already.
    let _ = fs::remove_file(&record.part);
    Ok(profile.downloads().remove(&record.target)?)
}
