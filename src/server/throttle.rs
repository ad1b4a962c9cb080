//! Slows down guessing of passwords: attempts are counted for each cookie and each source
//! (`docs/protocol.md` §16).
//!
//! Nothing is ever deleted because of wrong guesses, and connecting again changes nothing: the
//! counts belong to the server, not to a connection.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::types::cookie::Cookie;
use crate::types::peer_address::PeerAddress;
use crate::types::time::{SystemClock, WallClock};

/// Failures for a cookie, and from an address, before any delay.
const FREE_PER_COOKIE: u32 = 3;
const FREE_PER_ADDRESS: u32 = 10;
/// The longest delays, in seconds. They double from one second on.
const LONGEST_PER_COOKIE: u64 = 30;
const LONGEST_PER_ADDRESS: u64 = 600;
/// The most entries: each is a few dozen bytes, so a table is a few MiB at most.
const MOST_ENTRIES: usize = 65_536;
/// How many entries are forgotten at once when there is no room, so that making room is not done
/// for each attempt.
const FORGOTTEN_AT_ONCE: usize = MOST_ENTRIES / 16;
/// Seconds without an attempt after which an entry is forgotten.
const FORGOTTEN_AFTER: u64 = 60 * 60;

/// The counts that all connections of a server share.
pub struct PasswordThrottle {
    clock: Box<dyn WallClock>,
    entries: Mutex<HashMap<Key, Entry>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Cookie(Cookie),
    PeerAddress(PeerAddress),
}

#[derive(Clone, Copy)]
struct Entry {
    failures: u32,
    last: u64,
}

/// An attempt that may go on. It counts as a failure until [`PasswordThrottle::succeeded`] hears
/// that it was none.
#[derive(Debug)]
#[must_use]
pub struct AttemptGuard {
    /// What it was counted for, and when the attempt before it was.
    counted: Vec<(Key, Option<u64>)>,
    at: u64,
}

impl PasswordThrottle {
    /// Nothing is counted yet.
    pub fn new(clock: impl WallClock + 'static) -> Self {
        Self { clock: Box::new(clock), entries: Mutex::default() }
    }

    /// Counts an attempt at a cookie, whether a file has it or not, from a peer, if that is known.
    ///
    /// # Errors
    /// While a delay runs: the seconds until it is over. The attempt must be refused without
    /// looking, and is not counted.
    pub fn attempt(
        &self,
        peer: Option<PeerAddress>,
        cookie: Option<&Cookie>,
    ) -> Result<AttemptGuard, u64> {
        let now = self.clock.unix_seconds();
        let keys =
            [peer.map(Key::PeerAddress), cookie.cloned().map(Key::Cookie)].into_iter().flatten();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counted = Vec::with_capacity(2);
        for key in keys {
            let last = entries.get_mut(&key).map(|entry| {
                // A clock that was set back must not make a delay longer.
                entry.last = entry.last.min(now);
                entry.last
            });
            counted.push((key, last));
        }
        let retry = counted.iter().filter_map(|(key, _)| entries.get(key)?.delay(key, now)).max();
        if let Some(retry) = retry {
            return Err(retry);
        }
        for (key, _) in &counted {
            if !entries.contains_key(key) {
                make_room(&mut entries, now);
            }
            let entry = entries.entry(key.clone()).or_insert(Entry { failures: 0, last: now });
            if entry.is_forgotten(now) {
                entry.failures = 0;
            }
            *entry = Entry { failures: entry.failures.saturating_add(1), last: now };
        }
        Ok(AttemptGuard { counted, at: now })
    }

    /// The attempt was right: the cookie's count is cleared, and the attempt is taken back from the
    /// source's.
    pub fn succeeded(&self, attempt: AttemptGuard) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, before) in attempt.counted {
            let failures = match (&key, entries.get_mut(&key)) {
                (Key::PeerAddress(_), Some(entry)) => {
                    entry.failures = entry.failures.saturating_sub(1);
                    // Its delay must not begin anew, unless another attempt came meanwhile.
                    if entry.last == attempt.at {
                        entry.last = before.unwrap_or(attempt.at);
                    }
                    entry.failures
                }
                _ => 0,
            };
            if failures == 0 {
                entries.remove(&key);
            }
        }
    }
}

impl Entry {
    /// The seconds that its delay still takes, if one runs.
    fn delay(&self, key: &Key, now: u64) -> Option<u64> {
        let (free, longest) = match key {
            Key::Cookie(_) => (FREE_PER_COOKIE, LONGEST_PER_COOKIE),
            Key::PeerAddress(_) => (FREE_PER_ADDRESS, LONGEST_PER_ADDRESS),
        };
        let doublings = self.failures.checked_sub(free + 1)?;
        let delay = 1_u64.checked_shl(doublings).map_or(longest, |delay| delay.min(longest));
        self.last.saturating_add(delay).checked_sub(now).filter(|&rest| rest > 0)
    }

    fn is_forgotten(&self, now: u64) -> bool {
        now.saturating_sub(self.last) >= FORGOTTEN_AFTER
    }
}

/// Forgets the oldest entries if there is no room for another; those that still delay only if all
/// do. Many at once, so that it costs each attempt next to nothing.
fn make_room(entries: &mut HashMap<Key, Entry>, now: u64) {
    if entries.len() < MOST_ENTRIES {
        return;
    }
    entries.retain(|_, entry| !entry.is_forgotten(now));
    if entries.len() < MOST_ENTRIES {
        return;
    }
    let mut ages: Vec<(bool, u64)> =
        entries.iter().map(|(key, entry)| (entry.delay(key, now).is_some(), entry.last)).collect();
    let others = ages.iter().filter(|(delays, _)| !delays).count();
    let mut left = if others == 0 { FORGOTTEN_AT_ONCE } else { others.min(FORGOTTEN_AT_ONCE) };
    let (_, &mut youngest, _) = ages.select_nth_unstable(left - 1);
    entries.retain(|key, entry| {
        let stays = left == 0 || (entry.delay(key, now).is_some(), entry.last) > youngest;
        left -= usize::from(!stays);
        stays
    });
}

impl Default for PasswordThrottle {
    /// With the system's clock.
    fn default() -> Self {
        Self::new(SystemClock)
    }
}

impl fmt::Debug for PasswordThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("PasswordThrottle").field("entries", &entries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use std::net::IpAddr;

    use super::*;

    #[derive(Clone, Default)]
    struct Clock(Arc<AtomicU64>);

    impl Clock {
        fn advance(&self, seconds: u64) {
            self.0.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    impl WallClock for Clock {
        fn unix_seconds(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn new() -> (PasswordThrottle, Clock) {
        let clock = Clock::default();
        clock.advance(1_000_000);
        (PasswordThrottle::new(clock.clone()), clock)
    }

    fn peer(address: &str) -> PeerAddress {
        address.parse::<IpAddr>().expect("an address").into()
    }

    fn cookie(number: u64) -> Cookie {
        Cookie::from_index(number)
    }

    /// The delay that each of some failed attempts starts.
    fn delays(
        clock: &Clock,
        count: usize,
        mut attempt: impl FnMut(usize) -> Result<AttemptGuard, u64>,
    ) -> Vec<u64> {
        let mut delays = Vec::new();
        for number in 0..count {
            let mut waited = 0;
            while let Err(retry) = attempt(number).map(drop) {
                assert!(retry > 0);
                clock.advance(1);
                waited += 1;
            }
            delays.push(waited);
        }
        delays
    }

    #[test]
    fn delays_of_a_cookie_double_up_to_30_seconds_wherever_the_attempts_come_from() {
        let (throttle, clock) = new();
        let from = |number: usize| peer(&format!("10.0.0.{number}"));
        let waited =
            delays(&clock, 11, |number| throttle.attempt(Some(from(number)), Some(&cookie(7))));
        assert_eq!(waited, [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
        assert!(
            throttle.attempt(Some(peer("10.0.1.1")), Some(&cookie(8))).is_ok(),
            "another cookie is not touched"
        );
        assert_eq!(
            throttle.attempt(Some(peer("10.0.1.1")), Some(&cookie(7))).map(drop),
            Err(30),
            "and a new source does not help"
        );
    }

    #[test]
    fn delays_of_a_source_double_up_to_600_seconds_whatever_it_asks_for() {
        let (throttle, clock) = new();
        let waited = delays(&clock, 23, |number| {
            throttle.attempt(Some(peer("2001:db8::1")), Some(&cookie(number as u64)))
        });
        assert_eq!(waited[..11], [0; 11]);
        assert_eq!(waited[11..], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert!(throttle.attempt(Some(peer("2001:db8::ffff")), None).is_err(), "the same network");
        assert!(throttle.attempt(Some(peer("2001:db8:0:1::1")), None).is_ok(), "another one");
    }

    #[test]
    fn an_address_of_ipv4_is_the_same_within_ipv6() {
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.2"), peer("192.0.2.1"));
    }

    #[test]
    fn a_success_clears_the_cookie_and_is_taken_back_from_the_source() {
        let (throttle, clock) = new();
        for _ in 0..100 {
            let attempt =
                throttle.attempt(Some(peer("10.0.0.1")), Some(&cookie(7))).expect("no delay runs");
            throttle.succeeded(attempt);
        }
        for _ in 0..3 {
            drop(throttle.attempt(Some(peer("10.0.0.1")), Some(&cookie(7))));
        }
        throttle.succeeded(
            throttle.attempt(Some(peer("10.0.0.1")), Some(&cookie(7))).expect("no delay runs"),
        );
        let from = peer("10.0.0.1");
        let waited = delays(&clock, 5, |_| throttle.attempt(Some(from), Some(&cookie(7))));
        assert_eq!(waited, [0, 0, 0, 0, 1], "the cookie's count began anew");
        assert!(
            throttle.attempt(Some(peer("10.0.0.1")), Some(&cookie(8))).is_ok(),
            "3 + 5 failures of the source are free"
        );
    }

    #[test]
    fn refused_attempts_do_not_prolong_a_delay_and_an_hour_of_peace_ends_all() {
        let (throttle, clock) = new();
        for _ in 0..4 {
            drop(throttle.attempt(None, Some(&cookie(7))));
        }
        for _ in 0..50 {
            assert_eq!(throttle.attempt(None, Some(&cookie(7))).map(drop), Err(1));
        }
        clock.advance(1);
        drop(throttle.attempt(None, Some(&cookie(7))));
        assert_eq!(throttle.attempt(None, Some(&cookie(7))).map(drop), Err(2));
        clock.advance(FORGOTTEN_AFTER);
        assert_eq!(
            delays(&clock, 5, |_| throttle.attempt(None, Some(&cookie(7)))),
            [0, 0, 0, 0, 1]
        );
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_delay_longer() {
        let (throttle, clock) = new();
        delays(&clock, 5, |_| throttle.attempt(None, Some(&cookie(7))));
        clock.0.fetch_sub(500_000, Ordering::Relaxed);
        assert_eq!(throttle.attempt(None, Some(&cookie(7))).map(drop), Err(2));
        clock.advance(2);
        assert!(throttle.attempt(None, Some(&cookie(7))).is_ok());
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_still_delays() {
        let (throttle, clock) = new();
        delays(&clock, 9, |_| throttle.attempt(None, Some(&cookie(0))));
        for number in 1..100_000 {
            drop(throttle.attempt(None, Some(&cookie(number))));
        }
        assert!(throttle.entries.lock().expect("not poisoned").len() <= MOST_ENTRIES);
        assert!(throttle.attempt(None, Some(&cookie(0))).is_err(), "what delays is kept");
    }
}
