//! Error messages of failed sessions: what failed, why, and what the user can do.

#![warn(clippy::wildcard_enum_match_arm)]

use std::io;

use fss::crypto::Fingerprint;
use fss::protocol::{ErrorCode, ErrorFrame};
use fss::{Phase, Refusal, Report};

use crate::terminal::failure::{Failure, code, typed};

/// What a server of FSS 1.0 says that does not do what was asked.
pub const NOT_PROCEEDED: &str = "Failed to proceed with the selected operation";

/// A server cannot be reached.
pub fn cannot_connect(server: &str, error: &io::Error) -> Failure {
    let is_host = |server: &str| server.rsplit_once(':').is_some_and(|(host, _)| is_host(host));
    if error.kind() == io::ErrorKind::InvalidInput || !is_host(server) {
        let why = "it is not a name or an address, with or without a port";
        return Failure::usage(format!("{server:?} is not a server"), why, "--server HOST:PORT");
    }
    let hint = "check the address and that the server runs; then the same command again";
    Failure::new(
        code::NETWORK,
        format!("Server Connection Was Failed: {server}"),
        error.to_string(),
        hint,
    )
}

/// Whether this could be the name or the address of a host.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| !address.is_empty()),
        None => !host.is_empty() && !host.contains([':', '/', ']', ' ']),
    }
}

/// How a session ended that did not end well.
pub enum SessionError {
    /// The connection failed.
    Session(fss::Error),
    /// The program stopped it, and knows why.
    Program(Failure),
    /// Nobody knows the server.
    Stranger,
    /// The user is to be asked first, and not while a server waits; without a terminal it is this
    /// failure.
    Unsure(Failure),
}

impl From<Failure> for SessionError {
    fn from(failure: Failure) -> Self {
        Self::Program(failure)
    }
}

impl From<fss::Error> for SessionError {
    fn from(error: fss::Error) -> Self {
        Self::Session(error)
    }
}

impl SessionError {
    /// The failure as it is shown; `what` was not done.
    pub fn failure(self, what: &str) -> Failure {
        let error = match self {
            Self::Program(failure) | Self::Unsure(failure) => return failure,
            Self::Stranger => return invalid_response("its key is not known"),
            Self::Session(error) => error,
        };
        let why = Report(&error).to_string();
        match &error {
            fss::Error::PeerRefused(refusal) => refused(what, refusal),
            fss::Error::Integrity(_) => Failure::new(
                code::INTEGRITY,
                what,
                why,
                "the file on the server is not the one that was stored; look for another copy",
            ),
            fss::Error::Disconnected(Phase::KeyExchange) => Failure::new(
                code::NETWORK,
                what,
                why,
                "check that this is an FSS server; then the same command again",
            ),
            fss::Error::Disconnected(_) | fss::Error::TimedOut(_) => {
                Failure::new(code::NETWORK, what, why, "the same command again")
            }
            fss::Error::OwnKey => Failure::new(
                code::OTHER,
                what,
                why,
                "check the address: something sends back what it gets",
            ),
            fss::Error::Refused(Refusal::FileTooLarge { .. })
            | fss::Error::Crypto
            | fss::Error::Misuse(_)
            | fss::Error::Internal => Failure::new(code::OTHER, what, why, ""),
            fss::Error::InvalidKeyExchange(_)
            | fss::Error::KeyRejected(_)
            | fss::Error::BlockDoesNotOpen
            | fss::Error::BlockAfterShortBlock
            | fss::Error::MessageTooLong { .. }
            | fss::Error::InvalidLegacyFrame(_)
            | fss::Error::RecordDoesNotOpen
            | fss::Error::InvalidHello(_)
            | fss::Error::InvalidMessage(_)
            | fss::Error::ServerNotProved
            | fss::Error::ServerKeyChanged { .. }
            | fss::Error::Misbehaved(_)
            | fss::Error::Refused(_)
            | fss::Error::Store(_) => invalid_response(&why),
        }
    }
}

/// What a server says, by its code, or by the names of the documentation of FSS 1.0.
pub fn refused(what: &str, refusal: &ErrorFrame) -> Failure {
    let why = match refusal.retry {
        Some(seconds) => {
            format!("the server says: {} It may be tried again in {seconds} s", refusal.text)
        }
        None => format!("the server says: {}", refusal.text),
    };
    let (code, hint) = match refusal.code {
        None => return refused_in_words(what, refusal.text.as_str()),
        Some(ErrorCode::Refused) => (
            code::NO_SUCH_FILE,
            "check the cookie and --server; --own-password if the file has a password of its own",
        ),
        Some(ErrorCode::NotAMember) => {
            let hint =
                format!("ask its operator for an invite, then: {}", typed("sign-up NAME --invite"));
            return Failure::new(code::OTHER, what, why, hint);
        }
        Some(ErrorCode::Quota) => (
            code::NO_ROOM,
            "delete files that you no longer need there; what was sent of unfinished ones counts too, for a day",
        ),
        Some(ErrorCode::NoRoom) => (code::NO_ROOM, "the same command later, or another server"),
        Some(ErrorCode::TooLarge) => {
            let hint = format!("another server; what this one takes: {}", typed("info"));
            return Failure::new(code::LIMIT, what, why, hint);
        }
        Some(ErrorCode::TooManyAttempts) => (code::ATTEMPTS, "wait that long"),
        Some(ErrorCode::TooManyFiles) => {
            let hint = format!(
                "delete files that you no longer need there; what it has of yours: {}",
                typed("list --remote")
            );
            return Failure::new(code::LIMIT, what, why, hint);
        }
        Some(ErrorCode::TooManyUploads) => {
            (code::LIMIT, "resume an interrupted upload: the same command as before")
        }
        Some(ErrorCode::Busy) => (code::LIMIT, "the same command then"),
        Some(ErrorCode::Idle | ErrorCode::Superseded) => (code::NETWORK, "the same command again"),
        Some(ErrorCode::NameTaken) => (code::OTHER, "another name"),
        Some(ErrorCode::BadInvite) => {
            (code::OTHER, "ask its operator for a new invite, and have it asked for with --invite")
        }
        Some(
            ErrorCode::Version | ErrorCode::BadRequest | ErrorCode::Storage | ErrorCode::Protocol,
        ) => (
            code::OTHER,
            "the same command later; if it stays so, one of both programs has a fault",
        ),
    };
    Failure::new(code, what, why, hint)
}

/// The server has another key than it should have: nothing goes on.
pub fn key_changed(server: &str, known: Fingerprint, got: Fingerprint) -> Failure {
    Failure::new(
        code::KEY_CHANGED,
        format!("{server} is not the server that it was"),
        format!("its key is {got}, and {known} was expected: a man in the middle may be present"),
        format!(
            "ask its operator; only if he confirms the new key: {}",
            typed(&format!("--server {server} forget-server"))
        ),
    )
}

/// The server does not have the key that the user says it has.
pub fn other_key(server: &str, wanted: Fingerprint, got: Fingerprint) -> Failure {
    Failure::new(
        code::KEY_CHANGED,
        format!("{server} is not the server that --fingerprint says"),
        format!("its key is {got}, and not {wanted}: a man in the middle may be present"),
        "ask its operator for the fingerprint, and check the address",
    )
}

/// The user says that a known server has another key than the one it is known by: one of both is
/// wrong, and the server has not been asked yet.
pub fn not_the_known_key(server: &str, known: Fingerprint, wanted: Fingerprint) -> Failure {
    Failure::new(
        code::KEY_CHANGED,
        format!("{server} is known by another key than --fingerprint says"),
        format!("it is known by {known}, and --fingerprint says {wanted}; nothing was sent"),
        format!(
            "no --fingerprint; only if the operator confirms the new key: {}",
            typed(&format!("--server {server} forget-server"))
        ),
    )
}

fn refused_in_words(what: &str, text: &str) -> Failure {
    match text {
        "Invalid password" => Failure::new(
            code::WRONG_PASSWORD,
            "Wrong Password",
            "the server says: Invalid password",
            "the password that the file was uploaded with; --own-password asks for one of its own",
        ),
        "Invalid cookie" | NOT_PROCEEDED => Failure::new(
            code::NO_SUCH_FILE,
            NOT_PROCEEDED,
            format!(
                "the server says: {text}; most likely it has no such file, or too many wrong passwords came lately"
            ),
            "check the cookie and --server; after wrong passwords wait half a minute",
        ),
        "illegal user state" => {
            let why = "the server says: illegal user state; perhaps it speaks only FSS 1.0";
            Failure::new(code::OTHER, what, why, "--protocol 1.0, if you trust the network between")
        }
        "cannot upload the file" => Failure::new(
            code::OTHER,
            what,
            "the server says: cannot upload the file; it may have no room, or the file may be too large for it",
            "the same command later, or another server",
        ),
        _ => Failure::new(
            code::OTHER,
            "Server error",
            format!("{what}; the server says: {text}"),
            "the same command later",
        ),
    }
}

pub fn invalid_response(why: &str) -> Failure {
    Failure::new(code::OTHER, "Invalid server response", why, "check that this is an FSS server")
}
