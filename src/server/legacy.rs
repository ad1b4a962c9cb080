//! All states of a server's connection of FSS 1.0, and every transition between them (`docs/protocol.md` §5).
//!
//! ```text
//!  Request ──U──▶ Creating ──created, R cookie──▶ Uploading ◀──────────────┐
//!    │                                            │  │ F                    │ done, R OK
//!    │                                            │  └────▶ Writing ────────┘
//!    │                                            └─FIN──▶ Committing ──done, R OK──▶ Finished
//!    │
//!    └──D──▶ Opening ──opened, S Approved──▶ Approved ──pause──▶ Reading ◀──────────┐
//!                                               │                 │ data, F         │ D OK
//!                                               │ (empty)         └──▶ Unacknowledged
//!                                               └──pause, F FIN──┐               │ D OK at the end, F FIN
//!                                                                ▼               │
//!              Finished ◀──done── Delivering ◀──D OK── Finishing ◀───────────────┘
//! ```
//!
//! States are structs moved by value: a state that is left cannot be used again.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::refusal::{Operation, RefusalText, refusal_text};
use super::{Attempt, RequestKind, ServerEvent, Source};
use crate::crypto::legacy::{FileKey, Verifier};
use crate::error::{Error, Moment, Refusal};
use crate::session::{LastWords, Message, Side, Turn, Wants};
use crate::store::transfer::{RequestId, StoreOperation, StoreReply, StoreRequest};
use crate::store::{NewFile, StoreError};
use crate::types::cookie::Cookie;
use crate::types::secret::Password;
use crate::wire::legacy_frame::{Base64, CHUNK, ClientFrame, InvalidFrame, ServerFrame};
use crate::wire::peer_text::PeerText;
use crate::wire::refusal::Refused;

/// The server's side of a connection of FSS 1.0, from its first message on.
pub(super) struct LegacyServer {
    state: State,
    operation: Operation,
    requests: u64,
    source: Option<Source>,
}

enum State {
    Request,
    /// Creating, Writing, Committing, Opening, Reading, Delivering: storage has been asked.
    Asking(StoreRequest, Asked),
    Uploading(Incoming),
    Approved(Outgoing),
    Unacknowledged(Outgoing),
    Finishing(Outgoing),
    Finished,
    /// Only while a transition runs, and after one that failed.
    Gone,
}

/// What the answer of storage is for.
enum Asked {
    Creating { key: FileKey },
    Writing(Incoming),
    Committing(Incoming),
    Opening { cookie: Cookie, verifier: Verifier, attempt: Attempt },
    Reading(Outgoing, usize),
    Delivering(Outgoing),
}

/// A file on its way in.
struct Incoming {
    key: FileKey,
    cookie: Cookie,
    stored: u64,
    /// A chunk shorter than 1024 bytes has come, so only the end may follow.
    short_chunk: bool,
}

/// A file on its way out.
struct Outgoing {
    cookie: Cookie,
    size: u64,
    /// How much of it has been sent.
    sent: u64,
}

impl LegacyServer {
    pub(super) fn new(source: Option<Source>) -> Self {
        Self { state: State::Request, operation: Operation::None, requests: 0, source }
    }

    fn ask(&mut self, operation: StoreOperation, asked: Asked) -> State {
        self.requests += 1;
        State::Asking(StoreRequest { id: RequestId(self.requests), operation }, asked)
    }

    /// A request has come: the operation begins.
    fn on_request(&mut self, frame: ClientFrame<'_>, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
        match frame {
            ClientFrame::Upload { password } => {
                turn.events.push_back(ServerEvent::Requested { request: RequestKind::Upload, cookie: None });
                let key = FileKey::derive(&Password::new(password)?);
                self.operation = Operation::Upload;
                let file = Box::new(NewFile::Legacy { verifier: key.verifier() });
                Ok(self.ask(StoreOperation::Create { file }, Asked::Creating { key }))
            }
            ClientFrame::Download { cookie, password } => {
                let cookie = Cookie::parse(cookie)?;
                turn.events.push_back(ServerEvent::Requested { request: RequestKind::Download, cookie: Some(cookie.clone()) });
                // A missing password is a wrong one, and so is one that no file can have.
                let password = password.and_then(|password| Password::new(password).ok()).ok_or(Refusal::WrongPassword)?;
                let attempt = turn.link.config().guesses().attempt(self.source, Some(&cookie));
                let attempt = attempt.map_err(|retry| Refusal::TooManyAttempts { retry })?;
                let verifier = FileKey::derive(&password).verifier();
                Ok(self.ask(StoreOperation::Open { cookie: cookie.clone() }, Asked::Opening { cookie, verifier, attempt }))
            }
            ClientFrame::Error { details } => Err(Error::PeerRefused(Refused::in_words(PeerText::new(details)))),
            other => Err(unexpected(other, "a request")),
        }
    }

    /// A chunk, or the end, of an upload.
    fn on_upload(&mut self, mut file: Incoming, frame: ClientFrame<'_>, turn: &Turn<'_, ServerEvent>) -> Result<State, Error> {
        match frame {
            ClientFrame::Chunk(base64) => {
                let mut chunk = Zeroizing::new([0; CHUNK]);
                let length = base64.decode(&mut chunk)?;
                if file.short_chunk {
                    return Err(Refusal::ChunkAfterShortChunk.into());
                }
                file.short_chunk = length < CHUNK;
                let data = Bytes::from(file.key.encrypt(&chunk[..length]));
                let offset = file.stored;
                file.stored += data.len() as u64;
                let limit = turn.link.config().limits().largest_file;
                if file.stored > limit {
                    return Err(Refusal::FileTooLarge { limit }.into());
                }
                Ok(self.ask(StoreOperation::Write { offset, data }, Asked::Writing(file)))
            }
            ClientFrame::Finish => Ok(self.ask(StoreOperation::Commit, Asked::Committing(file))),
            ClientFrame::Error { details } => Err(Error::PeerRefused(Refused::in_words(PeerText::new(details)))),
            other => Err(unexpected(other, "a chunk or the end of a file")),
        }
    }

    /// What follows in a download: the next chunk, or the end.
    fn go_on(&mut self, file: Outgoing, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
        let length = usize::try_from(file.size - file.sent).unwrap_or(CHUNK).min(CHUNK);
        if length > 0 {
            return Ok(self.ask(StoreOperation::Read { offset: file.sent, length }, Asked::Reading(file, length)));
        }
        send(turn, ServerFrame::Finish)?;
        Ok(State::Finishing(file))
    }

    /// The answer to a storage request has come.
    pub(super) fn on_reply(
        &mut self,
        id: RequestId,
        reply: Result<StoreReply, StoreError>,
        turn: &mut Turn<'_, ServerEvent>,
    ) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking(request, asked) if request.id == id => self.on_answer(asked, reply?, turn)?,
            _ => return Err(Error::Misuse("an answer to a storage request that was not made")),
        };
        Ok(())
    }

    fn on_answer(&mut self, asked: Asked, reply: StoreReply, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
        match (asked, reply) {
            (Asked::Creating { key }, StoreReply::Created { cookie, .. }) => {
                send(turn, ServerFrame::Accepted { cookie: cookie.as_str().as_bytes() })?;
                turn.events.push_back(ServerEvent::UploadStarted { cookie: cookie.clone() });
                Ok(State::Uploading(Incoming { key, cookie, stored: 0, short_chunk: false }))
            }
            (Asked::Writing(file), StoreReply::Done) => {
                send(turn, ServerFrame::Received)?;
                Ok(State::Uploading(file))
            }
            (Asked::Committing(file), StoreReply::Committed { .. }) => {
                turn.events.push_back(ServerEvent::Stored { cookie: file.cookie, bytes: file.stored, received: file.stored });
                send(turn, ServerFrame::Received)?;
                Ok(State::Finished)
            }
            (Asked::Opening { cookie, verifier, attempt }, StoreReply::Opened { file }) => {
                // Towards FSS 1.0 a sealed file does not exist (§23.2).
                let file = file.filter(|file| file.header.is_none()).ok_or(Refusal::UnknownCookie)?;
                if file.verifier != verifier {
                    return Err(Refusal::WrongPassword.into());
                }
                turn.link.config().guesses().succeeded(attempt);
                self.operation = Operation::Download;
                send(turn, ServerFrame::Approved)?;
                turn.events.push_back(ServerEvent::DownloadStarted { cookie: cookie.clone(), bytes: file.size });
                Ok(State::Approved(Outgoing { cookie, size: file.size, sent: 0 }))
            }
            (Asked::Reading(mut file, length), StoreReply::Data(data)) if data.len() == length => {
                let mut text = String::new();
                send(turn, ServerFrame::Chunk(Base64::encode(&data, &mut text)?))?;
                file.sent += data.len() as u64;
                Ok(State::Unacknowledged(file))
            }
            (Asked::Delivering(file), StoreReply::Done) => {
                let (bytes, sent) = (file.size, file.sent);
                turn.events.push_back(ServerEvent::Delivered { cookie: file.cookie, bytes, sent });
                Ok(State::Finished)
            }
            _ => Err(Error::Misuse("an answer that does not fit the storage request")),
        }
    }
}

impl Side for LegacyServer {
    type Event = ServerEvent;
    type Need = StoreRequest;

    fn wants(&self) -> Wants<StoreRequest> {
        match &self.state {
            State::Request | State::Uploading(_) | State::Unacknowledged(_) | State::Finishing(_) => Wants::Peer,
            State::Asking(request, _) => Wants::Need(request.clone()),
            State::Approved(_) => Wants::Pause,
            State::Finished | State::Gone => Wants::End,
        }
    }

    fn proceed(&mut self, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Approved(file) => self.go_on(file, turn)?,
            other => other,
        };
        Ok(())
    }

    fn on_message(&mut self, message: Message, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        let frame = ClientFrame::parse(message.as_slice())?;
        self.state = match (std::mem::replace(&mut self.state, State::Gone), frame) {
            (State::Request, frame) => self.on_request(frame, turn)?,
            (State::Uploading(file), frame) => self.on_upload(file, frame, turn)?,
            (State::Unacknowledged(file), ClientFrame::Received) => self.go_on(file, turn)?,
            (State::Finishing(file), ClientFrame::Received) => self.ask(StoreOperation::Delivered, Asked::Delivering(file)),
            (_, ClientFrame::Error { details }) => return Err(Error::PeerRefused(Refused::in_words(PeerText::new(details)))),
            (_, other) => return Err(unexpected(other, "an acknowledgement")),
        };
        Ok(())
    }

    fn moment(&self) -> Moment {
        match (&self.state, self.operation) {
            (State::Finishing(_) | State::Finished | State::Asking(_, Asked::Committing(_) | Asked::Delivering(_)), _) => {
                Moment::Finish
            }
            (_, Operation::None) => Moment::Request,
            (_, Operation::Upload | Operation::Download) => Moment::Transfer,
        }
    }

    fn last_words(&self, error: &Error) -> Option<LastWords> {
        legacy_words(refusal_text(error, self.operation, self.moment())?)
    }
}

/// Whether a first message that begins like this can become a request: if not, its other blocks are not opened
/// (`docs/protocol.md` §3.10).
pub(super) fn check_beginning(beginning: &[u8]) -> Result<(), Error> {
    let (flag, arguments) = match beginning {
        [flag, ..] if !b"UDE".contains(flag) => return Err(Refusal::UnknownRequest.into()),
        [] | [_] => return Ok(()),
        [flag, 0, arguments @ ..] => (flag, arguments),
        _ => return Err(InvalidFrame::UnknownFlag.into()),
    };
    match flag {
        b'E' => Err(Error::PeerRefused(Refused::in_words(PeerText::new(argument(arguments).0)))),
        b'U' => check_password(arguments, Refusal::InvalidPassword),
        _ => match argument(arguments) {
            ([], None) => Ok(()),
            (cookie, after) => {
                Cookie::parse(cookie)?;
                after.map_or(Ok(()), |after| check_password(after, Refusal::WrongPassword))
            }
        },
    }
}

/// The password ends a request.
fn check_password(bytes: &[u8], refusal: Refusal) -> Result<(), Error> {
    match argument(bytes) {
        ([], None) => Ok(()),
        (_, Some([_, ..])) => Err(InvalidFrame::ExtraArgument.into()),
        (password, _) => Password::new(password).map(drop).map_err(|_| refusal.into()),
    }
}

/// The argument at the beginning, as far as it has come, and what comes after its NUL.
fn argument(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => (&bytes[..end], Some(&bytes[end + 1..])),
        None => (bytes, None),
    }
}

/// A refusal as an error frame.
pub(super) fn legacy_words(refusal: RefusalText) -> Option<LastWords> {
    let mut plaintext = Vec::new();
    ServerFrame::Error { details: refusal.text.as_bytes() }.encode(&mut plaintext).ok()?;
    Some(if refusal.in_clear { LastWords::InClear(plaintext) } else { LastWords::Sealed(plaintext) })
}

fn send(turn: &mut Turn<'_, ServerEvent>, frame: ServerFrame<'_>) -> Result<(), Error> {
    let mut plaintext = Vec::new();
    frame.encode(&mut plaintext)?;
    turn.link.send(&plaintext)
}

fn unexpected(frame: ClientFrame<'_>, expected: &'static str) -> Error {
    Error::UnexpectedFrame { got: frame.name(), expected }
}
