//! A file of FSS 1.0 on its way from a server of FSS/2: the stored bytes come as they are, and are
//! decrypted here (`docs/protocol.md` §18.10).

use zeroize::{Zeroize as _, Zeroizing};

use super::LegacyDownload;
use super::download::ACKNOWLEDGE;
use crate::chain::{Chain, ChainDigest};
use crate::crypto::legacy::FileKey;
use crate::crypto::proof::Proof;
use crate::error::{ApiMisuse, Error, Refusal};
use crate::format::legacy_content::Decryptor;
use crate::sealed::Integrity;
use crate::session::Message;
use crate::types::cookie::Cookie;
use crate::wire::frame::Frame;
use crate::wire::legacy_frame::CHUNK;
use crate::wire::request::Request;

/// A download that is to begin.
pub(super) struct WantedLegacy {
    cookie: Cookie,
    key: FileKey,
    size: Option<u64>,
}

/// A download that the server has approved.
pub(super) struct ReceivingLegacy {
    decryptor: Decryptor,
    size: u64,
    received: u64,
    acknowledged: u64,
    /// What the server's bytes must come to, if it said so, and what they come to so far.
    chain: Option<ChainDigest>,
    computed: Chain,
    /// A stored chunk that came in parts.
    chunk: Vec<u8>,
    /// Plaintext for the caller, and how much of it is taken.
    data: Zeroizing<Vec<u8>>,
    consumed: usize,
    handed_out: u64,
    guessed: bool,
}

impl WantedLegacy {
    pub(super) fn new(download: &LegacyDownload) -> Self {
        let LegacyDownload { cookie, password, size } = download;
        Self { cookie: cookie.clone(), key: FileKey::derive(password), size: *size }
    }

    pub(super) fn request(&self, binding: &[u8; 32]) -> Request<'static> {
        let proof = Proof::new(&self.key.verifier(), binding, &self.cookie);
        Request::Download { cookie: self.cookie.clone(), proof, offset: 0 }
    }

    /// The server approves, and says what will come.
    pub(super) fn approved(
        self,
        size: u64,
        chain: Option<ChainDigest>,
        legacy: bool,
        largest_file: u64,
    ) -> Result<ReceivingLegacy, Error> {
        if !legacy {
            return Err(Integrity::Format.into());
        }
        if size > largest_file {
            return Err(Refusal::FileTooLarge { limit: largest_file }.into());
        }
        Ok(ReceivingLegacy {
            decryptor: Decryptor::new(self.key, self.size),
            size,
            received: 0,
            acknowledged: 0,
            chain,
            computed: Chain::new(b""),
            chunk: Vec::new(),
            data: Zeroizing::default(),
            consumed: 0,
            handed_out: 0,
            guessed: self.size.is_none(),
        })
    }
}

impl ReceivingLegacy {
    pub(super) fn data(&self) -> &[u8] {
        &self.data[self.consumed..]
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn handed_out(&self) -> u64 {
        self.handed_out
    }

    pub(super) fn is_guessed(&self) -> bool {
        self.guessed
    }

    pub(super) fn on_data(&mut self, mut record: Message) -> Result<(), Error> {
        record.advance(Frame::DATA_PREFIX.len());
        let mut bytes = record.as_slice();
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self.received > self.size {
            return Err(Integrity::Chain.into());
        }
        self.computed.update(bytes);
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(taken);
            bytes = rest;
            if self.chunk.len() == CHUNK || (bytes.is_empty() && self.received == self.size) {
                self.decryptor.chunk(&self.chunk, &mut self.data)?;
                self.chunk.clear();
            }
        }
        Ok(())
    }

    /// The file has ended. What was held back as a possible padding is handed out now.
    pub(super) fn on_end(&mut self) -> Result<(), Error> {
        if self.received != self.size
            || self.chain.is_some_and(|chain| chain != self.computed.digest())
        {
            return Err(Integrity::Chain.into());
        }
        Ok(self.decryptor.finish(&mut self.data)?)
    }

    pub(super) fn consumed(&mut self, count: usize) -> Result<(), Error> {
        if count > self.data().len() {
            return Err(ApiMisuse::ConsumedTooMuch.into());
        }
        self.consumed += count;
        self.handed_out += count as u64;
        if self.consumed == self.data.len() {
            self.data.zeroize();
            self.consumed = 0;
        }
        Ok(())
    }

    /// The offset to acknowledge, if it is time.
    pub(super) fn acknowledgement(&mut self) -> Option<u64> {
        // What is in parts, or held back, is not taken; it is always less than a chunk or two, and
        // told at the end.
        let taken = self.received - self.chunk.len() as u64;
        let due = self.data().is_empty()
            && taken - self.acknowledged + CHUNK as u64 * 256 > ACKNOWLEDGE
            && taken < self.size;
        due.then(|| {
            self.acknowledged = taken;
            taken
        })
    }
}
