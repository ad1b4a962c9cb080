//! How a store is opened.

use super::Retention;
use crate::cookie::{CookieSource, RandomCookies};
use crate::time::{SystemClock, WallClock};

/// How a store is opened: [`OpenOptions::default`] has random cookies, keeps files for ever, reads the system's clock, and
/// is open to everybody.
pub struct OpenOptions {
    pub(super) cookies: Box<dyn CookieSource>,
    pub(super) clock: Box<dyn WallClock>,
    pub(super) retention: Retention,
    pub(super) members: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        let (cookies, clock) = (Box::new(RandomCookies), Box::new(SystemClock));
        Self { cookies, clock, retention: Retention::Forever, members: false }
    }
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { retention, members, .. } = self;
        f.debug_struct("OpenOptions").field("retention", retention).field("members", members).finish_non_exhaustive()
    }
}

impl OpenOptions {
    /// Where the cookies of new files come from.
    #[must_use]
    pub fn cookies(mut self, cookies: impl CookieSource + 'static) -> Self {
        self.cookies = Box::new(cookies);
        self
    }

    /// The clock for dates, expiry and leases.
    #[must_use]
    pub fn clock(mut self, clock: impl WallClock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// How long new files are kept.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Whether only users may upload and list, and only the invited may become one (`docs/protocol.md` §19.7).
    #[must_use]
    pub fn members(mut self, members: bool) -> Self {
        self.members = members;
        self
    }
}
