//! The byte buffers of a session. Neither grows with what a peer says: small ones belong to a
//! session, and big ones, each for one record, come from a pool: all connections of
//! a server share one, and each of a client has its own.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::aead::TAG_LENGTH;
use crate::pool::{Lease, Pool, PooledBuffer};
use crate::wire::record::{MAX_PLAINTEXT, PREFIX};
use crate::wire::rsa_message::MAX_MESSAGE;

/// Bytes of the longest record, its length included.
const RECORD: usize = PREFIX + MAX_PLAINTEXT + TAG_LENGTH;

/// A pool of buffers that have room for the longest record.
pub(crate) fn record_pool(most: usize) -> Arc<Pool> {
    Pool::new(most, RECORD)
}

/// A message that was received and opened: the plaintext within the buffer that it came in.
pub(crate) struct Message {
    held: Held,
    plaintext: Range<usize>,
}

enum Held {
    Small(Zeroizing<Vec<u8>>),
    Record(PooledBuffer),
}

impl Message {
    pub(crate) fn small(plaintext: Zeroizing<Vec<u8>>) -> Self {
        let whole = 0..plaintext.len();
        Self { held: Held::Small(plaintext), plaintext: whole }
    }

    pub(crate) fn record(buffer: PooledBuffer, plaintext: Range<usize>) -> Self {
        Self { held: Held::Record(buffer), plaintext }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        let all = match &self.held {
            Held::Small(bytes) => bytes.as_slice(),
            Held::Record(buffer) => buffer.as_ref(),
        };
        &all[self.plaintext.clone()]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        let all = match &mut self.held {
            Held::Small(bytes) => bytes.as_mut_slice(),
            Held::Record(buffer) => buffer.as_mut(),
        };
        &mut all[self.plaintext.clone()]
    }

    /// Drops the first `count` bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        self.plaintext.start = (self.plaintext.start + count).min(self.plaintext.end);
    }

    /// The bytes, shared without a copy if they fill a buffer of their own; and the lease of that
    /// buffer. The bytes keep the memory, but other sessions wait for it only while the lease is
    /// held.
    pub(crate) fn into_bytes(self) -> (Bytes, Option<Lease>) {
        match self.held {
            Held::Small(mut bytes) => {
                (Bytes::from(std::mem::take(&mut *bytes)).slice(self.plaintext), None)
            }
            Held::Record(mut buffer) => {
                let lease = buffer.take_lease();
                (Bytes::from_owner(buffer).slice(self.plaintext), lease)
            }
        }
    }
}

/// Bytes that were received and not yet used: at most one message, and what came with its end.
pub(crate) struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The record that is coming in, if it is too long for the buffer: its bytes so far, and all
    /// that it will have.
    record: Option<(PooledBuffer, usize, usize)>,
    ended: bool,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; MAX_MESSAGE].into(), start: 0, end: 0, record: None, ended: false }
    }

    /// The unused bytes, unless a long record is being received.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Whether no bytes are left unused.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end && self.record.is_none()
    }

    /// Room for more; empty when the buffer is full, and after the end.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.ended {
            return &mut [];
        }
        if let Some((record, filled, length)) = &mut self.record {
            return &mut record.as_mut()[*filled..*length];
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    pub(crate) fn filled(&mut self, count: usize) {
        self.ended |= count == 0;
        match &mut self.record {
            Some((_, filled, length)) => *filled = (*filled + count).min(*length),
            None => self.end = (self.end + count).min(self.buffer.len()),
        }
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Receives a record of `length` bytes into a buffer of its own from now on, beginning with
    /// what has come of it.
    pub(crate) fn begin_record(&mut self, mut record: PooledBuffer, length: usize) {
        let here = (self.end - self.start).min(length);
        record.as_mut()[..here].copy_from_slice(&self.buffer[self.start..self.start + here]);
        self.consume(here);
        self.record = Some((record, here, length));
    }

    /// Whether a long record is being received.
    pub(crate) fn in_record(&self) -> bool {
        self.record.is_some()
    }

    /// The long record, if it is complete.
    pub(crate) fn take_record(&mut self) -> Option<(PooledBuffer, usize)> {
        let (record, _, length) = self.record.take_if(|(_, filled, length)| filled == length)?;
        Some((record, length))
    }

    /// Drops all bytes, and returns how many there were.
    pub(crate) fn discard(&mut self) -> usize {
        let record = self.record.take().map_or(0, |(_, filled, _)| filled);
        let rest = self.end - self.start;
        self.consume(rest);
        record + rest
    }

    /// Whether the peer has ended its stream. Bytes from before may still be there.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}

/// Bytes that wait to be written: at most one long record, and after it short messages.
#[derive(Default)]
pub(crate) struct Output {
    /// A long record, how many bytes of it are ready, and how many of those are written.
    record: Option<(PooledBuffer, usize, usize)>,
    buffer: Vec<u8>,
    sent: usize,
}

impl Output {
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.record {
            Some((record, ready, sent)) if sent < ready => &record.as_ref()[*sent..*ready],
            _ => &self.buffer[self.sent..],
        }
    }

    /// Whether nothing waits. A record that is not ready yet does not wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The buffer to append to; what has been sent is dropped from it.
    pub(crate) fn append(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.sent);
        self.sent = 0;
        &mut self.buffer
    }

    /// Takes a buffer to compose a long record in.
    pub(crate) fn begin_record(&mut self, record: PooledBuffer) {
        self.record = Some((record, 0, 0));
    }

    /// The buffer of a long record, if there is one that is not ready.
    pub(crate) fn record(&mut self) -> Option<&mut [u8]> {
        self.record
            .as_mut()
            .filter(|(_, ready, _)| *ready == 0)
            .map(|(record, _, _)| record.as_mut())
    }

    /// Whether there is a long record.
    pub(crate) fn has_record(&self) -> bool {
        self.record.is_some()
    }

    /// Takes the buffer of a long record that is not ready out, to be filled elsewhere.
    pub(crate) fn take_record(&mut self) -> Option<PooledBuffer> {
        self.record.take_if(|(_, ready, _)| *ready == 0).map(|(record, _, _)| record)
    }

    /// Returns the buffer of a long record that is not ready to the pool.
    pub(crate) fn drop_record(&mut self) {
        self.record.take_if(|(_, ready, _)| *ready == 0);
    }

    /// The first `length` bytes of the long record are ready to be written.
    pub(crate) fn finish_record(&mut self, length: usize) {
        if let Some((record, ready, _)) = &mut self.record {
            *ready = length.min(record.as_ref().len());
        }
    }

    pub(crate) fn sent(&mut self, count: usize) {
        match &mut self.record {
            Some((_, ready, sent)) if *ready > 0 => {
                *sent = (*sent + count).min(*ready);
                if sent == ready {
                    self.record = None;
                }
            }
            _ => {
                self.sent = (self.sent + count).min(self.buffer.len());
                if self.sent == self.buffer.len() {
                    self.wipe_messages();
                }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.record = None;
        self.wipe_messages();
    }

    fn wipe_messages(&mut self) {
        self.buffer.zeroize();
        self.sent = 0;
        // A list is long, and a session at rest is small.
        self.buffer.shrink_to(MAX_MESSAGE);
    }
}
