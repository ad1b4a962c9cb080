//! The byte buffers of a session. Neither grows with what a peer says: small ones belong to a
//! session, and big ones, each for one record, come from a pool: all connections of
//! a server share one, and each of a client has its own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::aead::TAG_LENGTH;
use crate::types::peer_address::PeerAddress;
use crate::wire::record::{MAX_PLAINTEXT, PREFIX};
use crate::wire::rsa_message::MAX_MESSAGE;

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
    peers: HashMap<PeerAddress, usize>,
    /// Sessions that wait for a buffer, longest first: at most one entry for each session.
    waiting: VecDeque<Waiter>,
    /// Those whose turn has come, and for whom a buffer is counted already.
    granted: HashSet<u64>,
    next_number: u64,
}

struct Waiter {
    /// Ascending in the queue.
    number: u64,
    peer: Option<PeerAddress>,
    waker: Option<Waker>,
}

impl Pool {
    /// A pool that lends at most so many at a time.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = most.max(2);
        let state = PoolState {
            idle: Vec::new(),
            left: most,
            peers: HashMap::new(),
            waiting: VecDeque::new(),
            granted: HashSet::new(),
            next_number: 0,
        };
        Arc::new(Self { most, state: Mutex::new(state) })
    }

    /// A buffer, unless all are lent. When hardly any are left, who has a quarter of all gets no
    /// more.
    ///
    /// Who gets none has a place in the queue from then on, in `ticket`, and is woken when a buffer
    /// is there for it: nobody can take that one. Ask again then, with the same ticket.
    pub(crate) fn lend(
        self: &Arc<Self>,
        peer: Option<PeerAddress>,
        ticket: &mut Option<Ticket>,
        waker: Option<&Waker>,
    ) -> Option<RecordBuffer> {
        let mut state = self.state();
        let lent = match ticket {
            Some(ticket) => state.granted.remove(&ticket.number),
            // While anybody waits who may have a buffer, none is left.
            None => state.count(self.most, peer),
        };
        if !lent {
            let number = state.enqueue(ticket.as_ref().map(|ticket| ticket.number), peer, waker);
            drop(state);
            ticket.get_or_insert_with(|| Ticket { pool: Arc::clone(self), number, peer });
            return None;
        }
        let idle = state.idle.pop();
        drop(state);
        *ticket = None;
        let bytes = idle.unwrap_or_else(|| vec![0; RECORD].into());
        Some(RecordBuffer {
            bytes,
            pool: Arc::clone(self),
            lease: Some(Lease { pool: Arc::clone(self), peer }),
        })
    }

    /// Whether hardly any are left, so that who has one must not keep it long.
    pub(crate) fn is_short(&self) -> bool {
        self.state().left <= self.most / 8
    }

    /// A buffer that was counted for this source is free; wakes those whose turn has come.
    fn release(&self, peer: Option<PeerAddress>) {
        let woken = {
            let mut state = self.state();
            state.left += 1;
            if let Some(peer) = peer
                && let Some(of_peer) = state.peers.get_mut(&peer)
            {
                *of_peer -= 1;
                if *of_peer == 0 {
                    state.peers.remove(&peer);
                }
            }
            state.grant(self.most)
        };
        woken.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolState {
    /// Counts a buffer for a peer, if it may have one.
    fn count(&mut self, most: usize, peer: Option<PeerAddress>) -> bool {
        let of_peer = peer.map_or(0, |peer| self.peers.get(&peer).copied().unwrap_or(0));
        if self.left == 0 || (self.left <= most / 8 && of_peer > most / 4) {
            return false;
        }
        self.left -= 1;
        if let Some(peer) = peer {
            *self.peers.entry(peer).or_default() += 1;
        }
        true
    }

    /// Gives what is left to those who wait and may have it, in their order.
    fn grant(&mut self, most: usize) -> Vec<Waker> {
        let (mut woken, mut place) = (Vec::new(), 0);
        while self.left > 0
            && let Some(waiter) = self.waiting.get(place)
        {
            if !self.count(most, waiter.peer) {
                place += 1;
                continue;
            }
            if let Some(waiter) = self.waiting.remove(place) {
                self.granted.insert(waiter.number);
                woken.extend(waiter.waker);
            }
        }
        woken
    }

    /// A new place at the end, or who is to be woken at the place that there is.
    fn enqueue(
        &mut self,
        number: Option<u64>,
        peer: Option<PeerAddress>,
        waker: Option<&Waker>,
    ) -> u64 {
        if let Some(number) = number {
            if let Some(waiter) = self.place(number).and_then(|place| self.waiting.get_mut(place)) {
                waiter.waker = waker.cloned();
            }
            return number;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.push_back(Waiter { number, peer, waker: waker.cloned() });
        number
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |waiter| waiter.number).ok()
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

/// A place among those who wait for a buffer. It is given up when it is dropped, and what was
/// granted goes to the next.
pub(crate) struct Ticket {
    pool: Arc<Pool>,
    number: u64,
    peer: Option<PeerAddress>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let was_granted = {
            let mut state = self.pool.state();
            if let Some(place) = state.place(self.number) {
                state.waiting.remove(place);
            }
            state.granted.remove(&self.number)
        };
        if was_granted {
            self.pool.release(self.peer);
        }
    }
}

/// That a buffer is counted as lent. Dropping it makes room for another.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    peer: Option<PeerAddress>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.release(self.peer);
    }
}

/// Room for one record. It goes back to its pool when it is dropped.
pub(crate) struct RecordBuffer {
    bytes: Box<[u8]>,
    pool: Arc<Pool>,
    /// `None` once the bytes are handed out, with a lease of their own.
    lease: Option<Lease>,
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
        if state.idle.len() < KEPT {
            state.idle.push(bytes);
        } else {
            drop(state);
            // It may have held a part of somebody's file.
            bytes.zeroize();
        }
        // The lease is dropped after this, when nothing is locked.
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

    /// The bytes, shared without a copy if they fill a buffer of their own; and the lease of that
    /// buffer. Who keeps the bytes keeps the memory, but others wait for it only while the lease is
    /// held.
    pub(crate) fn into_bytes(self) -> (Bytes, Option<Lease>) {
        match self.held {
            Held::Small(mut bytes) => {
                (Bytes::from(std::mem::take(&mut *bytes)).slice(self.plaintext), None)
            }
            Held::Record(mut buffer) => {
                let lease = buffer.lease.take();
                (Bytes::from_owner(buffer).slice(self.plaintext), lease)
            }
        }
    }
}

/// Bytes that came and are not used up: at most one message, and what came with its end.
pub(crate) struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The record that is coming in, if it is too long for the buffer: its bytes so far, and all
    /// that it will have.
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

    /// From now on a record of `length` bytes comes into a buffer of its own, what is here of it
    /// first.
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
        self.record
            .as_mut()
            .filter(|(_, ready, _)| *ready == 0)
            .map(|(record, _, _)| record.as_mut())
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    fn peer(address: &str) -> PeerAddress {
        address.parse::<IpAddr>().unwrap().into()
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Somebody who asks for buffers.
    #[derive(Default)]
    struct Session {
        peer: Option<PeerAddress>,
        ticket: Option<Ticket>,
        woken: Arc<Woken>,
    }

    impl Session {
        fn from(address: &str) -> Self {
            Self { peer: Some(peer(address)), ..Self::default() }
        }

        fn asks(&mut self, pool: &Arc<Pool>) -> Option<RecordBuffer> {
            pool.lend(self.peer, &mut self.ticket, Some(&Arc::clone(&self.woken).into()))
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn one_source_does_not_get_all_buffers() {
        let pool = Pool::new(16);
        let asks = |address: &str| Session::from(address).asks(&pool);
        let lent: Vec<_> = (0..16).map_while(|_| asks("10.0.0.1")).collect();
        assert_eq!(lent.len(), 14, "the last are for others");
        assert!(pool.is_short());
        let others = [asks("10.0.0.2"), Session::default().asks(&pool)];
        assert!(others.iter().all(Option::is_some) && asks("10.0.0.3").is_none());
        drop((lent, others));
        assert!(pool.state().peers.is_empty() && asks("10.0.0.1").is_some());
    }

    #[test]
    fn those_who_wait_are_woken_in_their_order_and_nobody_comes_between() {
        let pool = Pool::new(2);
        let mut sessions: Vec<_> = (0..6).map(|_| Session::default()).collect();
        let mut lent: Vec<_> =
            sessions[..2].iter_mut().map(|session| session.asks(&pool).unwrap()).collect();
        assert!(sessions[2..].iter_mut().all(|session| session.asks(&pool).is_none()));
        for next in 2..5 {
            assert!(sessions[next].asks(&pool).is_none(), "asking again changes nothing");
            lent.remove(0);
            let woken: Vec<_> = sessions.iter().map(Session::woken).collect();
            let expected: Vec<_> =
                (0..6).map(|index| usize::from((2..=next).contains(&index))).collect();
            assert_eq!(woken, expected);
            assert!(Session::default().asks(&pool).is_none(), "it is for who was woken");
            lent.push(sessions[next].asks(&pool).unwrap());
        }
    }

    #[test]
    fn who_gives_up_leaves_the_queue_and_what_was_granted_goes_to_the_next() {
        let pool = Pool::new(2);
        let [mut first, mut second, mut third] = [(); 3].map(|()| Session::default());
        let mut lent = vec![Session::default().asks(&pool), Session::default().asks(&pool)];
        assert!(
            [&mut first, &mut second, &mut third]
                .map(|session| session.asks(&pool))
                .iter()
                .all(Option::is_none)
        );
        first.ticket = None;
        lent.pop();
        assert_eq!((second.woken(), third.woken()), (1, 0));
        second.ticket = None;
        assert_eq!(third.woken(), 1, "the second was granted one and did not take it");
        assert!(third.asks(&pool).is_some());
        drop(lent);
        let state = pool.state();
        assert!((state.left, state.waiting.len(), state.granted.len()) == (2, 0, 0));
    }

    #[test]
    fn a_source_that_has_enough_is_passed_over_until_it_has_less() {
        let pool = Pool::new(16);
        let mut greedy = Session::from("10.0.0.1");
        let mut its: Vec<_> =
            (0..14).map(|_| Session::from("10.0.0.1").asks(&pool).unwrap()).collect();
        assert!(greedy.asks(&pool).is_none());
        let others: Vec<_> = (2..4)
            .map(|host| Session::from(&format!("10.0.0.{host}")).asks(&pool).unwrap())
            .collect();
        let mut modest = Session::from("10.0.0.9");
        assert!(modest.asks(&pool).is_none());
        its.pop();
        assert_eq!((greedy.woken(), modest.woken()), (0, 1));
        assert!(modest.asks(&pool).is_some() && greedy.asks(&pool).is_none());
        its.truncate(8);
        assert_eq!(greedy.woken(), 1);
        assert!(greedy.asks(&pool).is_some());
        drop(others);
    }

    #[test]
    fn bytes_that_are_kept_keep_nobody_waiting() {
        let pool = Pool::new(2);
        let mut kept = Vec::new();
        for _ in 0..10 {
            let buffer = Session::default().asks(&pool).expect("one is free");
            let (bytes, lease) = Message::record(buffer, 0..RECORD).into_bytes();
            assert_eq!(pool.state().left, 1, "it counts while its lease is held");
            drop(lease);
            kept.push(bytes);
        }
        assert_eq!(pool.state().left, 2);
    }
}
