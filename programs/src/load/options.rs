//! The command line of the load tool.

// Help texts are shown as they are written, without markup.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Loads a server, and says what it bears. Exit code 1 if a bound is not held.
#[derive(Debug, Parser)]
#[command(name = "load", version)]
pub struct Options {
    /// The server program; by default async_server, built alongside this one
    #[arg(long, env = "FSS_LOAD_PROGRAM", value_name = "PATH", global = true)]
    pub program: Option<PathBuf>,
    /// Where the server gets a directory: the disk that is measured
    #[arg(long = "in", env = "FSS_LOAD_IN", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Connections that rest after the hello: memory of the server
    Idle {
        #[arg(long, env = "FSS_LOAD_CONNECTIONS", default_value_t = 10_000)]
        connections: usize,
    },
    /// Uploads, then downloads, all at once: how even their rates are
    Transfers {
        #[arg(long, env = "FSS_LOAD_TRANSFERS", default_value_t = 1000)]
        transfers: usize,
        /// MiB of each file
        #[arg(long, env = "FSS_LOAD_MIB", default_value_t = 2)]
        mib: usize,
    },
    /// Clients that say a byte in 10 s: how long honest ones take meanwhile, and when those are
    /// gone
    Loris {
        #[arg(long, env = "FSS_LOAD_CLIENTS", default_value_t = 5000)]
        clients: usize,
    },
    /// Clients that send garbage after their key: what each costs the server, and how long honest
    /// ones take meanwhile
    Garbage {
        #[arg(long, env = "FSS_LOAD_CLIENTS", default_value_t = 5000)]
        clients: usize,
    },
    /// Durable uploads of 1 KiB at once: files a second, against what the disk can sync
    Uploads {
        #[arg(long, env = "FSS_LOAD_CLIENTS", default_value_t = 200)]
        clients: usize,
        #[arg(long, env = "FSS_LOAD_SECONDS", default_value_t = 60)]
        seconds: u64,
    },
    /// The server is killed at random moments of uploads: whether all that it acknowledged is there
    /// afterwards
    Kill {
        #[arg(long, env = "FSS_LOAD_ROUNDS", default_value_t = 100)]
        rounds: usize,
    },
    /// Fill a small file system: whether that is reported, all else continues, and it recovers
    Full {
        /// On the file system; a tmpfs of 16 MiB will do
        directory: PathBuf,
    },
    /// All but full, one after another
    All,
}

impl Command {
    /// All that need nothing prepared, as they are by default.
    pub fn each() -> Vec<Self> {
        vec![
            Self::Idle { connections: 10_000 },
            Self::Transfers { transfers: 1000, mib: 2 },
            Self::Loris { clients: 5000 },
            Self::Garbage { clients: 5000 },
            Self::Uploads { clients: 200, seconds: 60 },
            Self::Kill { rounds: 100 },
        ]
    }
}
