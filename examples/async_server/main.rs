//! The FSS server on tokio, for thousands of connections. It is the blocking server but for its socket loop, `serve.rs`.
//!
//! `cargo run --release --example async_server -- --help`

mod proxied;
mod serve;
mod storage;

#[path = "../server/commands.rs"]
mod commands;
#[path = "../server/listen.rs"]
mod listen;
#[path = "../server/metrics.rs"]
mod metrics;
#[path = "../server/options.rs"]
mod options;
#[path = "../server/service.rs"]
mod service;
#[path = "../server/users.rs"]
mod users;
#[path = "../server/verify.rs"]
mod verify;

#[path = "../support/async_driver.rs"]
mod async_driver;
#[path = "../support/call.rs"]
mod call;
#[path = "../support/open_files.rs"]
mod open_files;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

/// Connections at once, unless said otherwise: each has some KiB of memory, and an open file.
const CONNECTIONS: u32 = 16_384;

fn main() -> ExitCode {
    commands::main(serve::forever)
}
