//! The beginning of every connection to a server: the key exchange, and the first message, which chooses the version
//! (`docs/protocol.md` §13.5). What follows is for the states of that version.
//!
//! ```text
//!  KeyExchange ──key──▶ FirstMessage ──H──▶ Signing ──R, K──▶ Fss2
//!                                    └──U, D──▶ Legacy
//! ```

use std::sync::Arc;

use zeroize::Zeroizing;

use super::legacy::{LegacyServer, check_beginning, legacy_words};
use super::refusal::{Operation, refusal_code, refusal_text};
use super::states::{Fss2Server, server_limits};
use super::{Place, ServerEvent, Source, Standing};
use crate::config::{Config, Versions};
use crate::crypto::Fingerprint;
use crate::error::{Error, Moment, Refusal};
use crate::limits::Limits;
use crate::session::{Beginning, Greeting, LastWords, Message, Records, Side, Turn, Wants};
use crate::store::StoreError;
use crate::store::transfer::{RequestId, StoreReply, StoreRequest};
use crate::wire::hello::{Hello, Speaker};
use crate::wire::key_schedule::Transcript;
use crate::wire::refusal::Refused;
use crate::wire::reply::{Reply, Welcome};

/// The server's side of a connection.
pub(super) struct Server {
    place: Place,
    source: Option<Source>,
    phase: Phase,
}

enum Phase {
    KeyExchange,
    FirstMessage,
    /// Nothing is left of it when it has failed.
    Signing(Option<Box<Signing>>),
    Legacy(LegacyServer),
    Fss2(Fss2Server),
}

/// A hello that will be answered when the server's identity has signed for it.
struct Signing {
    hello: Zeroizing<Vec<u8>>,
    records: Records,
    transcript: Transcript,
    client: Fingerprint,
}

impl Server {
    pub(super) fn new(place: Place) -> Self {
        Self { place, source: None, phase: Phase::KeyExchange }
    }

    pub(super) fn set_source(&mut self, source: Source, limits: &Limits) {
        self.place.set_source(source, limits);
        self.source = Some(source);
    }

    pub(super) fn standing(&self) -> Standing {
        self.place.standing()
    }

    /// The answer to a storage request has come.
    pub(super) fn on_reply(
        &mut self,
        id: RequestId,
        reply: Result<StoreReply, StoreError>,
        turn: &mut Turn<'_, ServerEvent>,
    ) -> Result<(), Error> {
        match &mut self.phase {
            Phase::KeyExchange | Phase::FirstMessage | Phase::Signing(_) => {
                Err(Error::Misuse("an answer to a storage request that was not made"))
            }
            Phase::Legacy(server) => server.on_reply(id, reply, turn),
            Phase::Fss2(server) => server.on_reply(id, reply, turn),
        }
    }

    fn on_first_message(&mut self, message: Message, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        let versions = turn.link.config().versions();
        if Hello::is_one(message.as_slice()) && versions != Versions::Legacy {
            self.phase = Phase::Signing(Some(Box::new(greet(message.as_slice(), turn)?)));
            return Ok(());
        }
        if versions == Versions::Fss2 {
            return Err(Refusal::LegacyNotSpoken.into());
        }
        let mut legacy = LegacyServer::new(self.source);
        let taken = legacy.on_message(message, turn);
        self.phase = Phase::Legacy(legacy);
        taken
    }
}

/// Does all that a hello asks for but the private operation, which has a poll of its own.
fn greet(hello: &[u8], turn: &mut Turn<'_, ServerEvent>) -> Result<Signing, Error> {
    // Read before anything is made for it.
    Hello::parse(hello, Speaker::Client)?;
    let greeting = Greeting::new(Speaker::Server, turn.link);
    let plaintext = greeting.plaintext().to_vec().into();
    let (records, handshake) = greeting.agree(hello, turn.link)?;
    let client = turn.link.peer_key().ok_or(Error::Misuse("a hello before the key exchange"))?.fingerprint();
    let transcript = handshake.with_identity(turn.link.config().identity().public_key()).map_err(|_| Error::Crypto)?;
    Ok(Signing { hello: plaintext, records, transcript, client })
}

/// Answers a hello, and proves in the first record who the server is. Both go out together.
fn welcome(signing: Signing, source: Option<Source>, turn: &mut Turn<'_, ServerEvent>) -> Result<Fss2Server, Error> {
    let Signing { hello, records, transcript, client } = signing;
    let identity = Arc::clone(turn.link.config().identity());
    let signature = identity.sign(&transcript.to_be_signed(), turn.link.rng()).map_err(|_| Error::Crypto)?;
    turn.link.send(&hello)?;
    turn.link.use_records(records);
    let limits = server_limits(turn);
    let welcome = Welcome { identity: identity.public_key().as_bytes().to_vec(), signature, limits };
    turn.link.send(&Reply::Welcome(welcome).encode())?;
    Ok(Fss2Server::new(client, transcript.binding, source))
}

impl Side for Server {
    type Event = ServerEvent;
    type Need = StoreRequest;

    fn wants(&self) -> Wants<StoreRequest> {
        match &self.phase {
            Phase::KeyExchange | Phase::FirstMessage => Wants::Peer,
            Phase::Signing(_) => Wants::PrivateOperation,
            Phase::Legacy(server) => server.wants(),
            Phase::Fss2(server) => server.wants(),
        }
    }

    fn proceed(&mut self, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        match &mut self.phase {
            Phase::Signing(signing) => {
                if let Some(signing) = signing.take() {
                    self.phase = Phase::Fss2(welcome(*signing, self.source, turn)?);
                }
                Ok(())
            }
            Phase::KeyExchange | Phase::FirstMessage => Ok(()),
            Phase::Legacy(server) => server.proceed(turn),
            Phase::Fss2(server) => server.proceed(turn),
        }
    }

    fn on_key(&mut self, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        turn.events.extend(turn.link.peer_key().map(|key| ServerEvent::ClientKey(key.fingerprint())));
        self.phase = Phase::FirstMessage;
        // Said before anything is opened, which would cost private operations (§24).
        match self.place.standing() {
            Standing::Admitted => Ok(()),
            Standing::Refused | Standing::TurnedAway => Err(Refusal::TooManyConnections.into()),
        }
    }

    fn on_beginning(&mut self, beginning: &[u8], config: &Config) -> Result<Beginning, Error> {
        match config.versions() {
            Versions::All | Versions::Fss2 if Hello::is_one(beginning) => Ok(Beginning::Hello),
            Versions::Fss2 => Err(Refusal::LegacyNotSpoken.into()),
            Versions::All | Versions::Legacy => check_beginning(beginning).map(|()| Beginning::Message),
        }
    }

    fn on_message(&mut self, message: Message, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        match &mut self.phase {
            Phase::KeyExchange | Phase::FirstMessage | Phase::Signing(_) => self.on_first_message(message, turn),
            Phase::Legacy(server) => server.on_message(message, turn),
            Phase::Fss2(server) => server.on_message(message, turn),
        }
    }

    fn heeds_peer(&self) -> bool {
        matches!(&self.phase, Phase::Fss2(server) if server.heeds_peer())
    }

    fn may_end(&self) -> bool {
        matches!(&self.phase, Phase::Fss2(server) if server.may_end())
    }

    fn moment(&self) -> Moment {
        match &self.phase {
            Phase::KeyExchange => Moment::KeyExchange,
            Phase::FirstMessage | Phase::Signing(_) => Moment::Request,
            Phase::Legacy(server) => server.moment(),
            Phase::Fss2(server) => server.moment(),
        }
    }

    fn last_words(&self, error: &Error) -> Option<LastWords> {
        match (&self.phase, error) {
            (Phase::Legacy(server), _) => server.last_words(error),
            (Phase::Fss2(server), _) => server.last_words(error),
            // A hello is refused in the frames of FSS/2, within an RSA message (§13.10).
            (Phase::Signing(_), _)
            | (Phase::FirstMessage, Error::InvalidHello(_) | Error::Refused(Refusal::KeyForm | Refusal::TooManyConnections)) => {
                let (code, retry) = refusal_code(error)?;
                Some(LastWords::Sealed(Refused::new(code, retry).encode()))
            }
            (Phase::KeyExchange | Phase::FirstMessage, _) => legacy_words(refusal_text(error, Operation::None, self.moment())?),
        }
    }
}
