//! Two machines on a simulated wire, in virtual time: no sockets, no sleeping.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read as _;
use std::time::Duration;

use fss::client::{ClientEvent, ClientRequest, ClientSession, Operation, legacy};
use fss::server::ServerEvent;
use fss::store::Store;
use fss::{Error, Machine, ServerSession, Step, Time};

use crate::forward::forward_machine;

/// More steps than any exchange of the sizes that are tested needs.
const STEPS: usize = 400_000;

/// A record and what may be queued after it: a list of 256 files.
const LONGEST_OUTPUT: usize = 300 * 1024;

/// How the wire behaves.
pub struct Wire {
    /// At most how many bytes the next read or write moves; called each time.
    pub cut: Box<dyn FnMut() -> usize>,
    /// After how many bytes the way to the server, or to the client, is cut off: the receiver sees
    /// the end.
    pub to_server: Option<usize>,
    /// As above.
    pub to_client: Option<usize>,
    /// Which bit, of all that goes to the server or to the client, arrives as its opposite.
    pub flipped_to_server: Option<usize>,
    /// As above.
    pub flipped_to_client: Option<usize>,
    /// Polls that change nothing are thrown in.
    pub needless_polls: bool,
}

impl Default for Wire {
    fn default() -> Self {
        let (to_server, to_client, flipped_to_server, flipped_to_client) = (None, None, None, None);
        let cut = Box::new(|| usize::MAX);
        Self {
            cut,
            to_server,
            to_client,
            flipped_to_server,
            flipped_to_client,
            needless_polls: false,
        }
    }
}

/// What came of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome<E = legacy::LegacyEvent> {
    /// How the server's machine ended.
    pub server: Result<(), Error>,
    /// How the client's machine ended.
    pub client: Result<(), Error>,
    /// What the server reported.
    pub server_events: Vec<ServerEvent>,
    /// What the client reported.
    pub client_events: Vec<E>,
    /// The file that the client handed out.
    pub file: Vec<u8>,
    /// All bytes that the client sent.
    pub from_client: Vec<u8>,
    /// All bytes that the server sent.
    pub from_server: Vec<u8>,
    /// What was in the buffer at each first write of a message.
    pub writes: Vec<usize>,
}

/// The program around a client: what it uploads, and what it got.
pub struct Caller<'a> {
    source: &'a [u8],
    /// What was handed out to it.
    pub file: Vec<u8>,
    cut: usize,
}

impl<'a> Caller<'a> {
    /// A program that uploads this.
    pub fn new(source: &'a [u8]) -> Self {
        Self { source, file: Vec::new(), cut: usize::MAX }
    }

    fn supply(&mut self, room: &mut [u8]) -> usize {
        let count = room.len().min(self.source.len()).min(self.cut);
        room[..count].copy_from_slice(&self.source[..count]);
        self.source = &self.source[count..];
        count
    }

    fn take(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(self.cut);
        self.file.extend_from_slice(&data[..count]);
        count
    }
}

/// A machine, with what a program would do for it.
pub trait Served:
    Machine<Event: std::fmt::Debug + PartialEq, Request: std::fmt::Debug + PartialEq>
{
    /// Gives the machine what it needs.
    fn serve(&mut self, request: Self::Request, caller: &mut Caller<'_>);
}

impl Served for legacy::LegacySession {
    fn serve(&mut self, request: legacy::FileRequest, caller: &mut Caller<'_>) {
        match request {
            legacy::FileRequest::Supply => {
                let count = caller.supply(self.supply());
                self.supplied(count);
            }
            legacy::FileRequest::Data => {
                let count = caller.take(self.data());
                self.consumed(count);
            }
        }
    }
}

impl<S: Store> Served for ServerSession<S> {
    fn serve(&mut self, request: Infallible, _caller: &mut Caller<'_>) {
        match request {}
    }
}

/// A client of FSS/2 with all that it is to do.
pub struct Scripted {
    /// The machine.
    pub client: ClientSession,
    /// What is left to do.
    pub operations: VecDeque<Operation>,
}

forward_machine!([] Scripted, ClientEvent, ClientRequest, client, client.poll);

impl Served for Scripted {
    fn serve(&mut self, request: ClientRequest, caller: &mut Caller<'_>) {
        match request {
            ClientRequest::Operation => match self.operations.pop_front() {
                Some(operation) => self.client.start(operation),
                None => self.client.finish(),
            },
            ClientRequest::Supply => {
                let count = caller.supply(self.client.supply());
                self.client.supplied(count);
            }
            ClientRequest::Data => {
                let count = caller.take(self.client.data());
                self.client.consumed(count);
            }
        }
    }
}

#[derive(Default)]
struct Direction {
    queue: VecDeque<u8>,
    sent: Vec<u8>,
    writes: Vec<usize>,
    /// The sender has shut down.
    ended: bool,
    limit: Option<usize>,
    flipped: Option<usize>,
    /// Where the message being written began.
    fresh: bool,
}

impl Direction {
    fn new(limit: Option<usize>, flipped: Option<usize>) -> Self {
        Self { limit, flipped, fresh: true, ..Self::default() }
    }

    fn write(&mut self, bytes: &[u8], whole: usize) {
        if std::mem::take(&mut self.fresh) {
            self.writes.push(whole);
        }
        self.fresh = bytes.len() == whole;
        let room = self.limit.map_or(bytes.len(), |limit| limit.saturating_sub(self.sent.len()));
        let bytes = &bytes[..bytes.len().min(room)];
        let before = self.sent.len();
        self.sent.extend_from_slice(bytes);
        let waiting = self.queue.len();
        self.queue.extend(bytes);
        if let Some(bit) = self.flipped
            && (before..self.sent.len()).contains(&(bit / 8))
        {
            self.queue[waiting + bit / 8 - before] ^= 1 << (bit % 8);
        }
        self.ended |= self.limit.is_some_and(|limit| self.sent.len() >= limit);
    }
}

/// Lets a client and a server speak until both have ended. `source` is what the client uploads.
///
/// # Panics
/// If the exchange does not end, or a machine breaks a rule that holds for all machines.
pub fn run<S, C>(server: &mut S, client: &mut C, source: &[u8], mut wire: Wire) -> Outcome<C::Event>
where
    S: Machine<Event = ServerEvent, Request = Infallible>,
    C: Served,
{
    let (mut up, mut down) = (
        Direction::new(wire.to_server, wire.flipped_to_server),
        Direction::new(wire.to_client, wire.flipped_to_client),
    );
    let (mut server_events, mut client_events) = (Vec::new(), Vec::new());
    let (mut server_end, mut client_end) = (None, None);
    let mut caller = Caller::new(source);
    let mut now = Time::ZERO;
    for _ in 0..STEPS {
        let mut moved = false;
        assert!(
            server.buffers().1.len() <= LONGEST_OUTPUT
                && client.buffers().1.len() <= LONGEST_OUTPUT,
            "buffers are bounded"
        );
        if server_end.is_none() {
            match poll(server, now, wire.needless_polls) {
                Ok(Step::Event(event)) => {
                    server_events.push(event);
                    moved = true;
                }
                Ok(Step::Close) => server_end = Some(Ok(())),
                Err(error) => server_end = Some(Err(error)),
                Ok(step) => {
                    moved = io(&step, server, &mut up, &mut down, &mut wire.cut);
                }
            }
            moved |= server_end.is_some();
            down.ended |= server_end.is_some();
        }
        if client_end.is_none() {
            match poll(client, now, wire.needless_polls) {
                Ok(Step::Event(event)) => {
                    client_events.push(event);
                    moved = true;
                }
                Ok(Step::Close) => client_end = Some(Ok(())),
                Err(error) => client_end = Some(Err(error)),
                Ok(Step::Request(request)) => {
                    caller.cut = (wire.cut)();
                    client.serve(request, &mut caller);
                    moved = true;
                }
                Ok(step) => moved |= io(&step, client, &mut down, &mut up, &mut wire.cut),
            }
            moved |= client_end.is_some();
            up.ended |= client_end.is_some();
        }
        if let (Some(server_end), Some(client_end)) = (&server_end, &client_end) {
            assert_eq!(
                server.poll(now),
                server_end.clone().map(|()| Step::Close),
                "the answer after the end stays the same"
            );
            assert_eq!(
                client.poll(now),
                client_end.clone().map(|()| Step::Close),
                "the answer after the end stays the same"
            );
            assert!(
                server.buffers().1.is_empty() && client.buffers().1.is_empty(),
                "no output after the end"
            );
            let writes = [up.writes, down.writes].concat();
            return Outcome {
                server: server_end.clone(),
                client: client_end.clone(),
                server_events,
                client_events,
                file: caller.file,
                from_client: up.sent,
                from_server: down.sent,
                writes,
            };
        }
        if !moved {
            let deadlines = [
                (server_end.is_none(), server.deadline()),
                (client_end.is_none(), client.deadline()),
            ];
            let next = deadlines
                .into_iter()
                .filter_map(|(lives, deadline)| deadline.filter(|_| lives))
                .min();
            now = next.filter(|&next| next > now).unwrap_or(now + Duration::from_millis(1));
        }
    }
    panic!("the exchange does not end: {server_events:?} {client_events:?}");
}

/// Does what a step asks of a socket, and says whether any byte moved.
fn io<M: Machine>(
    step: &Step<M::Event, M::Request>,
    machine: &mut M,
    incoming: &mut Direction,
    outgoing: &mut Direction,
    cut: &mut dyn FnMut() -> usize,
) -> bool {
    match step {
        Step::Send => {
            let waiting = machine.buffers().1;
            let count = waiting.len().min(cut().max(1));
            assert!(count > 0, "there is something to send");
            outgoing.write(&waiting[..count], waiting.len());
            machine.sent(count);
            true
        }
        Step::Receive => {
            let room = machine.buffers().0;
            let count = incoming.queue.len().min(room.len()).min(cut().max(1));
            if count == 0 {
                let at_end = incoming.ended && incoming.queue.is_empty() && !room.is_empty();
                if at_end {
                    machine.received(0);
                }
                return at_end;
            }
            incoming.queue.read_exact(&mut room[..count]).expect("so many bytes are there");
            machine.received(count);
            true
        }
        Step::Shutdown => {
            outgoing.ended = true;
            true
        }
        Step::Yield => true,
        Step::Sleep(_) | Step::Request(_) | Step::Event(_) | Step::Close => false,
    }
}

/// Polls; a step that stays until it is done is asked for twice, which must change nothing.
fn poll<M: Machine>(
    machine: &mut M,
    now: Time,
    needless: bool,
) -> Result<Step<M::Event, M::Request>, Error>
where
    M::Event: std::fmt::Debug + PartialEq,
    M::Request: std::fmt::Debug + PartialEq,
{
    let step = machine.poll(now);
    if needless
        && matches!(step, Ok(Step::Send | Step::Receive | Step::Sleep(_) | Step::Request(_)))
    {
        assert_eq!(machine.poll(now), step, "a needless poll changes nothing");
    }
    step
}
