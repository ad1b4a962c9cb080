//! The FSS client, blocking: uploads and downloads files, and keeps the list of them.
//!
//! `cargo run --release --example client -- --help`

mod account;
mod commands;
mod download;
mod drive;
mod interrupt;
mod keyring;
mod legacy;
mod listing;
mod menu;
mod names;
mod options;
mod output;
mod partial;
mod remote;
mod report;
mod room;
mod session;
mod sink;
mod source;
mod stopped;
mod upload;

#[path = "../support/call.rs"]
mod call;
#[path = "../support/driver.rs"]
mod driver;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    commands::main(&options::Options::parse())
}
