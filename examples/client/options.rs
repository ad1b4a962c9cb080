//! The client's command line.

// Help texts are shown as they are written, without markup.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand, ValueEnum};

use crate::support::failure::Failure;

/// The server that is asked where none is named.
const DEFAULT_SERVER: &str = "127.0.0.1:954";

/// Saves files on an FSS server and brings them back.
///
/// The profile's password is asked for, or taken from FSS_PASSWORD, FSS_PASSWORD_FILE or FSS_PASSWORD_COMMAND. Without a
/// command, on a terminal, there is a menu.
#[derive(Debug, Parser)]
#[command(name = "client", version, before_help = EXAMPLES, after_help = EXIT_CODES)]
pub struct Options {
    /// Server to use: by default the one that a file's record names, then FSS_SERVER, then 127.0.0.1:954
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub server: Option<String>,
    /// Directory of the profile; one of 2019 is used as it is
    #[arg(long, env = "FSS_PROFILE", value_name = "DIR", global = true)]
    pub profile: Option<PathBuf>,
    /// Protocol version to speak
    #[arg(long, env = "FSS_CLIENT_PROTOCOL", value_enum, global = true)]
    pub protocol: Option<Protocol>,
    /// Print results and errors only
    #[arg(long, env = "FSS_QUIET", value_parser = FalseyValueParser::new(), global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  client upload notes.txt                          prints the cookie
  client download notes.txt                        brings the file back by its name, or by its cookie
  client --server fss.example.org:954 upload a b   several files
  client list";

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 other, 2 usage, 10 no such file, 12 wrong password, 14 no room, 15 damaged file, 75 network, 130 interrupted.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upload files and print their cookies, a line each
    Upload {
        /// Files, or - for standard input
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Name to list the file under, instead of its own
        #[arg(long)]
        name: Option<String>,
        /// Give the file a password of its own (FSS_FILE_PASSWORD, or asked for), to be handed on with the cookie
        #[arg(long)]
        own_password: bool,
    },
    /// Download a file by its name or cookie
    Download {
        /// Name or cookie
        #[arg(value_name = "NAME|COOKIE")]
        file: String,
        /// Where to write it, or - for standard output
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Overwrite what is there
        #[arg(long)]
        force: bool,
        /// The file has a password of its own (FSS_FILE_PASSWORD, or asked for)
        #[arg(long)]
        own_password: bool,
        /// Size in bytes of somebody else's file: FSS 1.0 does not tell it
        #[arg(long, value_name = "BYTES")]
        size: Option<u64>,
    },
    /// List your files
    List,
    /// List your files whose name contains a text
    Search {
        #[arg(value_name = "NAME")]
        text: String,
    },
    /// Take a file off the list; the server keeps it
    Forget {
        /// Name or cookie
        #[arg(value_name = "NAME|COOKIE")]
        file: String,
    },
    /// Take all files off the list; the servers keep them
    Clean {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Change the profile's password (to FSS_NEW_PASSWORD, or asked for); only while no file is listed
    ChangePassword,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    #[value(name = "1.0")]
    V1,
    #[value(name = "2")]
    V2,
}

impl Options {
    pub fn check_protocol(&self) -> Result<(), Failure> {
        match self.protocol {
            Some(Protocol::V2) => {
                Err(Failure::usage("--protocol 2 cannot be used", "this version speaks FSS 1.0 only", "--protocol 1.0"))
            }
            Some(Protocol::V1) | None => Ok(()),
        }
    }

    /// Whoever did not choose FSS 1.0 should know what it gives up.
    pub fn warn_of_protocol(&self) {
        if self.protocol.is_none() && !self.quiet {
            eprintln!(
                "warning: FSS 1.0 cannot tell a server from an impostor; use it in networks you trust (--protocol 1.0 silences this)"
            );
        }
    }

    /// The server to ask, if the file's record may name one.
    pub fn server(&self, recorded: Option<&str>) -> String {
        let named = self.server.as_deref().or(recorded).map(str::to_owned);
        named.or_else(|| std::env::var("FSS_SERVER").ok()).unwrap_or_else(|| DEFAULT_SERVER.to_owned())
    }

    /// Tells something that is no result.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}
