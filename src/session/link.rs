//! The link to a peer: key exchange, then messages both ways, with the deadlines that belong to them.
//!
//! It knows no frames and no sides. A machine asks it for the next message, and gives it messages to send.

use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::buffers::{Input, Output};
use crate::config::Config;
use crate::crypto::{PublicKey, PublicKeyDer};
use crate::error::{Error, PeerText};
use crate::time::Time;
use crate::wire::prelude;
use crate::wire::rsa_channel::{Opened, Receiver, seal_message};

pub(crate) struct Link {
    config: Config,
    rng: Box<dyn CryptoRng + Send>,
    pub(crate) input: Input,
    pub(crate) output: Output,
    peer: Option<Peer>,
    receiver: Receiver,
    /// When the peer must have done what it has to do next: answer, or take what we send.
    patience: Option<Time>,
    /// Whether output waited when the last poll ended.
    sending: bool,
}

struct Peer {
    der: PublicKeyDer,
    key: Arc<dyn PublicKey>,
}

/// What one look at the input came to.
pub(crate) enum Progress {
    /// More bytes must come first.
    NeedInput,
    /// There is more to do with what has come, but others should have a turn first.
    Yield,
    /// The peer's key has come.
    Key,
    /// A whole message.
    Message(Zeroizing<Vec<u8>>),
}

impl Link {
    /// Our key is the first thing to be sent.
    pub(crate) fn new(config: Config, rng: Box<dyn CryptoRng + Send>) -> Self {
        let mut output = Output::default();
        output.append().extend(prelude::write(config.identity().public_key().as_bytes()));
        let receiver = Receiver::new(Arc::clone(config.identity()));
        Self { config, rng, input: Input::new(), output, peer: None, receiver, patience: None, sending: true }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn peer_key(&self) -> Option<&PublicKeyDer> {
        self.peer.as_ref().map(|peer| &peer.der)
    }

    /// Makes progress with the input: at most the budget of private operations, at most one message.
    ///
    /// If `refusal` comes in clear, as the first thing after the key, it is what the peer has to say.
    pub(crate) fn advance(&mut self, now: Time, refusal: Option<(&[u8], &str)>) -> Result<Progress, Error> {
        if self.peer.is_none() {
            let Some((der, used)) = prelude::read(self.input.bytes())? else { return Ok(Progress::NeedInput) };
            self.input.consume(used);
            let der = PublicKeyDer::parse(&der)?;
            let key = self.config.provider().load_public_key(&der)?;
            self.peer = Some(Peer { der, key });
            return Ok(Progress::Key);
        }
        if let Some((bytes, text)) = refusal
            && !self.receiver.has_opened()
            && self.input.bytes().starts_with(bytes)
        {
            return Err(Error::PeerRefused(PeerText::new(text.as_bytes())));
        }
        for _ in 0..self.config.limits().private_operations.max(1) {
            let (used, opened) = self.receiver.open_block(self.input.bytes(), &mut *self.rng)?;
            self.input.consume(used);
            match opened {
                Opened::Incomplete => return Ok(Progress::NeedInput),
                Opened::Block => {}
                Opened::Message => {
                    self.expect_within_idle(now);
                    return Ok(Progress::Message(self.receiver.take_message()));
                }
            }
        }
        Ok(Progress::Yield)
    }

    /// Seals a message to the peer. It goes out whole, as one write (`docs/protocol.md` §3).
    pub(crate) fn send(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        let peer = self.peer.as_ref().ok_or(Error::Misuse("a message before the key exchange"))?;
        seal_message(&*peer.key, plaintext, &mut *self.rng, self.output.append())
    }

    /// Sends bytes as they are, for the one text of FSS 1.0 that goes in clear.
    pub(crate) fn send_in_clear(&mut self, bytes: &[u8]) {
        self.output.append().extend_from_slice(bytes);
    }

    pub(crate) fn set_rng(&mut self, rng: Box<dyn CryptoRng + Send>) {
        self.rng = rng;
    }

    /// Keeps the deadline while output goes out, and says whether it is all out. Call it at the start of a poll.
    pub(crate) fn flushed(&mut self, now: Time) -> bool {
        let empty = self.output.is_empty();
        if self.patience.is_none() {
            self.patience = Some(now + self.config.limits().handshake);
        } else if self.sending && empty && self.receiver.has_opened() {
            // The peer took a whole message: it lives.
            self.expect_within_idle(now);
        }
        self.sending = !empty;
        empty
    }

    /// From now on the peer has the idle time for its next step.
    pub(crate) fn expect_within_idle(&mut self, now: Time) {
        self.patience = Some(now + self.config.limits().idle);
    }

    pub(crate) fn patience(&self) -> Option<Time> {
        self.patience
    }

    pub(crate) fn is_patience_over(&self, now: Time) -> bool {
        self.patience.is_some_and(|patience| now >= patience)
    }
}
