//! The client: uploads and downloads files, and keeps the list of them.

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

use std::process::ExitCode;

use clap::Parser as _;

/// Does what the command line says. Gives the exit code.
pub fn main() -> ExitCode {
    commands::main(&options::Options::parse())
}
