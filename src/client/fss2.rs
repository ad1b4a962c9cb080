//! All states of a client's connection of FSS/2, and every transition between them
//! (`docs/protocol.md` §13, §17 to §19).
//!
//! ```text
//!  KeyExchange ──key──▶ Greeting ──H──▶ Greeted ──R──▶ Unproved ──K, reported──▶ Resting
//!
//!            ┌──U──▶ Requested ──R COOKIE──▶ Supplying ──all sealed, reported──▶ Finishing ──F──▶ Committing ──R OK──▶ Resting
//!            │                                │ ▲ record full, F; R OK
//!            │                                └─┘
//!  Resting ──┼──D proof──▶ Requested ──S Approved──▶ Receiving ──F of no bytes, reported──▶ Whole ──D OK──▶ Resting
//!            │                                        │ ▲ F, lent, taken; D OK
//!            │                                        └─┘
//!            ├──D, L, X, N, I──▶ Requested ──S Challenge, R …──▶ Resting
//!            └──finish──▶ Finished
//! ```
//!
//! An `E` in `Requested` ends only the operation, if the caller wants to go on after refusals.
//! States are structs moved by value: a state that is left cannot be used again.

use super::download::{Receiving, Wanted};
use super::legacy_download::{ReceivingLegacy, WantedLegacy};
use super::upload::{ActiveUpload, Sending};
use super::{ClientEvent, ClientRequest, Operation};
use crate::config::Config;
use crate::crypto::proof::Proof;
use crate::crypto::{Fingerprint, PublicKeyDer};
use crate::error::{ApiMisuse, Error, PeerMisbehaved, Phase};
use crate::session::{Beginning, Context, Farewell, Greeting, Link, Message, Protocol, Waiting};
use crate::store::LISTED_AT_ONCE;
use crate::wire::error_frame::{ErrorCode, ErrorFrame};
use crate::wire::frame_kind::FrameKind;
use crate::wire::hello::Role;
use crate::wire::key_schedule::{Binding, Handshake};
use crate::wire::reply::{Reply, ReplyContext, Welcome};
use crate::wire::request::Request;

/// The client's side of a connection.
pub(super) struct Client {
    state: State,
    /// The key that the server must have.
    expected: Option<Fingerprint>,
    /// The key that the server has proved to be its own.
    server: Option<Fingerprint>,
    /// Once the server has proved its identity: no record is sent before (§13.9).
    binding: Option<Binding>,
    /// What is to be done next.
    next: Option<Operation>,
    finishing: bool,
    /// Whether the connection goes on when an operation was refused.
    continues: bool,
}

enum State {
    KeyExchange,
    Greeting,
    Greeted(Greeting),
    /// There are keys, and nothing shows yet who has the other ones.
    Unproved {
        handshake: Box<Handshake>,
        transport_key: PublicKeyDer,
    },
    Resting,
    Requested(Asked),
    Supplying(Sending),
    Finishing(Sending),
    Committing(Sending),
    Receiving(ActiveDownload),
    /// The end has come, and the last bytes of a file of FSS 1.0, which had to wait for it, are
    /// handed out.
    HandingOut(ActiveDownload),
    Whole(ActiveDownload),
    /// Only while a transition runs, and after one that failed.
    Gone,
}

/// A file on its way in.
enum ActiveDownload {
    Sealed(Receiving),
    Legacy(ReceivingLegacy),
}

/// What has been asked for.
enum Asked {
    Upload(ActiveUpload),
    Challenge,
    Download(Wanted),
    LegacyDownload(WantedLegacy),
    /// How many files may still come: a list without an end must not fill the memory.
    List {
        left: usize,
    },
    Deletion,
    SignUp,
    Information,
}

impl Client {
    pub(super) fn new() -> Self {
        Self {
            state: State::KeyExchange,
            expected: None,
            server: None,
            binding: None,
            next: None,
            finishing: false,
            continues: false,
        }
    }

    pub(super) fn continue_after_refusals(&mut self) {
        self.continues = true;
    }

    pub(super) fn expect_server(&mut self, server: Fingerprint) {
        self.expected = Some(server);
    }

    pub(super) fn start(
        &mut self,
        operation: Operation,
        context: &mut Context<'_, ClientEvent>,
    ) -> Result<(), Error> {
        if self.finishing {
            return Err(ApiMisuse::OperationAfterFinish.into());
        }
        if self.next.is_some() {
            return Err(ApiMisuse::OperationWaits.into());
        }
        self.next = Some(operation);
        self.begin_next(context)
    }

    pub(super) fn finish(&mut self) {
        self.finishing = true;
    }

    /// Sends the next request, if nothing else is going on.
    fn begin_next(&mut self, context: &mut Context<'_, ClientEvent>) -> Result<(), Error> {
        if let (State::Resting, Some(binding)) = (&self.state, &self.binding)
            && let Some(operation) = self.next.take()
        {
            let (request, asked) = request(operation, binding)?;
            send(context.link, &request)?;
            self.state = State::Requested(asked);
        }
        Ok(())
    }

    pub(super) fn supply<'a>(&'a mut self, link: &'a mut Link) -> &'a mut [u8] {
        match &mut self.state {
            State::Supplying(file) if file.has_record() => file.slot(link.data_room()),
            _ => &mut [],
        }
    }

    pub(super) fn supplied(
        &mut self,
        count: usize,
        context: &mut Context<'_, ClientEvent>,
    ) -> Result<(), Error> {
        let room = self.supply(context.link).len();
        let State::Supplying(mut file) = std::mem::replace(&mut self.state, State::Gone) else {
            return Err(ApiMisuse::SuppliedUnasked.into());
        };
        file.supplied(count, room)?;
        self.state = seal_if_filled(file, context)?;
        Ok(())
    }

    pub(super) fn data(&self) -> &[u8] {
        match &self.state {
            State::Receiving(file) | State::HandingOut(file) => file.data(),
            _ => &[],
        }
    }

    pub(super) fn consumed(
        &mut self,
        count: usize,
        context: &mut Context<'_, ClientEvent>,
    ) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Receiving(mut file) => {
                file.consumed(count, context)?;
                if let Some(offset) = file.acknowledgement() {
                    send(context.link, &Request::Taken { offset })?;
                }
                State::Receiving(file)
            }
            State::HandingOut(mut file) => {
                file.consumed(count, context)?;
                if file.data().is_empty() { whole(file, context) } else { State::HandingOut(file) }
            }
            _ => return Err(ApiMisuse::ConsumedUnasked.into()),
        };
        Ok(())
    }

    pub(super) fn server(&self) -> Option<Fingerprint> {
        self.server
    }

    /// The first record: who the server is.
    fn on_welcome(
        &mut self,
        handshake: &Handshake,
        transport_key: &PublicKeyDer,
        message: &Message,
        context: &mut Context<'_, ClientEvent>,
    ) -> Result<State, Error> {
        let Welcome { identity, signature, limits } =
            match Reply::parse(message.as_slice(), ReplyContext::Other)? {
                Reply::Welcome(welcome) => welcome,
                Reply::Refusal(refused) => return Err(Error::PeerRefused(refused)),
                other => return Err(unexpected(other.kind(), FrameKind::Identity)),
            };
        let identity = PublicKeyDer::parse(&identity).map_err(|_| Error::ServerNotProved)?;
        let own = context.link.config().identity().public_key();
        if !identity.is_identity() || identity == *transport_key || identity == *own {
            return Err(Error::ServerNotProved);
        }
        let transcript = handshake.with_identity(&identity).map_err(|_| Error::Crypto)?;
        let key = context
            .link
            .config()
            .provider()
            .load_public_key(&identity)
            .map_err(|_| Error::ServerNotProved)?;
        key.verify(&transcript.to_be_signed(), &signature).map_err(|_| Error::ServerNotProved)?;
        // Only now: the fingerprint of a key that is not the other side's would accuse its owner.
        let got = identity.fingerprint();
        if let Some(expected) = self.expected.filter(|expected| *expected != got) {
            return Err(Error::ServerKeyChanged { expected, got });
        }
        self.server = Some(got);
        self.binding = Some(transcript.binding);
        context.events.extend([ClientEvent::ServerKey(got), ClientEvent::Connected(limits)]);
        Ok(State::Resting)
    }
}

/// The server's hello has come, or what it says instead.
fn on_greeting(
    greeting: Greeting,
    message: &Message,
    context: &mut Context<'_, ClientEvent>,
) -> Result<State, Error> {
    // A refusal of the hello comes in the same place.
    if let Ok(Reply::Refusal(refused)) = Reply::parse(message.as_slice(), ReplyContext::Other) {
        return Err(Error::PeerRefused(refused));
    }
    let (records, handshake) = greeting.agree(message.as_slice(), context.link)?;
    let transport_key = context.link.peer_key().ok_or(Error::Internal)?.clone();
    context.link.use_records(records);
    Ok(State::Unproved { handshake: Box::new(handshake), transport_key })
}

/// What an operation begins with.
fn request(operation: Operation, binding: &Binding) -> Result<(Request<'static>, Asked), Error> {
    Ok(match operation {
        Operation::Upload(upload) => {
            let file = ActiveUpload::new(upload)?;
            (file.request(binding), Asked::Upload(file))
        }
        Operation::Resume(resume) => {
            let file = ActiveUpload::resumed(resume)?;
            (file.request(binding), Asked::Upload(file))
        }
        Operation::Challenge { cookie } => (Request::Challenge { cookie }, Asked::Challenge),
        Operation::Download(download) => {
            let file = Wanted::new(download)?;
            (file.request(binding), Asked::Download(file))
        }
        Operation::LegacyDownload(download) => {
            let file = WantedLegacy::new(&download);
            (file.request(binding), Asked::LegacyDownload(file))
        }
        Operation::List { after } => {
            (Request::List { after }, Asked::List { left: LISTED_AT_ONCE })
        }
        Operation::Delete { cookie, verifier } => {
            let proof = verifier.map(|verifier| Proof::new(&verifier, binding, &cookie));
            (Request::Delete { cookie, proof }, Asked::Deletion)
        }
        Operation::SignUp { name, invite } => (Request::SignUp { name, invite }, Asked::SignUp),
        Operation::Information => (Request::Information, Asked::Information),
    })
}

impl ActiveDownload {
    fn data(&self) -> &[u8] {
        match self {
            Self::Sealed(file) => file.data(),
            Self::Legacy(file) => file.data(),
        }
    }

    fn on_data(
        &mut self,
        record: Message,
        context: &mut Context<'_, ClientEvent>,
    ) -> Result<(), Error> {
        match self {
            Self::Sealed(file) => file.on_data(record).map(|events| context.events.extend(events)),
            Self::Legacy(file) => file.on_data(record),
        }
    }

    fn consumed(
        &mut self,
        count: usize,
        context: &mut Context<'_, ClientEvent>,
    ) -> Result<(), Error> {
        match self {
            Self::Sealed(file) => file.consumed(count).map(|events| context.events.extend(events)),
            Self::Legacy(file) => file.consumed(count),
        }
    }

    fn on_end(&mut self) -> Result<(), Error> {
        match self {
            Self::Sealed(file) => file.on_end(),
            Self::Legacy(file) => file.on_end(),
        }
    }

    fn acknowledgement(&mut self) -> Option<u64> {
        match self {
            Self::Sealed(file) => file.acknowledgement(),
            Self::Legacy(file) => file.acknowledgement(),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Sealed(file) => file.size(),
            Self::Legacy(file) => file.size(),
        }
    }

    /// What is reported when all is handed out.
    fn report(&self) -> ClientEvent {
        match self {
            Self::Sealed(file) => {
                ClientEvent::Downloaded { size: file.handed_out(), guessed: false }
            }
            Self::Legacy(file) => {
                ClientEvent::Downloaded { size: file.handed_out(), guessed: file.is_guessed() }
            }
        }
    }
}

impl Asked {
    fn awaited(&self) -> ReplyContext {
        match self {
            Self::Upload(_) => ReplyContext::Upload,
            Self::List { .. } => ReplyContext::List,
            Self::Deletion => ReplyContext::Deletion,
            Self::SignUp | Self::Information => ReplyContext::Information,
            Self::Challenge | Self::Download(_) | Self::LegacyDownload(_) => ReplyContext::Other,
        }
    }
}

impl Asked {
    /// What the server is to send.
    fn expected(&self) -> FrameKind {
        match self {
            Self::Upload(_) => FrameKind::Cookie,
            Self::Challenge => FrameKind::Challenge,
            Self::Download(_) | Self::LegacyDownload(_) => FrameKind::Approval,
            Self::List { left: 0 } => FrameKind::EndOfList,
            Self::List { .. } => FrameKind::ListEntry,
            Self::Deletion => FrameKind::Deletion,
            Self::SignUp | Self::Information => FrameKind::Information,
        }
    }
}

/// The answer to a request.
fn on_answer(
    asked: Asked,
    reply: Reply<'_>,
    context: &mut Context<'_, ClientEvent>,
) -> Result<State, Error> {
    let (got, expected) = (reply.kind(), asked.expected());
    match (asked, reply) {
        (
            Asked::Upload(file),
            Reply::Accepted { cookie, offset, window, chain, expires, keep, downloads },
        ) => {
            let file = file.accepted(cookie.clone(), offset, window, chain)?;
            let position = file.file_position();
            context.events.push_back(ClientEvent::UploadStarted {
                cookie,
                position,
                offset,
                expires,
                keep,
                downloads,
            });
            Ok(finish_if_complete(file, context))
        }
        (Asked::Challenge, Reply::Challenge(format)) => {
            context.events.push_back(ClientEvent::Challenged(format));
            Ok(State::Resting)
        }
        (Asked::Download(file), Reply::Approved { size, chain, expires, legacy }) => {
            let largest_file = context.link.config().limits().largest_file;
            let file = file.approved(size, chain, expires, legacy, largest_file)?;
            Ok(State::Receiving(ActiveDownload::Sealed(file)))
        }
        (Asked::LegacyDownload(file), Reply::Approved { size, chain, expires, legacy }) => {
            let largest_file = context.link.config().limits().largest_file;
            let file = file.approved(size, chain, legacy, largest_file)?;
            context.events.push_back(ClientEvent::DownloadStarted {
                metadata: None,
                size: None,
                expires,
            });
            Ok(State::Receiving(ActiveDownload::Legacy(file)))
        }
        (Asked::List { left }, Reply::Entry(entry)) if left > 0 => {
            context.events.push_back(ClientEvent::Listed(entry));
            Ok(State::Requested(Asked::List { left: left - 1 }))
        }
        // It would be asked for again for ever.
        (Asked::List { left: LISTED_AT_ONCE }, Reply::EndOfList { more: true }) => {
            Err(PeerMisbehaved::EmptyListPart.into())
        }
        (Asked::List { .. }, Reply::EndOfList { more }) => {
            context.events.push_back(ClientEvent::EndOfList { more });
            Ok(State::Resting)
        }
        (Asked::Deletion, Reply::Deleted) => {
            context.events.push_back(ClientEvent::Deleted);
            Ok(State::Resting)
        }
        (Asked::SignUp, Reply::Information { limits, account: account @ Some(_) })
        | (Asked::Information, Reply::Information { limits: limits @ Some(_), account }) => {
            context.events.push_back(ClientEvent::Account { limits, account });
            Ok(State::Resting)
        }
        _ => Err(unexpected(got, expected)),
    }
}

/// Sends the record if it is filled.
fn seal_if_filled(
    mut file: Sending,
    context: &mut Context<'_, ClientEvent>,
) -> Result<State, Error> {
    if !file.is_record_filled() {
        return Ok(State::Supplying(file));
    }
    let (length, checkpoints) = context.link.seal_data(|room, rng| file.seal(room, rng))?;
    if length == 0 {
        // An upload that went on at its end, which only now is known to be that. The end is told by
        // itself.
        context.link.drop_data();
    } else {
        context.link.send_data(length)?;
    }
    context.events.extend(
        checkpoints.into_iter().map(|(offset, chain)| ClientEvent::Checkpoint { offset, chain }),
    );
    Ok(finish_if_complete(file, context))
}

fn finish_if_complete(file: Sending, context: &mut Context<'_, ClientEvent>) -> State {
    if !file.is_complete() {
        return State::Supplying(file);
    }
    context.events.push_back(ClientEvent::Finishing { offset: file.sent(), chain: file.chain() });
    State::Finishing(file)
}

/// What comes during and after the bytes of an upload.
fn on_acknowledgement(
    file: &mut Sending,
    message: &Message,
) -> Result<Option<crate::chain::ChainDigest>, Error> {
    match Reply::parse(message.as_slice(), ReplyContext::Upload)? {
        Reply::Received { offset, chain } => file.acknowledge(offset).map(|()| chain),
        Reply::Refusal(refused) => Err(Error::PeerRefused(refused)),
        other => Err(unexpected(other.kind(), FrameKind::Acknowledgement)),
    }
}

fn on_commitment(
    mut file: Sending,
    message: &Message,
    context: &mut Context<'_, ClientEvent>,
) -> Result<State, Error> {
    let before = file.sent();
    match on_acknowledgement(&mut file, message)? {
        None => Ok(State::Committing(file)),
        Some(chain) if chain == file.chain() && file.is_acknowledged(before) => {
            context.events.push_back(ClientEvent::Uploaded {
                cookie: file.cookie,
                stored: before,
                chain,
            });
            Ok(State::Resting)
        }
        Some(_) => Err(crate::sealed::Integrity::Chain.into()),
    }
}

fn on_download(
    mut file: ActiveDownload,
    message: Message,
    context: &mut Context<'_, ClientEvent>,
) -> Result<State, Error> {
    match Reply::parse(message.as_slice(), ReplyContext::Other)? {
        Reply::Data([]) => {
            file.on_end()?;
            return Ok(if file.data().is_empty() {
                whole(file, context)
            } else {
                State::HandingOut(file)
            });
        }
        Reply::Data(_) => {}
        Reply::Refusal(refused) => return Err(Error::PeerRefused(refused)),
        other => return Err(unexpected(other.kind(), FrameKind::Data)),
    }
    file.on_data(message, context)?;
    Ok(State::Receiving(file))
}

/// All has come and is handed out.
fn whole(file: ActiveDownload, context: &mut Context<'_, ClientEvent>) -> State {
    context.events.push_back(file.report());
    State::Whole(file)
}

impl Protocol for Client {
    type Event = ClientEvent;
    type Request = ClientRequest;

    /// What a server that speaks only FSS 1.0 answers to a hello (§13.11).
    fn refusal_in_clear(&self) -> Option<(&'static [u8], &'static str)> {
        Some((b"E\0illegal user state\0", "illegal user state"))
    }

    fn waiting(&mut self) -> Waiting<ClientRequest> {
        match &self.state {
            // What was reported comes before what it leads to.
            State::Greeting | State::Finishing(_) | State::Whole(_) => Waiting::Proceed,
            State::Resting if self.next.is_some() => Waiting::Proceed,
            State::Resting if self.finishing => Waiting::End,
            State::Resting => Waiting::Request(ClientRequest::Operation),
            State::Supplying(file) if file.has_record() => Waiting::Request(ClientRequest::Supply),
            State::Supplying(file) if file.pieces_allowed() > 0 => Waiting::Buffer,
            State::HandingOut(_) => Waiting::Request(ClientRequest::Data),
            State::Receiving(file) if !file.data().is_empty() => {
                Waiting::Request(ClientRequest::Data)
            }
            State::KeyExchange
            | State::Greeted(_)
            | State::Unproved { .. }
            | State::Requested(_)
            | State::Supplying(_)
            | State::Committing(_)
            | State::Receiving(_) => Waiting::Peer,
            State::Gone => Waiting::End,
        }
    }

    fn proceed(&mut self, context: &mut Context<'_, ClientEvent>) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Greeting => {
                let greeting = Greeting::new(Role::Client, context.link);
                context.link.send(greeting.plaintext())?;
                State::Greeted(greeting)
            }
            State::Resting => {
                self.state = State::Resting;
                return self.begin_next(context);
            }
            State::Supplying(mut file) => {
                file.begin_record(context.link.data_room());
                seal_if_filled(file, context)?
            }
            State::Finishing(file) => {
                send(context.link, &Request::Data(&[]))?;
                State::Committing(file)
            }
            State::Whole(file) => {
                send(context.link, &Request::Taken { offset: file.size() })?;
                State::Resting
            }
            other => other,
        };
        Ok(())
    }

    fn on_key(&mut self, context: &mut Context<'_, ClientEvent>) -> Result<(), Error> {
        let Some(key) = context.link.peer_key() else {
            return Err(Error::Internal);
        };
        if key == context.link.config().identity().public_key() {
            return Err(Error::OwnKey);
        }
        if !key.is_canonical() {
            return Err(crate::error::Refusal::KeyNotCanonical.into());
        }
        self.state = State::Greeting;
        Ok(())
    }

    /// A hello is whole with its first block; a refusal in its place may be longer.
    fn on_beginning(&mut self, beginning: &[u8], _config: &Config) -> Result<Beginning, Error> {
        match beginning {
            [b'R', 0, ..] => Ok(Beginning::Hello),
            [b'E'] | [b'E', 0, ..] => Ok(Beginning::Message),
            _ => Err(PeerMisbehaved::NotAHello.into()),
        }
    }

    fn on_message(
        &mut self,
        message: Message,
        context: &mut Context<'_, ClientEvent>,
    ) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Greeted(greeting) => on_greeting(greeting, &message, context)?,
            State::Unproved { handshake, transport_key } => {
                self.on_welcome(&handshake, &transport_key, &message, context)?
            }
            State::Requested(asked) => {
                let reply = Reply::parse(message.as_slice(), asked.awaited())?;
                match reply {
                    Reply::Refusal(refused) if self.continues && !refused.ends_connection() => {
                        context.events.push_back(ClientEvent::Refused(refused));
                        State::Resting
                    }
                    Reply::Refusal(refused) => return Err(Error::PeerRefused(refused)),
                    reply => on_answer(asked, reply, context)?,
                }
            }
            State::Supplying(mut file) => match on_acknowledgement(&mut file, &message)? {
                None => State::Supplying(file),
                Some(_) => {
                    return Err(unexpected(FrameKind::EndOfFile, FrameKind::Acknowledgement));
                }
            },
            State::Committing(file) => on_commitment(file, &message, context)?,
            State::Receiving(file) => on_download(file, message, context)?,
            State::Resting => match Reply::parse(message.as_slice(), ReplyContext::Other)? {
                Reply::Refusal(refused) => return Err(Error::PeerRefused(refused)),
                _ => return Err(PeerMisbehaved::UnsolicitedFrame.into()),
            },
            _ => return Err(PeerMisbehaved::UnsolicitedFrame.into()),
        };
        Ok(())
    }

    fn reads_while_sending(&self) -> bool {
        matches!(self.state, State::Supplying(_) | State::Resting)
    }

    /// A client that has finished has nothing more to hear; any other one has something to ask.
    fn may_end(&self) -> bool {
        matches!(self.state, State::Resting) && self.finishing && self.next.is_none()
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::KeyExchange => Phase::KeyExchange,
            State::Greeting | State::Greeted(_) | State::Unproved { .. } | State::Requested(_) => {
                Phase::Request
            }
            State::Resting => Phase::Rest,
            State::Supplying(_) | State::Receiving(_) | State::Gone => Phase::Transfer,
            State::Finishing(_) | State::Committing(_) | State::HandingOut(_) | State::Whole(_) => {
                Phase::Finish
            }
        }
    }

    /// A server that broke the protocol hears so, but only one that has proved its identity.
    fn farewell(&self, error: &Error) -> Option<Farewell> {
        self.binding.as_ref()?;
        let code = match error {
            Error::PeerRefused(_) | Error::Disconnected(_) => return None,
            Error::TimedOut(_) => ErrorCode::Idle,
            Error::Store(_) | Error::Misuse(_) | Error::Crypto | Error::Internal => {
                ErrorCode::Storage
            }
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
            | Error::Integrity(_) => ErrorCode::Protocol,
        };
        Some(Farewell::Sealed(ErrorFrame::new(code, None).encode()))
    }
}

fn send(link: &mut Link, request: &Request<'_>) -> Result<(), Error> {
    link.send(&request.encode())
}

fn unexpected(got: FrameKind, expected: FrameKind) -> Error {
    PeerMisbehaved::UnexpectedFrame { got, expected }.into()
}
