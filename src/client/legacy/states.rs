//! All states of a client's connection, and every transition between them (`docs/protocol.md` §5).
//!
//! ```text
//!  KeyExchange ──key──▶ Greeting ──pause, U──▶ Requested ──R cookie──▶ Supplying ◀─────────────────┐
//!                          │                                            │    │ chunk full, F       │ R OK
//!                          │                                            │    └──▶ Unacknowledged ──┤
//!                          │                                            │                          │ R OK after the last
//!                          │                                            └─no more, F FIN─┐         │ chunk, F FIN
//!                          │                                                             ▼         │
//!                          │                            Finished ◀──R OK── Finishing ◀─────────────┘
//!                          │
//!                          └─pause, D──▶ Requested ──S Approved──▶ Receiving ◀──consumed, D OK──┐
//!                                                                   │   │ F                     │
//!                                                                   │   └────▶ Delivering ──────┘
//!                                                                   └─F FIN──▶ Delivering the last ──consumed──▶ Whole
//!                                                                                                                 │
//!                                                                       Finished ◀──reported, then D OK───────────┘
//! ```
//!
//! States are structs moved by value: a state that is left cannot be used again.

use zeroize::Zeroizing;

use super::{FileRequest, LegacyEvent};
use crate::crypto::legacy::FileKey;
use crate::error::{ApiMisuse, Error, PeerMisbehaved, Phase, Refusal};
use crate::format::legacy_content::Decryptor;
use crate::session::{Context, Farewell, Message, Protocol, Waiting};
use crate::types::cookie::{Cookie, OpaqueCookie};
use crate::types::secret::Password;
use crate::wire::error_frame::ErrorFrame;
use crate::wire::frame_kind::FrameKind;
use crate::wire::legacy_frame::{Base64, CHUNK, ClientFrame, ServerFrame};
use crate::wire::peer_message::PeerMessage;

/// The client's side of a connection.
pub(super) struct Client {
    state: State,
}

enum State {
    KeyExchange(Request),
    Greeting(Request),
    Requested(Request),
    Supplying(ActiveUpload),
    Unacknowledged(ActiveUpload),
    Finishing(ActiveUpload),
    Receiving(ActiveDownload),
    Delivering(ActiveDownload),
    Whole,
    Finished,
    /// Only while a transition runs, and after one that failed.
    Gone,
}

/// What the connection is for.
pub(super) enum Request {
    Upload { password: Password },
    Download { cookie: OpaqueCookie, password: Password, size: Option<u64> },
}

/// A file on its way to the server.
struct ActiveUpload {
    cookie: OpaqueCookie,
    chunk: Zeroizing<[u8; CHUNK]>,
    filled: usize,
    size: u64,
    /// The caller has no more.
    ended: bool,
}

/// A file on its way from the server.
struct ActiveDownload {
    decryptor: Decryptor,
    /// Plaintext for the caller, and how much of it is taken.
    data: Zeroizing<Vec<u8>>,
    consumed: usize,
    size: u64,
    stored: u64,
    guessed: bool,
    ended: bool,
}

impl Client {
    pub(super) fn new(request: Request) -> Self {
        Self { state: State::KeyExchange(request) }
    }

    pub(super) fn supply(&mut self) -> &mut [u8] {
        match &mut self.state {
            State::Supplying(file) => &mut file.chunk[file.filled..],
            _ => &mut [],
        }
    }

    pub(super) fn supplied(
        &mut self,
        count: usize,
        context: &mut Context<'_, LegacyEvent>,
    ) -> Result<(), Error> {
        let State::Supplying(mut file) = std::mem::replace(&mut self.state, State::Gone) else {
            return Err(ApiMisuse::SuppliedUnasked.into());
        };
        if count > CHUNK - file.filled {
            return Err(ApiMisuse::SuppliedTooMuch.into());
        }
        file.filled += count;
        file.ended = count == 0;
        self.state = if file.filled == CHUNK || (file.ended && file.filled > 0) {
            let mut text = Zeroizing::new(String::with_capacity(Base64::MAX_LENGTH));
            send(
                context,
                ClientFrame::Chunk(Base64::encode(&file.chunk[..file.filled], &mut text)?),
            )?;
            file.size += file.filled as u64;
            file.filled = 0;
            State::Unacknowledged(file)
        } else if file.ended {
            send(context, ClientFrame::Finish)?;
            State::Finishing(file)
        } else {
            State::Supplying(file)
        };
        Ok(())
    }

    pub(super) fn data(&self) -> &[u8] {
        match &self.state {
            State::Delivering(file) => &file.data[file.consumed..],
            _ => &[],
        }
    }

    pub(super) fn consumed(
        &mut self,
        count: usize,
        context: &mut Context<'_, LegacyEvent>,
    ) -> Result<(), Error> {
        let State::Delivering(mut file) = std::mem::replace(&mut self.state, State::Gone) else {
            return Err(ApiMisuse::ConsumedUnasked.into());
        };
        if count > file.data.len() - file.consumed {
            return Err(ApiMisuse::ConsumedTooMuch.into());
        }
        file.consumed += count;
        file.size += count as u64;
        self.state = if file.consumed < file.data.len() {
            State::Delivering(file)
        } else {
            delivered(file, context)?
        };
        Ok(())
    }
}

/// All that had come was handed out: the end is reported, anything else acknowledged.
fn delivered(
    mut file: ActiveDownload,
    context: &mut Context<'_, LegacyEvent>,
) -> Result<State, Error> {
    file.data.clear();
    file.consumed = 0;
    if file.ended {
        context
            .events
            .push_back(LegacyEvent::Downloaded { size: file.size, guessed: file.guessed });
        return Ok(State::Whole);
    }
    send(context, ClientFrame::Received)?;
    Ok(State::Receiving(file))
}

fn on_accepted(cookie: &[u8], context: &mut Context<'_, LegacyEvent>) -> Result<State, Error> {
    // Anything else could be a block that was recorded, which the client would open here and send
    // on later (§7.3).
    let cookie = OpaqueCookie::from(Cookie::parse(cookie)?);
    context.events.push_back(LegacyEvent::UploadStarted { cookie: cookie.clone() });
    Ok(State::Supplying(ActiveUpload {
        cookie,
        chunk: Zeroizing::new([0; CHUNK]),
        filled: 0,
        size: 0,
        ended: false,
    }))
}

fn on_approved(
    password: &Password,
    size: Option<u64>,
    context: &mut Context<'_, LegacyEvent>,
) -> State {
    context.events.push_back(LegacyEvent::DownloadStarted);
    let decryptor = Decryptor::new(FileKey::derive(password), size);
    let guessed = size.is_none();
    State::Receiving(ActiveDownload {
        decryptor,
        data: Zeroizing::default(),
        consumed: 0,
        size: 0,
        stored: 0,
        guessed,
        ended: false,
    })
}

/// A chunk, or the end, of a download.
fn on_download(
    mut file: ActiveDownload,
    frame: ServerFrame<'_>,
    context: &mut Context<'_, LegacyEvent>,
) -> Result<State, Error> {
    match frame {
        ServerFrame::Chunk(base64) => {
            let mut chunk = [0; CHUNK];
            let length = base64.decode(&mut chunk)?;
            file.stored += length as u64;
            let limit = context.link.config().limits().largest_file;
            if file.stored > limit {
                return Err(Refusal::FileTooLarge { limit }.into());
            }
            file.decryptor.chunk(&chunk[..length], &mut file.data)?;
        }
        ServerFrame::Finish => {
            file.decryptor.finish(&mut file.data)?;
            file.ended = true;
        }
        other => return Err(unexpected(&other, FrameKind::Data)),
    }
    if file.data.is_empty() { delivered(file, context) } else { Ok(State::Delivering(file)) }
}

impl Protocol for Client {
    type Event = LegacyEvent;
    type Request = FileRequest;

    /// What a 2019 server answers to a request that it does not know (`docs/protocol.md` §6).
    fn refusal_in_clear(&self) -> Option<(&'static [u8], &'static str)> {
        Some((b"E\0illegal user state\0", "illegal user state"))
    }

    fn waiting(&mut self) -> Waiting<FileRequest> {
        match self.state {
            State::Greeting(_) => Waiting::Pause,
            State::Supplying(_) => Waiting::Request(FileRequest::Supply),
            State::Delivering(_) => Waiting::Request(FileRequest::Data),
            State::Whole => Waiting::Proceed,
            State::Finished | State::Gone => Waiting::End,
            State::KeyExchange(_)
            | State::Requested(_)
            | State::Unacknowledged(_)
            | State::Finishing(_)
            | State::Receiving(_) => Waiting::Peer,
        }
    }

    fn proceed(&mut self, context: &mut Context<'_, LegacyEvent>) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Greeting(request) => {
                send(
                    context,
                    match &request {
                        Request::Upload { password } => {
                            ClientFrame::Upload { password: password.expose() }
                        }
                        Request::Download { cookie, password, .. } => ClientFrame::Download {
                            cookie: cookie.as_str().as_bytes(),
                            password: Some(password.expose()),
                        },
                    },
                )?;
                State::Requested(request)
            }
            State::Whole => {
                send(context, ClientFrame::Received)?;
                State::Finished
            }
            other => other,
        };
        Ok(())
    }

    /// Which key it is says nothing: a server of ours makes a new one again and again
    /// (`docs/protocol.md` §2.9).
    fn on_key(&mut self, _context: &mut Context<'_, LegacyEvent>) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::KeyExchange(request) => State::Greeting(request),
            other => other,
        };
        Ok(())
    }

    fn on_message(
        &mut self,
        message: Message,
        context: &mut Context<'_, LegacyEvent>,
    ) -> Result<(), Error> {
        let frame = ServerFrame::parse(message.as_slice())?;
        if let ServerFrame::Error { details } = frame {
            return Err(Error::PeerRefused(ErrorFrame::in_words(PeerMessage::new(details))));
        }
        self.state = match (std::mem::replace(&mut self.state, State::Gone), frame) {
            (State::Requested(Request::Upload { .. }), ServerFrame::Accepted { cookie }) => {
                on_accepted(cookie, context)?
            }
            (State::Requested(Request::Upload { .. }), other) => {
                return Err(unexpected(&other, FrameKind::Cookie));
            }
            (State::Requested(Request::Download { password, size, .. }), ServerFrame::Approved) => {
                on_approved(&password, size, context)
            }
            (State::Requested(Request::Download { .. }), other) => {
                return Err(unexpected(&other, FrameKind::Approval));
            }
            (State::Unacknowledged(file), ServerFrame::Received) if file.ended => {
                send(context, ClientFrame::Finish)?;
                State::Finishing(file)
            }
            (State::Unacknowledged(file), ServerFrame::Received) => State::Supplying(file),
            (State::Finishing(file), ServerFrame::Received) => {
                context
                    .events
                    .push_back(LegacyEvent::Uploaded { cookie: file.cookie, size: file.size });
                State::Finished
            }
            (State::Receiving(file), frame) => on_download(file, frame, context)?,
            (_, other) => return Err(unexpected(&other, FrameKind::Acknowledgement)),
        };
        Ok(())
    }

    fn phase(&self) -> Phase {
        match self.state {
            State::KeyExchange(_) => Phase::KeyExchange,
            State::Greeting(_) | State::Requested(_) => Phase::Request,
            State::Finishing(_) | State::Whole | State::Finished => Phase::Finish,
            State::Supplying(_)
            | State::Unacknowledged(_)
            | State::Receiving(_)
            | State::Delivering(_)
            | State::Gone => Phase::Transfer,
        }
    }

    /// A server that broke the protocol hears so; one that refused, fell silent or went away does
    /// not.
    fn farewell(&self, error: &Error) -> Option<Farewell> {
        match error {
            Error::BlockDoesNotOpen
            | Error::MessageTooLong { .. }
            | Error::InvalidLegacyFrame(_)
            | Error::Misbehaved(_)
            | Error::Refused(_)
            | Error::Integrity(_) => {}
            Error::InvalidKeyExchange(_)
            | Error::KeyRejected(_)
            | Error::BlockAfterShortBlock
            | Error::RecordDoesNotOpen
            | Error::InvalidHello(_)
            | Error::InvalidMessage(_)
            | Error::ServerNotProved
            | Error::ServerKeyChanged { .. }
            | Error::OwnKey
            | Error::PeerRefused(_)
            | Error::Disconnected(_)
            | Error::TimedOut(_)
            | Error::Store(_)
            | Error::Crypto
            | Error::Misuse(_)
            | Error::Internal => return None,
        }
        let mut plaintext = Vec::new();
        ClientFrame::Error { details: b"Invalid server response" }.encode(&mut plaintext).ok()?;
        Some(Farewell::Sealed(plaintext))
    }
}

fn send(context: &mut Context<'_, LegacyEvent>, frame: ClientFrame<'_>) -> Result<(), Error> {
    let mut plaintext = Zeroizing::new(Vec::with_capacity(2 * CHUNK));
    frame.encode(&mut plaintext)?;
    context.link.send(&plaintext)
}

fn unexpected(frame: &ServerFrame<'_>, expected: FrameKind) -> Error {
    PeerMisbehaved::UnexpectedFrame { got: frame.kind(), expected }.into()
}
