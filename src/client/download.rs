//! A file on its way from the server: pieces are chained and opened where they lie, whatever the cuts between records, and
//! lent as plaintext (`docs/protocol.md` §18, §21, §22).

use zeroize::Zeroizing;

use super::Download;
use crate::chain::{Chain, ChainDigest, PIECE};
use crate::cookie::Cookie;
use crate::crypto::aead::NONCE_LENGTH;
use crate::crypto::proof::Proof;
use crate::error::{Error, Integrity, Refusal};
use crate::sealed::{CHUNK, ChunkOpener, Header, Key, MAX_PIECE, Metadata, content_length};
use crate::session::Message;
use crate::wire::frame::Frame;
use crate::wire::request::Request;

/// How many bytes may be taken before the server hears of it.
pub(super) const ACKNOWLEDGE: u64 = 1024 * 1024;

/// A download that is to begin or to go on.
pub(super) struct Wanted {
    pub(super) cookie: Cookie,
    header: Header,
    key: Key,
    chunks: u64,
    chain: Option<ChainDigest>,
}

/// A download that the server has approved.
pub(super) struct Receiving {
    key: Key,
    opener: ChunkOpener,
    size: u64,
    expires: Option<u64>,
    /// Sealed bytes that have come.
    received: u64,
    /// Sealed bytes of pieces that the caller has taken.
    taken: u64,
    acknowledged: u64,
    /// What the server's bytes must come to, and what they come to so far, if they are seen from the first.
    chain: Option<ChainDigest>,
    computed: Option<Chain>,
    /// The record that is being used up.
    record: Option<Message>,
    /// A piece that came in parts.
    piece: Zeroizing<Vec<u8>>,
    lent: Lent,
    /// Plaintext bytes handed out, of so many in all if the metadata says so.
    handed_out: u64,
    expected: Option<u64>,
}

/// Where the plaintext is that the caller may take.
enum Lent {
    Nothing,
    InRecord { start: usize, end: usize, piece: usize },
    InPiece { start: usize, end: usize },
}

impl Wanted {
    pub(super) fn new(download: Download) -> Self {
        let Download { cookie, header, key, chunks, chain } = download;
        Self { cookie, header, key, chunks, chain }
    }

    fn offset(&self) -> u64 {
        self.chunks.saturating_mul(PIECE)
    }

    pub(super) fn request(&self, binding: &[u8; 32]) -> Request<'static> {
        let proof = Proof::new(self.key.verifier(), binding, &self.cookie);
        Request::Download { cookie: self.cookie.clone(), proof, offset: self.offset() }
    }

    /// The server approves, and says what will come.
    pub(super) fn approved(
        self,
        size: u64,
        chain: Option<ChainDigest>,
        expires: Option<u64>,
        legacy: bool,
        largest_file: u64,
    ) -> Result<Receiving, Error> {
        let offset = self.offset();
        if legacy {
            return Err(Integrity::Format.into());
        }
        if size > largest_file {
            return Err(Refusal::FileTooLarge { limit: largest_file }.into());
        }
        let other_chain = chain.zip(self.chain).is_some_and(|(theirs, ours)| theirs != ours);
        if other_chain || content_length(size).is_none() || offset > size {
            return Err(Integrity::Chain.into());
        }
        Ok(Receiving {
            key: self.key,
            opener: ChunkOpener::new(&self.header),
            size,
            expires,
            received: offset,
            taken: offset,
            acknowledged: offset,
            chain: self.chain.or(chain),
            computed: (offset == 0).then(|| Chain::new(&self.header.to_bytes())),
            record: None,
            piece: Zeroizing::default(),
            lent: Lent::Nothing,
            handed_out: 0,
            expected: (offset > 0).then(|| content_length(size).unwrap_or(0).saturating_sub(self.chunks * CHUNK as u64)),
        })
    }
}

/// What a piece of a download came to.
pub(super) struct Started {
    pub(super) metadata: Option<Metadata>,
    pub(super) size: u64,
    pub(super) expires: Option<u64>,
}

impl Receiving {
    /// What is known of a download that goes on, before any piece has opened.
    pub(super) fn started(&self) -> Option<Started> {
        let size = self.expected?;
        Some(Started { metadata: None, size, expires: self.expires })
    }

    pub(super) fn data(&self) -> &[u8] {
        match (&self.lent, &self.record) {
            (Lent::InRecord { start, end, .. }, Some(record)) => &record.as_slice()[*start..*end],
            (Lent::InPiece { start, end }, _) => &self.piece[*start..*end],
            _ => &[],
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn handed_out(&self) -> u64 {
        self.handed_out
    }

    /// A record of the file has come, with at least one byte.
    pub(super) fn on_data(&mut self, mut record: Message) -> Result<Option<Started>, Error> {
        record.advance(Frame::DATA_PREFIX.len());
        self.received = self.received.saturating_add(record.as_slice().len() as u64);
        if self.received > self.size {
            return Err(Integrity::Chain.into());
        }
        self.record = Some(record);
        self.open_next()
    }

    /// The file has ended: whether it is all there is checked here.
    pub(super) fn on_end(&self) -> Result<(), Error> {
        let chained = self.computed.as_ref().zip(self.chain).is_none_or(|(computed, chain)| computed.digest() == chain);
        if self.taken != self.size || !chained {
            return Err(Integrity::Chain.into());
        }
        if self.expected.is_some_and(|expected| expected != self.handed_out) {
            return Err(Integrity::Chain.into());
        }
        Ok(())
    }

    /// The caller has taken so many bytes.
    pub(super) fn consumed(&mut self, count: usize) -> Result<Option<Started>, Error> {
        let (Lent::InRecord { start, end, .. } | Lent::InPiece { start, end }) = &mut self.lent else {
            return Err(Error::Misuse("file bytes were taken when there were none"));
        };
        if count > *end - *start {
            return Err(Error::Misuse("more file bytes were taken than there were"));
        }
        *start += count;
        let used_up = start == end;
        self.handed_out += count as u64;
        if used_up {
            self.close_piece();
            return self.open_next();
        }
        Ok(None)
    }

    /// The offset to acknowledge, if it is time. The end is acknowledged by itself (§18.8).
    pub(super) fn acknowledgement(&mut self) -> Option<u64> {
        let due = self.taken - self.acknowledged + PIECE > ACKNOWLEDGE && self.taken < self.size;
        due.then(|| {
            self.acknowledged = self.taken;
            self.taken
        })
    }

    fn close_piece(&mut self) {
        match std::mem::replace(&mut self.lent, Lent::Nothing) {
            Lent::Nothing => {}
            Lent::InRecord { piece, .. } => {
                self.taken += piece as u64;
                if let Some(record) = &mut self.record {
                    record.advance(piece);
                }
            }
            Lent::InPiece { .. } => {
                self.taken += self.piece.len() as u64;
                self.piece.clear();
            }
        }
    }

    /// Opens the next piece if all of it is here, in the record if it lies there whole.
    fn open_next(&mut self) -> Result<Option<Started>, Error> {
        let mut started = None;
        while let Lent::Nothing = self.lent {
            let Some(record) = &mut self.record else { break };
            let Ok(length) = usize::try_from((self.size - self.taken).min(PIECE)) else { return Err(Error::Crypto) };
            let here = record.as_slice().len();
            if here == 0 {
                self.record = None;
                break;
            }
            let in_record = self.piece.is_empty() && here >= length;
            let whole = if in_record {
                &mut record.as_mut_slice()[..length]
            } else {
                // Of full size from the start, so that no reallocation leaves plaintext behind.
                let begun = self.piece.len();
                self.piece.reserve_exact(MAX_PIECE.saturating_sub(begun));
                let missing = here.min(length - begun);
                self.piece.extend_from_slice(&record.as_slice()[..missing]);
                record.advance(missing);
                if self.piece.len() < length {
                    continue;
                }
                &mut self.piece
            };
            if let Some(computed) = &mut self.computed {
                computed.update(whole);
            }
            let (index, last) = (self.taken / PIECE, self.taken + length as u64 == self.size);
            let plaintext = self.opener.open(&self.key, whole, index, last)?;
            let mut start = NONCE_LENGTH;
            let end = start + plaintext.len();
            if index == 0 {
                let (metadata, used) = Metadata::decode(plaintext).map_err(Integrity::Metadata)?;
                start += used;
                let size = content_length(self.size).unwrap_or(0).saturating_sub(used as u64);
                metadata.check_size(size)?;
                self.expected = Some(size);
                started = Some(Started { metadata: Some(metadata), size, expires: self.expires });
            }
            self.lent = if in_record { Lent::InRecord { start, end, piece: length } } else { Lent::InPiece { start, end } };
            if start == end {
                self.close_piece();
            }
        }
        Ok(started)
    }
}
