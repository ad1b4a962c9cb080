//! Retry policy: how often, and after which pauses.

use std::time::Duration;

use rand_core::Rng as _;

use super::Error;
use crate::types::random::SystemRng;

/// How often a client tries again after a connection failed or a server was busy, with pauses that
/// double. What was interrupted is resumed: an upload from where the server has it, a download from
/// where its sink has it. Wrong passwords, refusals and changed keys are never tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Retry {
    attempts: u32,
    first: Duration,
    longest: Duration,
}

impl Default for Retry {
    /// Five attempts without progress, and pauses of 0.5 to 30 seconds.
    fn default() -> Self {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(30));
        Self { attempts: 5, first, longest }
    }
}

impl Retry {
    /// One attempt.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// How many attempts are made without progress; 0 is 1.
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// The pause after the first attempt, and the longest one. A server that is busy for longer is
    /// not waited for.
    pub fn pauses(self, first: Duration, longest: Duration) -> Self {
        Self { first, longest, ..self }
    }
}

/// The attempts at one operation.
pub(super) struct Backoff<'a> {
    retry: &'a Retry,
    failed: u32,
    checkpoints: usize,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(retry: &'a Retry) -> Self {
        Self { retry, failed: 0, checkpoints: 0 }
    }

    /// How long to wait before the next attempt, if there is to be one. An attempt that has passed
    /// a checkpoint is not counted: their number is bounded by the size of the file.
    pub(super) fn after(&mut self, error: &Error, checkpoints: usize) -> Option<Duration> {
        if checkpoints > self.checkpoints {
            (self.checkpoints, self.failed) = (checkpoints, 0);
        }
        self.failed += 1;
        if !error.is_transient() || self.failed >= self.retry.attempts {
            return None;
        }
        let doubled = self.retry.first.saturating_mul(1 << (self.failed - 1).min(16));
        // Clients that failed together do not come back together.
        let spread = SystemRng.next_u32() % 512;
        let pause = doubled.min(self.retry.longest) * (512 + spread) / 1024;
        match error.retry_after() {
            Some(wanted) if wanted > self.retry.longest => None,
            Some(wanted) => Some(pause.max(wanted)),
            None => Some(pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Phase;

    fn lost() -> Error {
        Error::Session(crate::Error::Disconnected(Phase::Transfer))
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let retry =
            Retry::default().attempts(9).pauses(Duration::from_secs(1), Duration::from_secs(20));
        let mut backoff = Backoff::new(&retry);
        for longest in [1, 2, 4, 8, 16, 20, 20, 20] {
            let pause = backoff.after(&lost(), 0).expect("it is tried again");
            let longest = Duration::from_secs(longest);
            assert!(pause <= longest && pause >= longest / 2, "{pause:?} of {longest:?}");
        }
        assert_eq!(backoff.after(&lost(), 0), None);
    }

    #[test]
    fn progress_begins_a_new_count() {
        let retry = Retry::default().attempts(2);
        let mut backoff = Backoff::new(&retry);
        for checkpoints in 1..100 {
            assert!(backoff.after(&lost(), checkpoints).is_some());
        }
        assert_eq!(backoff.after(&lost(), 99), None);
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        let retry = Retry::default();
        assert_eq!(Backoff::new(&retry).after(&Error::NotSealed, 0), None);
        assert_eq!(Backoff::new(&Retry::never()).after(&lost(), 0), None);
    }
}
