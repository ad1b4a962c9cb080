//! All states of a server's connection of FSS/2, and every transition between them (`docs/protocol.md` §17 to §19).
//!
//! ```text
//!            ┌──U────────▶ Creating ──created, R COOKIE──────────────▶ Uploading ◀───────────┐
//!            │                                                         ▲ │ │ F               │ done (R OK)
//!            ├──U cookie─▶ FindingUpload ──proof──▶ Resuming ──R COOKIE┘ │ └───▶ Writing ────┘
//!            │                                         │ complete        │ F of no bytes
//!            │                                         ▼                 ▼
//!            │                                      Complete         Committing ──done, R OK chain──▶ Ready
//!            │                                         └─F of no bytes, R OK chain──▶ Ready
//!   Ready ───┤
//!            ├──D────────▶ Challenging ──S Challenge──▶ Ready
//!            ├──D proof──▶ Opening ──proof──▶ Claiming ──claimed, S Approved──▶ Sending ◀─────────────┐
//!            │                                                                   │ │ ▲ D OK   data, F│
//!            │                                                                   │ └─┴─▶ Reading ────┘
//!            │                                                                   └─D OK size──▶ Delivering ──▶ Ready
//!            ├──X────────▶ RemovingOwned ──owner, R OK──▶ Ready
//!            │                   └─▶ FindingToRemove ──proof──▶ Removing ──R OK──▶ Ready
//!            └──L, N, I──▶ Listing, SigningUp, FindingAccount ──R …──▶ Ready
//! ```
//!
//! An error before the first `R` or `S Approved` of an operation ends only that (§20.2). States are structs moved by
//! value: a state that is left cannot be used again.

use super::refusal::refusal_code;
use super::{Attempt, RequestKind, ServerEvent, Source};
use crate::chain::{ChainDigest, PIECE};
use crate::crypto::Fingerprint;
use crate::crypto::legacy::Verifier;
use crate::crypto::proof::Proof;
use crate::error::{Error, Moment, Refusal};
use crate::limits::Limits;
use crate::sealed::Header;
use crate::session::{LastWords, Lease, Message, Side, Turn, Wants};
use crate::store::transfer::{RequestId, ResumedUpload, StoreOperation, StoreReply, StoreRequest};
use crate::store::{Keep, Listing, NewFile, Removal, StoreError, StoreErrorKind, StoredFile, StoredFormat};
use crate::types::cookie::Cookie;
use crate::wire::frame::Frame;
use crate::wire::key_schedule::Binding;
use crate::wire::legacy_frame;
use crate::wire::refusal::Refused;
use crate::wire::reply::{Reply, ServerLimits};
use crate::wire::request::Request;

/// How far a download may be ahead of what the client has taken (§18.7).
const DOWNLOAD_WINDOW: u64 = 8 * 1024 * 1024;

/// Pieces in one record.
const PIECES: u64 = 4;

/// The shortest part of an upload that another may follow: storage is asked for each (§17.6).
const SHORTEST_PART: u64 = 4096;

/// The least that an acknowledgement of a download tells, but for the last (§18.7).
const SHORTEST_STEP: u64 = 64 * 1024;

/// How far an upload may be ahead of what is acknowledged.
pub(super) fn upload_window(limits: &Limits) -> u64 {
    limits.upload_window.max(PIECES * PIECE)
}

/// What the server takes.
pub(super) fn server_limits(turn: &Turn<'_, ServerEvent>) -> ServerLimits {
    let limits = turn.link.config().limits();
    ServerLimits { largest_file: limits.largest_file, window: upload_window(limits) }
}

/// The server's side of a connection of FSS/2, from its first record on.
pub(super) struct Fss2Server {
    state: State,
    client: Fingerprint,
    /// Whether a record of the client has opened: only then it has shown that the key is its own (§13.9).
    proved: bool,
    binding: Binding,
    source: Option<Source>,
    requests: u64,
}

enum State {
    Ready,
    /// Storage has been asked.
    Asking(StoreRequest, Asked),
    Uploading(Incoming),
    Complete(Incoming, ChainDigest),
    Sending(Outgoing),
    /// Only while a transition runs, and after one that failed.
    Gone,
}

/// What the answer of storage is for.
enum Asked {
    Creating {
        size: Option<u64>,
    },
    FindingUpload {
        header: Header,
        cookie: Cookie,
        proof: Proof,
        offset: u64,
    },
    Resuming {
        cookie: Cookie,
    },
    /// What is written counts as a record in memory until the store has answered, and not longer: what the store keeps is
    /// its own.
    Writing(Incoming, Option<Lease>),
    Committing(Incoming),
    Challenging {
        cookie: Cookie,
    },
    Opening {
        cookie: Cookie,
        proof: Proof,
        offset: u64,
    },
    Claiming {
        file: Outgoing,
        approval: Approval,
    },
    Reading(Outgoing, usize),
    Delivering(Outgoing),
    RemovingOwned {
        cookie: Cookie,
        proof: Option<Proof>,
    },
    FindingToRemove {
        cookie: Cookie,
        proof: Option<Proof>,
    },
    Removing {
        cookie: Cookie,
    },
    Listing,
    SigningUp {
        attempt: Option<Attempt>,
    },
    FindingAccount,
}

/// A file on its way in.
struct Incoming {
    cookie: Cookie,
    /// Where this connection began.
    start: u64,
    received: u64,
    acknowledged: u64,
    /// The last part was a short one, so only the end may follow.
    short_part: bool,
    /// The size that was announced.
    size: Option<u64>,
}

/// A file on its way out.
struct Outgoing {
    cookie: Cookie,
    size: u64,
    /// Where this connection began.
    start: u64,
    sent: u64,
    acknowledged: u64,
    /// What a record holds a whole number of.
    unit: u64,
}

/// What is said of a file before its bytes.
struct Approval {
    chain: Option<ChainDigest>,
    expires: Option<u64>,
    legacy: bool,
}

impl Outgoing {
    /// How many bytes the next record may have; none while the window has no room for a whole one, so that a client that
    /// acknowledges little by little does not make many small ones of it.
    fn next_length(&self) -> u64 {
        let room = DOWNLOAD_WINDOW.saturating_sub(self.sent - self.acknowledged);
        let whole = PIECES * PIECE / self.unit * self.unit;
        let next = whole.min(self.size - self.sent);
        if next <= room { next } else { 0 }
    }
}

impl Fss2Server {
    pub(super) fn new(client: Fingerprint, binding: Binding, source: Option<Source>) -> Self {
        Self { state: State::Ready, client, proved: false, binding, source, requests: 0 }
    }

    fn ask(&mut self, operation: StoreOperation, asked: Asked) -> State {
        self.requests += 1;
        State::Asking(StoreRequest { id: RequestId(self.requests), operation }, asked)
    }

    /// The answer to a storage request has come.
    pub(super) fn on_reply(
        &mut self,
        id: RequestId,
        reply: Result<StoreReply, StoreError>,
        turn: &mut Turn<'_, ServerEvent>,
    ) -> Result<(), Error> {
        let is_answer = self.is_unanswered();
        let next = match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking(request, asked) if request.id == id => match reply {
                Ok(reply) => self.on_answer(asked, reply, turn),
                Err(error) => {
                    // The invite was good, which is all that an attempt is about (§19.6).
                    if let (Asked::SigningUp { attempt: Some(attempt) }, StoreErrorKind::NameTaken) = (asked, error.kind()) {
                        turn.link.config().guesses().succeeded(attempt);
                    }
                    Err(error.into())
                }
            },
            _ => Err(Error::Misuse("an answer to a storage request that was not made")),
        };
        self.go_on(next, is_answer, turn)
    }

    /// Takes the next state, or refuses the request if that is all that an error ends.
    fn go_on(&mut self, next: Result<State, Error>, is_answer: bool, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        self.state = match next {
            Ok(state) => state,
            Err(error) => match refusal_code(&error) {
                Some((code, retry)) if is_answer && !code.ends_connection() => {
                    turn.link.send(&Refused::new(code, retry).encode())?;
                    turn.link.budget.spend();
                    turn.events.push_back(ServerEvent::Refused { why: error });
                    State::Ready
                }
                _ => return Err(error),
            },
        };
        Ok(())
    }

    /// Whether a request is open that has had no answer, or could come now.
    fn is_unanswered(&self) -> bool {
        match &self.state {
            State::Ready => true,
            State::Asking(_, asked) => {
                !matches!(asked, Asked::Writing(..) | Asked::Committing(_) | Asked::Reading(..) | Asked::Delivering(_))
            }
            State::Uploading(_) | State::Complete(..) | State::Sending(_) | State::Gone => false,
        }
    }

    fn on_request(&mut self, request: Request<'_>, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
        if let Some((request, cookie)) = RequestKind::of(&request) {
            turn.events.push_back(ServerEvent::Requested { request, cookie: cookie.cloned() });
        }
        let largest_file = turn.link.config().limits().largest_file;
        Ok(match request {
            Request::Upload(upload) => {
                let size = upload.size;
                if size.is_some_and(|size| size > largest_file) {
                    return Err(Refusal::FileTooLarge { limit: largest_file }.into());
                }
                let file = Box::new(NewFile::Sealed { upload, owner: self.client });
                self.ask(StoreOperation::Create { file }, Asked::Creating { size })
            }
            Request::Resume { header, cookie, proof, offset } => self.ask(
                StoreOperation::FindUpload { cookie: cookie.clone() },
                Asked::FindingUpload { header, cookie, proof, offset },
            ),
            Request::Challenge { cookie } => {
                self.ask(StoreOperation::FindFormat { cookie: cookie.clone() }, Asked::Challenging { cookie })
            }
            Request::Download { cookie, proof, offset } => {
                self.ask(StoreOperation::Open { cookie: cookie.clone() }, Asked::Opening { cookie, proof, offset })
            }
            // The owner deletes at once, and what cannot be read any more too.
            Request::Delete { cookie, proof } => {
                let operation = StoreOperation::RemoveOwned { cookie: cookie.clone(), owner: self.client };
                self.ask(operation, Asked::RemovingOwned { cookie, proof })
            }
            Request::List { after } => self.ask(StoreOperation::List { owner: self.client, after }, Asked::Listing),
            Request::SignUp { name, invite } => {
                // An invite could be guessed: that is an attempt (§16.3).
                let attempt = match &invite {
                    Some(_) => Some(self.attempt(None, turn)?),
                    None => None,
                };
                self.ask(StoreOperation::SignUp { key: self.client, name, invite }, Asked::SigningUp { attempt })
            }
            Request::Information => self.ask(StoreOperation::Account { key: self.client }, Asked::FindingAccount),
            Request::Refusal(refused) => return Err(Error::PeerRefused(refused)),
            Request::Data(_) | Request::Taken { .. } => return Err(unexpected("a part of a file", "a request")),
        })
    }

    fn attempt(&self, cookie: Option<&Cookie>, turn: &Turn<'_, ServerEvent>) -> Result<Attempt, Error> {
        let attempt = turn.link.config().guesses().attempt(self.source, cookie);
        attempt.map_err(|retry| Refusal::TooManyAttempts { retry }.into())
    }

    /// Counts an attempt and looks at its proof: with the verifier of what is there, or a decoy's, which costs the same.
    fn check(
        &self,
        cookie: &Cookie,
        found: Option<(&Verifier, Option<Fingerprint>)>,
        proof: Option<&Proof>,
        turn: &Turn<'_, ServerEvent>,
    ) -> Result<(), Error> {
        // The delay that strangers cause is not the owner's (§16.8).
        let is_owner = found.is_some_and(|(_, owner)| owner == Some(self.client));
        let attempt = self.attempt((!is_owner).then_some(cookie), turn)?;
        let decoy = turn.link.config().decoys().map_err(|_| Error::Crypto)?.verifier(cookie);
        let verifier = found.map_or(&decoy, |(verifier, _)| verifier);
        let good = proof.is_some_and(|proof| Proof::new(verifier, &self.binding, cookie) == *proof);
        match found {
            None => Err(Refusal::UnknownCookie.into()),
            Some(_) if !good => Err(Refusal::WrongPassword.into()),
            Some(_) => {
                turn.link.config().guesses().succeeded(attempt);
                Ok(())
            }
        }
    }

    /// A part of an upload.
    fn on_upload(&mut self, mut file: Incoming, mut message: Message, turn: &Turn<'_, ServerEvent>) -> Result<State, Error> {
        let length = match Request::parse(message.as_slice())? {
            Request::Data(data) => data.len() as u64,
            Request::Refusal(refused) => return Err(Error::PeerRefused(refused)),
            _ => return Err(unexpected("a request", "a part of a file, or its end")),
        };
        if length == 0 {
            if file.size.is_some_and(|size| size != file.received) {
                return Err(Refusal::OtherSize.into());
            }
            return Ok(self.ask(StoreOperation::Commit, Asked::Committing(file)));
        }
        let offset = file.received;
        file.received = offset.saturating_add(length);
        let limits = turn.link.config().limits();
        if file.size.is_some_and(|size| file.received > size) {
            return Err(Refusal::OtherSize.into());
        }
        if file.received > limits.largest_file {
            return Err(Refusal::FileTooLarge { limit: limits.largest_file }.into());
        }
        if file.short_part {
            return Err(Refusal::PartAfterShortPart.into());
        }
        file.short_part = length < SHORTEST_PART;
        if file.received - file.acknowledged > upload_window(limits) {
            return Err(Refusal::BeyondWindow.into());
        }
        message.advance(Frame::DATA_PREFIX.len());
        let (data, lease) = message.into_bytes();
        Ok(self.ask(StoreOperation::Write { offset, data }, Asked::Writing(file, lease)))
    }

    fn on_taken(&mut self, mut file: Outgoing, message: &Message) -> Result<State, Error> {
        match Request::parse(message.as_slice())? {
            Request::Taken { offset }
                if offset <= file.sent && (offset >= file.acknowledged.saturating_add(SHORTEST_STEP) || offset == file.size) =>
            {
                file.acknowledged = offset;
                if offset < file.size {
                    return Ok(State::Sending(file));
                }
                Ok(self.ask(StoreOperation::Delivered, Asked::Delivering(file)))
            }
            Request::Refusal(refused) => Err(Error::PeerRefused(refused)),
            _ => Err(unexpected("another frame", "an acknowledgement of what was sent")),
        }
    }

    fn on_answer(&mut self, asked: Asked, reply: StoreReply, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
        match (asked, reply) {
            (Asked::Creating { size }, StoreReply::Created { cookie, expires, granted }) => {
                let start = Accepted { offset: 0, chain: None, size, expires, granted };
                accept(&cookie, &start, turn).map(|file| upload(file, turn))
            }
            (Asked::FindingUpload { header, cookie, proof, offset }, StoreReply::FoundUpload(found)) => {
                self.check(&cookie, found.as_ref().map(|key| (&key.verifier, key.owner)), Some(&proof), turn)?;
                if found.is_some_and(|key| key.header != header) {
                    return Err(Refusal::OtherHeader.into());
                }
                Ok(self.ask(StoreOperation::Resume { cookie: cookie.clone(), offset }, Asked::Resuming { cookie }))
            }
            (Asked::Resuming { cookie }, StoreReply::Resumed(resumed)) => {
                resume(&cookie, &resumed.ok_or(Refusal::UnknownCookie)?, turn)
            }
            (Asked::Writing(mut file, lease), StoreReply::Done) => {
                drop(lease);
                let window = upload_window(turn.link.config().limits());
                if file.received - file.acknowledged >= window / 8 {
                    send(turn, &Reply::Received { offset: file.received, chain: None })?;
                    file.acknowledged = file.received;
                }
                Ok(State::Uploading(file))
            }
            (Asked::Committing(file), StoreReply::Committed { chain }) => {
                send(turn, &Reply::Received { offset: file.received, chain: Some(chain) })?;
                let received = file.received - file.start;
                turn.events.push_back(ServerEvent::Stored { cookie: file.cookie, bytes: file.received, received });
                Ok(State::Ready)
            }
            (Asked::Challenging { cookie }, StoreReply::Format(format)) => challenge(&cookie, format, turn),
            (Asked::Opening { cookie, proof, offset }, StoreReply::Opened { file }) => {
                self.check(&cookie, file.as_ref().map(|file| (&file.verifier, file.owner)), Some(&proof), turn)?;
                let StoredFile { header, size, chain, expires, .. } = *file.ok_or(Refusal::UnknownCookie)?;
                let legacy = header.is_none();
                let unit = if legacy { legacy_frame::CHUNK as u64 } else { PIECE };
                if offset > size || (offset != size && !offset.is_multiple_of(unit)) {
                    return Err(Refusal::InvalidOffset.into());
                }
                let file = Outgoing { cookie, size, start: offset, sent: offset, acknowledged: offset, unit };
                let approval = Approval { chain, expires, legacy };
                Ok(self.ask(StoreOperation::Claim { by: self.client }, Asked::Claiming { file, approval }))
            }
            // Another was faster.
            (Asked::Claiming { .. }, StoreReply::Claimed(false)) | (Asked::Removing { .. }, StoreReply::Removed(false)) => {
                Err(Refusal::UnknownCookie.into())
            }
            (Asked::Claiming { file, approval }, StoreReply::Claimed(true)) => {
                let Approval { chain, expires, legacy } = approval;
                send(turn, &Reply::Approved { size: file.size, chain, expires, legacy })?;
                turn.events.push_back(ServerEvent::DownloadStarted { cookie: file.cookie.clone(), bytes: file.size });
                end_if_sent(&file, turn)?;
                Ok(State::Sending(file))
            }
            (Asked::Reading(mut file, length), StoreReply::Data(data)) if data.len() == length => {
                let room = turn.link.data_room().get_mut(..length).ok_or(Error::Misuse("data without a buffer"))?;
                room.copy_from_slice(&data);
                turn.link.send_data(length)?;
                file.sent += length as u64;
                end_if_sent(&file, turn)?;
                Ok(State::Sending(file))
            }
            (Asked::Delivering(file), StoreReply::Done) => {
                let sent = file.sent - file.start;
                turn.events.push_back(ServerEvent::Delivered { cookie: file.cookie, bytes: file.size, sent });
                Ok(State::Ready)
            }
            (Asked::RemovingOwned { cookie, .. }, StoreReply::RemovedOwned(Removal::Removed))
            | (Asked::Removing { cookie }, StoreReply::Removed(true)) => deleted(cookie, turn),
            (Asked::RemovingOwned { .. }, StoreReply::RemovedOwned(Removal::RemovedBefore)) => {
                // The answer was lost, and the owner asks once more.
                turn.link.budget.spend();
                send(turn, &Reply::Deleted)?;
                Ok(State::Ready)
            }
            (Asked::RemovingOwned { cookie, proof }, StoreReply::RemovedOwned(Removal::NotOwned)) => {
                Ok(self.ask(StoreOperation::Open { cookie: cookie.clone() }, Asked::FindingToRemove { cookie, proof }))
            }
            (Asked::FindingToRemove { cookie, proof }, StoreReply::Opened { file }) => {
                self.check(&cookie, file.as_ref().map(|file| (&file.verifier, file.owner)), proof.as_ref(), turn)?;
                Ok(self.ask(StoreOperation::Remove { cookie: cookie.clone() }, Asked::Removing { cookie }))
            }
            (Asked::Listing, StoreReply::Listed(listing)) => list(listing.ok_or(Refusal::UnknownEntry)?, turn),
            (Asked::SigningUp { attempt }, StoreReply::Account(Some(account))) => {
                if let Some(attempt) = attempt {
                    turn.link.config().guesses().succeeded(attempt);
                }
                turn.events.push_back(ServerEvent::SignedUp { name: account.name.clone() });
                turn.link.budget.spend();
                send(turn, &Reply::Information { limits: None, account: Some(account) })?;
                Ok(State::Ready)
            }
            (Asked::FindingAccount, StoreReply::Account(account)) => {
                let limits = Some(server_limits(turn));
                turn.link.budget.spend();
                send(turn, &Reply::Information { limits, account })?;
                Ok(State::Ready)
            }
            _ => Err(Error::Misuse("an answer that does not fit the storage request")),
        }
    }
}

/// Where an upload begins, or goes on.
struct Accepted {
    offset: u64,
    chain: Option<ChainDigest>,
    size: Option<u64>,
    expires: Option<u64>,
    granted: Keep,
}

fn accept(cookie: &Cookie, start: &Accepted, turn: &mut Turn<'_, ServerEvent>) -> Result<Incoming, Error> {
    let window = upload_window(turn.link.config().limits());
    let Accepted { offset, chain, size, expires, granted: Keep { seconds: keep, downloads } } = *start;
    send(turn, &Reply::Accepted { cookie: cookie.clone(), offset, window, chain, expires, keep, downloads })?;
    Ok(Incoming { cookie: cookie.clone(), start: offset, received: offset, acknowledged: offset, short_part: false, size })
}

fn resume(cookie: &Cookie, resumed: &ResumedUpload, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
    let ResumedUpload { complete, offset, chain, size, expires, granted } = *resumed;
    let start = Accepted { offset, chain: (offset > 0).then_some(chain), size, expires, granted };
    let file = accept(cookie, &start, turn)?;
    Ok(if complete { State::Complete(file, chain) } else { upload(file, turn) })
}

fn upload(file: Incoming, turn: &mut Turn<'_, ServerEvent>) -> State {
    turn.events.push_back(ServerEvent::UploadStarted { cookie: file.cookie.clone() });
    State::Uploading(file)
}

fn deleted(cookie: Cookie, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
    send(turn, &Reply::Deleted)?;
    turn.events.push_back(ServerEvent::Deleted { cookie });
    Ok(State::Ready)
}

fn list(listing: Listing, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
    for entry in listing.files {
        send(turn, &Reply::Entry(entry))?;
    }
    turn.link.budget.spend();
    send(turn, &Reply::EndOfList { more: listing.more })?;
    Ok(State::Ready)
}

fn challenge(cookie: &Cookie, format: Option<StoredFormat>, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
    let decoy = turn.link.config().decoys().map_err(|_| Error::Crypto)?.header(cookie);
    let format = match format {
        None => StoredFormat::Sealed(decoy),
        Some(StoredFormat::Sealed(header)) => StoredFormat::Sealed(header),
        Some(StoredFormat::Legacy) => StoredFormat::Legacy,
    };
    turn.link.budget.spend();
    send(turn, &Reply::Challenge(format))?;
    Ok(State::Ready)
}

/// Tells the end of a file as soon as its last byte is on its way.
fn end_if_sent(file: &Outgoing, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
    if file.sent == file.size { send(turn, &Reply::Data(&[])) } else { Ok(()) }
}

impl Side for Fss2Server {
    type Event = ServerEvent;
    type Need = StoreRequest;

    fn wants(&self) -> Wants<StoreRequest> {
        match &self.state {
            State::Asking(request, _) => Wants::Need(request.clone()),
            State::Sending(file) if file.next_length() > 0 => Wants::Buffer,
            State::Ready | State::Uploading(_) | State::Complete(..) | State::Sending(_) => Wants::Peer,
            State::Gone => Wants::End,
        }
    }

    /// There is a buffer for the next part of a file.
    fn proceed(&mut self, _turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Sending(file) => {
                let length = usize::try_from(file.next_length()).map_err(|_| Error::Misuse("a record of no length"))?;
                self.ask(StoreOperation::Read { offset: file.sent, length }, Asked::Reading(file, length))
            }
            other => other,
        };
        Ok(())
    }

    fn on_message(&mut self, message: Message, turn: &mut Turn<'_, ServerEvent>) -> Result<(), Error> {
        if !std::mem::replace(&mut self.proved, true) {
            turn.events.push_back(ServerEvent::ClientProved(self.client));
        }
        let is_answer = self.is_unanswered();
        let next = match std::mem::replace(&mut self.state, State::Gone) {
            State::Ready => match Request::parse(message.as_slice()) {
                Ok(request) => self.on_request(request, turn),
                Err(invalid) => Err(invalid.into()),
            },
            State::Uploading(file) => self.on_upload(file, message, turn),
            State::Complete(file, chain) => on_complete(&file, chain, &message, turn),
            State::Sending(file) => self.on_taken(file, &message),
            State::Asking(..) | State::Gone => Err(unexpected("a frame", "nothing")),
        };
        self.go_on(next, is_answer, turn)
    }

    fn heeds_peer(&self) -> bool {
        matches!(self.state, State::Sending(_))
    }

    fn may_end(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    fn moment(&self) -> Moment {
        match &self.state {
            State::Ready => Moment::Rest,
            State::Asking(_, Asked::Committing(_) | Asked::Delivering(_)) | State::Complete(..) => Moment::Finish,
            State::Sending(file) if file.sent == file.size => Moment::Finish,
            _ if self.is_unanswered() => Moment::Request,
            State::Asking(..) | State::Uploading(_) | State::Sending(_) | State::Gone => Moment::Transfer,
        }
    }

    fn last_words(&self, error: &Error) -> Option<LastWords> {
        let (code, retry) = refusal_code(error)?;
        Some(LastWords::Sealed(Refused::new(code, retry).encode()))
    }
}

/// A resumed upload that is complete already has nothing to say but its end, once more (§17.13).
fn on_complete(file: &Incoming, chain: ChainDigest, message: &Message, turn: &mut Turn<'_, ServerEvent>) -> Result<State, Error> {
    match Request::parse(message.as_slice())? {
        Request::Data([]) => {
            send(turn, &Reply::Received { offset: file.received, chain: Some(chain) })?;
            Ok(State::Ready)
        }
        Request::Data(_) => Err(Refusal::OtherSize.into()),
        Request::Refusal(refused) => Err(Error::PeerRefused(refused)),
        _ => Err(unexpected("a request", "the end of a file")),
    }
}

fn send(turn: &mut Turn<'_, ServerEvent>, reply: &Reply<'_>) -> Result<(), Error> {
    turn.link.send(&reply.encode())
}

fn unexpected(got: &'static str, expected: &'static str) -> Error {
    Error::UnexpectedFrame { got, expected }
}
