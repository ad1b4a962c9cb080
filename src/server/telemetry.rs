//! What happens on a connection, for operators: to `tracing` as a span of the
//! connection with a span and a line for each operation, and to `metrics` as counts.
//!
//! Each line names the client's address, its key by the first characters of the fingerprint, its
//! user name where that is known, and the operation with the first digits of the cookie. Never a
//! password, a private key or a whole cookie. How many lines a peer can cause is bounded: what goes
//! beyond is counted, and the number told. The metrics:
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `fss_connections` | gauge | |
//! | `fss_connections_ended_total` | counter | `outcome`: `ok`, `left` (the client went away or fell silent), `refused` (the peer's doing), `failed` (the server's own) |
//! | `fss_operations_total` | counter | `operation`: `upload`, `download`, `delete`, `sign-up` |
//! | `fss_operation_seconds` | histogram | `operation`: `upload`, `download` |
//! | `fss_bytes_total` | counter | `direction`: `in`, `out`; stored bytes that came or went in operations that were completed |
//! | `fss_refusals_total` | counter | `code`: those of `docs/protocol.md` §20, or `legacy` |

#![warn(clippy::wildcard_enum_match_arm)]

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use metrics::{counter, gauge, histogram};
use tracing::{Span, field, info, info_span, warn};

use super::error_reply::error_frame;
use super::log_limit::{Allowance, LogLimit, Rate};
use super::{RequestKind, ServerEvent};
use crate::error::Error;
use crate::store::{StoreErrorKind, UserName};
use crate::types::cookie::Cookie;
use crate::types::report::Report;
use crate::types::time::Time;

/// Refusals and sign-ups of one connection that get a line each: enough to see what it is about.
const REFUSALS_TOLD: Rate = Rate { burst: 8, per_second: 0 };
/// Files of one connection that get a line each: none is left out of those that cost a disk
/// anything, but empty files can be fetched faster than anybody reads.
const FILES_TOLD: Rate = Rate { burst: 1024, per_second: 64 };

/// Tells what happens on one connection.
///
/// ```
/// use std::sync::Arc;
/// use fss::server::{LogLimit, Telemetry};
/// use fss::{Machine, MemoryStore, ServerSession, Time};
///
/// let limit = Arc::new(LogLimit::default()); // of all connections of a server
/// let mut session = ServerSession::new(MemoryStore::new());
/// let telemetry = Telemetry::new("127.0.0.1:40000".parse()?, limit);
/// // With each event of the session: telemetry.event(&event, now). At its end:
/// telemetry.ended(&Ok(()), Time::ZERO);
/// # let _ = session.deadline();
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub struct Telemetry {
    connection: Span,
    limit: Arc<LogLimit>,
    refusals: Allowance,
    files: Allowance,
    request: Option<Request>,
    is_user: bool,
}

/// The request that came last.
struct Request {
    span: Span,
    since: Time,
    has_cookie: bool,
    /// Whether a file has begun to move.
    begun: bool,
}

impl Telemetry {
    /// A connection has begun. `peer` is where the client connects from, which is not the proxy
    /// that it comes through.
    pub fn new(peer: SocketAddr, limit: Arc<LogLimit>) -> Self {
        gauge!("fss_connections").increment(1);
        let connection = info_span!("connection", %peer, key = field::Empty, user = field::Empty);
        let (refusals, files) = (Allowance::new(REFUSALS_TOLD), Allowance::new(FILES_TOLD));
        Self { connection, limit, refusals, files, request: None, is_user: false }
    }

    /// The client's proved key is that of this user.
    pub fn user(&mut self, name: &UserName) {
        if !std::mem::replace(&mut self.is_user, true) {
            self.connection.record("user", name.as_str());
        }
    }

    /// Something was reported. `now` is what the session was polled with last.
    pub fn event(&mut self, event: &ServerEvent, now: Time) {
        match event {
            ServerEvent::ClientKey(key) => {
                self.connection.record("key", field::display(key.short()));
            }
            ServerEvent::ClientProved(_) => {}
            ServerEvent::Requested { request, cookie } => {
                let span = span_of(&self.connection, *request, cookie.as_ref());
                self.request =
                    Some(Request { span, since: now, has_cookie: cookie.is_some(), begun: false });
            }
            ServerEvent::UploadStarted { cookie } | ServerEvent::DownloadStarted { cookie, .. } => {
                self.begun(cookie);
            }
            ServerEvent::Stored { bytes, received, .. } => {
                counter!("fss_bytes_total", "direction" => "in").increment(*received);
                self.completed("upload", now, |milliseconds| {
                    info!(bytes, received, milliseconds, "stored");
                });
            }
            ServerEvent::Delivered { bytes, sent, .. } => {
                counter!("fss_bytes_total", "direction" => "out").increment(*sent);
                self.completed("download", now, |milliseconds| {
                    info!(bytes, sent, milliseconds, "delivered");
                });
            }
            ServerEvent::Deleted { .. } => {
                counter!("fss_operations_total", "operation" => "delete").increment(1);
                let span = self.take_span();
                if self.files.admits(seconds(now)) {
                    span.in_scope(|| info!("deleted"));
                }
            }
            ServerEvent::SignedUp { name } => {
                counter!("fss_operations_total", "operation" => "sign-up").increment(1);
                self.user(name);
                let span = self.take_span();
                if self.refusals.admits(seconds(now)) {
                    self.limit.of_peer(|| span.in_scope(|| info!("signed up")));
                }
            }
            ServerEvent::Refused { why } => {
                count_refusal(why);
                let span = self.take_span();
                if self.refusals.admits(seconds(now)) {
                    self.tell(why, || span.in_scope(|| tell_refusal(why)));
                }
            }
        }
    }

    /// The connection has ended.
    pub fn ended(mut self, outcome: &Result<(), Error>, now: Time) {
        let (refusals, files) = (self.refusals.take_omitted(), self.files.take_omitted());
        if refusals + files > 0 {
            let tell =
                || info!(refusals, files, "this connection had more than are told one by one");
            self.limit.of_peer(|| self.connection.in_scope(tell));
        }
        let request = self.request.take();
        let begun = request.as_ref().is_some_and(|request| request.begun);
        let (span, since) = request.map_or_else(
            || (self.connection.clone(), Time::ZERO),
            |request| (request.span, request.since),
        );
        let milliseconds = milliseconds(since, now);
        let outcome = match outcome {
            Ok(()) => "ok",
            Err(why) => {
                count_refusal(why);
                match side_of(why) {
                    // Clients are stopped, lose their line, or just look at a server's key.
                    Side::Left => {
                        let text = without_cookies(&Report(why).to_string());
                        self.limit.of_peer(|| {
                            span.in_scope(|| {
                                if begun {
                                    info!(milliseconds, why = text, "left in the middle");
                                } else {
                                    info!(milliseconds, why = text, "left");
                                }
                            });
                        });
                        "left"
                    }
                    side @ (Side::Server | Side::Storage | Side::Client) => {
                        self.tell(why, || span.in_scope(|| tell_refusal(why)));
                        if side == Side::Client { "refused" } else { "failed" }
                    }
                }
            }
        };
        counter!("fss_connections_ended_total", "outcome" => outcome).increment(1);
    }

    /// Writes a line about an error, if there are not too many about such ones.
    fn tell(&self, why: &Error, write: impl FnOnce()) {
        match side_of(why) {
            Side::Storage => self.limit.of_full_storage(write),
            Side::Server => self.limit.of_failure(write),
            Side::Client | Side::Left => self.limit.of_peer(write),
        }
    }

    fn begun(&mut self, cookie: &Cookie) {
        if let Some(request) = &mut self.request {
            if !std::mem::replace(&mut request.has_cookie, true) {
                request.span.record("cookie", cookie.short());
            }
            request.begun = true;
        }
    }

    fn take_span(&mut self) -> Span {
        self.request.take().map_or_else(|| self.connection.clone(), |request| request.span)
    }

    /// A file has come or gone; `write` gets the milliseconds that it took.
    fn completed(&mut self, operation: &'static str, now: Time, write: impl FnOnce(u64)) {
        let since = self.request.as_ref().map_or(now, |request| request.since);
        counter!("fss_operations_total", "operation" => operation).increment(1);
        histogram!("fss_operation_seconds", "operation" => operation)
            .record(now.saturating_since(since).as_secs_f64());
        let span = self.take_span();
        if self.files.admits(seconds(now)) {
            span.in_scope(|| write(milliseconds(since, now)));
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        gauge!("fss_connections").decrement(1);
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// A span has the name of its operation.
fn span_of(connection: &Span, request: RequestKind, cookie: Option<&Cookie>) -> Span {
    macro_rules! named {
        ($name:literal) => {
            info_span!(parent: connection, $name, cookie = field::Empty)
        };
    }
    let span = match request {
        RequestKind::Upload => named!("upload"),
        RequestKind::Resume => named!("resume"),
        RequestKind::Challenge => named!("challenge"),
        RequestKind::Download => named!("download"),
        RequestKind::Delete => named!("delete"),
        RequestKind::List => named!("list"),
        RequestKind::SignUp => named!("sign-up"),
        RequestKind::Information => named!("information"),
    };
    if let Some(cookie) = cookie {
        span.record("cookie", cookie.short());
    }
    span
}

fn tell_refusal(why: &Error) {
    let text = without_cookies(&Report(why).to_string());
    match side_of(why) {
        Side::Server | Side::Storage => warn!(why = text, "failed"),
        Side::Client | Side::Left => info!(why = text, "refused"),
    }
}

/// Who has to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The operator.
    Server,
    /// The operator, who is told often enough that the disk is full.
    Storage,
    Client,
    /// The client, which is gone.
    Left,
}

fn side_of(why: &Error) -> Side {
    match why {
        Error::Store(error) => match error.kind() {
            StoreErrorKind::Full => Side::Storage,
            StoreErrorKind::Damaged
            | StoreErrorKind::Denied
            | StoreErrorKind::Foreign
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Misuse
            | StoreErrorKind::Stopped => Side::Server,
            StoreErrorKind::Exists
            | StoreErrorKind::Busy
            | StoreErrorKind::Quota
            | StoreErrorKind::NotAMember
            | StoreErrorKind::NameTaken
            | StoreErrorKind::BadInvite
            | StoreErrorKind::TooManyUploads
            | StoreErrorKind::TooManyFiles
            | StoreErrorKind::Superseded => Side::Client,
        },
        Error::Disconnected(_) | Error::TimedOut(_) => Side::Left,
        Error::Crypto | Error::Misuse(_) | Error::Internal => Side::Server,
        Error::InvalidKeyExchange(_)
        | Error::KeyRejected(_)
        | Error::BlockDoesNotOpen
        | Error::BlockAfterShortBlock
        | Error::MessageTooLong { .. }
        | Error::InvalidLegacyFrame(_)
        | Error::RecordDoesNotOpen
        | Error::InvalidHello(_)
        | Error::InvalidMessage(_)
        | Error::ServerNotProved
        | Error::ServerKeyChanged { .. }
        | Error::OwnKey
        | Error::Misbehaved(_)
        | Error::Refused(_)
        | Error::PeerRefused(_)
        | Error::Integrity(_) => Side::Client,
    }
}

fn seconds(now: Time) -> u64 {
    now.saturating_since(Time::ZERO).as_secs()
}

fn milliseconds(since: Time, now: Time) -> u64 {
    u64::try_from(now.saturating_since(since).as_millis()).unwrap_or(u64::MAX)
}

/// More digits in a row than any number has that is not a cookie.
const DIGITS: usize = 20;

/// Shortens all cookies in a text, for a log: errors of storage name the files that they are about.
///
/// ```
/// let path = format!("F-{}/F is missing", "7".repeat(48));
/// assert_eq!(fss::server::without_cookies(&path), "F-777777…/F is missing");
/// ```
pub fn without_cookies(text: &str) -> String {
    let mut shortened = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[start..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |length| start + length);
        if end - start > DIGITS {
            shortened.push_str(&rest[..start + 6]);
            shortened.push('…');
        } else {
            shortened.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    shortened.push_str(rest);
    shortened
}

fn count_refusal(why: &Error) {
    if let Some(code) = error_frame(why).and_then(|told| told.code) {
        counter!("fss_refusals_total", "code" => code.as_str()).increment(1);
    }
}
