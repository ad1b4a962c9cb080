//! How to: pages for those who build on this crate. Their code is compiled and run with the tests.
//!
//! | page | what it shows |
//! |---|---|
//! | [`client`] | upload and download: trust, keys, retries, journals, errors |
//! | [`server`] | a server in your program: storage, keys, limits, shutdown |
//! | [`store`] | files in a place of your own: a database, an object store |
//! | [`driver`] | the machines over a transport of your own |
//! | [`operate`] | what a server in production needs |
//!
//! Each program in `examples/` of the repository shows one of them whole.

pub mod client;
pub mod driver;
pub mod operate;
pub mod server;
pub mod store;
