//! The clients, as pure machines: that of FSS 1.0 in [`legacy`].

pub mod legacy;
