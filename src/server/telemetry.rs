//! What happens on a connection, told to whoever watches the server: to `tracing` as a span of the connection with a span and
//! a line for each operation, and to `metrics` as counts.
//!
//! Never a password, a key or a whole cookie. The metrics:
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `fss_connections` | gauge | |
//! | `fss_connections_ended_total` | counter | `outcome`: `ok`, `left` (before anything began), `refused` (the peer's doing), `failed` |
//! | `fss_operations_total` | counter | `operation`: `upload`, `download`, `delete`, `sign-up` |
//! | `fss_operation_seconds` | histogram | `operation`: `upload`, `download` |
//! | `fss_bytes_total` | counter | `direction`: `in`, `out`; stored bytes of what was completed |
//! | `fss_refusals_total` | counter | `code`: those of `docs/protocol.md` §20, or `legacy` |

use std::fmt;
use std::net::SocketAddr;

use metrics::{counter, gauge, histogram};
use tracing::{Span, field, info, info_span, warn};

use super::{ServerEvent, refusal_code};
use crate::error::{Error, Fault};
use crate::store::StoreErrorKind;
use crate::time::Time;

/// Tells what happens on one connection.
///
/// ```
/// use fss::{Machine, ServerSession, MemoryStore, Time, server::Telemetry};
///
/// let mut session = ServerSession::new(MemoryStore::new());
/// let telemetry = Telemetry::new("127.0.0.1:40000".parse()?);
/// // With each event of the session: telemetry.event(&event, now). At its end:
/// telemetry.ended(&Ok(()), Time::ZERO);
/// # let _ = session.deadline();
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub struct Telemetry {
    connection: Span,
    operation: Option<(Span, Time)>,
}

impl Telemetry {
    /// A connection has begun.
    pub fn new(peer: SocketAddr) -> Self {
        gauge!("fss_connections").increment(1);
        Self { connection: info_span!("connection", %peer, key = field::Empty), operation: None }
    }

    /// Something was reported. `now` is what the session was polled with last.
    pub fn event(&mut self, event: &ServerEvent, now: Time) {
        match event {
            ServerEvent::ClientKey(key) => drop(self.connection.record("key", field::display(key))),
            ServerEvent::ClientProved(_) => {}
            ServerEvent::UploadStarted { cookie } => {
                let span = info_span!(parent: &self.connection, "upload", cookie = cookie.short());
                self.operation = Some((span, now));
            }
            ServerEvent::DownloadStarted { cookie, .. } => {
                let span = info_span!(parent: &self.connection, "download", cookie = cookie.short());
                self.operation = Some((span, now));
            }
            ServerEvent::Stored { bytes, .. } => {
                counter!("fss_bytes_total", "direction" => "in").increment(*bytes);
                let (span, milliseconds) = self.completed("upload", now);
                span.in_scope(|| info!(bytes, milliseconds, "stored"));
            }
            ServerEvent::Delivered { bytes, .. } => {
                counter!("fss_bytes_total", "direction" => "out").increment(*bytes);
                let (span, milliseconds) = self.completed("download", now);
                span.in_scope(|| info!(bytes, milliseconds, "delivered"));
            }
            ServerEvent::Deleted { cookie } => {
                counter!("fss_operations_total", "operation" => "delete").increment(1);
                self.connection.in_scope(|| info!(cookie = cookie.short(), "deleted"));
            }
            ServerEvent::SignedUp { name } => {
                counter!("fss_operations_total", "operation" => "sign-up").increment(1);
                self.connection.in_scope(|| info!(name = name.as_str(), "signed up"));
            }
            ServerEvent::Refused { why } => {
                count_refusal(why);
                let text = without_cookies(&why.to_string());
                self.connection.in_scope(|| match why {
                    // What no client can mend, somebody should look at.
                    Error::Store(error) if is_trouble(error.kind()) => warn!(why = text, "refused"),
                    _ => info!(why = text, "refused"),
                });
            }
        }
    }

    /// The connection has ended.
    pub fn ended(mut self, outcome: &Result<(), Error>, now: Time) {
        let busy = self.operation.take();
        let is_idle = busy.is_none();
        let (span, since) = busy.unwrap_or_else(|| (self.connection.clone(), Time::ZERO));
        let milliseconds = milliseconds(since, now);
        let outcome = match outcome {
            Ok(()) => "ok",
            Err(why) => {
                count_refusal(why);
                let text = without_cookies(&why.to_string());
                match why {
                    // Whoever looks at a server's key, or asks his user about it, just leaves.
                    Error::Disconnected(_) | Error::TimedOut(_) if is_idle => {
                        span.in_scope(|| info!(milliseconds, why = text, "left"));
                        "left"
                    }
                    _ if why.fault() == Fault::Peer => {
                        span.in_scope(|| info!(milliseconds, why = text, "refused"));
                        "refused"
                    }
                    _ => {
                        span.in_scope(|| warn!(milliseconds, why = text, "Server operation was aborted"));
                        "failed"
                    }
                }
            }
        };
        counter!("fss_connections_ended_total", "outcome" => outcome).increment(1);
    }

    /// An operation has come to a good end: its span, and the milliseconds that it took.
    fn completed(&mut self, operation: &'static str, now: Time) -> (Span, u64) {
        let (span, since) = self.operation.take().unwrap_or_else(|| (self.connection.clone(), now));
        counter!("fss_operations_total", "operation" => operation).increment(1);
        histogram!("fss_operation_seconds", "operation" => operation).record(now.saturating_since(since).as_secs_f64());
        (span, milliseconds(since, now))
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

fn is_trouble(kind: StoreErrorKind) -> bool {
    use StoreErrorKind::{Damaged, Foreign, Full, Misuse, Stopped, Unavailable};
    matches!(kind, Full | Damaged | Foreign | Unavailable | Misuse | Stopped)
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
        let end = rest[start..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |length| start + length);
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
    if let Some((code, _)) = refusal_code(why) {
        counter!("fss_refusals_total", "code" => code.as_str()).increment(1);
    }
}
