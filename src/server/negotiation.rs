//! The beginning of every connection to a server: the key exchange, and the first message, which
//! chooses the version (`docs/protocol.md` §13.5). What follows is for the states of that version.
//!
//! ```text
//!  KeyExchange ──key──▶ FirstMessage ──H──▶ Signing ──R, K──▶ Chosen: Fss2Server
//!                                    └──U, D──▶ Chosen: LegacyServer
//! ```

use std::sync::Arc;

use zeroize::Zeroizing;

use super::admission::{Admission, ConnectionPermit};
use super::error_reply::{LegacyOperation, error_frame, legacy_error_text};
use super::fss2::{Fss2Server, server_limits};
use super::legacy::{LegacyServer, check_beginning, legacy_farewell};
use super::server_states::ServerStates;
use super::state::ServerState;
use super::{PeerAddress, ServerEvent};
use crate::config::{Config, Versions};
use crate::crypto::Fingerprint;
use crate::error::{ApiMisuse, Error, Phase, Refusal};
use crate::limits::Limits;
use crate::session::{Beginning, Context, Farewell, Greeting, Message, Protocol, Records, Waiting};
use crate::store::StoreError;
use crate::store::transfer::{StoreReply, StoreRequest};
use crate::wire::hello::{Hello, Role};
use crate::wire::key_schedule::Transcript;
use crate::wire::reply::{Reply, Welcome};

/// The server's side of a connection.
pub(super) struct Server {
    shared: ServerState,
    permit: ConnectionPermit,
    peer: Option<PeerAddress>,
    stage: Stage,
}

enum Stage {
    KeyExchange,
    FirstMessage,
    /// Nothing is left of it when it has failed.
    Signing(Option<Box<Signing>>),
    Chosen(Box<dyn ServerStates>),
}

/// A hello that will be answered when the server's identity has signed for it.
struct Signing {
    hello: Zeroizing<Vec<u8>>,
    records: Records,
    transcript: Transcript,
    client: Fingerprint,
}

impl Server {
    pub(super) fn new(shared: ServerState) -> Self {
        Self { permit: shared.admit(), shared, peer: None, stage: Stage::KeyExchange }
    }

    pub(super) fn set_peer(&mut self, peer: PeerAddress, limits: &Limits) {
        self.permit.set_peer(peer, limits);
        self.peer = Some(peer);
    }

    pub(super) fn admission(&self) -> Admission {
        self.permit.admission()
    }

    /// The answer to a storage request has come.
    pub(super) fn on_reply(
        &mut self,
        reply: Result<StoreReply, StoreError>,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error> {
        match &mut self.stage {
            Stage::KeyExchange | Stage::FirstMessage | Stage::Signing(_) => {
                Err(ApiMisuse::NoStorageRequest.into())
            }
            Stage::Chosen(states) => states.on_reply(reply, context),
        }
    }

    fn on_first_message(
        &mut self,
        message: Message,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error> {
        let versions = context.link.config().versions();
        if Hello::is_hello(message.as_slice()) && versions != Versions::Legacy {
            self.stage = Stage::Signing(Some(Box::new(greet(message.as_slice(), context)?)));
            return Ok(());
        }
        if versions == Versions::Fss2 {
            return Err(Refusal::LegacyNotSpoken.into());
        }
        let mut legacy = LegacyServer::new(self.shared.clone(), self.peer);
        let taken = legacy.on_message(message, context);
        self.stage = Stage::Chosen(Box::new(legacy));
        taken
    }
}

/// Does all that a hello asks for but the private operation, which has a poll of its own.
fn greet(hello: &[u8], context: &mut Context<'_, ServerEvent>) -> Result<Signing, Error> {
    // Read before anything is made for it.
    Hello::parse(hello, Role::Client)?;
    let greeting = Greeting::new(Role::Server, context.link);
    let plaintext = greeting.plaintext().to_vec().into();
    let (records, handshake) = greeting.agree(hello, context.link)?;
    let client = context.link.peer_key().ok_or(Error::Internal)?.fingerprint();
    let transcript = handshake
        .with_identity(context.link.config().identity().public_key())
        .map_err(|_| Error::Crypto)?;
    Ok(Signing { hello: plaintext, records, transcript, client })
}

/// Answers a hello, and proves in the first record who the server is. Both go out together.
fn welcome(
    signing: Signing,
    shared: ServerState,
    peer: Option<PeerAddress>,
    context: &mut Context<'_, ServerEvent>,
) -> Result<Fss2Server, Error> {
    let Signing { hello, records, transcript, client } = signing;
    let identity = Arc::clone(context.link.config().identity());
    let signature =
        identity.sign(&transcript.to_be_signed(), context.link.rng()).map_err(|_| Error::Crypto)?;
    context.link.send(&hello)?;
    context.link.use_records(records);
    let limits = server_limits(context);
    let welcome =
        Welcome { identity: identity.public_key().as_bytes().to_vec(), signature, limits };
    context.link.send(&Reply::Welcome(welcome).encode())?;
    Ok(Fss2Server::new(shared, client, transcript.binding, peer))
}

impl Protocol for Server {
    type Event = ServerEvent;
    type Request = StoreRequest;

    fn waiting(&mut self) -> Waiting<StoreRequest> {
        match &mut self.stage {
            Stage::KeyExchange | Stage::FirstMessage => Waiting::Peer,
            Stage::Signing(_) => Waiting::PrivateOperation,
            Stage::Chosen(states) => states.waiting(),
        }
    }

    fn proceed(&mut self, context: &mut Context<'_, ServerEvent>) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Signing(signing) => {
                if let Some(signing) = signing.take() {
                    let shared = self.shared.clone();
                    let fss2 = welcome(*signing, shared, self.peer, context)?;
                    self.stage = Stage::Chosen(Box::new(fss2));
                }
                Ok(())
            }
            Stage::KeyExchange | Stage::FirstMessage => Ok(()),
            Stage::Chosen(states) => states.proceed(context),
        }
    }

    fn on_key(&mut self, context: &mut Context<'_, ServerEvent>) -> Result<(), Error> {
        context
            .events
            .extend(context.link.peer_key().map(|key| ServerEvent::ClientKey(key.fingerprint())));
        self.stage = Stage::FirstMessage;
        // Before anything is opened, which would cost private operations (§24).
        match self.permit.admission() {
            Admission::Admitted => Ok(()),
            Admission::Refused | Admission::Dropped => Err(Refusal::TooManyConnections.into()),
        }
    }

    fn on_beginning(&mut self, beginning: &[u8], config: &Config) -> Result<Beginning, Error> {
        match config.versions() {
            Versions::All | Versions::Fss2 if Hello::is_hello(beginning) => Ok(Beginning::Hello),
            Versions::Fss2 => Err(Refusal::LegacyNotSpoken.into()),
            Versions::All | Versions::Legacy => {
                check_beginning(beginning).map(|()| Beginning::Message)
            }
        }
    }

    fn on_message(
        &mut self,
        message: Message,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error> {
        match &mut self.stage {
            Stage::KeyExchange | Stage::FirstMessage | Stage::Signing(_) => {
                self.on_first_message(message, context)
            }
            Stage::Chosen(states) => states.on_message(message, context),
        }
    }

    fn reads_while_sending(&self) -> bool {
        matches!(&self.stage, Stage::Chosen(states) if states.reads_while_sending())
    }

    fn may_end(&self) -> bool {
        matches!(&self.stage, Stage::Chosen(states) if states.may_end())
    }

    fn phase(&self) -> Phase {
        match &self.stage {
            Stage::KeyExchange => Phase::KeyExchange,
            Stage::FirstMessage | Stage::Signing(_) => Phase::Request,
            Stage::Chosen(states) => states.phase(),
        }
    }

    fn farewell(&self, error: &Error) -> Option<Farewell> {
        match (&self.stage, error) {
            (Stage::Chosen(states), _) => states.farewell(error),
            // A hello is refused in the frames of FSS/2, within an RSA message (§13.10).
            (Stage::Signing(_), _)
            | (
                Stage::FirstMessage,
                Error::InvalidHello(_)
                | Error::Refused(Refusal::KeyNotCanonical | Refusal::TooManyConnections),
            ) => Some(Farewell::Sealed(error_frame(error)?.encode())),
            (Stage::KeyExchange | Stage::FirstMessage, _) => {
                legacy_farewell(legacy_error_text(error, LegacyOperation::None, self.phase())?)
            }
        }
    }
}
