//! Machines over a transport of messages, in virtual time: the same happens as over a stream.

use std::time::Duration;

use fss::bytes::Bytes;
use fss::driver::{LONGEST_MESSAGE, MessagePump};
use fss::{Machine, Step, Time};
use fss_test_support::sim_net::{Caller, Served};
use proptest::prelude::*;

use super::*;

/// More rounds than any exchange of the sizes that are tested needs.
const ROUNDS: usize = 400_000;

/// Messages on their way in one direction.
struct Line {
    messages: VecDeque<Bytes>,
    /// As many fit.
    room: usize,
    sent: Vec<u8>,
    is_ended: bool,
}

impl Line {
    fn new(room: usize) -> Self {
        Self { messages: VecDeque::new(), room, sent: Vec::new(), is_ended: false }
    }

    fn has_room(&self) -> bool {
        self.messages.len() < self.room
    }
}

/// One end: its machine, and what became of it.
struct End<M: Machine> {
    pump: MessagePump<M>,
    events: Vec<M::Event>,
    outcome: Option<Result<(), Error>>,
}

impl<M: Machine> End<M> {
    fn new(machine: M) -> Self {
        Self { pump: MessagePump::new(machine), events: Vec::new(), outcome: None }
    }

    /// Does one thing, and says whether anything moved.
    fn step(
        &mut self,
        now: Time,
        (incoming, outgoing): (&mut Line, &mut Line),
        cut: &mut dyn FnMut() -> usize,
        perform: &mut dyn FnMut(&mut M, M::Request),
    ) -> bool {
        if self.outcome.is_some() {
            return false;
        }
        let mut moved = true;
        match self.pump.next(now) {
            Ok(Step::Send) if outgoing.has_room() => {
                let message = self.pump.message();
                assert!((1..=LONGEST_MESSAGE).contains(&message.len()));
                outgoing.sent.extend_from_slice(&message);
                outgoing.messages.push_back(message);
            }
            Ok(Step::Send | Step::Receive) => moved = self.receive(incoming, cut),
            Ok(Step::Sleep(_)) => moved = false,
            Ok(Step::Yield) => {}
            Ok(Step::Request(request)) => perform(self.pump.machine(), request),
            Ok(Step::Event(event)) => self.events.push(event),
            Ok(Step::Shutdown) => outgoing.is_ended = true,
            Ok(Step::Close) => self.outcome = Some(Ok(())),
            Err(error) => self.outcome = Some(Err(error)),
        }
        outgoing.is_ended |= self.outcome.is_some();
        moved
    }

    fn receive(&mut self, incoming: &mut Line, cut: &mut dyn FnMut() -> usize) -> bool {
        if !self.pump.is_empty() {
            return false;
        }
        let Some(mut message) = incoming.messages.pop_front() else {
            if incoming.is_ended {
                self.pump.close();
            }
            return incoming.is_ended;
        };
        // Whatever carries messages may cut them as it likes.
        let rest = message.split_off(message.len().min(cut().max(1)));
        if !rest.is_empty() {
            incoming.messages.push_front(rest);
        }
        assert_eq!(self.pump.push(message), Ok(()));
        let more = Bytes::from_static(b"one too many");
        assert_eq!(self.pump.push(more.clone()), Err(more), "one message is held at most");
        true
    }
}

/// Carries messages until both ends have ended, at most `room` in each direction at once.
fn pumped(
    scenario: &Scenario,
    store: impl Store,
    operations: Vec<Operation>,
    source: &[u8],
    room: usize,
    cut: &mut dyn FnMut() -> usize,
) -> Outcome<ClientEvent> {
    let mut server = End::new(scenario.server(store));
    let mut client = End::new(scenario.scripted(operations));
    let (mut up, mut down) = (Line::new(room), Line::new(room));
    let (mut caller, mut now) = (Caller::new(source), Time::ZERO);
    for _ in 0..ROUNDS {
        let received = server.step(now, (&mut up, &mut down), cut, &mut |_, never| match never {});
        let moved = client.step(now, (&mut down, &mut up), cut, &mut |client, request| {
            client.serve(request, &mut caller);
        });
        if let (Some(server_end), Some(client_end)) = (&server.outcome, &client.outcome) {
            let (server_end, client_end) = (server_end.clone(), client_end.clone());
            return Outcome {
                server: server_end,
                client: client_end,
                server_events: server.events,
                client_events: client.events,
                file: caller.file,
                from_client: up.sent,
                from_server: down.sent,
                writes: Vec::new(),
            };
        }
        if !moved && !received {
            now = now + Duration::from_millis(1);
        }
    }
    panic!("the exchange does not end: {:?} {:?}", server.events, client.events);
}

/// All that is to be the same; how it was cut into writes is not.
fn essence(outcome: Outcome<ClientEvent>) -> Outcome<ClientEvent> {
    Outcome { writes: Vec::new(), ..outcome }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// However messages are cut, and however few fit on the line: no byte, event or end differs.
    #[test]
    fn messages_carry_what_a_stream_carries(
        size in 0_usize..1_000_000,
        room in 1_usize..4,
        cuts in prop::collection::vec(1_usize..100_000, 1..8),
    ) {
        let (scenario, content) = (Scenario::fast(), file(size));
        let mut cuts = cuts.into_iter().cycle();
        let mut cut = move || cuts.next().unwrap_or(1);
        let (streamed, messages) = (store(), store());
        let operations = || vec![Operation::Upload(upload(Some(size)))];
        let expected = scenario.run(&streamed, operations(), &content, Wire::default());
        let outcome = pumped(&scenario, &messages, operations(), &content, room, &mut cut);
        prop_assert_eq!((&outcome.client, &outcome.server), (&Ok(()), &Ok(())));
        // When the server acknowledges depends on when bytes come, over streams too.
        prop_assert_eq!(outcome.client_events.last(), expected.client_events.last());
        prop_assert_eq!(&outcome.server_events, &expected.server_events);
        prop_assert_eq!(sealed_bytes(&messages), sealed_bytes(&streamed));
        let operations = || vec![Operation::Download(download())];
        let expected = scenario.run(&streamed, operations(), &[], Wire::default());
        let outcome = pumped(&scenario, &messages, operations(), &[], room, &mut cut);
        prop_assert_eq!(essence(outcome), essence(expected));
    }
}

/// Lets one end finish whose peer is gone.
fn finish(pump: &mut MessagePump<ServerSession<MemoryStore>>, now: Time) -> Result<(), Error> {
    pump.close();
    loop {
        match pump.next(now)? {
            Step::Send => drop(pump.message()),
            Step::Close => return Ok(()),
            Step::Receive => panic!("nothing will come"),
            Step::Request(never) => match never {},
            Step::Event(_) | Step::Sleep(_) | Step::Yield | Step::Shutdown => {}
        }
    }
}

/// A peer that is gone is an error, as over a stream; and a message after the end is not accepted.
#[test]
fn a_transport_that_ends_ends_the_connection() {
    let mut pump = MessagePump::new(Scenario::fast().server(store()));
    assert_eq!(pump.next(Time::ZERO), Ok(Step::Send));
    assert!(!pump.message().is_empty() && pump.message().is_empty());
    let ended = finish(&mut pump, Time::ZERO);
    assert!(matches!(ended, Err(Error::Disconnected(_))), "{ended:?}");
    assert_eq!(pump.push(Bytes::from_static(b"late")), Err(Bytes::from_static(b"late")));
}

/// It ends at its deadline, whatever the transport does.
#[test]
fn a_silent_peer_is_waited_for_until_the_deadline() {
    let mut pump = MessagePump::new(Scenario::fast().server(store()));
    assert_eq!(pump.next(Time::ZERO), Ok(Step::Send));
    drop(pump.message());
    assert_eq!(pump.next(Time::ZERO), Ok(Step::Receive));
    let deadline = pump.deadline().expect("it has one");
    // It tells the peer why, if that still listens.
    assert_ne!(pump.next(deadline), Ok(Step::Receive));
    let ended = finish(&mut pump, deadline);
    assert!(matches!(ended, Err(Error::TimedOut(_))), "{ended:?}");
}
