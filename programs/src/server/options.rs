//! The server's command line.

// Help texts are shown as they are written, without markup.
#![allow(clippy::doc_markdown)]

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use fss::crypto::Fingerprint;
use fss::key_file::KeyEncoding;
use fss::store::{EmbeddedStore, OpenOptions, Retention};
use fss::{Limits, RandomCookies, SequentialCookies, Versions};
use ipnet::IpNet;

use crate::duration::duration;
use crate::reference::{Reference, exit_codes};
use crate::server::Runtime;
use crate::terminal::failure::{Failure, code};

/// Saves people's files and gives them back.
///
/// The operation code that opens the server's key is asked for, or taken from FSS_CODE,
/// FSS_CODE_FILE or FSS_CODE_COMMAND.
#[derive(Debug, Parser)]
#[command(name = "fss-server", version, after_help = format!("{EXAMPLES}\n\n{}", exit_codes(EXIT_CODES)), args_override_self = true)]
pub struct Options {
    /// Address and port to listen on, also several times; [::]:954 for IPv6
    #[arg(
        long,
        env = "FSS_LISTEN",
        value_name = "ADDR:PORT",
        value_delimiter = ',',
        default_value = "0.0.0.0:954"
    )]
    pub listen: Vec<SocketAddr>,
    /// Addresses of proxies, which must begin each connection with a PROXY header (version 1 or 2)
    /// that says who the client is, such as 127.0.0.1 or 10.0.0.0/8; also several times
    #[arg(long, env = "FSS_PROXY_PROTOCOL", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub proxy_protocol: Vec<IpNet>,
    /// Directory of files, database and key; one of 2019 is served in place
    #[arg(long, env = "FSS_DATA", value_name = "DIR", default_value = "fss-data", global = true)]
    pub data: PathBuf,
    /// Protocol versions to speak
    #[arg(long, env = "FSS_SERVER_PROTOCOL", value_enum, default_value = "any")]
    pub protocol: Protocol,
    /// How long to keep new files: forever, until-downloaded, or a duration such as 90s, 12h or 30d
    #[arg(long, env = "FSS_KEEP", value_name = "TIME", value_parser = retention, default_value = "forever")]
    pub keep: Retention,
    /// Take files only of users, and users only with an invite (see `fss-server users`)
    #[arg(long, env = "FSS_MEMBERS", value_parser = FalseyValueParser::new())]
    pub members: bool,
    /// Cookies of new files: random, or their index number, which can be guessed
    #[arg(long, env = "FSS_COOKIES", value_enum, default_value = "random")]
    pub cookies: Cookies,
    /// How to lock a new key: the modern form, or that of 2019
    #[arg(long, env = "FSS_KEY_FORM", value_enum, default_value = "modern")]
    pub key_form: Form,
    /// Convert a key that is locked in the form of 2019 to the modern one
    #[arg(long, env = "FSS_UPGRADE_KEY", value_parser = FalseyValueParser::new())]
    pub upgrade_key: bool,
    /// How to write the log, on standard error
    #[arg(long, env = "FSS_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Serve what is counted at http://ADDR:PORT/metrics, for Prometheus
    #[arg(long, env = "FSS_METRICS", value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Read all files again and again, with so much time between, and log those that are damaged
    #[arg(long, env = "FSS_VERIFY_EVERY", value_name = "TIME", value_parser = duration)]
    pub verify_every: Option<Duration>,
    /// File with more options, a line each, such as `idle 30s`; limits in it are read again on
    /// SIGHUP
    #[arg(long, env = "FSS_OPTIONS", value_name = "FILE")]
    #[allow(clippy::struct_field_names, reason = "it is called so")]
    pub options: Option<PathBuf>,
    /// How to serve connections: each by a thread, or by a task of tokio, for more than a few
    /// hundred
    #[arg(long, env = "FSS_RUNTIME", value_enum)]
    pub runtime: Option<Runtime>,
    /// Connections at once, by default 1024 with threads and 16384 with tokio; one more is told
    /// that the server is busy
    #[arg(long, env = "FSS_CONNECTIONS", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: Option<u32>,
    /// Connections at once from one address, or one /64 of IPv6, but not from this machine; by
    /// default a quarter of all
    #[arg(long, env = "FSS_CONNECTIONS_PER_SOURCE", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_per_source: Option<u32>,
    /// Time for a new connection's first message
    #[arg(long, env = "FSS_HANDSHAKE", value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub handshake: Duration,
    /// Time for each message after that
    #[arg(long, env = "FSS_IDLE", value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub idle: Duration,
    /// Bytes a second that a transfer must keep, after a grace of the time for a message; 0 is no
    /// limit
    #[arg(long, env = "FSS_MINIMUM_RATE", value_name = "BYTES", value_parser = bytes, default_value = "256")]
    pub minimum_rate: u64,
    /// Largest file, in stored bytes
    #[arg(long, env = "FSS_LARGEST_FILE", value_name = "BYTES", value_parser = bytes)]
    pub largest_file: Option<u64>,
    /// Bytes of the disk that uploads must leave free
    #[arg(long, env = "FSS_MINIMUM_FREE", value_name = "BYTES", value_parser = bytes, default_value = "4M")]
    pub minimum_free: u64,
    /// Files of one key at once, those on their way in counted
    #[arg(long, env = "FSS_FILES_PER_KEY", value_name = "COUNT", default_value = "100000", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub files_per_key: u64,
    /// Parts of files in memory at once, of 257 KiB each; connections wait for each other when all
    /// are there
    #[arg(long, env = "FSS_RECORD_BUFFERS", value_name = "COUNT", default_value = "512", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub record_buffers: u32,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do about a file that cannot be used.
const OPTIONS_FILE: &str = "a line for each option, as in: connections 1000";

pub const EXAMPLES: &str = "Examples:
  fss-server --listen 127.0.0.1:9540 --data files      serve, making directory and key if they are not there
  fss-server --data files fingerprint                  show the key's fingerprint
  fss-server --data files --keep 30d                   keep new files for a month
  fss-server --data files verify                       look for damaged files, also while it runs; exit code 15 if there are any
  fss-server --data files --members                    serve only users
  fss-server --data files users invite --quota 20G     print an invite for a new user";

pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "ok"),
    (code::OTHER, "other"),
    (code::USAGE, "usage"),
    (code::WRONG_PASSWORD, "wrong operation code"),
    (code::NO_ROOM, "disk full"),
    (code::INTEGRITY, "damaged files"),
];

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the fingerprint of the server's key
    Fingerprint,
    /// Lock the key with another operation code (FSS_NEW_CODE, or asked for)
    ChangeCode,
    /// Read every stored file and compare it with its record
    Verify,
    /// Administer users, also while the server runs
    #[command(subcommand)]
    Users(UsersCommand),
    #[command(flatten)]
    Reference(Reference),
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// List the users: name, key, bytes used, quota
    List,
    /// Make a user of a client's key
    Add {
        /// The user's name
        name: String,
        /// The fingerprint of the client's key, as the client's `info` shows it
        #[arg(value_name = "SHA256:…")]
        key: Fingerprint,
        /// Bytes that the user may store, such as 500M or 20G; without, as many as there is room
        /// for
        #[arg(long, env = "FSS_QUOTA", value_name = "BYTES", value_parser = bytes)]
        quota: Option<u64>,
    },
    /// Remove a user; the files stay, and belong to the key
    Remove {
        /// The user's name
        name: String,
    },
    /// Change how much a user may store
    Quota {
        /// The user's name
        name: String,
        /// Bytes, such as 500M or 20G, or none for as many as there is room for
        #[arg(value_parser = quota)]
        quota: Quota,
    },
    /// Print an invite: it is good once, for 7 days
    Invite {
        /// Bytes that the user may store, such as 500M or 20G; without, as many as there is room
        /// for
        #[arg(long, env = "FSS_QUOTA", value_name = "BYTES", value_parser = bytes)]
        quota: Option<u64>,
    },
}

/// Bytes that a user may store, if they are limited.
#[derive(Clone, Copy, Debug)]
pub struct Quota(pub Option<u64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    Any,
    #[value(name = "1.0")]
    V1,
    #[value(name = "2")]
    V2,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Cookies {
    Random,
    Index,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Form {
    Modern,
    #[value(name = "1.0")]
    Legacy,
}

impl From<Form> for KeyEncoding {
    fn from(form: Form) -> Self {
        match form {
            Form::Modern => Self::Modern,
            Form::Legacy => Self::Legacy,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    /// From now on the log goes to standard error.
    pub fn start(self) {
        let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
        // Where no log can be written, nothing about that can be either: trying it would panic.
        let log = log.log_internal_errors(false);
        match self {
            Self::Text => log.with_ansi(false).init(),
            Self::Json => log.json().flatten_event(true).init(),
        }
    }
}

impl Options {
    /// The command line, with the options of the file that it may name before its own, so that its
    /// own hold.
    pub fn read() -> Result<Self, Failure> {
        let matches = Self::command().get_matches();
        let typed = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let Some(path) = &typed.options else { return Ok(typed) };
        let is_typed = |name: &str| {
            SEVERAL.contains(&name)
                && matches.value_source(&name.replace('-', "_")) == Some(ValueSource::CommandLine)
        };
        let failed = |why: String| {
            Failure::usage(
                format!("cannot use the options in {}", path.display()),
                why,
                OPTIONS_FILE,
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let mut arguments = std::env::args_os();
        let program = arguments.next().unwrap_or_default();
        let all = std::iter::once(program).chain(from_file(&text, is_typed)).chain(arguments);
        Self::try_parse_from(all).map_err(|error| {
            failed(
                error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            )
        })
    }

    pub fn versions(&self) -> Versions {
        match self.protocol {
            Protocol::Any => Versions::All,
            Protocol::V1 => Versions::Legacy,
            Protocol::V2 => Versions::Fss2,
        }
    }

    pub fn limits(&self, runtime: Runtime) -> Limits {
        let mut limits = Limits::default();
        limits.handshake = self.handshake;
        limits.idle = self.idle;
        limits.minimum_rate = self.minimum_rate;
        limits.largest_file = self.largest_file.unwrap_or(limits.largest_file);
        limits.connections = count(self.connections.unwrap_or_else(|| runtime.connections()));
        limits.connections_per_source =
            self.connections_per_source.map_or_else(|| limits.connections.div_ceil(4), count);
        limits.record_buffers = count(self.record_buffers);
        limits
    }

    pub fn open_store(&self) -> Result<EmbeddedStore, Failure> {
        let options = match self.cookies {
            Cookies::Random => OpenOptions::default().cookies(RandomCookies),
            Cookies::Index => OpenOptions::default().cookies(SequentialCookies),
        };
        let options = options.retention(self.keep).members_only(self.members);
        Ok(options
            .minimum_free(self.minimum_free)
            .files_per_owner(self.files_per_key)
            .open(&self.data)?)
    }
}

/// Options that may stand several times: those of the command line do not add to those of the file,
/// but replace them.
const SEVERAL: [&str; 2] = ["listen", "proxy-protocol"];

/// The options of a file as they are on a command line, without those that are typed there.
fn from_file<'a>(
    text: &'a str,
    is_typed: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = OsString> + 'a {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let options = lines.map(|line| line.split_once([' ', '\t', '=']).unwrap_or((line, "")));
    options.filter(move |(name, _)| !is_typed(name)).flat_map(|(name, value)| {
        let value = value.trim_start_matches([' ', '\t', '=']);
        let name = OsString::from(format!("--{name}"));
        std::iter::once(name).chain((!value.is_empty()).then(|| value.into()))
    })
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| format!("{text:?} is not a network: write 127.0.0.1, 10.0.0.0/8 or fd00::/8"))
}

fn quota(text: &str) -> Result<Quota, String> {
    if text == "none" { Ok(Quota(None)) } else { bytes(text).map(|bytes| Quota(Some(bytes))) }
}

fn retention(text: &str) -> Result<Retention, String> {
    match text {
        "forever" => Ok(Retention::Forever),
        "until-downloaded" => Ok(Retention::UntilDownloaded),
        _ => duration(text).map(Retention::For),
    }
}

/// A whole number of bytes, or with K, M, G or T of 1024, 1024² and so on.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "{text:?} is not a number of bytes: write a whole number, optionally followed by K, M, G or T"
        )
    };
    let (digits, shift) = match text.chars().last() {
        Some('K') => (&text[..text.len() - 1], 10),
        Some('M') => (&text[..text.len() - 1], 20),
        Some('G') => (&text[..text.len() - 1], 30),
        Some('T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(1 << shift).filter(|&bytes| bytes <= MOST).ok_or_else(wrong)
}

/// As many bytes as can be written down (`docs/protocol.md` §15.6).
const MOST: u64 = i64::MAX.unsigned_abs();
