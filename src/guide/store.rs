//! Files in a place of your own.
//!
//! A [`Store`](crate::store::Store) sees sealed bytes and verifiers only. Two promises make it one:
//!
//! - A file is invisible before [`commit`](crate::store::FileWriter::commit), and durable when that
//!   returns: its client is told so next, and may delete the original.
//! - A crash at any point leaves the whole file or nothing.
//!
//! # Which trait
//!
//! | you have | implement | you get |
//! |---|---|---|
//! | another place for the contents (object store, tape) | [`Blobs`](crate::store::Blobs) | all rules, with the SQLite index |
//! | another database | [`Index`](crate::store::Index) | all rules, with files or your blobs |
//! | something that is neither | [`Store`](crate::store::Store) | what you write |
//!
//! [`IndexedStore`](crate::store::IndexedStore) keeps the rules of resumed uploads, leases, quotas,
//! expiry and limited downloads once, over any index and blobs. `examples/custom_store.rs` is a
//! whole store on a page, without them.
//!
//! # Is it one?
//!
//! The feature `conformance` has the tests that every store must pass:
//!
//! ```
//! fss::store::conformance::check(fss::MemoryStore::new);
//! ```
//!
//! # Storage that waits
//!
//! The methods of a store may block. `driver::blocking` calls them on the thread of the connection,
//! `driver::tokio` on a bounded number of threads. A store that is asynchronous by itself answers a
//! [`ServerEngine`](crate::server::ServerEngine) directly: its requests are
//! [`StoreRequest`](crate::store::transfer::StoreRequest)s, and
//! [`complete`](crate::server::ServerEngine::complete) has the answer.
