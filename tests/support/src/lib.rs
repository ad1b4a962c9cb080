//! What the tests, fuzz targets and benchmarks of `fss` share.
//!
//! Two machines on a simulated wire in virtual time ([`sim_net`]), one that bytes are replayed to
//! ([`replay`]), one whose peer is scripted ([`scripted_peer`]), an engine whose storage requests
//! the test answers ([`engine`]), providers that count or leave out the arithmetic
//! ([`counting`], [`insecure_crypto`]), a store that counts and fails ([`fault_store`]), a clock
//! that the test sets ([`clock`]), repeatable random numbers ([`rng`]), archives to the byte
//! ([`raw_archive`]), and the bodies of the fuzz targets ([`fuzz`]).
//!
//! With the feature `programs` also the built programs in a temporary place (`harness`), and a
//! proxy that stalls (`stalling_proxy`).

// They panic when a promise is broken: that is what they are for. And errors are what a machine
// ended with.
#![allow(clippy::missing_panics_doc, clippy::missing_errors_doc)]

pub mod clock;
pub mod counting;
pub mod engine;
pub mod fault_store;
mod forward;
pub mod fuzz;
#[cfg(feature = "programs")]
pub mod harness;
pub mod insecure_crypto;
pub mod keys;
pub mod raw_archive;
pub mod replay;
pub mod rng;
pub mod scripted_peer;
pub mod sim_net;
#[cfg(feature = "programs")]
pub mod stalling_proxy;
