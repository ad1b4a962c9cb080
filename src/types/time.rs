//! The clocks: monotonic time that a driver passes in, or that what connections share asks for, and
//! wall time that stores ask for.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time: how long ago the driver started counting.
///
/// A session never reads a clock. The driver picks a start (say, when the connection was accepted)
/// and passes the time since then to every `poll`; tests pass whatever time they like.
///
/// ```
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let now = fss::Time::since(start);
/// assert!(now < fss::Time::ZERO + Duration::from_secs(3600));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

impl Time {
    /// The start that the driver picked.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The time since an instant of the standard library.
    pub fn since(start: std::time::Instant) -> Self {
        Self(start.elapsed())
    }

    /// How long from `earlier` to here; zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// Monotonic time, for what outlives connections and is never written down.
pub trait MonotonicClock: Send + Sync {
    /// The time since a start that stays the same.
    fn now(&self) -> Time;
}

/// The operating system's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemMonotonicClock(Instant);

impl Default for SystemMonotonicClock {
    /// Starts now.
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl MonotonicClock for SystemMonotonicClock {
    fn now(&self) -> Time {
        Time::since(self.0)
    }
}

/// Wall time, for what is written down: dates of records and their expiry.
pub trait WallClock: Send + Sync {
    /// Seconds since 1970-01-01 00:00 UTC.
    fn unix_seconds(&self) -> u64;
}

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn unix_seconds(&self) -> u64 {
        // A clock set before 1970 counts as 1970: then nothing has expired.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}
