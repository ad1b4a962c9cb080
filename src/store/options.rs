//! Options of a store.

use super::Retention;
use crate::types::cookie::{CookieSource, RandomCookies};
use crate::types::time::{SystemClock, WallClock};

/// Options of a store. By default cookies are random, files are kept for ever, the clock is the
/// system's, anyone may upload, 4 MiB of the disk stay free, and a key may have 100,000 files.
pub struct OpenOptions {
    pub(super) cookies: Box<dyn CookieSource>,
    pub(super) clock: Box<dyn WallClock>,
    pub(super) retention: Retention,
    pub(super) members_only: bool,
    pub(super) minimum_free: u64,
    pub(super) files_per_owner: u64,
}

/// What is left free on a disk by default: as much as the log of a SQLite database takes, so that
/// files can be deleted and downloads be counted when there is no room for more.
const MINIMUM_FREE: u64 = 4 * 1024 * 1024;

/// Files of one key by default: more than people have, and few enough that a list of them can be
/// read.
const FILES_PER_OWNER: u64 = 100_000;

impl Default for OpenOptions {
    fn default() -> Self {
        let (cookies, clock) = (Box::new(RandomCookies), Box::new(SystemClock));
        let (retention, members_only) = (Retention::Forever, false);
        Self {
            cookies,
            clock,
            retention,
            members_only,
            minimum_free: MINIMUM_FREE,
            files_per_owner: FILES_PER_OWNER,
        }
    }
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { retention, members_only, minimum_free, files_per_owner, .. } = self;
        let mut shown = f.debug_struct("OpenOptions");
        shown
            .field("retention", retention)
            .field("members_only", members_only)
            .field("minimum_free", minimum_free);
        shown.field("files_per_owner", files_per_owner);
        shown.finish_non_exhaustive()
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

    /// How many bytes uploads must leave free, where that is known, besides some inodes: those that
    /// would not are refused with [`StoreErrorKind::Full`](super::StoreErrorKind::Full). 4 MiB.
    #[must_use]
    pub fn minimum_free(mut self, bytes: u64) -> Self {
        self.minimum_free = bytes;
        self
    }

    /// How many files one key may have, those on their way in counted: one more is refused with
    /// [`StoreErrorKind::TooManyFiles`](super::StoreErrorKind::TooManyFiles). 100,000.
    #[must_use]
    pub fn files_per_owner(mut self, files: u64) -> Self {
        self.files_per_owner = files;
        self
    }

    /// Whether only users may upload and list, and only the invited may become one
    /// (`docs/protocol.md` §19.7).
    #[must_use]
    pub fn members_only(mut self, members_only: bool) -> Self {
        self.members_only = members_only;
        self
    }
}
