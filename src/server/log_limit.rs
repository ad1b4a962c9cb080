//! How many lines a log gets of what peers can cause at will: some at once, and then so many a
//! second. What is left out is counted, and told.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::info;

use crate::types::time::{SystemClock, WallClock};

/// Lines that a limit allows.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    /// So many at once.
    pub(super) burst: u64,
    /// So many a second after that.
    pub(super) per_second: u64,
}

/// About connections and requests that came to nothing, of all connections: who floods a server
/// writes no more than this into its log, from however many addresses.
const OF_PEERS: Rate = Rate { burst: 64, per_second: 1 };
/// About files that there is no room for. Anybody can cause them by asking for a large one, so they
/// do not use up what there is for other failures.
const OF_FULL_STORAGE: Rate = Rate { burst: 16, per_second: 1 };
/// About other failures of the server itself, which must not be lost among all that.
const OF_FAILURES: Rate = Rate { burst: 64, per_second: 1 };

/// What is left of a [`Rate`].
pub(super) struct Allowance {
    rate: Rate,
    left: u64,
    since: u64,
    omitted: u64,
}

impl Allowance {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, left: rate.burst, since: 0, omitted: 0 }
    }

    /// Whether a line may be written at this second. If not, it is counted.
    pub(super) fn admits(&mut self, second: u64) -> bool {
        let earned = second.saturating_sub(self.since).saturating_mul(self.rate.per_second);
        // A clock that was set back earns nothing, and costs nothing from then on.
        self.since = second;
        self.left = self.left.saturating_add(earned).min(self.rate.burst);
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return true;
        }
        self.omitted += 1;
        false
    }

    /// How many lines were left out since this was asked last.
    pub(super) fn take_omitted(&mut self) -> u64 {
        std::mem::take(&mut self.omitted)
    }
}

/// The limits that all connections of a server share. Give one to each
/// [`Telemetry`](super::Telemetry), and write what the program itself says of connections through
/// it too.
pub struct LogLimit {
    clock: Box<dyn WallClock>,
    allowances: Mutex<Allowances>,
}

struct Allowances {
    peers: Allowance,
    full_storage: Allowance,
    failures: Allowance,
}

impl LogLimit {
    /// Nothing has been written yet.
    pub fn new(clock: impl WallClock + 'static) -> Self {
        let allowances = Allowances {
            peers: Allowance::new(OF_PEERS),
            full_storage: Allowance::new(OF_FULL_STORAGE),
            failures: Allowance::new(OF_FAILURES),
        };
        Self { clock: Box::new(clock), allowances: Mutex::new(allowances) }
    }

    /// Writes a line about something that a peer did, unless there are too many.
    pub fn of_peer(&self, write: impl FnOnce()) {
        self.write(|allowances| &mut allowances.peers, write);
    }

    /// Writes a line about a file that there was no room for, unless there are too many.
    pub(super) fn of_full_storage(&self, write: impl FnOnce()) {
        self.write(|allowances| &mut allowances.full_storage, write);
    }

    /// Writes a line about something that failed here, unless there are too many.
    pub fn of_failure(&self, write: impl FnOnce()) {
        self.write(|allowances| &mut allowances.failures, write);
    }

    /// Tells how many lines were left out, if any were: now and then, and at the end.
    pub fn tell_omitted(&self) {
        let (peers, full_storage, failures) = {
            let Allowances { peers, full_storage, failures } = &mut *self.allowances();
            (peers.take_omitted(), full_storage.take_omitted(), failures.take_omitted())
        };
        if peers + full_storage + failures > 0 {
            info!(peers, full_storage, failures, "lines were left out, for there were too many");
        }
    }

    fn write(&self, of: impl FnOnce(&mut Allowances) -> &mut Allowance, write: impl FnOnce()) {
        let second = self.clock.unix_seconds();
        if of(&mut self.allowances()).admits(second) {
            self.tell_omitted();
            write();
        }
    }

    fn allowances(&self) -> MutexGuard<'_, Allowances> {
        self.allowances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LogLimit {
    /// With the system's clock.
    fn default() -> Self {
        Self::new(SystemClock)
    }
}

impl fmt::Debug for LogLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLimit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_lines_come_at_once_and_then_so_many_a_second() {
        let mut allowance = Allowance::new(Rate { burst: 5, per_second: 2 });
        let mut lines =
            |second, wanted: usize| (0..wanted).filter(|_| allowance.admits(second)).count();
        assert_eq!(
            [lines(1000, 10), lines(1000, 10), lines(1001, 10), lines(1009, 10)],
            [5, 0, 2, 5]
        );
        assert_eq!((lines(900, 10), lines(901, 10)), (0, 2), "a clock that was set back");
        assert_eq!(allowance.take_omitted(), 5 + 10 + 8 + 5 + 10 + 8);
        assert_eq!(allowance.take_omitted(), 0);
    }
}
