//! The link to a peer: key exchange, then messages both ways, with the deadlines that belong to
//! them.
//!
//! It is the same for client and server, and knows of frames only where their bytes lie. A machine
//! takes messages from it and passes it messages to send: RSA messages at first, and records once
//! both hellos are exchanged.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use rand_core::CryptoRng;

use super::budget::Budget;
use super::buffers::{Input, Message, Output, record_pool};
use super::pace::{OnItsWay, Pace};
use crate::config::Config;
use crate::crypto::aead::TAG_LENGTH;
use crate::crypto::{PrivateKey, PublicKey, PublicKeyDer};
use crate::error::{ApiMisuse, Error};
use crate::pool::{Pool, PooledBuffer, Ticket};
use crate::store::transfer::ReadBuffer;
use crate::types::peer_address::PeerAddress;
use crate::types::time::Time;
use crate::wire::error_frame::ErrorFrame;
use crate::wire::frame::Frame;
use crate::wire::key_exchange;
use crate::wire::peer_message::PeerMessage;
use crate::wire::record::{Direction, PREFIX, sealed_length};
use crate::wire::rsa_message::{MAX_MESSAGE, Opened, Receiver, seal_message};

/// How long a session with a waker waits for a buffer before it looks by itself: a wake-up that was
/// lost must not stop it for ever.
const WOKEN: Duration = Duration::from_secs(1);
/// The same for a session without a waker.
const NOT_WOKEN: Duration = Duration::from_millis(10);

/// Buffers for the long records of one connection of a client: one that is sent, one that comes,
/// and one that the caller takes bytes from. With the rest the pool never counts as short, since no
/// other connection shares it.
const BUFFERS_OF_A_CLIENT: usize = 8;

pub(crate) struct Link {
    config: Config,
    /// Where buffers for long records come from.
    pool: Arc<Pool>,
    rng: Box<dyn CryptoRng + Send>,
    pub(crate) input: Input,
    pub(crate) output: Output,
    peer: Option<Peer>,
    channel: Channel,
    /// Bytes that come next and are dropped: the end mark of a hello.
    unread: usize,
    /// When the peer must have done what it has to do next: answer, or take what we send.
    patience: Option<Time>,
    /// Whether output waited when the last poll ended.
    sending: bool,
    pace: Pace,
    /// Where the peer connects from, on a server that was told so.
    peer_address: Option<PeerAddress>,
    /// How long the peer has for its first message.
    handshake: Duration,
    /// How long the connection may go on with RSA messages, and when that is over: a server's key
    /// is in memory for so long.
    rsa_lifetime: Option<Duration>,
    rsa_ends: Option<Time>,
    /// Our place among those who wait for a buffer, while we do.
    ticket: Option<Ticket>,
    /// What the peer has asked for that moved no file.
    pub(crate) budget: Budget,
    waker: Option<Waker>,
}

struct Peer {
    der: PublicKeyDer,
    key: Arc<dyn PublicKey>,
}

/// How messages are locked.
enum Channel {
    /// The peer's blocks are opened by this; ours are sealed to its key.
    Rsa(Receiver),
    Records(Records),
}

/// The two directions of an FSS/2 connection.
pub(crate) struct Records {
    pub(crate) receive: Direction,
    pub(crate) send: Direction,
}

/// What one look at the input came to.
pub(crate) enum Progress {
    /// More bytes must come first.
    IncompleteInput,
    /// There is more to do with what has come, but other tasks should run first.
    Yield,
    /// A record comes for which there is no buffer now.
    NoBuffer,
    /// The peer's key has come.
    Key,
    /// A block of the first message, which goes on ([`Link::beginning`]).
    Beginning,
    /// A whole message.
    Message(Message),
}

impl Link {
    /// For a client, which opens messages with its identity.
    pub(crate) fn of_client(config: Config, rng: Box<dyn CryptoRng + Send>) -> Self {
        let key = Arc::clone(config.identity());
        let pool = record_pool(BUFFERS_OF_A_CLIENT);
        Self { rsa_lifetime: None, ..Self::new(config, pool, key, rng) }
    }

    /// The key that opens messages is the first thing to be sent.
    pub(crate) fn new(
        config: Config,
        pool: Arc<Pool>,
        key: Arc<dyn PrivateKey>,
        rng: Box<dyn CryptoRng + Send>,
    ) -> Self {
        let mut output = Output::default();
        output.append().extend(key_exchange::write(key.public_key().as_bytes()));
        let channel = Channel::Rsa(Receiver::new(key));
        let (pace, handshake) = (Pace::new(config.limits()), config.limits().handshake);
        let rsa_lifetime = Some(config.limits().legacy_connection);
        let (input, peer, patience, peer_address, unread) = (Input::new(), None, None, None, 0);
        Self {
            config,
            pool,
            rng,
            input,
            output,
            peer,
            channel,
            unread,
            patience,
            sending: true,
            pace,
            peer_address,
            handshake,
            rsa_lifetime,
            rsa_ends: None,
            ticket: None,
            budget: Budget::new(),
            waker: None,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn rng(&mut self) -> &mut dyn CryptoRng {
        &mut *self.rng
    }

    /// One source does not get all buffers.
    pub(crate) fn set_peer(&mut self, peer: PeerAddress) {
        self.peer_address = Some(peer);
    }

    pub(crate) fn set_waker(&mut self, waker: Waker) {
        self.waker = Some(waker);
    }

    /// How long to wait, at a time, for a buffer that was not there.
    pub(crate) fn wait_for_buffer(&self) -> Duration {
        if self.waker.is_some() { WOKEN } else { NOT_WOKEN }
    }

    /// No buffer is waited for.
    pub(crate) fn leave_queue(&mut self) {
        self.ticket = None;
    }

    /// The peer has at most this long for its first message.
    pub(crate) fn shorten_handshake(&mut self, handshake: Duration) {
        self.handshake = self.handshake.min(handshake);
    }

    pub(crate) fn peer_key(&self) -> Option<&PublicKeyDer> {
        self.peer.as_ref().map(|peer| &peer.der)
    }

    /// The key that was sent to the peer, for what it says before records.
    pub(crate) fn own_key(&self) -> Result<&PublicKeyDer, Error> {
        match &self.channel {
            Channel::Rsa(receiver) => Ok(receiver.public_key()),
            Channel::Records(_) => Err(Error::Internal),
        }
    }

    /// What has come of the first message, if that has begun and not ended.
    pub(crate) fn beginning(&self) -> Option<&[u8]> {
        match &self.channel {
            Channel::Rsa(receiver) => receiver.beginning(),
            Channel::Records(_) => None,
        }
    }

    /// Takes the first block for a whole hello: its end mark will be dropped unopened
    /// (`docs/protocol.md` §13.6).
    pub(crate) fn take_hello(&mut self) -> Result<Message, Error> {
        let Channel::Rsa(receiver) = &mut self.channel else {
            return Err(Error::Internal);
        };
        self.unread = receiver.public_key().block_length();
        Ok(Message::small(receiver.take_hello()))
    }

    /// Whether nothing has come since the last whole message.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.input.is_empty() && self.unread == 0
    }

    /// Makes progress with the input: at most the budget of private operations, at most one
    /// message.
    ///
    /// If `refusal` comes in clear, as the first bytes after the key, the peer has refused the
    /// connection. Long records come only `in_transfer`.
    pub(crate) fn advance(
        &mut self,
        now: Time,
        refusal: Option<(&[u8], &str)>,
        in_transfer: bool,
    ) -> Result<Progress, Error> {
        if self.peer.is_none() {
            let Some((der, used)) = key_exchange::read(self.input.bytes())? else {
                return Ok(Progress::IncompleteInput);
            };
            self.input.consume(used);
            let der = PublicKeyDer::parse(&der)?;
            let key = self.config.provider().load_public_key(&der)?;
            self.peer = Some(Peer { der, key });
            return Ok(Progress::Key);
        }
        if self.unread > 0 {
            let dropped = self.unread.min(self.input.bytes().len());
            self.input.consume(dropped);
            self.unread -= dropped;
        }
        let progress = match &mut self.channel {
            Channel::Rsa(receiver) => {
                if let Some((bytes, text)) = refusal
                    && !receiver.has_opened()
                    && self.input.bytes().starts_with(bytes)
                {
                    return Err(Error::PeerRefused(ErrorFrame::in_words(PeerMessage::new(
                        text.as_bytes(),
                    ))));
                }
                next_of_blocks(
                    receiver,
                    &mut self.input,
                    &mut *self.rng,
                    self.config.limits().private_operations,
                )?
            }
            Channel::Records(records) => {
                let lend =
                    || self.pool.lend(self.peer_address, &mut self.ticket, self.waker.as_ref());
                next_record(&mut records.receive, &mut self.input, in_transfer, lend)?
            }
        };
        if let Progress::Message(_) = progress {
            self.expect_within_idle(now);
            self.pace.record_ended();
        }
        Ok(progress)
    }

    /// Seals a message to the peer. An RSA message goes out whole, as one write (`docs/protocol.md`
    /// §3).
    pub(crate) fn send(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        match &mut self.channel {
            Channel::Rsa(_) => {
                let peer = self.peer.as_ref().ok_or(Error::Internal)?;
                Ok(seal_message(&*peer.key, plaintext, &mut *self.rng, self.output.append())?)
            }
            Channel::Records(records) => {
                let output = self.output.append();
                let start = output.len();
                output.extend_from_slice(&[0; PREFIX]);
                output.extend_from_slice(plaintext);
                output.extend_from_slice(&[0; TAG_LENGTH]);
                records.send.seal(&mut output[start..]).map_err(|_| Error::Crypto)
            }
        }
    }

    /// Takes a buffer to compose an `F` in, and says whether there was one.
    pub(crate) fn begin_data(&mut self) -> bool {
        let lent = self.pool.lend(self.peer_address, &mut self.ticket, self.waker.as_ref());
        let Some(mut buffer) = lent else { return false };
        let start = PREFIX + Frame::DATA_PREFIX.len();
        buffer.as_mut()[PREFIX..start].copy_from_slice(Frame::DATA_PREFIX);
        self.output.begin_record(buffer);
        true
    }

    /// Lends the first `length` bytes of the `F` that was begun to a store.
    pub(crate) fn lend_data(&mut self, length: usize) -> Option<ReadBuffer> {
        let start = PREFIX + Frame::DATA_PREFIX.len();
        ReadBuffer::in_record(self.output.take_record()?, start, length)
    }

    /// Seals and sends what a store has filled: the buffer that it reads into is the one that is
    /// written to the peer.
    pub(crate) fn send_filled(&mut self, buffer: ReadBuffer) -> Result<(), Error> {
        let length = buffer.as_ref().len();
        // A buffer with memory of its own is not the one that was lent.
        self.output.begin_record(buffer.into_record().ok_or(ApiMisuse::WrongStorageReply)?);
        self.send_data(length)
    }

    /// Where the bytes of the `F` go that was begun; empty if none was.
    pub(crate) fn data_room(&mut self) -> &mut [u8] {
        let room = self.output.record().unwrap_or_default();
        let start = room.len().min(PREFIX + Frame::DATA_PREFIX.len());
        &mut room[start..]
    }

    /// Lets the bytes of the `F` that was begun be changed with random numbers at hand.
    pub(crate) fn seal_data<T>(
        &mut self,
        seal: impl FnOnce(&mut [u8], &mut dyn CryptoRng) -> T,
    ) -> T {
        let room = self.output.record().unwrap_or_default();
        let start = room.len().min(PREFIX + Frame::DATA_PREFIX.len());
        seal(&mut room[start..], &mut *self.rng)
    }

    /// Seals the `F` that was begun, with `length` bytes, where it lies.
    pub(crate) fn send_data(&mut self, length: usize) -> Result<(), Error> {
        let Channel::Records(records) = &mut self.channel else {
            return Err(Error::Internal);
        };
        let whole = PREFIX + Frame::DATA_PREFIX.len() + length + TAG_LENGTH;
        let record = self.output.record().and_then(|room| room.get_mut(..whole));
        records.send.seal(record.ok_or(Error::Internal)?).map_err(|_| Error::Crypto)?;
        self.output.finish_record(whole);
        Ok(())
    }

    /// Returns the buffer of the `F` that was begun to the pool.
    pub(crate) fn drop_data(&mut self) {
        self.output.drop_record();
    }

    /// From now on messages are records.
    pub(crate) fn use_records(&mut self, records: Records) {
        self.channel = Channel::Records(records);
    }

    /// Sends bytes as they are, for the one text of FSS 1.0 that goes in clear.
    pub(crate) fn send_in_clear(&mut self, bytes: &[u8]) {
        self.output.append().extend_from_slice(bytes);
    }

    pub(crate) fn set_rng(&mut self, rng: Box<dyn CryptoRng + Send>) {
        self.rng = rng;
    }

    /// Keeps the deadline while output goes out, and says whether it is all out. Call it at the
    /// start of a poll.
    pub(crate) fn flushed(&mut self, now: Time) -> bool {
        let empty = self.output.is_empty();
        if self.patience.is_none() {
            self.patience = Some(now + self.handshake);
            self.rsa_ends = self.rsa_lifetime.map(|lifetime| now + lifetime);
        } else if self.sending && empty && self.has_opened() {
            // The peer took a whole message: it lives.
            self.expect_within_idle(now);
        }
        self.sending = !empty;
        empty
    }

    fn has_opened(&self) -> bool {
        match &self.channel {
            Channel::Rsa(receiver) => receiver.has_opened(),
            Channel::Records(_) => true,
        }
    }

    /// From now on the peer has the idle time for its next step.
    pub(crate) fn expect_within_idle(&mut self, now: Time) {
        let idle = now + self.config.limits().idle;
        self.patience = Some(match (&self.channel, self.rsa_ends) {
            (Channel::Rsa(_), Some(end)) => idle.min(end),
            _ => idle,
        });
    }

    pub(crate) fn received(&mut self, count: usize) {
        self.pace.moved(count);
        self.input.filled(count);
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.pace.moved(count);
        let had_record = self.output.has_record();
        self.output.sent(count);
        if had_record && !self.output.has_record() {
            self.pace.record_ended();
        }
    }

    /// A poll begins: what was waited for has come, or not.
    pub(crate) fn wait_is_over(&mut self, now: Time) {
        self.pace.look(now, || self.pool.is_short(), self.config.limits());
    }

    /// A poll ends, and the peer is waited for.
    pub(crate) fn wait(&mut self, now: Time, file: bool) {
        let on_its_way =
            OnItsWay { file, record: self.input.in_record() || self.output.has_record() };
        self.pace.wait(now, on_its_way, self.config.limits());
    }

    pub(crate) fn patience(&self) -> Option<Time> {
        self.patience.into_iter().chain(self.pace.deadline()).min()
    }

    pub(crate) fn is_patience_over(&self, now: Time) -> bool {
        self.patience.is_some_and(|patience| now >= patience) || self.pace.is_lost()
    }
}

fn next_of_blocks(
    receiver: &mut Receiver,
    input: &mut Input,
    rng: &mut dyn CryptoRng,
    budget: u32,
) -> Result<Progress, Error> {
    for _ in 0..budget.max(1) {
        let (used, opened) = receiver.open_block(input.bytes(), rng)?;
        input.consume(used);
        match opened {
            Opened::Incomplete => return Ok(Progress::IncompleteInput),
            Opened::Block if receiver.beginning().is_some() => return Ok(Progress::Beginning),
            Opened::Block => {}
            Opened::Message => {
                return Ok(Progress::Message(Message::small(receiver.take_message())));
            }
        }
    }
    Ok(Progress::Yield)
}

/// Short records are opened where they lie, and copied; long ones get a buffer of their own before
/// they are read.
fn next_record(
    receive: &mut Direction,
    input: &mut Input,
    in_transfer: bool,
    lend: impl FnOnce() -> Option<PooledBuffer>,
) -> Result<Progress, Error> {
    if !input.in_record() {
        let Some(prefix) = input.bytes().first_chunk::<PREFIX>() else {
            return Ok(Progress::IncompleteInput);
        };
        let length = PREFIX + sealed_length(*prefix).ok_or(Error::RecordDoesNotOpen)?;
        if length <= MAX_MESSAGE {
            let Some(record) = input.bytes_mut().get_mut(..length) else {
                return Ok(Progress::IncompleteInput);
            };
            let plaintext =
                receive.open(record).map_err(|_| Error::RecordDoesNotOpen)?.to_vec().into();
            input.consume(length);
            return Ok(Progress::Message(Message::small(plaintext)));
        }
        if !in_transfer {
            // No request and no reply is as long: a stranger would only keep a buffer with it.
            return Err(Error::RecordDoesNotOpen);
        }
        if input.bytes().len() < MAX_MESSAGE {
            // Four bytes are no reason to keep a big buffer from others.
            return Ok(Progress::IncompleteInput);
        }
        let Some(buffer) = lend() else { return Ok(Progress::NoBuffer) };
        input.begin_record(buffer, length);
    }
    let Some((mut record, length)) = input.take_record() else {
        return Ok(Progress::IncompleteInput);
    };
    receive.open(&mut record.as_mut()[..length]).map_err(|_| Error::RecordDoesNotOpen)?;
    Ok(Progress::Message(Message::record(record, PREFIX..length - TAG_LENGTH)))
}
