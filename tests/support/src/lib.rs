//! What the tests, fuzz targets and benchmarks of `fss` share.
//!
//! Two machines on a simulated wire in virtual time ([`pair`]), one that is played bytes to ([`play`]), providers that count or leave out the arithmetic
//! ([`counting`], [`no_security`]), repeatable random numbers ([`rng`]), and the bodies of the fuzz targets ([`fuzz`]).

// They panic when a promise is broken: that is what they are for.
#![allow(clippy::missing_panics_doc)]

pub mod counting;
pub mod fuzz;
pub mod keys;
pub mod no_security;
pub mod pair;
pub mod play;
pub mod rng;
