//! Partial downloads in the journal: where a part file is, so that it is found after a kill, and
//! how much of it is durable, so that it resumes.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use fss::chain::{Chain, ChainDigest, SEALED_CHUNK_LEN};
use fss::client::Received;
use fss::profile::{DownloadRecord, Downloading, Downloads, Profile};
use fss::sealed::{CHUNK, Header, Metadata};
use fss::{Cookie, OpaqueCookie};

use crate::client::output::{Output, be_alone};
use crate::client::sink::is_plain;
use crate::terminal::failure::Failure;

pub struct Partial {
    /// What is noted, or will be when the part is begun.
    record: DownloadRecord,
    noted: bool,
    /// Whether a later command can go on with it.
    resumable: bool,
    /// Bytes of the file so far, and their checksum.
    bytes: u64,
    checksum: Hasher,
    /// Bytes of the file when this program began.
    pub before: u64,
    _downloading: Downloading,
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
        let cookie = cookie.clone().into();
        let Some(new) = Self::new(profile, output, server, &cookie, Some(header))? else {
            return Ok(None);
        };
        let Some(record) = profile.downloads().find(&new.record.target, &cookie)? else {
            return Ok(Some(new));
        };
        if let Ok(part) = File::open(&record.part) {
            be_alone(&part, output.path())?;
        }
        if let Some((bytes, checksum)) = usable(&record, header) {
            return Ok(Some(Self {
                record,
                noted: true,
                resumable: true,
                bytes,
                checksum,
                before: bytes,
                ..new
            }));
        }
        discard(profile, &record)?;
        Ok(Some(new))
    }

    /// A download from its beginning; `None` where the output is no file. One of FSS 1.0 has no
    /// header.
    pub fn new(
        profile: &Profile,
        output: &Output,
        server: &str,
        cookie: &OpaqueCookie,
        header: Option<&Header>,
    ) -> Result<Option<Self>, Failure> {
        let Some(target) = output.target() else { return Ok(None) };
        let record = DownloadRecord {
            target: target.to_owned(),
            cookie: cookie.clone(),
            server: Some(server.to_owned()),
            part: PathBuf::new(),
            header: header.cloned(),
            position: 0,
            chain: Chain::new(b"").digest(),
            // It comes with the first chunk.
            metadata: Vec::new(),
            checksum: 0,
        };
        let downloading = profile.downloads().start()?;
        let (bytes, checksum) = (0, Hasher::new());
        Ok(Some(Self {
            record,
            noted: false,
            resumable: false,
            bytes,
            checksum,
            before: 0,
            _downloading: downloading,
        }))
    }

    /// What there is to go on from, if anything.
    pub fn earlier(&self) -> Option<Received> {
        let DownloadRecord { position, chain, metadata, .. } = &self.record;
        let (metadata, _) = Metadata::decode(metadata).ok().filter(|_| self.noted)?;
        Some(Received { offset: position.checked_mul(SEALED_CHUNK_LEN)?, chain: *chain, metadata })
    }

    /// The part that is there already, and how many bytes of it count.
    pub fn there(&self) -> Option<(&Path, u64)> {
        self.noted.then_some((&*self.record.part, self.bytes))
    }

    /// The server has approved, and the file is to be at `path` in the end: notes where its part
    /// will be, and gives that.
    pub fn begin(
        &mut self,
        profile: &Profile,
        path: &Path,
        metadata: Option<&Metadata>,
    ) -> Result<&Path, Failure> {
        let part = Downloads::new_part(path);
        self.record.part = std::path::absolute(&part).unwrap_or(part);
        self.record.metadata =
            metadata.and_then(|metadata| metadata.encode().ok()).unwrap_or_default();
        // What is decoded or unpacked cannot go on in the middle.
        self.resumable = self.record.header.is_some() && is_plain(metadata);
        profile.downloads().begin(&self.record)?;
        self.noted = true;
        Ok(&self.record.part)
    }

    /// These bytes were written more.
    pub fn advance(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.checksum.update(data);
    }

    /// What was written so far ends with the chunk at this offset of the stored bytes: it is made
    /// durable, and noted.
    pub fn note(
        &mut self,
        profile: &Profile,
        output: &mut Output,
        offset: u64,
        chain: ChainDigest,
    ) -> Result<(), Failure> {
        if !self.resumable {
            return Ok(());
        }
        output.sync()?;
        Ok(profile.downloads().progress(
            &self.record.part,
            offset / SEALED_CHUNK_LEN,
            chain,
            self.checksum.clone().finalize(),
        )?)
    }

    /// What is there is not what it should be: the same download begins anew.
    pub fn give_up(self, profile: &Profile) -> Result<(), Failure> {
        if self.noted { discard(profile, &self.record) } else { Ok(()) }
    }

    /// The part is gone, or it is kept to go on with.
    pub fn ended(&self, profile: &Profile) -> Result<(), Failure> {
        if self.noted && self.record.part.symlink_metadata().is_err() {
            profile.downloads().remove(&self.record.part)?;
        }
        Ok(())
    }
}

/// How much of the file is there, if it is what is noted.
fn usable(record: &DownloadRecord, header: &Header) -> Option<(u64, Hasher)> {
    let is_known =
        record.header.as_ref() == Some(header) && Metadata::decode(&record.metadata).is_ok();
    let bytes = record.bytes().filter(|_| is_known)?;
    let mut part = File::open(&record.part)
        .ok()
        .filter(|part| part.metadata().is_ok_and(|part| part.is_file()))?
        .take(bytes);
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
    Ok(profile.downloads().remove(&record.part)?)
}
