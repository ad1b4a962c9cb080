//! The pace that a peer must keep while a file is on its way: without it, one byte a minute would
//! hold a connection for ever, and a few hundred records that never end would hold all buffers
//! (`docs/protocol.md` §24).

use std::time::Duration;

use crate::limits::Limits;
use crate::types::time::Time;

/// While others wait for the buffer that a record has, so many bytes of it must come or go in this
/// time, or its end.
const RECORD: Duration = Duration::from_secs(5);
const RECORD_BYTES: usize = 64 * 1024;

/// How much longer a peer may make us wait: a grace, and time for each byte that came or went. Only
/// waiting for the peer counts, not what we do meanwhile.
pub(crate) struct Pace {
    left: Duration,
    waiting_since: Option<Time>,
    /// How long the record that is on its way was waited for since it was looked at last, and what
    /// moved since.
    record: Option<(Duration, usize)>,
    /// Bytes since the last look.
    moved: usize,
}

/// What is on its way when a peer is waited for.
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

    /// So many bytes came or went.
    pub(crate) fn moved(&mut self, count: usize) {
        self.moved = self.moved.saturating_add(count);
    }

    /// A record has come or gone to its end.
    pub(crate) fn record_ended(&mut self) {
        self.record = None;
    }

    /// The wait is over, for now. `buffers_are_short` says whether others wait for one, or soon
    /// will.
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
            self.record = Some((Duration::ZERO, 0));
        }
        let moved = std::mem::take(&mut self.moved) as u64;
        if self.left.is_zero() {
            return; // It came too late.
        }
        let earned =
            Duration::from_nanos(moved.saturating_mul(1_000_000_000) / limits.minimum_rate.max(1));
        self.left = self.left.saturating_add(earned).min(limits.idle);
    }

    /// The peer is waited for; if nothing is on its way, for as long as other limits allow.
    pub(crate) fn wait(&mut self, now: Time, on_its_way: OnItsWay, limits: &Limits) {
        if !on_its_way.file || limits.minimum_rate == 0 {
            self.left = limits.idle;
        }
        self.record = on_its_way.record.then(|| self.record.unwrap_or_default());
        let counts = on_its_way.record || (on_its_way.file && limits.minimum_rate > 0);
        self.waiting_since = counts.then_some(now);
    }

    /// Whether the peer is too slow.
    pub(crate) fn is_lost(&self) -> bool {
        self.left.is_zero()
    }

    /// When it will be, if nothing comes.
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
