//! How a connection ends: the last words go out, sending is shut down, the rest is read and
//! dropped, and it is closed.
//!
//! Closing at once would reset the connection while the peer's bytes lie unread, and the last words
//! would be lost.

use super::Step;
use super::link::Link;
use crate::error::Error;
use crate::types::time::Time;

/// The end of a connection, with what it came to.
pub(crate) struct Ending {
    phase: Stage,
    outcome: Result<(), Error>,
    dropped: u64,
}

#[derive(Clone, Copy)]
enum Stage {
    Flush { until: Option<Time> },
    Shutdown,
    Drain { until: Time },
    Over,
}

impl Ending {
    pub(crate) fn new(outcome: Result<(), Error>) -> Self {
        Self { phase: Stage::Flush { until: None }, outcome, dropped: 0 }
    }

    /// Without last words, and without reading what still comes.
    pub(crate) fn at_once(outcome: Result<(), Error>) -> Self {
        Self { phase: Stage::Over, outcome, dropped: 0 }
    }

    pub(crate) fn poll<E, N>(&mut self, link: &mut Link, now: Time) -> Result<Step<E, N>, Error> {
        loop {
            match self.phase {
                // The peer has the time of lingering to take the last words.
                Stage::Flush { until } => {
                    let until = until.unwrap_or(now + link.config().limits().linger);
                    if !link.output.is_empty() && now < until {
                        self.phase = Stage::Flush { until: Some(until) };
                        return Ok(Step::Send);
                    }
                    link.output.clear();
                    self.phase = Stage::Shutdown;
                }
                Stage::Shutdown => {
                    self.phase = Stage::Drain { until: now + link.config().limits().linger };
                    return Ok(Step::Shutdown);
                }
                Stage::Drain { until } => {
                    self.dropped += link.input.discard() as u64;
                    if link.input.ended()
                        || now >= until
                        || self.dropped > link.config().limits().linger_bytes
                    {
                        self.phase = Stage::Over;
                    } else {
                        return Ok(Step::Receive);
                    }
                }
                Stage::Over => return self.outcome.clone().map(|()| Step::Close),
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        match self.phase {
            Stage::Flush { until } => until,
            Stage::Drain { until } => Some(until),
            Stage::Shutdown | Stage::Over => None,
        }
    }
}
