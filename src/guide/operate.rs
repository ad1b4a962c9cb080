//! What a server in production needs.
//!
//! The program `fss-server` has all of it; `docs/operations.md` of the repository is its manual. A
//! server of your own needs the same:
//!
//! - **The key, kept and backed up**, apart from the data: [the server's page](super::server).
//! - **One process for a data directory.** A second one is refused by a lock.
//! - **Sweeping.** An expired file and an interrupted upload are invisible at once, and take room
//!   until [`IndexedStore::remove_expired`](crate::store::IndexedStore::remove_expired) is called:
//!   every few minutes.
//! - **Verification.** [`verify_directory`](crate::store::verify_directory) reads all files and
//!   compares their digests, without stopping the server.
//! - **Open files.** A connection takes one descriptor, a transfer a second one: twice
//!   [`Limits::connections`](crate::Limits) and a hundred more.
//! - **Metrics and logs.** [`Telemetry`](crate::server::Telemetry) (feature `telemetry`) writes what
//!   happens on connections to `tracing` and `metrics`. It shows no password, and cookies only where
//!   they are needed to find a file; a flood of refusals is logged at a bounded rate.
//! - **Time.** Delays and expiry use the wall clock of a [`WallClock`](crate::WallClock); deadlines
//!   of connections use the monotonic time that a driver passes in.
//! - **Backups.** Stop the server and copy its directory, or copy a snapshot of the file system;
//!   then run [`verify_directory`](crate::store::verify_directory) on the copy.
