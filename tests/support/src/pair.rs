//! Two machines on a simulated wire, in virtual time: no sockets, no sleeping.

use std::collections::VecDeque;
use std::time::Duration;

use fss::client::legacy::{ClientEvent, ClientSession, FileNeed};
use fss::server::ServerEvent;
use fss::{Error, Machine, Step, Time};

/// More steps than any exchange of the sizes that are tested needs.
const STEPS: usize = 200_000;

/// How the wire behaves.
pub struct Wire {
    /// At most how many bytes the next read or write moves; called each time.
    pub cut: Box<dyn FnMut() -> usize>,
    /// After how many bytes the way to the server, or to the client, is cut off: the receiver sees the end.
    pub to_server: Option<usize>,
    /// As above.
    pub to_client: Option<usize>,
    /// Polls that change nothing are thrown in.
    pub needless_polls: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self { cut: Box::new(|| usize::MAX), to_server: None, to_client: None, needless_polls: false }
    }
}

/// What came of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the server's machine ended.
    pub server: Result<(), Error>,
    /// How the client's machine ended.
    pub client: Result<(), Error>,
    /// What the server reported.
    pub server_events: Vec<ServerEvent>,
    /// What the client reported.
    pub client_events: Vec<ClientEvent>,
    /// The file that the client handed out.
    pub file: Vec<u8>,
    /// All bytes that the client sent.
    pub from_client: Vec<u8>,
    /// All bytes that the server sent.
    pub from_server: Vec<u8>,
    /// What was in the buffer at each first write of a message.
    pub writes: Vec<usize>,
}

#[derive(Default)]
struct Direction {
    queue: VecDeque<u8>,
    sent: Vec<u8>,
    writes: Vec<usize>,
    /// The sender has shut down.
    ended: bool,
    limit: Option<usize>,
    /// Where the message being written began.
    fresh: bool,
}

impl Direction {
    fn new(limit: Option<usize>) -> Self {
        Self { limit, fresh: true, ..Self::default() }
    }

    fn write(&mut self, bytes: &[u8], whole: usize) {
        if std::mem::take(&mut self.fresh) {
            self.writes.push(whole);
        }
        self.fresh = bytes.len() == whole;
        for &byte in bytes {
            if self.limit.is_none_or(|limit| self.sent.len() < limit) {
                self.sent.push(byte);
                self.queue.push_back(byte);
            }
        }
        self.ended |= self.limit.is_some_and(|limit| self.sent.len() >= limit);
    }
}

/// Lets a client and a server speak until both have ended. `source` is what the client uploads.
///
/// # Panics
/// If the exchange does not end, or a machine breaks a rule that holds for all machines.
pub fn run<S>(server: &mut S, client: &mut ClientSession, source: &[u8], mut wire: Wire) -> Outcome
where
    S: Machine<Event = ServerEvent, Need = std::convert::Infallible>,
{
    let (mut up, mut down) = (Direction::new(wire.to_server), Direction::new(wire.to_client));
    let (mut server_events, mut client_events, mut file) = (Vec::new(), Vec::new(), Vec::new());
    let (mut server_end, mut client_end) = (None, None);
    let mut source = source;
    let mut now = Time::ZERO;
    for _ in 0..STEPS {
        let mut moved = false;
        assert!(server.buffers().1.len() <= 2 * 4096 && client.buffers().1.len() <= 2 * 4096, "buffers are bounded");
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
                Ok(Step::Need(FileNeed::Supply)) => {
                    let count = client.supply().len().min(source.len()).min((wire.cut)());
                    client.supply()[..count].copy_from_slice(&source[..count]);
                    client.supplied(count);
                    source = &source[count..];
                    moved = true;
                }
                Ok(Step::Need(FileNeed::Data)) => {
                    let count = client.data().len().min((wire.cut)());
                    file.extend_from_slice(&client.data()[..count]);
                    client.consumed(count);
                    moved = true;
                }
                Ok(step) => moved |= io(&step, client, &mut down, &mut up, &mut wire.cut),
            }
            moved |= client_end.is_some();
            up.ended |= client_end.is_some();
        }
        if let (Some(server_end), Some(client_end)) = (&server_end, &client_end) {
            assert_eq!(server.poll(now), server_end.clone().map(|()| Step::Close), "the answer after the end stays the same");
            assert_eq!(client.poll(now), client_end.clone().map(|()| Step::Close), "the answer after the end stays the same");
            assert!(server.buffers().1.is_empty() && client.buffers().1.is_empty(), "no output after the end");
            let writes = [up.writes, down.writes].concat();
            return Outcome {
                server: server_end.clone(),
                client: client_end.clone(),
                server_events,
                client_events,
                file,
                from_client: up.sent,
                from_server: down.sent,
                writes,
            };
        }
        if !moved {
            let deadlines = [(server_end.is_none(), server.deadline()), (client_end.is_none(), client.deadline())];
            let next = deadlines.into_iter().filter_map(|(lives, deadline)| deadline.filter(|_| lives)).min();
            now = next.filter(|&next| next > now).unwrap_or(now + Duration::from_millis(1));
        }
    }
    panic!("the exchange does not end: {server_events:?} {client_events:?}");
}

/// Does what a step asks of a socket, and says whether any byte moved.
fn io<M: Machine>(
    step: &Step<M::Event, M::Need>,
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
            for byte in &mut room[..count] {
                *byte = incoming.queue.pop_front().expect("as many as the queue has");
            }
            machine.received(count);
            true
        }
        Step::Shutdown => {
            outgoing.ended = true;
            true
        }
        Step::Yield => true,
        Step::Wait(_) | Step::Need(_) | Step::Event(_) | Step::Close => false,
    }
}

/// Polls; a step that stays until it is done is asked for twice, which must change nothing.
fn poll<M: Machine>(machine: &mut M, now: Time, needless: bool) -> Result<Step<M::Event, M::Need>, Error>
where
    M::Event: std::fmt::Debug + PartialEq,
    M::Need: std::fmt::Debug + PartialEq,
{
    let step = machine.poll(now);
    if needless && matches!(step, Ok(Step::Send | Step::Receive | Step::Wait(_) | Step::Need(_))) {
        assert_eq!(machine.poll(now), step, "a needless poll changes nothing");
    }
    step
}
