//! The pace that a peer must keep during a transfer. Without it, one byte per minute would hold a
//! connection for ever, and a few hundred records that never end would hold all buffers
//! (`docs/protocol.md` §24).
//!
//! It is a budget of waiting rather than a rate over a window: a grace period that waiting for the
//! peer spends and bytes earn back. That needs no history, and the time that our own disk or caller
//! takes is never counted against the peer.

use std::time::Duration;

use crate::limits::Limits;
use crate::types::time::Time;

/// While buffers are short, a record that has one must move [`RECORD_BYTES`] in this time, or end:
/// a quarter of the longest record in 5 s is 13 KiB/s. Slower peers are served as long as there are
/// buffers enough.
const RECORD: Duration = Duration::from_secs(5);
const RECORD_BYTES: usize = 64 * 1024;

/// How much longer a peer may keep us waiting: a grace period, and time for each byte that moved.
pub(crate) struct Pace {
    left: Duration,
    /// `None` while we work, or while no limit of this module applies.
    waiting_since: Option<Time>,
    /// How long the present record was waited for since its bytes were last checked, and how many
    /// moved since. Apart from `left`, because a record can be too slow for a scarce buffer and
    /// still fast enough for the connection.
    record: Option<(Duration, usize)>,
    /// Bytes since the last look. They are counted here first because nothing tells the time when
    /// they move.
    moved: usize,
}

/// What is in progress when a peer is waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OnItsWay {
    /// A file.
    pub(crate) file: bool,
    /// A part of a record, in a buffer from the pool.
    pub(crate) record: bool,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { left: limits.idle, waiting_since: None, record: None, moved: 0 }
    }

    /// `count` bytes were received or sent.
    pub(crate) fn moved(&mut self, count: usize) {
        self.moved = self.moved.saturating_add(count);
    }

    /// A record was received or sent completely, so the next one has its full time.
    pub(crate) fn record_ended(&mut self) {
        self.record = None;
    }

    /// The wait is over, for now. `buffers_are_short` tells whether other sessions wait for a buffer
    /// or soon will; it takes a lock, so it is only asked about a record that is too slow.
    pub(crate) fn look(
        &mut self,
        now: Time,
        buffers_are_short: impl FnOnce() -> bool,
        limits: &Limits,
    ) {
        if let Some(since) = self.waiting_since.take() {
            let waited = now.saturating_since(since);
            self.left = self.left.saturating_sub(waited);
            self.record = self.record.map(|(time, moved)| {
                (time.saturating_add(waited), moved.saturating_add(self.moved))
            });
        }
        if let Some((_, moved)) = self.record.filter(|(time, _)| *time >= RECORD) {
            if moved < RECORD_BYTES && buffers_are_short() {
                self.left = Duration::ZERO;
            }
            // Each span counts by itself: bytes of an earlier one do not pay for a stall.
            self.record = Some((Duration::ZERO, 0));
        }
        let moved = std::mem::take(&mut self.moved) as u64;
        if self.left.is_zero() {
            // Bytes that arrive after the time was spent must not revive the connection: whether it
            // is lost would depend on when it was polled.
            return;
        }
        // A fast peer saves up no more than the grace period, or it could stall for hours afterwards.
        let earned =
            Duration::from_nanos(moved.saturating_mul(1_000_000_000) / limits.minimum_rate.max(1));
        self.left = self.left.saturating_add(earned).min(limits.idle);
    }

    /// The peer is waited for; if nothing is in progress, for as long as other limits allow.
    pub(crate) fn wait(&mut self, now: Time, on_its_way: OnItsWay, limits: &Limits) {
        if !on_its_way.file || limits.minimum_rate == 0 {
            // Between operations a client may rest, and the next transfer begins with all its grace.
            self.left = limits.idle;
        }
        // A record that is still in progress keeps its time across polls.
        self.record = on_its_way.record.then(|| self.record.unwrap_or_default());
        let counts = on_its_way.record || (on_its_way.file && limits.minimum_rate > 0);
        self.waiting_since = counts.then_some(now);
    }

    /// Whether the peer is too slow.
    pub(crate) fn is_lost(&self) -> bool {
        self.left.is_zero()
    }

    /// When it will be too slow if no more bytes move.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let left =
            self.record.map_or(self.left, |(time, _)| self.left.min(RECORD.saturating_sub(time)));
        self.waiting_since.map(|since| since + left)
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

    const FILE: OnItsWay = OnItsWay { file: true, record: false };

    fn look(pace: &mut Pace, seconds: u64) {
        pace.look(at(seconds), || false, &limits());
    }

    /// Sends so many bytes each second, and gives the second in which it is cut off.
    fn lasts(bytes_a_second: usize) -> Option<u64> {
        let (limits, mut pace) = (limits(), Pace::new(&limits()));
        (0..10_000).find(|&second| {
            look(&mut pace, second);
            pace.wait(at(second), FILE, &limits);
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
        pace.wait(at(0), FILE, &limits);
        assert_eq!(pace.deadline(), Some(at(60)));
        look(&mut pace, 59);
        // A disk took an hour.
        pace.wait(at(3659), FILE, &limits);
        assert_eq!(pace.deadline(), Some(at(3660)));
        look(&mut pace, 3659);
        pace.wait(at(3659), OnItsWay::default(), &limits);
        look(&mut pace, 9999);
        assert!(!pace.is_lost() && pace.deadline().is_none());
    }

    #[test]
    fn bytes_earn_no_more_than_the_grace() {
        let (limits, mut pace) = (limits(), Pace::new(&limits()));
        pace.moved(usize::MAX);
        look(&mut pace, 0);
        pace.wait(at(0), FILE, &limits);
        assert_eq!(pace.deadline(), Some(at(60)));
    }

    #[test]
    fn a_record_that_is_slow_is_lost_only_while_buffers_are_short() {
        let (limits, mut pace) = (limits(), Pace::new(&limits()));
        let record = OnItsWay { file: true, record: true };
        pace.wait(at(0), record, &limits);
        assert_eq!(pace.deadline(), Some(at(5)));
        look(&mut pace, 5);
        assert!(!pace.is_lost());
        pace.wait(at(5), record, &limits);
        // Another one, which begins anew.
        look(&mut pace, 9);
        pace.record_ended();
        pace.wait(at(9), record, &limits);
        pace.look(at(13), || true, &limits);
        assert!(!pace.is_lost());
        pace.wait(at(13), record, &limits);
        pace.look(at(14), || true, &limits);
        assert!(pace.is_lost());
    }

    /// Slow lines are no attack.
    #[test]
    fn records_that_come_on_are_not_lost_while_buffers_are_short() {
        let (limits, mut pace) = (limits(), Pace::new(&limits()));
        let record = OnItsWay { file: true, record: true };
        for second in 0..100 {
            pace.look(at(second), || true, &limits);
            assert!(!pace.is_lost(), "after {second} s");
            pace.wait(at(second), record, &limits);
            pace.moved(RECORD_BYTES / 4);
            // A record ends now and then, and the next one is there at once.
            if second % 7 == 0 {
                pace.record_ended();
            }
        }
    }
}
