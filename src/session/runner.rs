//! The loop that both sides share: what is reported, sent, awaited and read, and in which order.
//!
//! A [`Protocol`] holds the states of one side and says what it wants; everything else is done
//! here.

use std::collections::VecDeque;
use std::time::Duration;

use super::buffers::Message;
use super::ending::Ending;
use super::link::Progress;
use super::{Link, Step};
use crate::config::Config;
use crate::error::{ApiMisuse, Error, Phase};
use crate::types::time::Time;

/// How often a request may be repeated within [`SPAN`] without an answer. A driver that answers
/// later polls a few times meanwhile; one that does not answer at all would poll without end.
const REPEATED: u32 = 10_000;
const SPAN: Duration = Duration::from_secs(1);

/// The states of one protocol.
pub(crate) trait Protocol {
    type Event;
    type Request;

    /// What a peer may send, in clear, instead of its first message, and what that says.
    fn refusal_in_clear(&self) -> Option<(&'static [u8], &'static str)> {
        None
    }

    /// What the present state waits for, when all output is sent. A buffer that the state holds
    /// leaves it with the request that it is for.
    fn waiting(&mut self) -> Waiting<Self::Request>;

    /// The state goes on by itself: the pause that it wanted is over, or it wanted to proceed at
    /// once.
    fn proceed(&mut self, context: &mut Context<'_, Self::Event>) -> Result<(), Error>;

    /// The peer's key has come.
    fn on_key(&mut self, _context: &mut Context<'_, Self::Event>) -> Result<(), Error> {
        Ok(())
    }

    /// A block of the first message has come, and the message continues: checks whether it can still
    /// become valid, before more of it costs anything, and whether this block alone is a hello.
    fn on_beginning(&mut self, _beginning: &[u8], _config: &Config) -> Result<Beginning, Error> {
        Ok(Beginning::Message)
    }

    /// A message has come.
    fn on_message(
        &mut self,
        message: Message,
        context: &mut Context<'_, Self::Event>,
    ) -> Result<(), Error>;

    /// Whether what the peer has to say comes before what the state wants, if it is there already:
    /// acknowledgements that open a window, or a refusal.
    fn reads_while_sending(&self) -> bool {
        false
    }

    /// Whether the peer may end the connection now, for nothing is going on.
    fn may_end(&self) -> bool {
        false
    }

    /// The part of the operation that the state belongs to.
    fn phase(&self) -> Phase;

    /// What the peer is told about an error.
    fn farewell(&self, error: &Error) -> Option<Farewell>;
}

/// What the first blocks of a first message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A message that goes on.
    Message,
    /// A hello, which is whole with its first block (`docs/protocol.md` §13.6).
    Hello,
}

/// What a state waits for.
pub(crate) enum Waiting<N> {
    /// The peer's key or next message.
    Peer,
    /// That a moment goes by, so that the peer does not take two messages for one
    /// (`docs/protocol.md` §3).
    Pause,
    /// Nothing, but what it reported comes first.
    Proceed,
    /// A poll of its own, for an RSA private operation; then it proceeds.
    PrivateOperation,
    /// A buffer to compose a long record in ([`Link::begin_data`]); then it proceeds.
    Buffer,
    /// Something of the caller.
    Request(N),
    /// Nothing more: the operation is done.
    End,
}

/// What the peer is told before the connection closes, as the plaintext of a frame.
pub(crate) enum Farewell {
    Sealed(Vec<u8>),
    InClear(Vec<u8>),
}

/// What a state works with while it runs.
pub(crate) struct Context<'a, E> {
    pub(crate) link: &'a mut Link,
    pub(crate) events: &'a mut VecDeque<E>,
}

/// What a driver is to do next, if anything.
type NextStep<S> = Option<Step<<S as Protocol>::Event, <S as Protocol>::Request>>;

pub(crate) struct Runner<S: Protocol> {
    pub(crate) protocol: S,
    pub(crate) link: Link,
    events: VecDeque<S::Event>,
    pause: Option<Time>,
    ending: Option<Ending>,
    /// Whether the last poll ended waiting for the caller.
    waits_for_caller: bool,
    /// How often the same was needed of the caller, since when.
    repeated: Option<(u32, Time)>,
}

impl<S: Protocol> Runner<S> {
    pub(crate) fn new(protocol: S, link: Link) -> Self {
        Self {
            protocol,
            link,
            events: VecDeque::new(),
            pause: None,
            ending: None,
            waits_for_caller: false,
            repeated: None,
        }
    }

    pub(crate) fn poll(&mut self, now: Time) -> Result<Step<S::Event, S::Request>, Error> {
        if std::mem::take(&mut self.waits_for_caller) {
            // The time that the caller took is not the peer's.
            self.link.expect_within_idle(now);
        }
        self.link.wait_is_over(now);
        let mut worked = false;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            if let Some(ending) = &mut self.ending {
                self.link.leave_queue();
                return ending.poll(&mut self.link, now);
            }
            match self.advance(now, &mut worked) {
                Ok(Some(step)) => {
                    if let Step::Send | Step::Receive = step {
                        self.link.wait(now, self.in_transfer());
                    }
                    if !matches!(step, Step::Sleep(_)) {
                        self.link.leave_queue();
                    }
                    return Ok(step);
                }
                Ok(None) => {}
                Err(error) => self.fail(error),
            }
        }
    }

    /// Does the next thing: `None` if that was not the driver's to do.
    fn advance(&mut self, now: Time, worked: &mut bool) -> Result<NextStep<S>, Error> {
        if !self.link.flushed(now) {
            return if self.link.is_patience_over(now) {
                Err(Error::TimedOut(self.protocol.phase()))
            } else {
                Ok(Some(Step::Send))
            };
        }
        if self.protocol.reads_while_sending() && !*worked {
            if let Some(step) = self.read_peer(now, worked)? {
                return Ok(step);
            }
            if self.link.input.ended()
                && !(self.protocol.may_end() && self.link.is_between_messages())
            {
                return Err(Error::Disconnected(self.protocol.phase()));
            }
        }
        let mut context = Context { link: &mut self.link, events: &mut self.events };
        match self.protocol.waiting() {
            Waiting::End => self.ending = Some(Ending::new(Ok(()))),
            Waiting::Request(request) => {
                let (count, since) =
                    self.repeated.filter(|(_, since)| now < *since + SPAN).unwrap_or((0, now));
                if count >= REPEATED {
                    return Err(ApiMisuse::RequestNotAnswered.into());
                }
                self.repeated = Some((count + 1, since));
                self.waits_for_caller = true;
                return Ok(Some(Step::Request(request)));
            }
            Waiting::Pause => {
                let pause = context.link.config().limits().pause;
                let until = *self.pause.get_or_insert(now + pause);
                if now < until {
                    return Ok(Some(Step::Sleep(until.saturating_since(now))));
                }
                self.pause = None;
                context.link.expect_within_idle(now);
                self.protocol.proceed(&mut context)?;
            }
            Waiting::Proceed => {
                // The caller took its time with what was reported.
                context.link.expect_within_idle(now);
                self.protocol.proceed(&mut context)?;
            }
            Waiting::PrivateOperation if *worked => return Ok(Some(Step::Yield)),
            Waiting::PrivateOperation => {
                *worked = true;
                self.protocol.proceed(&mut context)?;
            }
            Waiting::Buffer if context.link.begin_data() => self.protocol.proceed(&mut context)?,
            Waiting::Buffer => {
                // That is not the peer's fault.
                context.link.expect_within_idle(now);
                return Ok(Some(Step::Sleep(context.link.wait_for_buffer())));
            }
            Waiting::Peer if context.link.is_patience_over(now) => {
                return Err(Error::TimedOut(self.protocol.phase()));
            }
            Waiting::Peer if *worked => return Ok(Some(Step::Yield)),
            Waiting::Peer => {
                if self.protocol.phase() == Phase::Rest
                    && let Some(wait) = self.link.budget.wait(now)
                {
                    self.link.expect_within_idle(now);
                    return Ok(Some(Step::Sleep(wait)));
                }
                if let Some(step) = self.read_peer(now, worked)? {
                    return Ok(step);
                }
                let may_end = self.protocol.may_end() && self.link.is_between_messages();
                return match (self.link.input.ended(), may_end) {
                    (false, _) => Ok(Some(Step::Receive)),
                    (true, true) => {
                        self.ending = Some(Ending::new(Ok(())));
                        Ok(None)
                    }
                    (true, false) => Err(Error::Disconnected(self.protocol.phase())),
                };
            }
        }
        Ok(None)
    }

    /// Handles the next message of the peer: `None` if none is complete.
    fn read_peer(&mut self, now: Time, worked: &mut bool) -> Result<Option<NextStep<S>>, Error> {
        let in_transfer = self.in_transfer();
        let mut context = Context { link: &mut self.link, events: &mut self.events };
        match context.link.advance(now, self.protocol.refusal_in_clear(), in_transfer)? {
            Progress::IncompleteInput => return Ok(None),
            Progress::Yield => return Ok(Some(Some(Step::Yield))),
            Progress::NoBuffer => {
                context.link.expect_within_idle(now);
                return Ok(Some(Some(Step::Sleep(context.link.wait_for_buffer()))));
            }
            Progress::Key => self.protocol.on_key(&mut context)?,
            Progress::Beginning => {
                *worked = true;
                let beginning = context.link.beginning().ok_or(Error::Internal)?;
                if self.protocol.on_beginning(beginning, context.link.config())? == Beginning::Hello
                {
                    let hello = context.link.take_hello()?;
                    context.link.expect_within_idle(now);
                    self.protocol.on_message(hello, &mut context)?;
                }
            }
            Progress::Message(message) => {
                *worked = true;
                self.protocol.on_message(message, &mut context)?;
            }
        }
        Ok(Some(None))
    }

    fn in_transfer(&self) -> bool {
        matches!(self.protocol.phase(), Phase::Transfer | Phase::Finish)
    }

    /// Ends the connection because of an error that only the caller is told, not the peer.
    pub(crate) fn fail_at_once(&mut self, error: Error) {
        self.link.output.clear();
        self.ending = Some(Ending::at_once(Err(error)));
    }

    /// Ends the connection because of an error; the peer is told before the caller.
    pub(crate) fn fail(&mut self, error: Error) {
        let told = match self.protocol.farewell(&error) {
            Some(Farewell::Sealed(plaintext)) => self.link.send(&plaintext),
            Some(Farewell::InClear(bytes)) => {
                self.link.send_in_clear(&bytes);
                Ok(())
            }
            None => Ok(()),
        };
        if told.is_err() {
            // The first error is the one to report; without last words the connection just closes.
            self.link.output.clear();
        }
        self.waits_for_caller = false;
        self.ending = Some(Ending::new(Err(error)));
    }

    /// Runs a step of the side that the caller caused. After the end there is none.
    pub(crate) fn context(
        &mut self,
        step: impl FnOnce(&mut S, &mut Context<'_, S::Event>) -> Result<(), Error>,
    ) {
        if self.ending.is_some() {
            return;
        }
        self.repeated = None;
        let mut context = Context { link: &mut self.link, events: &mut self.events };
        if let Err(error) = step(&mut self.protocol, &mut context) {
            self.fail(error);
        }
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        match &self.ending {
            Some(ending) => ending.deadline(),
            None if self.waits_for_caller => None,
            None => self.pause.or(self.link.patience()),
        }
    }
}
