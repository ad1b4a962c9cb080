//! What happens on a connection, told to whoever watches the server: to `tracing` as a span of the connection with a span and
//! a line for each operation, and to `metrics` as counts.
//!
//! Never a password, a key or a whole cookie. The metrics:
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `fss_connections` | gauge | |
//! | `fss_connections_ended_total` | counter | `outcome`: `ok`, `refused` (the peer's doing), `failed` (ours) |
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
                info!(parent: &span, bytes, milliseconds, "stored");
            }
            ServerEvent::Delivered { bytes, .. } => {
                counter!("fss_bytes_total", "direction" => "out").increment(*bytes);
                let (span, milliseconds) = self.completed("download", now);
                info!(parent: &span, bytes, milliseconds, "delivered");
            }
            ServerEvent::Deleted { cookie } => {
                counter!("fss_operations_total", "operation" => "delete").increment(1);
                info!(parent: &self.connection, cookie = cookie.short(), "deleted");
            }
            ServerEvent::SignedUp { name } => {
                counter!("fss_operations_total", "operation" => "sign-up").increment(1);
                info!(parent: &self.connection, name = name.as_str(), "signed up");
            }
            ServerEvent::Refused { why } => {
                count_refusal(why);
                info!(parent: &self.connection, %why, "refused");
            }
        }
    }

    /// The connection has ended.
    pub fn ended(mut self, outcome: &Result<(), Error>, now: Time) {
        let (span, milliseconds) = match self.operation.take() {
            Some((span, since)) => (span, milliseconds(since, now)),
            None => (self.connection.clone(), milliseconds(Time::ZERO, now)),
        };
        let outcome = match outcome {
            Ok(()) => "ok",
            Err(why) => {
                count_refusal(why);
                if why.fault() == Fault::Peer {
                    info!(parent: &span, milliseconds, %why, "refused");
                    "refused"
                } else {
                    warn!(parent: &span, milliseconds, %why, "Server operation was aborted");
                    "failed"
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

fn milliseconds(since: Time, now: Time) -> u64 {
    u64::try_from(now.saturating_since(since).as_millis()).unwrap_or(u64::MAX)
}

fn count_refusal(why: &Error) {
    if let Some((code, _)) = refusal_code(why) {
        counter!("fss_refusals_total", "code" => code.as_str()).increment(1);
    }
}
