//! The clocks: monotonic time, which a driver passes in or a server's shared state reads, and wall
//! time, which stores read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time since a start that the driver chose.
///
/// A session never reads a clock. The driver chooses a start, such as the time when the connection
/// was accepted, and passes the time since then to every `poll`. Tests pass any time.
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
    /// The start that the driver chose.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The time since an instant of the standard library.
    pub fn since(start: std::time::Instant) -> Self {
        Self(start.elapsed())
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
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

/// Monotonic time for state that outlives connections and is never stored.
pub trait MonotonicClock: Send + Sync {
    /// The time since a fixed start.
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

/// Wall time, for what is stored: dates of records and their expiry.
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
