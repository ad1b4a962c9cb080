//! The byte buffers of a session. Neither grows with what a peer says: small ones belong to a session, and big ones, each
//! for one record, come from a pool that all sessions of a [`crate::Config`] share.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::aead::TAG_LENGTH;
use crate::server::Source;
use crate::wire::aes_channel::{MAX_PLAINTEXT, PREFIX};
use crate::wire::rsa_channel::MAX_MESSAGE;

/// Bytes of the longest record, its length included.
const RECORD: usize = PREFIX + MAX_PLAINTEXT + TAG_LENGTH;

/// Idle buffers that are kept for the next record.
const KEPT: usize = 32;

/// Big buffers, up to a number of them.
pub(crate) struct Pool {
    most: usize,
    state: Mutex<PoolState>,
}

struct PoolState {
    idle: Vec<Box<[u8]>>,
    /// How many more may be lent.
    left: usize,
    /// How many each source has that has any.
    sources: HashMap<Source, usize>,
}

impl Pool {
    /// A pool that lends at most so many at a time.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = most.max(2);
        Arc::new(Self { most, state: Mutex::new(PoolState { idle: Vec::new(), left: most, sources: HashMap::new() }) })
    }

    /// A buffer, unless all are lent. When hardly any are left, who has a quarter of all gets no more.
    pub(crate) fn lend(self: &Arc<Self>, source: Option<Source>) -> Option<RecordBuffer> {
        let idle = {
            let mut state = self.state();
            let of_source = source.map_or(0, |source| state.sources.get(&source).copied().unwrap_or(0));
            if state.left <= self.most / 8 && of_source > self.most / 4 {
                return None;
            }
            state.left = state.left.checked_sub(1)?;
            if let Some(source) = source {
                *state.sources.entry(source).or_default() += 1;
            }
            state.idle.pop()
        };
        let bytes = idle.unwrap_or_else(|| vec![0; RECORD].into());
        Some(RecordBuffer { bytes, pool: Arc::clone(self), source })
    }

    /// Whether hardly any are left, so that who has one must not keep it long.
    pub(crate) fn is_short(&self) -> bool {
        self.state().left <= self.most / 8
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PoolState {
    fn drop(&mut self) {
        self.idle.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("left", &self.state().left).finish_non_exhaustive()
    }
}

/// Room for one record. It goes back to its pool when it is dropped.
pub(crate) struct RecordBuffer {
    bytes: Box<[u8]>,
    pool: Arc<Pool>,
    source: Option<Source>,
}

impl AsRef<[u8]> for RecordBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for RecordBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for RecordBuffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut state = self.pool.state();
        state.left += 1;
        if let Some(source) = self.source
            && let Some(of_source) = state.sources.get_mut(&source)
        {
            *of_source -= 1;
            if *of_source == 0 {
                state.sources.remove(&source);
            }
        }
        if state.idle.len() < KEPT {
            state.idle.push(bytes);
        } else {
            drop(state);
            // It may have held a part of somebody's file.
            bytes.zeroize();
        }
    }
}

/// A message that has come, opened: the plaintext within the buffer that it came in.
pub(crate) struct Message {
    held: Held,
    plaintext: Range<usize>,
}

enum Held {
    Small(Zeroizing<Vec<u8>>),
    Record(RecordBuffer),
}

impl Message {
    pub(crate) fn small(plaintext: Zeroizing<Vec<u8>>) -> Self {
        let whole = 0..plaintext.len();
        Self { held: Held::Small(plaintext), plaintext: whole }
    }

    pub(crate) fn record(buffer: RecordBuffer, plaintext: Range<usize>) -> Self {
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

    /// The bytes, shared without a copy if they fill a buffer of their own.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.held {
            Held::Small(mut bytes) => Bytes::from(std::mem::take(&mut *bytes)).slice(self.plaintext),
            Held::Record(buffer) => Bytes::from_owner(buffer).slice(self.plaintext),
        }
    }
}

/// Bytes that came and are not used up: at most one message, and what came with its end.
pub(crate) struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The record that is coming in, if it is too long for the buffer: its bytes so far, and all that it will have.
    record: Option<(RecordBuffer, usize, usize)>,
    ended: bool,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; MAX_MESSAGE].into(), start: 0, end: 0, record: None, ended: false }
    }

    /// What is there, unless a long record is on its way.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Whether nothing is there that is not used up.
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

    /// From now on a record of `length` bytes comes into a buffer of its own, what is here of it first.
    pub(crate) fn begin_record(&mut self, mut record: RecordBuffer, length: usize) {
        let here = (self.end - self.start).min(length);
        record.as_mut()[..here].copy_from_slice(&self.buffer[self.start..self.start + here]);
        self.consume(here);
        self.record = Some((record, here, length));
    }

    /// Whether a long record is on its way.
    pub(crate) fn in_record(&self) -> bool {
        self.record.is_some()
    }

    /// The long record, if it is whole.
    pub(crate) fn take_record(&mut self) -> Option<(RecordBuffer, usize)> {
        let (record, _, length) = self.record.take_if(|(_, filled, length)| filled == length)?;
        Some((record, length))
    }

    /// Drops all that is there, and says how much that was.
    pub(crate) fn discard(&mut self) -> usize {
        let record = self.record.take().map_or(0, |(_, filled, _)| filled);
        let rest = self.end - self.start;
        self.consume(rest);
        record + rest
    }

    /// Whether the peer has said that it will send no more. Bytes from before may still be there.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}

/// Bytes that wait to be written: at most one long record, and after it short messages.
#[derive(Default)]
pub(crate) struct Output {
    /// A long record, how many bytes of it are ready, and how many of those are written.
    record: Option<(RecordBuffer, usize, usize)>,
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
    pub(crate) fn begin_record(&mut self, record: RecordBuffer) {
        self.record = Some((record, 0, 0));
    }

    /// The buffer of a long record, if there is one that is not ready.
    pub(crate) fn record(&mut self) -> Option<&mut [u8]> {
        self.record.as_mut().filter(|(_, ready, _)| *ready == 0).map(|(record, _, _)| record.as_mut())
    }

    /// Whether there is a long record.
    pub(crate) fn has_record(&self) -> bool {
        self.record.is_some()
    }

    /// Gives the buffer of a long record back that is not ready.
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn source(address: &str) -> Source {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn one_source_does_not_get_all_buffers() {
        let pool = Pool::new(16);
        let greedy = Some(source("10.0.0.1"));
        let lent: Vec<_> = (0..16).map_while(|_| pool.lend(greedy)).collect();
        assert_eq!(lent.len(), 14, "the last are for others");
        assert!(pool.is_short());
        let others = [pool.lend(Some(source("10.0.0.2"))), pool.lend(None)];
        assert!(others.iter().all(Option::is_some) && pool.lend(Some(source("10.0.0.3"))).is_none());
        drop((lent, others));
        assert!(pool.state().sources.is_empty() && pool.lend(greedy).is_some());
    }
}
