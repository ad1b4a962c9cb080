//! All states of a server's connection of FSS 1.0, and every transition between them
//! (`docs/protocol.md` §5).
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

use super::error_reply::{LegacyErrorText, LegacyOperation, legacy_error_text};
use super::server_states::ServerStates;
use super::state::ServerState;
use super::{AttemptGuard, PeerAddress, RequestKind, ServerEvent};
use crate::crypto::legacy::{FileKey, Verifier};
use crate::error::{ApiMisuse, Error, PeerMisbehaved, Phase, Refusal};
use crate::session::{Context, Farewell, Message, Protocol, Waiting};
use crate::store::transfer::{ReadBuffer, StoreReply, StoreRequest};
use crate::store::{NewFile, StoreError};
use crate::types::cookie::Cookie;
use crate::types::secret::Password;
use crate::wire::error_frame::ErrorFrame;
use crate::wire::frame_kind::FrameKind;
use crate::wire::legacy_frame::{Base64, CHUNK, ClientFrame, InvalidLegacyFrame, ServerFrame};
use crate::wire::peer_message::PeerMessage;

/// The server's side of a connection of FSS 1.0, from its first message on.
pub(super) struct LegacyServer {
    shared: ServerState,
    state: State,
    operation: LegacyOperation,
    peer: Option<PeerAddress>,
}

enum State {
    Request,
    /// Creating, Writing, Committing, Opening, Reading, Delivering: storage has been asked.
    Asking(Asked),
    Uploading(ActiveUpload),
    Approved(ActiveDownload),
    Unacknowledged(ActiveDownload),
    Finishing(ActiveDownload),
    Finished,
    /// Only while a transition runs, and after one that failed.
    Gone,
}

/// What storage is asked for, with all that its answer needs.
enum Asked {
    Creating { key: FileKey },
    Writing { file: ActiveUpload, offset: u64, data: Bytes },
    Committing(ActiveUpload),
    Opening { cookie: Cookie, verifier: Verifier, attempt: AttemptGuard },
    Reading(ActiveDownload, usize),
    Delivering(ActiveDownload),
}

impl Asked {
    fn request(&self) -> StoreRequest {
        match self {
            Self::Creating { key } => StoreRequest::Create {
                file: Box::new(NewFile::Legacy { verifier: key.verifier() }),
            },
            Self::Writing { offset, data, .. } => {
                StoreRequest::Write { offset: *offset, data: data.clone() }
            }
            Self::Committing(_) => StoreRequest::Commit,
            Self::Opening { cookie, .. } => StoreRequest::Open { cookie: cookie.clone() },
            // A chunk is short, and is copied into base64: no buffer for a record is needed.
            Self::Reading(file, length) => {
                StoreRequest::Read { offset: file.sent, buffer: ReadBuffer::new(*length) }
            }
            Self::Delivering(_) => StoreRequest::Delivered,
        }
    }
}

/// A file on its way in.
struct ActiveUpload {
    key: FileKey,
    cookie: Cookie,
    stored: u64,
    /// A chunk shorter than 1024 bytes has come, so only the end may follow.
    short_chunk: bool,
}

/// A file on its way out.
struct ActiveDownload {
    cookie: Cookie,
    size: u64,
    /// How much of it has been sent.
    sent: u64,
}

impl LegacyServer {
    pub(super) fn new(shared: ServerState, peer: Option<PeerAddress>) -> Self {
        Self { shared, state: State::Request, operation: LegacyOperation::None, peer }
    }

    /// A request has come: the operation begins.
    fn on_request(
        &mut self,
        frame: ClientFrame<'_>,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<State, Error> {
        match frame {
            ClientFrame::Upload { password } => {
                context.events.push_back(ServerEvent::Requested {
                    request: RequestKind::Upload,
                    cookie: None,
                });
                let key = FileKey::derive(&Password::new(password)?);
                self.operation = LegacyOperation::Upload;
                Ok(State::Asking(Asked::Creating { key }))
            }
            ClientFrame::Download { cookie, password } => {
                let cookie = Cookie::parse(cookie)?;
                context.events.push_back(ServerEvent::Requested {
                    request: RequestKind::Download,
                    cookie: Some(cookie.clone()),
                });
                // A missing password is a wrong one, and so is one that no file can have.
                let password = password
                    .and_then(|password| Password::new(password).ok())
                    .ok_or(Refusal::WrongPassword)?;
                let attempt = self.shared.throttle().attempt(self.peer, Some(&cookie));
                let attempt = attempt.map_err(|retry| Refusal::TooManyAttempts { retry })?;
                let verifier = FileKey::derive(&password).verifier();
                Ok(State::Asking(Asked::Opening { cookie, verifier, attempt }))
            }
            ClientFrame::Error { details } => {
                Err(Error::PeerRefused(ErrorFrame::in_words(PeerMessage::new(details))))
            }
            other => Err(unexpected(&other, FrameKind::Request)),
        }
    }

    /// A chunk, or the end, of an upload.
    fn on_upload(
        mut file: ActiveUpload,
        frame: ClientFrame<'_>,
        context: &Context<'_, ServerEvent>,
    ) -> Result<State, Error> {
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
                let limit = context.link.config().limits().largest_file;
                if file.stored > limit {
                    return Err(Refusal::FileTooLarge { limit }.into());
                }
                Ok(State::Asking(Asked::Writing { file, offset, data }))
            }
            ClientFrame::Finish => Ok(State::Asking(Asked::Committing(file))),
            ClientFrame::Error { details } => {
                Err(Error::PeerRefused(ErrorFrame::in_words(PeerMessage::new(details))))
            }
            other => Err(unexpected(&other, FrameKind::Data)),
        }
    }

    /// What follows in a download: the next chunk, or the end.
    fn go_on(file: ActiveDownload, context: &mut Context<'_, ServerEvent>) -> Result<State, Error> {
        let length = usize::try_from(file.size - file.sent).unwrap_or(CHUNK).min(CHUNK);
        if length > 0 {
            return Ok(State::Asking(Asked::Reading(file, length)));
        }
        send(context, ServerFrame::Finish)?;
        Ok(State::Finishing(file))
    }

    fn on_answer(
        &mut self,
        asked: Asked,
        reply: StoreReply,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<State, Error> {
        match (asked, reply) {
            (Asked::Creating { key }, StoreReply::Created { cookie, .. }) => {
                send(context, ServerFrame::Accepted { cookie: cookie.as_str().as_bytes() })?;
                context.events.push_back(ServerEvent::UploadStarted { cookie: cookie.clone() });
                Ok(State::Uploading(ActiveUpload { key, cookie, stored: 0, short_chunk: false }))
            }
            (Asked::Writing { file, .. }, StoreReply::Done) => {
                send(context, ServerFrame::Received)?;
                Ok(State::Uploading(file))
            }
            (Asked::Committing(file), StoreReply::Committed { .. }) => {
                context.events.push_back(ServerEvent::Stored {
                    cookie: file.cookie,
                    bytes: file.stored,
                    received: file.stored,
                });
                send(context, ServerFrame::Received)?;
                Ok(State::Finished)
            }
            (Asked::Opening { cookie, verifier, attempt }, StoreReply::Opened { file }) => {
                // Towards FSS 1.0 a sealed file does not exist (§23.2).
                let file =
                    file.filter(|file| file.header.is_none()).ok_or(Refusal::UnknownCookie)?;
                if file.verifier != verifier {
                    return Err(Refusal::WrongPassword.into());
                }
                self.shared.throttle().succeeded(attempt);
                self.operation = LegacyOperation::Download;
                send(context, ServerFrame::Approved)?;
                context.events.push_back(ServerEvent::DownloadStarted {
                    cookie: cookie.clone(),
                    bytes: file.size,
                });
                Ok(State::Approved(ActiveDownload { cookie, size: file.size, sent: 0 }))
            }
            (Asked::Reading(mut file, length), StoreReply::Data(buffer))
                if buffer.as_ref().len() == length =>
            {
                let mut text = String::new();
                send(context, ServerFrame::Chunk(Base64::encode(buffer.as_ref(), &mut text)?))?;
                file.sent += length as u64;
                Ok(State::Unacknowledged(file))
            }
            (Asked::Delivering(file), StoreReply::Done) => {
                let (bytes, sent) = (file.size, file.sent);
                context.events.push_back(ServerEvent::Delivered {
                    cookie: file.cookie,
                    bytes,
                    sent,
                });
                Ok(State::Finished)
            }
            _ => Err(ApiMisuse::WrongStorageReply.into()),
        }
    }
}

impl ServerStates for LegacyServer {
    fn on_reply(
        &mut self,
        reply: Result<StoreReply, StoreError>,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking(asked) => self.on_answer(asked, reply?, context)?,
            _ => return Err(ApiMisuse::NoStorageRequest.into()),
        };
        Ok(())
    }
}

impl Protocol for LegacyServer {
    type Event = ServerEvent;
    type Request = StoreRequest;

    fn waiting(&mut self) -> Waiting<StoreRequest> {
        match &self.state {
            State::Request
            | State::Uploading(_)
            | State::Unacknowledged(_)
            | State::Finishing(_) => Waiting::Peer,
            State::Asking(asked) => Waiting::Request(asked.request()),
            State::Approved(_) => Waiting::Pause,
            State::Finished | State::Gone => Waiting::End,
        }
    }

    fn proceed(&mut self, context: &mut Context<'_, ServerEvent>) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Approved(file) => Self::go_on(file, context)?,
            other => other,
        };
        Ok(())
    }

    fn on_message(
        &mut self,
        message: Message,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error> {
        let frame = ClientFrame::parse(message.as_slice())?;
        self.state = match (std::mem::replace(&mut self.state, State::Gone), frame) {
            (State::Request, frame) => self.on_request(frame, context)?,
            (State::Uploading(file), frame) => Self::on_upload(file, frame, context)?,
            (State::Unacknowledged(file), ClientFrame::Received) => Self::go_on(file, context)?,
            (State::Finishing(file), ClientFrame::Received) => {
                State::Asking(Asked::Delivering(file))
            }
            (_, ClientFrame::Error { details }) => {
                return Err(Error::PeerRefused(ErrorFrame::in_words(PeerMessage::new(details))));
            }
            (_, other) => return Err(unexpected(&other, FrameKind::Acknowledgement)),
        };
        Ok(())
    }

    fn phase(&self) -> Phase {
        match (&self.state, self.operation) {
            (
                State::Finishing(_)
                | State::Finished
                | State::Asking(Asked::Committing(_) | Asked::Delivering(_)),
                _,
            ) => Phase::Finish,
            (_, LegacyOperation::None) => Phase::Request,
            (_, LegacyOperation::Upload | LegacyOperation::Download) => Phase::Transfer,
        }
    }

    fn farewell(&self, error: &Error) -> Option<Farewell> {
        legacy_farewell(legacy_error_text(error, self.operation, self.phase())?)
    }
}

/// Whether a first message that begins like this can become a request: if not, its other blocks are
/// not opened (`docs/protocol.md` §3.10).
pub(super) fn check_beginning(beginning: &[u8]) -> Result<(), Error> {
    let (flag, arguments) = match beginning {
        [flag, ..] if !b"UDE".contains(flag) => return Err(Refusal::UnknownRequest.into()),
        [] | [_] => return Ok(()),
        [flag, 0, arguments @ ..] => (flag, arguments),
        _ => return Err(InvalidLegacyFrame::UnknownFlag.into()),
    };
    match flag {
        b'E' => {
            Err(Error::PeerRefused(ErrorFrame::in_words(PeerMessage::new(argument(arguments).0))))
        }
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
        (_, Some([_, ..])) => Err(InvalidLegacyFrame::ExtraArgument.into()),
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

/// The error frame.
pub(super) fn legacy_farewell(told: LegacyErrorText) -> Option<Farewell> {
    let mut plaintext = Vec::new();
    ServerFrame::Error { details: told.text.as_bytes() }.encode(&mut plaintext).ok()?;
    Some(if told.in_clear { Farewell::InClear(plaintext) } else { Farewell::Sealed(plaintext) })
}

fn send(context: &mut Context<'_, ServerEvent>, frame: ServerFrame<'_>) -> Result<(), Error> {
    let mut plaintext = Vec::new();
    frame.encode(&mut plaintext)?;
    context.link.send(&plaintext)
}

fn unexpected(frame: &ClientFrame<'_>, expected: FrameKind) -> Error {
    PeerMisbehaved::UnexpectedFrame { got: frame.kind(), expected }.into()
}
