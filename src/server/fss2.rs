//! All states of a server's connection of FSS/2, and every transition between them
//! (`docs/protocol.md` §17 to §19).
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
//! An error before the first `R` or `S Approved` of an operation ends only that (§20.2). States are
//! structs moved by value: a state that is left cannot be used again.

use bytes::Bytes;

use super::error_reply::error_frame;
use super::server_states::ServerStates;
use super::state::ServerState;
use super::{AttemptGuard, PeerAddress, RequestKind, ServerEvent};
use crate::chain::{ChainDigest, SEALED_CHUNK_LEN};
use crate::crypto::Fingerprint;
use crate::crypto::legacy::Verifier;
use crate::crypto::proof::Proof;
use crate::error::{ApiMisuse, Error, PeerMisbehaved, Phase, Refusal};
use crate::limits::Limits;
use crate::pool::Lease;
use crate::sealed::Header;
use crate::session::{Context, Farewell, Message, Protocol, Waiting};
use crate::store::transfer::{ReadBuffer, ResumedUpload, StoreReply, StoreRequest};
use crate::store::{
    Invite, Listing, NewFile, Removal, RetentionTerms, StoreError, StoreErrorKind, StoredFile,
    StoredFormat,
};
use crate::types::cookie::Cookie;
use crate::types::user::{Account, UserName};
use crate::wire::frame::Frame;
use crate::wire::frame_kind::FrameKind;
use crate::wire::key_schedule::Binding;
use crate::wire::legacy_frame;
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
    limits.upload_window.max(PIECES * SEALED_CHUNK_LEN)
}

/// What the server takes.
pub(super) fn server_limits(context: &Context<'_, ServerEvent>) -> ServerLimits {
    let limits = context.link.config().limits();
    ServerLimits::new(Some(limits.largest_file), upload_window(limits))
}

/// The server's side of a connection of FSS/2, from its first record on.
pub(super) struct Fss2Server {
    shared: ServerState,
    state: State,
    client: Fingerprint,
    /// Whether a record of the client has opened: only then it has shown that the key is its own
    /// (§13.9).
    proved: bool,
    binding: Binding,
    peer: Option<PeerAddress>,
}

enum State {
    Ready,
    /// Storage is asked.
    Asking(Asked),
    Uploading(ActiveUpload),
    Complete(ActiveUpload, ChainDigest),
    Sending(ActiveDownload),
    /// Only while a transition runs, and after one that failed.
    Gone,
}

/// What storage is asked for, with all that its answer needs.
enum Asked {
    Creating {
        file: Box<NewFile>,
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
        offset: u64,
    },
    /// What is written counts as a record in memory until the store has answered, and not longer:
    /// what the store keeps is its own.
    Writing {
        file: ActiveUpload,
        offset: u64,
        data: Bytes,
        lease: Option<Lease>,
    },
    Committing(ActiveUpload),
    Challenging {
        cookie: Cookie,
    },
    Opening {
        cookie: Cookie,
        proof: Proof,
        offset: u64,
    },
    Claiming {
        file: ActiveDownload,
        approval: Approval,
    },
    /// The buffer is away while storage has it.
    Reading {
        file: ActiveDownload,
        length: usize,
        buffer: Option<ReadBuffer>,
    },
    Delivering(ActiveDownload),
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
    Listing {
        after: Option<Cookie>,
    },
    SigningUp {
        name: UserName,
        invite: Option<Invite>,
        attempt: Option<AttemptGuard>,
    },
    FindingAccount,
}

/// A file on its way in.
struct ActiveUpload {
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
struct ActiveDownload {
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

impl ActiveDownload {
    /// How many bytes the next record may have; none while the window has no room for a whole one,
    /// so that a client that acknowledges little by little does not make many small ones of it.
    fn next_length(&self) -> u64 {
        let room = DOWNLOAD_WINDOW.saturating_sub(self.sent - self.acknowledged);
        let whole = PIECES * SEALED_CHUNK_LEN / self.unit * self.unit;
        let next = whole.min(self.size - self.sent);
        if next <= room { next } else { 0 }
    }
}

impl Fss2Server {
    pub(super) fn new(
        shared: ServerState,
        client: Fingerprint,
        binding: Binding,
        peer: Option<PeerAddress>,
    ) -> Self {
        Self { shared, state: State::Ready, client, proved: false, binding, peer }
    }

    /// Takes the next state, or refuses the request if that is all that an error ends.
    fn go_on(
        &mut self,
        next: Result<State, Error>,
        is_answer: bool,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error> {
        self.state = match next {
            Ok(state) => state,
            Err(error) => {
                let told = error_frame(&error).filter(|told| is_answer && !told.ends_connection());
                let Some(told) = told else { return Err(error) };
                context.link.send(&told.encode())?;
                context.link.budget.spend();
                context.events.push_back(ServerEvent::Refused { why: error });
                State::Ready
            }
        };
        Ok(())
    }

    /// Whether a request is open that has had no answer, or could come now.
    fn is_unanswered(&self) -> bool {
        match &self.state {
            State::Ready => true,
            State::Asking(asked) => !matches!(
                asked,
                Asked::Writing { .. }
                    | Asked::Committing(_)
                    | Asked::Reading { .. }
                    | Asked::Delivering(_)
            ),
            State::Uploading(_) | State::Complete(..) | State::Sending(_) | State::Gone => false,
        }
    }

    fn on_request(
        &mut self,
        request: Request<'_>,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<State, Error> {
        if let Some((request, cookie)) = RequestKind::of(&request) {
            context.events.push_back(ServerEvent::Requested { request, cookie: cookie.cloned() });
        }
        let largest_file = context.link.config().limits().largest_file;
        Ok(State::Asking(match request {
            Request::Upload(upload) => {
                let size = upload.size;
                if size.is_some_and(|size| size > largest_file) {
                    return Err(Refusal::FileTooLarge { limit: largest_file }.into());
                }
                let file = Box::new(NewFile::Sealed { upload, owner: self.client });
                Asked::Creating { file, size }
            }
            Request::Resume { header, cookie, proof, offset } => {
                Asked::FindingUpload { header, cookie, proof, offset }
            }
            Request::Challenge { cookie } => Asked::Challenging { cookie },
            Request::Download { cookie, proof, offset } => Asked::Opening { cookie, proof, offset },
            // The owner deletes at once, and what cannot be read any more too.
            Request::Delete { cookie, proof } => Asked::RemovingOwned { cookie, proof },
            Request::List { after } => Asked::Listing { after },
            Request::SignUp { name, invite } => {
                // An invite could be guessed: that is an attempt (§16.3).
                let attempt = match &invite {
                    Some(_) => Some(self.attempt(None)?),
                    None => None,
                };
                Asked::SigningUp { name, invite, attempt }
            }
            Request::Information => Asked::FindingAccount,
            Request::Refusal(refused) => return Err(Error::PeerRefused(refused)),
            Request::Data(_) | Request::Taken { .. } => {
                return Err(unexpected(request.kind(), FrameKind::Request));
            }
        }))
    }

    /// What the state asks of storage; of a read only while its buffer is here.
    fn request(&mut self) -> Option<StoreRequest> {
        let State::Asking(asked) = &mut self.state else { return None };
        let client = self.client;
        Some(match asked {
            Asked::Creating { file, .. } => StoreRequest::Create { file: file.clone() },
            Asked::FindingUpload { cookie, .. } => {
                StoreRequest::FindUpload { cookie: cookie.clone() }
            }
            Asked::Resuming { cookie, offset } => {
                StoreRequest::Resume { cookie: cookie.clone(), offset: *offset }
            }
            Asked::Writing { offset, data, .. } => {
                StoreRequest::Write { offset: *offset, data: data.clone() }
            }
            Asked::Committing(_) => StoreRequest::Commit,
            Asked::Challenging { cookie } => StoreRequest::FindFormat { cookie: cookie.clone() },
            Asked::Opening { cookie, .. } | Asked::FindingToRemove { cookie, .. } => {
                StoreRequest::Open { cookie: cookie.clone() }
            }
            Asked::Claiming { .. } => StoreRequest::Claim { by: client },
            Asked::Reading { file, buffer, .. } => {
                StoreRequest::Read { offset: file.sent, buffer: buffer.take()? }
            }
            Asked::Delivering(_) => StoreRequest::Delivered,
            Asked::RemovingOwned { cookie, .. } => {
                StoreRequest::RemoveOwned { cookie: cookie.clone(), owner: client }
            }
            Asked::Removing { cookie } => StoreRequest::Remove { cookie: cookie.clone() },
            Asked::Listing { after } => StoreRequest::List { owner: client, after: after.clone() },
            Asked::SigningUp { name, invite, .. } => {
                StoreRequest::SignUp { key: client, name: name.clone(), invite: invite.clone() }
            }
            Asked::FindingAccount => StoreRequest::Account { key: client },
        })
    }

    fn attempt(&self, cookie: Option<&Cookie>) -> Result<AttemptGuard, Error> {
        let attempt = self.shared.throttle().attempt(self.peer, cookie);
        attempt.map_err(|retry| Refusal::TooManyAttempts { retry }.into())
    }

    /// Counts an attempt and looks at its proof: with the verifier of what is there, or a decoy's,
    /// which costs the same.
    fn check(
        &self,
        cookie: &Cookie,
        found: Option<(&Verifier, Option<Fingerprint>)>,
        proof: Option<&Proof>,
    ) -> Result<(), Error> {
        // The delay that strangers cause is not the owner's (§16.8).
        let is_owner = found.is_some_and(|(_, owner)| owner == Some(self.client));
        let attempt = self.attempt((!is_owner).then_some(cookie))?;
        let decoy = self.shared.decoys().map_err(|_| Error::Crypto)?.verifier(cookie);
        let verifier = found.map_or(&decoy, |(verifier, _)| verifier);
        let good = proof.is_some_and(|proof| Proof::new(verifier, &self.binding, cookie) == *proof);
        match found {
            None => Err(Refusal::UnknownCookie.into()),
            Some(_) if !good => Err(Refusal::WrongPassword.into()),
            Some(_) => {
                self.shared.throttle().succeeded(attempt);
                Ok(())
            }
        }
    }

    /// A part of an upload.
    fn on_upload(
        mut file: ActiveUpload,
        mut message: Message,
        context: &Context<'_, ServerEvent>,
    ) -> Result<State, Error> {
        let length = match Request::parse(message.as_slice())? {
            Request::Data(data) => data.len() as u64,
            Request::Refusal(refused) => return Err(Error::PeerRefused(refused)),
            other => return Err(unexpected(other.kind(), FrameKind::Data)),
        };
        if length == 0 {
            if file.size.is_some_and(|size| size != file.received) {
                return Err(Refusal::OtherSize.into());
            }
            return Ok(State::Asking(Asked::Committing(file)));
        }
        let offset = file.received;
        file.received = offset.saturating_add(length);
        let limits = context.link.config().limits();
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
        Ok(State::Asking(Asked::Writing { file, offset, data, lease }))
    }

    fn on_taken(mut file: ActiveDownload, message: &Message) -> Result<State, Error> {
        match Request::parse(message.as_slice())? {
            Request::Taken { offset }
                if offset <= file.sent
                    && (offset >= file.acknowledged.saturating_add(SHORTEST_STEP)
                        || offset == file.size) =>
            {
                file.acknowledged = offset;
                if offset < file.size {
                    return Ok(State::Sending(file));
                }
                Ok(State::Asking(Asked::Delivering(file)))
            }
            Request::Taken { .. } => Err(PeerMisbehaved::AcknowledgedOutOfOrder.into()),
            Request::Refusal(refused) => Err(Error::PeerRefused(refused)),
            other => Err(unexpected(other.kind(), FrameKind::Acknowledgement)),
        }
    }

    fn on_answer(
        &mut self,
        asked: Asked,
        reply: StoreReply,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<State, Error> {
        match (asked, reply) {
            (Asked::Creating { size, .. }, StoreReply::Created { cookie, expires, granted }) => {
                let start = Accepted { offset: 0, chain: None, size, expires, granted };
                accept(&cookie, &start, context).map(|file| upload(file, context))
            }
            (
                Asked::FindingUpload { header, cookie, proof, offset },
                StoreReply::FoundUpload(found),
            ) => {
                let key = found.as_ref().map(|key| (&key.verifier, key.owner));
                self.check(&cookie, key, Some(&proof))?;
                if found.is_some_and(|key| key.header != header) {
                    return Err(Refusal::OtherHeader.into());
                }
                Ok(State::Asking(Asked::Resuming { cookie, offset }))
            }
            (Asked::Resuming { cookie, .. }, StoreReply::Resumed(resumed)) => {
                resume(&cookie, &resumed.ok_or(Refusal::UnknownCookie)?, context)
            }
            (Asked::Writing { mut file, lease, data, .. }, StoreReply::Done) => {
                drop((data, lease));
                let window = upload_window(context.link.config().limits());
                if file.received - file.acknowledged >= window / 8 {
                    send(context, &Reply::Received { offset: file.received, chain: None })?;
                    file.acknowledged = file.received;
                }
                Ok(State::Uploading(file))
            }
            (Asked::Committing(file), StoreReply::Committed { chain }) => {
                stored(file, chain, context)
            }
            (Asked::Challenging { cookie }, StoreReply::Format(format)) => {
                challenge(&self.shared, &cookie, format, context)
            }
            (Asked::Opening { cookie, proof, offset }, StoreReply::Opened { file }) => {
                let key = file.as_ref().map(|file| (&file.verifier, file.owner));
                self.check(&cookie, key, Some(&proof))?;
                claim(cookie, *file.ok_or(Refusal::UnknownCookie)?, offset)
            }
            // Another was faster.
            (Asked::Claiming { .. }, StoreReply::Claimed(false))
            | (Asked::Removing { .. }, StoreReply::Removed(false)) => {
                Err(Refusal::UnknownCookie.into())
            }
            (Asked::Claiming { file, approval }, StoreReply::Claimed(true)) => {
                approve(file, approval, context)
            }
            (Asked::Reading { file, length, .. }, StoreReply::Data(buffer))
                if buffer.as_ref().len() == length =>
            {
                send_part(file, buffer, context)
            }
            (Asked::Delivering(file), StoreReply::Done) => {
                let sent = file.sent - file.start;
                context.events.push_back(ServerEvent::Delivered {
                    cookie: file.cookie,
                    bytes: file.size,
                    sent,
                });
                Ok(State::Ready)
            }
            (Asked::RemovingOwned { cookie, .. }, StoreReply::RemovedOwned(Removal::Removed))
            | (Asked::Removing { cookie }, StoreReply::Removed(true)) => deleted(cookie, context),
            (Asked::RemovingOwned { .. }, StoreReply::RemovedOwned(Removal::RemovedBefore)) => {
                // The answer was lost, and the owner asks once more.
                context.link.budget.spend();
                send(context, &Reply::Deleted)?;
                Ok(State::Ready)
            }
            (
                Asked::RemovingOwned { cookie, proof },
                StoreReply::RemovedOwned(Removal::NotOwned),
            ) => Ok(State::Asking(Asked::FindingToRemove { cookie, proof })),
            (Asked::FindingToRemove { cookie, proof }, StoreReply::Opened { file }) => {
                let key = file.as_ref().map(|file| (&file.verifier, file.owner));
                self.check(&cookie, key, proof.as_ref())?;
                Ok(State::Asking(Asked::Removing { cookie }))
            }
            (Asked::Listing { .. }, StoreReply::Listed(listing)) => {
                list(listing.ok_or(Refusal::UnknownEntry)?, context)
            }
            (Asked::SigningUp { attempt, .. }, StoreReply::Account(Some(account))) => {
                signed_up(&self.shared, attempt, account, context)
            }
            (Asked::FindingAccount, StoreReply::Account(account)) => {
                let limits = Some(server_limits(context));
                context.link.budget.spend();
                send(context, &Reply::Information { limits, account })?;
                Ok(State::Ready)
            }
            _ => Err(ApiMisuse::WrongStorageReply.into()),
        }
    }
}

/// The proof was right: claims a download of the file.
fn claim(cookie: Cookie, file: StoredFile, offset: u64) -> Result<State, Error> {
    let StoredFile { header, size, chain, expires, .. } = file;
    let legacy = header.is_none();
    let unit = if legacy { legacy_frame::CHUNK as u64 } else { SEALED_CHUNK_LEN };
    if offset > size || (offset != size && !offset.is_multiple_of(unit)) {
        return Err(Refusal::InvalidOffset.into());
    }
    let (start, sent, acknowledged) = (offset, offset, offset);
    let file = ActiveDownload { cookie, size, start, sent, acknowledged, unit };
    let approval = Approval { chain, expires, legacy };
    Ok(State::Asking(Asked::Claiming { file, approval }))
}

fn stored(
    file: ActiveUpload,
    chain: ChainDigest,
    context: &mut Context<'_, ServerEvent>,
) -> Result<State, Error> {
    let (cookie, bytes, received) = (file.cookie, file.received, file.received - file.start);
    send(context, &Reply::Received { offset: bytes, chain: Some(chain) })?;
    context.events.push_back(ServerEvent::Stored { cookie, bytes, received });
    Ok(State::Ready)
}

fn signed_up(
    shared: &ServerState,
    attempt: Option<AttemptGuard>,
    account: Account,
    context: &mut Context<'_, ServerEvent>,
) -> Result<State, Error> {
    if let Some(attempt) = attempt {
        shared.throttle().succeeded(attempt);
    }
    context.events.push_back(ServerEvent::SignedUp { name: account.name.clone() });
    context.link.budget.spend();
    send(context, &Reply::Information { limits: None, account: Some(account) })?;
    Ok(State::Ready)
}

fn approve(
    file: ActiveDownload,
    Approval { chain, expires, legacy }: Approval,
    context: &mut Context<'_, ServerEvent>,
) -> Result<State, Error> {
    send(context, &Reply::Approved { size: file.size, chain, expires, legacy })?;
    let (cookie, bytes) = (file.cookie.clone(), file.size);
    context.events.push_back(ServerEvent::DownloadStarted { cookie, bytes });
    end_if_sent(&file, context)?;
    Ok(State::Sending(file))
}

fn send_part(
    mut file: ActiveDownload,
    filled: ReadBuffer,
    context: &mut Context<'_, ServerEvent>,
) -> Result<State, Error> {
    file.sent += filled.as_ref().len() as u64;
    context.link.send_filled(filled)?;
    end_if_sent(&file, context)?;
    Ok(State::Sending(file))
}

/// Where an upload begins, or goes on.
struct Accepted {
    offset: u64,
    chain: Option<ChainDigest>,
    size: Option<u64>,
    expires: Option<u64>,
    granted: RetentionTerms,
}

fn accept(
    cookie: &Cookie,
    start: &Accepted,
    context: &mut Context<'_, ServerEvent>,
) -> Result<ActiveUpload, Error> {
    let window = upload_window(context.link.config().limits());
    let Accepted {
        offset,
        chain,
        size,
        expires,
        granted: RetentionTerms { seconds: keep, downloads },
    } = *start;
    send(
        context,
        &Reply::Accepted {
            cookie: cookie.clone(),
            offset,
            window,
            chain,
            expires,
            keep,
            downloads,
        },
    )?;
    Ok(ActiveUpload {
        cookie: cookie.clone(),
        start: offset,
        received: offset,
        acknowledged: offset,
        short_part: false,
        size,
    })
}

fn resume(
    cookie: &Cookie,
    resumed: &ResumedUpload,
    context: &mut Context<'_, ServerEvent>,
) -> Result<State, Error> {
    let ResumedUpload { complete, offset, chain, size, expires, granted } = *resumed;
    let start = Accepted { offset, chain: (offset > 0).then_some(chain), size, expires, granted };
    let file = accept(cookie, &start, context)?;
    Ok(if complete { State::Complete(file, chain) } else { upload(file, context) })
}

fn upload(file: ActiveUpload, context: &mut Context<'_, ServerEvent>) -> State {
    context.events.push_back(ServerEvent::UploadStarted { cookie: file.cookie.clone() });
    State::Uploading(file)
}

fn deleted(cookie: Cookie, context: &mut Context<'_, ServerEvent>) -> Result<State, Error> {
    send(context, &Reply::Deleted)?;
    context.events.push_back(ServerEvent::Deleted { cookie });
    Ok(State::Ready)
}

fn list(listing: Listing, context: &mut Context<'_, ServerEvent>) -> Result<State, Error> {
    for entry in listing.files {
        send(context, &Reply::Entry(entry))?;
    }
    context.link.budget.spend();
    send(context, &Reply::EndOfList { more: listing.more })?;
    Ok(State::Ready)
}

fn challenge(
    shared: &ServerState,
    cookie: &Cookie,
    format: Option<StoredFormat>,
    context: &mut Context<'_, ServerEvent>,
) -> Result<State, Error> {
    let decoy = shared.decoys().map_err(|_| Error::Crypto)?.header(cookie);
    let format = match format {
        None => StoredFormat::Sealed(decoy),
        Some(StoredFormat::Sealed(header)) => StoredFormat::Sealed(header),
        Some(StoredFormat::Legacy) => StoredFormat::Legacy,
    };
    context.link.budget.spend();
    send(context, &Reply::Challenge(format))?;
    Ok(State::Ready)
}

/// Tells the end of a file as soon as its last byte is on its way.
fn end_if_sent(file: &ActiveDownload, context: &mut Context<'_, ServerEvent>) -> Result<(), Error> {
    if file.sent == file.size { send(context, &Reply::Data(&[])) } else { Ok(()) }
}

impl ServerStates for Fss2Server {
    fn on_reply(
        &mut self,
        reply: Result<StoreReply, StoreError>,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error> {
        let is_answer = self.is_unanswered();
        let next = match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking(asked) => match reply {
                Ok(reply) => self.on_answer(asked, reply, context),
                Err(error) => {
                    // The invite was good, which is all that an attempt is about (§19.6).
                    if let (
                        Asked::SigningUp { attempt: Some(attempt), .. },
                        StoreErrorKind::NameTaken,
                    ) = (asked, error.kind())
                    {
                        self.shared.throttle().succeeded(attempt);
                    }
                    Err(error.into())
                }
            },
            _ => Err(ApiMisuse::NoStorageRequest.into()),
        };
        self.go_on(next, is_answer, context)
    }
}

impl Protocol for Fss2Server {
    type Event = ServerEvent;
    type Request = StoreRequest;

    fn waiting(&mut self) -> Waiting<StoreRequest> {
        match &self.state {
            State::Asking(_) => self.request().map_or(Waiting::Buffer, Waiting::Request),
            State::Sending(file) if file.next_length() > 0 => Waiting::Buffer,
            State::Ready | State::Uploading(_) | State::Complete(..) | State::Sending(_) => {
                Waiting::Peer
            }
            State::Gone => Waiting::End,
        }
    }

    /// There is a buffer for the next part of a file.
    fn proceed(&mut self, context: &mut Context<'_, ServerEvent>) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            // It is read again if the driver asks again before it answers: what was lent for the
            // last time may be lost.
            State::Sending(file) | State::Asking(Asked::Reading { file, .. }) => {
                let length = usize::try_from(file.next_length()).map_err(|_| Error::Internal)?;
                let buffer = context.link.lend_data(length);
                State::Asking(Asked::Reading { file, length, buffer })
            }
            other => other,
        };
        Ok(())
    }

    fn on_message(
        &mut self,
        message: Message,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error> {
        if !std::mem::replace(&mut self.proved, true) {
            context.events.push_back(ServerEvent::ClientProved(self.client));
        }
        let is_answer = self.is_unanswered();
        let next = match std::mem::replace(&mut self.state, State::Gone) {
            State::Ready => match Request::parse(message.as_slice()) {
                Ok(request) => self.on_request(request, context),
                Err(invalid) => Err(invalid.into()),
            },
            State::Uploading(file) => Self::on_upload(file, message, context),
            State::Complete(file, chain) => on_complete(&file, chain, &message, context),
            State::Sending(file) => Self::on_taken(file, &message),
            State::Asking(..) | State::Gone => Err(PeerMisbehaved::UnsolicitedFrame.into()),
        };
        self.go_on(next, is_answer, context)
    }

    fn reads_while_sending(&self) -> bool {
        matches!(self.state, State::Sending(_))
    }

    fn may_end(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::Ready => Phase::Rest,
            State::Asking(Asked::Committing(_) | Asked::Delivering(_)) | State::Complete(..) => {
                Phase::Finish
            }
            State::Sending(file) if file.sent == file.size => Phase::Finish,
            _ if self.is_unanswered() => Phase::Request,
            State::Asking(..) | State::Uploading(_) | State::Sending(_) | State::Gone => {
                Phase::Transfer
            }
        }
    }

    fn farewell(&self, error: &Error) -> Option<Farewell> {
        Some(Farewell::Sealed(error_frame(error)?.encode()))
    }
}

/// A resumed upload that is complete already has nothing to say but its end, once more (§17.13).
fn on_complete(
    file: &ActiveUpload,
    chain: ChainDigest,
    message: &Message,
    context: &mut Context<'_, ServerEvent>,
) -> Result<State, Error> {
    match Request::parse(message.as_slice())? {
        Request::Data([]) => {
            send(context, &Reply::Received { offset: file.received, chain: Some(chain) })?;
            Ok(State::Ready)
        }
        Request::Data(_) => Err(Refusal::OtherSize.into()),
        Request::Refusal(refused) => Err(Error::PeerRefused(refused)),
        other => Err(unexpected(other.kind(), FrameKind::EndOfFile)),
    }
}

fn send(context: &mut Context<'_, ServerEvent>, reply: &Reply<'_>) -> Result<(), Error> {
    context.link.send(&reply.encode())
}

fn unexpected(got: FrameKind, expected: FrameKind) -> Error {
    PeerMisbehaved::UnexpectedFrame { got, expected }.into()
}
