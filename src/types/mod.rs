//! Types that every layer may use, and that depend on none of them.

pub(crate) mod cookie;
pub(crate) mod entry;
pub(crate) mod peer_address;
pub(crate) mod random;
pub(crate) mod report;
pub(crate) mod secret;
pub mod text;
pub(crate) mod time;
pub(crate) mod user;

/// The largest number in an argument of a frame (`docs/protocol.md` §15.6), and so the largest that
/// a store keeps.
pub const MAX_NUMBER: u64 = i64::MAX.unsigned_abs();
