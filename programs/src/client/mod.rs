//! The client `fss`: uploads and downloads files, and keeps a list of them. It runs the machines of
//! the library itself (`fss::client`), not the high-level client `fss::remote`, and never retries.

mod account;
mod commands;
mod disk_space;
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
mod report;
mod requests;
mod session;
mod session_error;
mod sink;
mod source;
mod upload;

use std::process::ExitCode;

use clap::Parser as _;

/// Does what the command line says. Gives the exit code.
pub fn main() -> ExitCode {
    commands::main(&options::Options::parse())
}
