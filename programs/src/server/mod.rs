//! The server: commands, options, the service around its connections, and two ways to serve them.

mod commands;
mod listen;
mod options;
mod prometheus;
mod serve_blocking;
mod serve_tokio;
mod service;
mod users;
mod verify;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;

use crate::terminal::failure::Failure;
use service::Serving;

/// How connections are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// A thread for each.
    Threads,
    /// A task of tokio for each: for more than a few hundred.
    Tokio,
}

impl Runtime {
    /// Connections at once, unless said otherwise: a thread each, or some KiB of memory, and an
    /// open file.
    fn connections(self) -> u32 {
        match self {
            Self::Threads => 1024,
            Self::Tokio => 16_384,
        }
    }

    /// Serves until a signal comes.
    fn serve(self, server: &Arc<Serving>, listeners: Vec<TcpListener>) -> Result<(), Failure> {
        match self {
            Self::Threads => serve_blocking::serve(server, listeners),
            Self::Tokio => serve_tokio::serve(server, listeners),
        }
    }
}

/// Does what the command line says, which may choose another runtime. Gives the exit code.
pub fn main(usual: Runtime) -> ExitCode {
    commands::main(usual)
}
