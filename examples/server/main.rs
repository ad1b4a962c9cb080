//! The FSS server, blocking: one thread a connection, and a bound on how many there are.
//!
//! `cargo run --release --example server -- --help`

mod commands;
mod listen;
mod metrics;
mod options;
mod proxied;
mod serve;
mod service;
mod users;
mod verify;

#[path = "../support/call.rs"]
mod call;
#[path = "../support/driver.rs"]
mod driver;
#[path = "../support/open_files.rs"]
mod open_files;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

/// Connections at once, unless said otherwise: each has a thread.
const CONNECTIONS: u32 = 1024;

fn main() -> ExitCode {
    commands::main(serve::forever)
}
