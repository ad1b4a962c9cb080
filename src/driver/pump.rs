//! A machine over a transport of messages: WebSocket, a channel, a queue. Without I/O of its own.

use std::fmt;
use std::task::Waker;

use bytes::Bytes;

use crate::error::Error;
use crate::session::{Machine, Step};
use crate::types::time::Time;

/// The longest message that a [`MessagePump`] hands out, in bytes: every transport of messages
/// carries it. Those that are pushed may be longer.
pub const LONGEST_MESSAGE: usize = 64 * 1024;

/// Carries bytes between a machine and a transport of messages: what comes is
/// [pushed](Self::push), [`next`](Self::next) returns what to do, and with [`Step::Send`] there is a
/// [message](Self::message) to send.
///
/// The protocol is a stream of bytes, and where messages begin and end has no meaning. The pump
/// holds one message at most besides the buffers of the machine, and accepts no other meanwhile. So
/// receive from the transport only while [`is_empty`](Self::is_empty), and take a message only when
/// the transport has room for one: a slow side then slows the other one down. While
/// the transport has no room go on receiving, and calling `next` after each push: both sides may be
/// waiting to send.
///
/// ```
/// use fss::driver::MessagePump;
/// use fss::{MemoryStore, ServerSession, Step, Time};
///
/// let mut pump = MessagePump::new(ServerSession::new(MemoryStore::new()));
/// // A server first sends its key.
/// assert_eq!(pump.next(Time::ZERO), Ok(Step::Send));
/// assert!(pump.message().starts_with(b"-----BEGIN PUBLIC KEY-----"));
/// // Then it waits for the client's, until the deadline.
/// assert_eq!(pump.next(Time::ZERO), Ok(Step::Receive));
/// assert!(pump.deadline().is_some());
/// assert!(pump.push("-----BEGIN PUBLIC KEY-----".into()).is_ok());
/// ```
pub struct MessagePump<M> {
    machine: M,
    /// What is left of the message that came last.
    waiting: Bytes,
    /// The peer will send no more.
    is_closed: bool,
}

impl<M: Machine> MessagePump<M> {
    /// A pump for a transport that was just connected.
    pub fn new(machine: M) -> Self {
        Self { machine, waiting: Bytes::new(), is_closed: false }
    }

    /// Accepts a message that has come, however long it is. An empty one has no effect.
    ///
    /// # Errors
    /// The message itself, while the one before it is not used up ([`Self::is_empty`]), and after
    /// [`Self::close`].
    pub fn push(&mut self, message: Bytes) -> Result<(), Bytes> {
        if self.is_closed || !self.is_empty() {
            return Err(message);
        }
        self.waiting = message;
        Ok(())
    }

    /// Whether all that was pushed is used up, so that the next message is accepted.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The transport has ended: the peer will send no more.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// The transport cannot send any more. What the peer said before is still used.
    pub fn send_failed(&mut self) {
        self.machine.send_failed();
    }

    /// The one thing to do now. With [`Step::Send`] take [`Self::message`] and send it; with
    /// [`Step::Receive`] wait for a message, or the end of the transport, until the deadline; the
    /// others are as with [`Machine::poll`]. `now` must not go backwards.
    ///
    /// # Errors
    /// Why the connection failed: close the transport. It is the same from then on.
    pub fn next(&mut self, now: Time) -> Result<Step<M::Event, M::Request>, Error> {
        loop {
            match self.machine.poll(now)? {
                // Also while this side sends: a peer that refuses is heard at once.
                Step::Receive | Step::Send if self.feed() => {}
                Step::Receive if self.is_closed => self.machine.received(0),
                step => return Ok(step),
            }
        }
    }

    /// The next message to send, of at most [`LONGEST_MESSAGE`] bytes; empty if there is none. It is
    /// not handed out again.
    pub fn message(&mut self) -> Bytes {
        let output = self.machine.buffers().1;
        let message = Bytes::copy_from_slice(&output[..output.len().min(LONGEST_MESSAGE)]);
        if !message.is_empty() {
            self.machine.sent(message.len());
        }
        message
    }

    /// When to call [`Self::next`] again at the latest; as [`Machine::deadline`].
    pub fn deadline(&self) -> Option<Time> {
        self.machine.deadline()
    }

    /// As [`Machine::set_waker`].
    pub fn set_waker(&mut self, waker: Waker) {
        self.machine.set_waker(waker);
    }

    /// The machine, to give it what it requests. To carry its bytes is for the pump alone.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// Moves what the machine has room for, and says whether that was anything.
    fn feed(&mut self) -> bool {
        let room = self.machine.buffers().0;
        let count = room.len().min(self.waiting.len());
        if count == 0 {
            return false;
        }
        room[..count].copy_from_slice(&self.waiting.split_to(count));
        self.machine.received(count);
        true
    }
}

impl<M> fmt::Debug for MessagePump<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessagePump")
            .field("waiting", &self.waiting.len())
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}
