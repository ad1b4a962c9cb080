//! A bounded pool of big buffers, shared by all connections of a server. A session that finds it
//! empty waits in a queue: the server slows its clients down instead of using more memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use zeroize::Zeroize;

use crate::types::peer_address::PeerAddress;

/// Idle buffers that are kept for the next record.
const KEPT: usize = 32;

/// Buffers of one length, up to a number of them.
pub(crate) struct Pool {
    most: usize,
    length: usize,
    state: Mutex<PoolState>,
}

struct PoolState {
    idle: Vec<Box<[u8]>>,
    /// How many more may be lent.
    left: usize,
    /// How many buffers each source has, without those that have none.
    peers: HashMap<PeerAddress, usize>,
    /// Sessions that wait for a buffer, longest first: at most one entry for each session.
    waiting: VecDeque<Waiter>,
    /// Sessions that were woken, and for which a buffer is counted already.
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
    /// A pool that lends at most `most` buffers at a time, each of `length` bytes.
    pub(crate) fn new(most: usize, length: usize) -> Arc<Self> {
        let most = most.max(2);
        let state = PoolState {
            idle: Vec::new(),
            left: most,
            peers: HashMap::new(),
            waiting: VecDeque::new(),
            granted: HashSet::new(),
            next_number: 0,
        };
        Arc::new(Self { most, length, state: Mutex::new(state) })
    }

    /// A buffer, unless all are lent. When few are left, a source that has a quarter of all gets no
    /// more.
    ///
    /// If there is none, the session has a place in the queue from then on, in `ticket`, and is
    /// woken when a buffer is reserved for it. Ask again then, with the same ticket.
    pub(crate) fn lend(
        self: &Arc<Self>,
        peer: Option<PeerAddress>,
        ticket: &mut Option<Ticket>,
        waker: Option<&Waker>,
    ) -> Option<PooledBuffer> {
        let mut state = self.state();
        let lent = match ticket {
            Some(ticket) => state.granted.remove(&ticket.number),
            // Buffers that become free go to the queue first, so this overtakes no session that
            // may have one.
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
        let bytes = idle.unwrap_or_else(|| vec![0; self.length].into());
        Some(PooledBuffer {
            bytes,
            pool: Arc::clone(self),
            lease: Some(Lease { pool: Arc::clone(self), peer }),
        })
    }

    /// Whether few are left, so that a session that has one must not keep it long.
    pub(crate) fn is_short(&self) -> bool {
        self.state().left <= self.most / 8
    }

    /// A buffer that was counted for this source is free; wakes the sessions that get it.
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

    /// Reserves what is left for the sessions that wait and may have it, in their order.
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

    /// A new place at the end, or another waker at an existing place.
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

/// A place in the queue for a buffer. Dropping it leaves the queue, and what was reserved for it
/// goes to the next.
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

/// Counts a buffer as lent until it is dropped.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    peer: Option<PeerAddress>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.release(self.peer);
    }
}

/// A buffer that is lent. Dropping it returns it to the pool.
pub(crate) struct PooledBuffer {
    bytes: Box<[u8]>,
    pool: Arc<Pool>,
    /// `None` once the bytes are handed out, with a lease of their own.
    lease: Option<Lease>,
}

impl PooledBuffer {
    /// Ends the loan but not the use: the bytes stay, and others need not wait for them once the
    /// lease is dropped.
    pub(crate) fn take_lease(&mut self) -> Option<Lease> {
        self.lease.take()
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for PooledBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut state = self.pool.state();
        if state.idle.len() < KEPT {
            state.idle.push(bytes);
        } else {
            drop(state);
            // It may hold a part of a file.
            bytes.zeroize();
        }
        // The lease is dropped after this, when nothing is locked.
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

    /// A session that asks for buffers.
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

        fn asks(&mut self, pool: &Arc<Pool>) -> Option<PooledBuffer> {
            pool.lend(self.peer, &mut self.ticket, Some(&Arc::clone(&self.woken).into()))
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn one_source_does_not_get_all_buffers() {
        let pool = Pool::new(16, 100);
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
        let pool = Pool::new(2, 100);
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
        let pool = Pool::new(2, 100);
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
        let pool = Pool::new(16, 100);
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
        let pool = Pool::new(2, 100);
        let mut kept = Vec::new();
        for _ in 0..10 {
            let mut buffer = Session::default().asks(&pool).expect("one is free");
            let lease = buffer.take_lease();
            assert_eq!(pool.state().left, 1, "it counts while its lease is held");
            drop(lease);
            kept.push(buffer);
        }
        assert_eq!(pool.state().left, 2);
    }
}
