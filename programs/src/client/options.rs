//! The client's command line.

// Help texts are shown as they are written, without markup.
#![allow(clippy::doc_markdown)]

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{FalseyValueParser, OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};

use fss::crypto::Fingerprint;

use crate::client::source::Compress;
use crate::duration::duration;
use crate::reference::{Reference, exit_codes};
use crate::terminal::failure::code;

/// The server that is asked where none is named.
const DEFAULT_SERVER: &str = "127.0.0.1";
/// The port of servers that are named without one.
const DEFAULT_PORT: u16 = 954;

/// Saves files on an FSS server and brings them back.
///
/// The profile's password is asked for, or taken from FSS_PASSWORD, FSS_PASSWORD_FILE or
/// FSS_PASSWORD_COMMAND. Without a command, on a terminal, there is a menu.
#[derive(Debug, Parser)]
#[command(name = "fss", version, before_help = EXAMPLES, after_help = exit_codes(EXIT_CODES))]
#[command(next_help_heading = "Options of all commands")]
pub struct Options {
    /// Server to use: by default the one that a file's record names, then that of the environment,
    /// then 127.0.0.1; without a port it is 954 [env: FSS_SERVER]
    #[arg(long, value_name = "HOST[:PORT]", global = true)]
    pub server: Option<String>,
    /// Directory of the profile; one of 2019 is used as it is
    #[arg(long, env = "FSS_PROFILE", value_name = "DIR", global = true)]
    pub profile: Option<PathBuf>,
    /// Protocol version to speak; 1.0 cannot tell a server from an impostor
    #[arg(long, env = "FSS_CLIENT_PROTOCOL", value_enum, default_value = "2", global = true)]
    pub protocol: Protocol,
    /// Speak FSS 1.0 even with a server that is known to speak FSS/2
    #[arg(long, env = "FSS_ALLOW_DOWNGRADE", value_parser = FalseyValueParser::new(), global = true)]
    pub allow_downgrade: bool,
    /// Speak only to the server with the key of this fingerprint, SHA256:…
    #[arg(long, env = "FSS_FINGERPRINT", value_name = "SHA256:…", global = true)]
    pub fingerprint: Option<Fingerprint>,
    /// Print results and errors as JSON, an object a line
    #[arg(long, env = "FSS_JSON", value_parser = FalseyValueParser::new(), global = true)]
    pub json: bool,
    /// Print results and errors only
    #[arg(long, env = "FSS_QUIET", value_parser = FalseyValueParser::new(), global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

pub const EXAMPLES: &str = "Examples:
  fss upload notes.txt                          prints the cookie
  fss download notes.txt                        brings the file back by its name, or by its cookie
  fss --server fss.example.org:954 upload a b   several files
  fss list";

pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "ok"),
    (code::OTHER, "other"),
    (code::USAGE, "usage"),
    (code::NO_SUCH_FILE, "no such file or wrong password of a file"),
    (code::LIMIT, "busy or limit reached"),
    (code::WRONG_PASSWORD, "wrong password"),
    (code::KEY_CHANGED, "server key changed"),
    (code::NO_ROOM, "quota or disk full"),
    (code::INTEGRITY, "damaged file"),
    (code::ATTEMPTS, "too many attempts"),
    (code::NETWORK, "network"),
    (code::INTERRUPTED, "interrupted"),
];

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upload files and directories, and print their cookies, a line each
    Upload {
        /// Files, directories, or - for standard input
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Name to list the file under, instead of its own
        #[arg(long, env = "FSS_UPLOAD_NAME")]
        name: Option<String>,
        /// Give the file a password of its own (FSS_FILE_PASSWORD, or asked for), to be handed on
        /// with the cookie
        #[arg(long, env = "FSS_OWN_PASSWORD", value_parser = FalseyValueParser::new())]
        own_password: bool,
        /// How long the server is to keep the file at most, such as 90s, 12h or 30d
        #[arg(long, env = "FSS_UPLOAD_KEEP", value_name = "TIME", value_parser = duration)]
        keep: Option<Duration>,
        /// For how many downloads the server is to keep the file at most
        #[arg(long, env = "FSS_UPLOAD_DOWNLOADS", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
        downloads: Option<u64>,
        /// Whether to compress before sealing
        #[arg(long, env = "FSS_COMPRESS", value_enum, default_value = "auto")]
        compress: Compress,
    },
    /// Download a file by its name or cookie
    Download {
        /// Name or cookie
        #[arg(value_name = "NAME|COOKIE", value_parser = label())]
        file: String,
        /// Where to write it, or - for standard output
        #[arg(short, long, env = "FSS_OUTPUT", value_name = "PATH")]
        output: Option<PathBuf>,
        /// Overwrite what is there
        #[arg(long, env = "FSS_FORCE", value_parser = FalseyValueParser::new())]
        force: bool,
        /// The file has a password of its own (FSS_FILE_PASSWORD, or asked for)
        #[arg(long, env = "FSS_OWN_PASSWORD", value_parser = FalseyValueParser::new())]
        own_password: bool,
        /// Size in bytes of another user's file, where nothing tells it: in FSS 1.0, and of
        /// compressed standard input
        #[arg(long, env = "FSS_SIZE", value_name = "BYTES")]
        size: Option<u64>,
    },
    /// List your files; with --server those that this server has
    List {
        /// Those that the server has, whatever this profile knows of them
        #[arg(long, env = "FSS_REMOTE", value_parser = FalseyValueParser::new())]
        remote: bool,
    },
    /// List your files whose name contains a text; with --server those that this server has
    Search {
        #[arg(value_name = "NAME", value_parser = label())]
        text: String,
    },
    /// Take a file off the list; the server keeps it
    Forget {
        /// Name or cookie
        #[arg(value_name = "NAME|COOKIE", value_parser = label())]
        file: String,
    },
    /// Delete a file from the server, and take it off the list
    Delete {
        /// Name or cookie
        #[arg(value_name = "NAME|COOKIE", value_parser = label())]
        file: String,
        /// The file has a password of its own (FSS_FILE_PASSWORD, or asked for): to delete that of
        /// another user
        #[arg(long, env = "FSS_OWN_PASSWORD", value_parser = FalseyValueParser::new())]
        own_password: bool,
    },
    /// Take all files off the list; the servers keep them
    Clean {
        /// Do not ask
        #[arg(long, env = "FSS_YES", value_parser = FalseyValueParser::new())]
        yes: bool,
    },
    /// Show what the server takes, and who you are to it
    Info,
    /// Become a user of the server
    SignUp {
        /// Your name there: letters, digits, dots, lines and dashes
        name: String,
        /// You have an invite (FSS_INVITE, or asked for, or a line of standard input): on a server
        /// for members
        #[arg(long, env = "FSS_ASK_INVITE", value_parser = FalseyValueParser::new())]
        invite: bool,
    },
    /// Change the profile's password (to FSS_NEW_PASSWORD, or asked for); files keep the one they
    /// have
    ChangePassword {
        /// Take a profile of 2019 over into the modern form, whatever is listed; programs of 2019
        /// can no longer use it
        #[arg(long, env = "FSS_MODERN", value_parser = FalseyValueParser::new())]
        modern: bool,
    },
    /// Forget the key of a server, after its operator has confirmed that it was changed
    ForgetServer,
    #[command(flatten)]
    Reference(Reference),
}

/// A name as it is listed: what is not UTF-8 in it is replaced, as it was there.
fn label() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|name| name.to_string_lossy().into_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    #[value(name = "1.0")]
    V1,
    #[value(name = "2")]
    V2,
}

impl Options {
    /// The server to ask, if the file's record may name one.
    pub fn server(&self, recorded: Option<&str>) -> String {
        let named = self.server.as_deref().or(recorded).map(str::to_owned);
        let named = named.or_else(|| std::env::var("FSS_SERVER").ok());
        with_port(named.as_deref().unwrap_or(DEFAULT_SERVER))
    }

    /// The server that the command line names, if it does.
    pub fn named_server(&self) -> Option<String> {
        self.server.as_deref().map(with_port)
    }
}

/// A server with the default port, if it is named without one. An address of IPv6 alone needs no
/// brackets.
fn with_port(server: &str) -> String {
    let after_host = server.rsplit(']').next().unwrap_or(server);
    match server.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{DEFAULT_PORT}"),
        Err(_) if after_host.contains(':') => server.to_owned(),
        Err(_) => format!("{server}:{DEFAULT_PORT}"),
    }
}
