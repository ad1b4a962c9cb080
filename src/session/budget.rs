//! How fast a peer may ask for what costs us more than it: a request of a few bytes has us search,
//! list or refuse. Requests that move a file pay for themselves and are not counted
//! (`docs/protocol.md` §24).

use std::time::Duration;

use crate::types::time::Time;

/// So many at once: a list of 65,536 files, or the files that a user looks for one after another.
const AT_ONCE: u32 = 256;
/// One more after each such time: 128 a second, a percent or two of a processor.
const EACH: Duration = Duration::from_nanos(1_000_000_000 / 128);

/// What a peer has asked for. A peer that asks faster is not refused, but read more slowly.
pub(crate) struct Budget {
    /// When all that was asked would be paid for.
    paid_at: Time,
    /// Asked since the time was known last.
    asked: u32,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { paid_at: Time::ZERO, asked: 0 }
    }

    /// The peer has asked for something.
    pub(crate) fn spend(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }

    /// How long the peer's next request must wait, if it must.
    pub(crate) fn wait(&mut self, now: Time) -> Option<Duration> {
        if self.asked > 0 {
            self.paid_at =
                self.paid_at.max(now) + EACH.saturating_mul(std::mem::take(&mut self.asked));
        }
        let unpaid = self.paid_at.saturating_since(now);
        unpaid.checked_sub(EACH * AT_ONCE).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_requests_come_at_once_and_then_so_many_a_second() {
        let (mut budget, mut now) = (Budget::new(), Time::ZERO);
        for asked in 1..10_000_u32 {
            budget.spend();
            while let Some(wait) = budget.wait(now) {
                assert!(asked > AT_ONCE && wait <= EACH);
                now = now + wait;
            }
        }
        assert_eq!(now.saturating_since(Time::ZERO), EACH * (9_999 - AT_ONCE));
        now = now + Duration::from_secs(60);
        (0..AT_ONCE).for_each(|_| budget.spend());
        assert_eq!(budget.wait(now), None, "what was not used comes back");
    }
}
