//! The FSS client on tokio. It is the blocking client but for how its machines get to a server, which is `drive.rs`, and a
//! page of code in `support/async_driver.rs`.
//!
//! `cargo run --release --example async_client -- --help`

mod drive;

#[path = "../client/account.rs"]
mod account;
#[path = "../client/commands.rs"]
mod commands;
#[path = "../client/download.rs"]
mod download;
#[path = "../client/interrupt.rs"]
mod interrupt;
#[path = "../client/keyring.rs"]
mod keyring;
#[path = "../client/legacy.rs"]
mod legacy;
#[path = "../client/listing.rs"]
mod listing;
#[path = "../client/menu.rs"]
mod menu;
#[path = "../client/names.rs"]
mod names;
#[path = "../client/options.rs"]
mod options;
#[path = "../client/output.rs"]
mod output;
#[path = "../client/partial.rs"]
mod partial;
#[path = "../client/remote.rs"]
mod remote;
#[path = "../client/report.rs"]
mod report;
#[path = "../client/room.rs"]
mod room;
#[path = "../client/session.rs"]
mod session;
#[path = "../client/sink.rs"]
mod sink;
#[path = "../client/source.rs"]
mod source;
#[path = "../client/stopped.rs"]
mod stopped;
#[path = "../client/upload.rs"]
mod upload;

#[path = "../support/async_driver.rs"]
mod async_driver;
#[path = "../support/call.rs"]
mod call;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    commands::main(&options::Options::parse())
}
