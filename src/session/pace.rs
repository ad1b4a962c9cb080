//! The pace that a peer must keep while a file is on its way: without it, one byte a minute would hold a connection for ever
//! (`docs/protocol.md` §24).

use std::time::Duration;

use crate::config::Limits;
use crate::time::Time;

/// How much longer a peer may make us wait: a grace, and time for each byte that came or went. Only waiting for the peer
/// counts, not what we do meanwhile.
pub(crate) struct Pace {
    left: Duration,
    waiting_since: Option<Time>,
    /// Bytes since the last look.
    moved: usize,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { left: limits.idle, waiting_since: None, moved: 0 }
    }

    /// So many bytes came or went.
    pub(crate) fn moved(&mut self, count: usize) {
        self.moved = self.moved.saturating_add(count);
    }

    /// The wait is over, for now.
    pub(crate) fn look(&mut self, now: Time, limits: &Limits) {
        if let Some(since) = self.waiting_since.take() {
            self.left = self.left.saturating_sub(now.saturating_since(since));
        }
        let moved = std::mem::take(&mut self.moved) as u64;
        if self.left.is_zero() {
            return; // It came too late.
        }
        let earned = Duration::from_nanos(moved.saturating_mul(1_000_000_000) / limits.minimum_rate.max(1));
        self.left = self.left.saturating_add(earned).min(limits.idle);
    }

    /// The peer is waited for; if no file is on its way, for as long as other limits allow.
    pub(crate) fn wait(&mut self, now: Time, in_transfer: bool, limits: &Limits) {
        if in_transfer && limits.minimum_rate > 0 {
            self.waiting_since = Some(now);
        } else {
            self.left = limits.idle;
        }
    }

    /// Whether the peer is too slow.
    pub(crate) fn is_lost(&self) -> bool {
        self.left.is_zero()
    }

    /// When it will be, if nothing comes.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.waiting_since.map(|since| since + self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { idle: Duration::from_secs(60), minimum_rate: 100, ..Limits::default() }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    /// Sends so many bytes each second, and gives the second in which it is cut off.
    fn lasts(bytes_a_second: usize) -> Option<u64> {
        let (limits, mut pace) = (limits(), Pace::new(&limits()));
        (0..10_000).find(|&second| {
            pace.look(at(second), &limits);
            pace.wait(at(second), true, &limits);
            pace.moved(bytes_a_second);
            pace.is_lost()
        })
    }

    #[test]
    fn the_rate_is_kept_or_the_grace_is_used_up() {
        assert_eq!((lasts(100), lasts(1_000_000)), (None, None));
        assert_eq!(lasts(0), Some(60));
        assert_eq!(lasts(50), Some(119));
    }

    #[test]
    fn only_waiting_in_a_transfer_counts() {
        let (limits, mut pace) = (limits(), Pace::new(&limits()));
        pace.wait(at(0), true, &limits);
        assert_eq!(pace.deadline(), Some(at(60)));
        pace.look(at(59), &limits);
        // A disk took an hour.
        pace.wait(at(3659), true, &limits);
        assert_eq!(pace.deadline(), Some(at(3660)));
        pace.look(at(3659), &limits);
        pace.wait(at(3659), false, &limits);
        pace.look(at(9999), &limits);
        assert!(!pace.is_lost() && pace.deadline().is_none());
    }

    #[test]
    fn bytes_earn_no_more_than_the_grace() {
        let (limits, mut pace) = (limits(), Pace::new(&limits()));
        pace.moved(usize::MAX);
        pace.look(at(0), &limits);
        pace.wait(at(0), true, &limits);
        assert_eq!(pace.deadline(), Some(at(60)));
    }
}
