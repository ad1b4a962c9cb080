//! A file on its way from the server: pieces are chained and opened where they lie, whatever the
//! cuts between records, and lent as plaintext (`docs/protocol.md` §18, §21, §22).

use zeroize::Zeroizing;

use super::{ClientEvent, Download, Received};
use crate::chain::{CHECKPOINT, Chain, ChainDigest, SEALED_CHUNK_LEN};
use crate::crypto::aead::NONCE_LENGTH;
use crate::crypto::proof::Proof;
use crate::error::{ApiMisuse, Error, Refusal};
use crate::sealed::{
    ChunkOpener, Header, Integrity, Key, MAX_SEALED_CHUNK, Metadata, content_length,
};
use crate::session::Message;
use crate::types::cookie::Cookie;
use crate::wire::frame::Frame;
use crate::wire::request::Request;

/// How many bytes may be taken before the server hears of it.
pub(super) const ACKNOWLEDGE: u64 = 1024 * 1024;

/// A download that is to begin or to go on.
pub(super) struct Wanted {
    pub(super) cookie: Cookie,
    header: Header,
    key: Key,
    earlier: Option<Received>,
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
    /// What the server's bytes must come to, and what they come to so far.
    chain: Option<ChainDigest>,
    computed: Chain,
    /// Known from the first chunk, or from the earlier part of a download that goes on.
    metadata: Option<Metadata>,
    /// Whether a chunk of this part has opened: before that, nothing shows that the server has the
    /// file.
    has_begun: bool,
    /// Whether the chunk that ends the file has opened.
    has_ended: bool,
    /// The record that is being used up.
    record: Option<Message>,
    /// A piece that came in parts.
    piece: Zeroizing<Vec<u8>>,
    lent: Lent,
    /// Bytes of the file handed out in this part.
    handed_out: u64,
}

/// Where the plaintext is that the caller may take.
enum Lent {
    Nothing,
    InRecord { start: usize, end: usize, piece: usize },
    InPiece { start: usize, end: usize },
}

impl Wanted {
    pub(super) fn new(download: Download) -> Result<Self, Error> {
        let Download { cookie, header, key, earlier, chain } = download;
        if earlier.as_ref().is_some_and(|earlier| !earlier.offset.is_multiple_of(SEALED_CHUNK_LEN))
        {
            return Err(ApiMisuse::OffsetWithinChunk.into());
        }
        Ok(Self { cookie, header, key, earlier, chain })
    }

    fn offset(&self) -> u64 {
        self.earlier.as_ref().map_or(0, |earlier| earlier.offset)
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
        if other_chain || content_length(size).is_none() {
            return Err(Integrity::Chain.into());
        }
        // Only a chunk that is still to come can show where the file ends.
        if offset >= size {
            return Err(Integrity::Truncated.into());
        }
        let (computed, metadata) = match self.earlier {
            Some(Received { offset, chain, metadata }) if offset > 0 => {
                (Chain::resume(offset, chain), Some(metadata))
            }
            _ => (Chain::new(&self.header.to_bytes()), None),
        };
        Ok(Receiving {
            key: self.key,
            opener: ChunkOpener::new(&self.header),
            size,
            expires,
            received: offset,
            taken: offset,
            acknowledged: offset,
            chain: self.chain.or(chain),
            computed,
            metadata,
            has_begun: false,
            has_ended: false,
            record: None,
            piece: Zeroizing::default(),
            lent: Lent::Nothing,
            handed_out: 0,
        })
    }
}

impl Receiving {
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
    pub(super) fn on_data(&mut self, mut record: Message) -> Result<Vec<ClientEvent>, Error> {
        record.advance(Frame::DATA_PREFIX.len());
        self.received = self.received.saturating_add(record.as_slice().len() as u64);
        if self.received > self.size {
            return Err(Integrity::Chain.into());
        }
        self.record = Some(record);
        self.open_next()
    }

    /// The server says that the file has ended. It has only if its last chunk says so too.
    pub(super) fn on_end(&self) -> Result<(), Error> {
        if !self.has_ended || self.taken != self.size {
            return Err(Integrity::Truncated.into());
        }
        if self.chain.is_some_and(|chain| chain != self.computed.digest()) {
            return Err(Integrity::Chain.into());
        }
        Ok(())
    }

    /// The caller has taken so many bytes.
    pub(super) fn consumed(&mut self, count: usize) -> Result<Vec<ClientEvent>, Error> {
        let (Lent::InRecord { start, end, .. } | Lent::InPiece { start, end }) = &mut self.lent
        else {
            return Err(ApiMisuse::ConsumedUnasked.into());
        };
        if count > *end - *start {
            return Err(ApiMisuse::ConsumedTooMuch.into());
        }
        *start += count;
        let used_up = start == end;
        self.handed_out += count as u64;
        if used_up {
            self.close_piece();
            return self.open_next();
        }
        Ok(Vec::new())
    }

    /// The offset to acknowledge, if it is time. The end is acknowledged by itself (§18.8).
    pub(super) fn acknowledgement(&mut self) -> Option<u64> {
        let due = self.taken - self.acknowledged + SEALED_CHUNK_LEN > ACKNOWLEDGE
            && self.taken < self.size;
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
    fn open_next(&mut self) -> Result<Vec<ClientEvent>, Error> {
        let mut events = Vec::new();
        while let Lent::Nothing = self.lent {
            let Some(record) = &mut self.record else { break };
            let Ok(length) = usize::try_from((self.size - self.taken).min(SEALED_CHUNK_LEN)) else {
                return Err(Error::Crypto);
            };
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
                self.piece.reserve_exact(MAX_SEALED_CHUNK.saturating_sub(begun));
                let missing = here.min(length - begun);
                self.piece.extend_from_slice(&record.as_slice()[..missing]);
                record.advance(missing);
                if self.piece.len() < length {
                    continue;
                }
                &mut self.piece
            };
            let before = (self.taken, self.computed.digest());
            self.computed.update(whole);
            let (index, last) =
                (self.taken / SEALED_CHUNK_LEN, self.taken + length as u64 == self.size);
            let plaintext = self.opener.open(&self.key, whole, index, last)?;
            let mut start = NONCE_LENGTH;
            let end = start + plaintext.len();
            if index == 0 {
                let (metadata, used) = Metadata::decode(plaintext).map_err(Integrity::Metadata)?;
                start += used;
                self.metadata = Some(metadata);
            }
            self.has_ended = last;
            if !std::mem::replace(&mut self.has_begun, true) {
                events.push(self.started()?);
            } else if before.0.is_multiple_of(CHECKPOINT) {
                // Told only now: a position that no chunk follows would not show where the file
                // ends.
                events.push(ClientEvent::Checkpoint { offset: before.0, chain: before.1 });
            }
            self.lent = if in_record {
                Lent::InRecord { start, end, piece: length }
            } else {
                Lent::InPiece { start, end }
            };
            if start == end {
                self.close_piece();
            }
        }
        Ok(events)
    }

    /// What is known of the file, once a chunk of it has opened.
    fn started(&self) -> Result<ClientEvent, Error> {
        let metadata = self.metadata.clone().ok_or(Integrity::Chain)?;
        let before = metadata.encode().map_err(Integrity::Metadata)?.len() as u64;
        let content = content_length(self.size)
            .and_then(|plaintext| plaintext.checked_sub(before))
            .ok_or(Integrity::Chain)?;
        metadata.check_size(content)?;
        Ok(ClientEvent::DownloadStarted {
            metadata: Some(metadata),
            size: Some(content),
            expires: self.expires,
        })
    }
}
