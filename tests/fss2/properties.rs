//! What holds for every exchange between our own client and server.

use fss::chain::ChainDigest;
use fss::crypto::rustcrypto::RustCrypto;
use fss::server::{ServerEngine, ServerEvent};
use fss::wire::record::MAX_PLAINTEXT;
use fss::wire::reply::{Reply, ReplyContext};
use fss::{Machine, Phase, Step, Time};
use fss_test_support::counting::Counting;
use fss_test_support::engine::Answered;
use fss_test_support::replay::replay;
use proptest::prelude::*;

use super::*;

fn cuts(lengths: Vec<usize>) -> Wire {
    let mut lengths = lengths.into_iter().cycle();
    Wire {
        cut: Box::new(move || lengths.next().unwrap_or(1)),
        needless_polls: true,
        ..Wire::default()
    }
}

/// Every operation once, with refusals between: the file is uploaded, and downloaded as the second.
pub(crate) fn everything(size: Option<usize>) -> Vec<Operation> {
    vec![
        Operation::Information,
        Operation::Upload(upload(size)),
        Operation::Delete { cookie: unknown(), verifier: None },
        Operation::Challenge { cookie: cookie() },
        Operation::Download(download()),
        Operation::List { after: Some(unknown()) },
        Operation::List { after: None },
        Operation::SignUp {
            name: UserName::parse(b"somebody").expect("it is a name"),
            invite: None,
        },
        Operation::Download(Download { cookie: unknown(), ..download() }),
        Operation::Delete { cookie: cookie(), verifier: None },
    ]
}

/// All of it on one connection, to a server that knows nothing of the others.
fn run_everything(known: Option<usize>, size: usize, wire: Wire) -> Outcome<ClientEvent> {
    Scenario::fast().run(store(), everything(known), &file(size), wire)
}

/// Whole outcomes are the same, but for how the bytes were cut.
fn assert_same(one: &Outcome<ClientEvent>, other: &Outcome<ClientEvent>) {
    assert_eq!((&one.client, &one.server), (&Ok(()), &Ok(())));
    assert_eq!((&one.client, &one.server), (&other.client, &other.server));
    assert_eq!(
        (&one.client_events, &one.server_events),
        (&other.client_events, &other.server_events)
    );
    assert!(
        one.file == other.file
            && one.from_client == other.from_client
            && one.from_server == other.from_server
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// P1, P2, P9: however reads, writes and file bytes are cut, and however often a machine is
    /// polled, the same happens.
    #[test]
    fn p1_p2_p9_segmentation_changes_nothing(size in 0_usize..3000, known in any::<bool>(), lengths in prop::collection::vec(1_usize..400, 1..20)) {
        let known = known.then_some(size);
        assert_same(&run_everything(known, size, Wire::default()), &run_everything(known, size, cuts(lengths)));
    }

    /// P10: a transfer that is cut off anywhere is an error for the waiting side, no success, and
    /// stores nothing.
    #[test]
    fn p10_every_prefix_of_an_upload_fails(size in 0_usize..200_000, at in any::<prop::sample::Index>()) {
        let scenario = Scenario::fast();
        let recorded = scenario.upload(store(), &file(size), Wire::default());
        let store = store();
        let to_server = Some(at.index(recorded.from_client.len()));
        let outcome = scenario.upload(&store, &file(size), Wire { to_server, ..Wire::default() });
        prop_assert!(matches!(outcome.client, Err(Error::Disconnected(_) | Error::PeerRefused(_))), "{:?}", outcome.client);
        prop_assert!(store.is_empty() && !is_success(&outcome.client_events));
    }

    #[test]
    fn p10_every_prefix_of_a_download_fails(size in 0_usize..200_000, at in any::<prop::sample::Index>()) {
        let (scenario, store) = (Scenario::fast(), stored(&file(size)));
        let recorded = scenario.download(&store, Wire::default());
        let to_client = Some(at.index(recorded.from_server.len()));
        let outcome = scenario.download(&store, Wire { to_client, ..Wire::default() });
        prop_assert!(matches!(outcome.client, Err(Error::Disconnected(_))), "{:?}", outcome.client);
        prop_assert!(!is_success(&outcome.client_events) && file(size).starts_with(&outcome.file));
        let delivered = outcome.server_events.iter().any(|event| matches!(event, ServerEvent::Delivered { .. }));
        prop_assert!(!delivered);
    }
}

fn is_success(events: &[ClientEvent]) -> bool {
    events
        .iter()
        .any(|event| matches!(event, ClientEvent::Uploaded { .. } | ClientEvent::Downloaded { .. }))
}

/// P1, P2, P9 for files of several records: cuts at and around the borders of buffers and records.
#[test]
fn p1_p2_p9_segmentation_of_long_records_changes_nothing() {
    let size = 600_000;
    for known in [Some(size), None] {
        let whole = run_everything(known, size, Wire::default());
        for lengths in
            [vec![1, 4095, 4096, 4097], vec![3, 70_000, 263_188, 1], vec![65_535, 65_536, 65_564]]
        {
            assert_same(&whole, &run_everything(known, size, cuts(lengths)));
        }
    }
}

/// P10, byte for byte: what a client has not said to its end is stored by no server.
#[test]
fn p10_an_upload_fails_at_each_byte() {
    let scenario = Scenario::fast();
    let wire = scenario.upload(store(), b"tiny", Wire::default()).from_client;
    for cut in 0..wire.len() {
        let store = store();
        let played =
            replay(&mut scenario.server(&store), &wire[..cut], |_, request| match request {}, drop);
        assert!(store.is_empty(), "{cut}");
        // Between operations neither side waits for anything.
        let at_rest = played.end.is_ok();
        assert!(
            at_rest || matches!(played.end, Err(Error::Disconnected(_))),
            "{cut} {:?}",
            played.end
        );
        assert!(!at_rest || store.pending() == 0, "{cut}");
    }
}

/// P10, byte for byte: what a server has not said to its end is success for no client.
#[test]
fn p10_uploads_and_downloads_fail_for_the_client_at_each_byte() {
    let (scenario, full) = (Scenario::fast(), stored(b"tiny"));
    let upload = |wire| scenario.upload(store(), b"tiny", wire);
    let download = |wire| scenario.download(&full, wire);
    for transfer in [&upload as &dyn Fn(Wire) -> Outcome<ClientEvent>, &download] {
        for cut in 0..transfer(Wire::default()).from_server.len() {
            let outcome = transfer(Wire { to_client: Some(cut), ..Wire::default() });
            assert!(
                matches!(outcome.client, Err(Error::Disconnected(_))),
                "{cut} {:?}",
                outcome.client
            );
            assert!(!is_success(&outcome.client_events), "{cut}");
        }
    }
}

/// The server has stored the file, and its last frame is lost: no success for the client, who knows
/// enough to ask again.
#[test]
fn p10_a_lost_last_acknowledgement_is_no_success_for_the_client() {
    let scenario = Scenario::fast();
    let length = scenario.upload(store(), b"tiny", Wire::default()).from_server.len();
    let store = store();
    let outcome =
        scenario.upload(&store, b"tiny", Wire { to_client: Some(length - 1), ..Wire::default() });
    assert_eq!(outcome.client, Err(Error::Disconnected(Phase::Finish)));
    assert!(matches!(outcome.client_events.last(), Some(ClientEvent::Finishing { .. })));
    assert_eq!(store.len(), 1);
}

/// P7: machines that are dropped between any two calls leave a whole file or a pending upload, and
/// a server that continues.
#[test]
fn p7_a_server_that_is_dropped_at_any_byte_loses_nothing_and_leaves_nothing() {
    let scenario = Scenario::fast();
    let wire = scenario.upload(store(), b"tiny", Wire::default()).from_client;
    for cut in 0..=wire.len() {
        let store = store();
        let mut scripted = ScriptedPeer::new(scenario.server(&store), scenario.client.clone(), &[]);
        scripted.say_raw(&wire[..cut]);
        let is_stored =
            scripted.events.iter().any(|event| matches!(event, ServerEvent::Stored { .. }));
        let is_begun =
            scripted.events.iter().any(|event| matches!(event, ServerEvent::UploadStarted { .. }));
        drop(scripted);
        assert_eq!(
            (store.len(), store.pending()),
            (is_stored.into(), (is_begun && !is_stored).into()),
            "{cut}"
        );
        assert_eq!(scenario.upload(&store, b"another", Wire::default()).client, Ok(()), "{cut}");
    }
}

/// P7: after the end nothing that the caller does changes the answer.
#[test]
fn p7_the_end_is_for_ever_whatever_the_caller_does() {
    let mut client = Scenario::fast().client();
    let gone = Err(Error::Disconnected(Phase::KeyExchange));
    assert_eq!(replay(&mut client, b"", |_, _| (), drop).end, gone);
    client.start(Operation::Information);
    client.finish();
    client.supplied(0);
    client.consumed(0);
    client.abort(Error::Crypto);
    client.received(0);
    assert_eq!(client.poll(Time::ZERO).map(drop), gone);
    assert!(
        client.buffers().1.is_empty() && client.supply().is_empty() && client.data().is_empty()
    );
}

#[test]
fn misuse_is_an_error_and_not_a_panic() {
    let mistakes: [fn(&mut ClientSession); 4] = [
        |client| client.supplied(3),
        |client| client.consumed(3),
        |client| (0..2).for_each(|_| client.start(Operation::Information)),
        |client| {
            client.finish();
            client.start(Operation::Information);
        },
    ];
    for mistake in mistakes {
        let mut client = Scenario::fast().client();
        mistake(&mut client);
        assert!(matches!(replay(&mut client, b"", |_, _| (), drop).end, Err(Error::Misuse(_))));
    }
}

/// No server takes so large a file, and no arithmetic overflows for one.
#[test]
fn a_size_that_no_file_has_is_misuse() {
    for size in [u64::MAX, u64::MAX - 100, 1 << 63] {
        let upload = Upload { size: Some(size), ..upload(None) };
        let mut scripted = Scenario::fast().with_server_by_hand(Operation::Upload(upload), &[]);
        assert!(matches!(scripted.leave(), Err(Error::Misuse(_))), "{size}");
    }
}

/// A file with fewer bytes than its program declared is an error: the server is told, and nothing
/// is stored.
#[test]
fn a_source_that_ends_early_fails_the_upload() {
    let store = store();
    let outcome = Scenario::fast().run(
        &store,
        vec![Operation::Upload(upload(Some(10)))],
        b"short",
        Wire::default(),
    );
    assert!(matches!(outcome.client, Err(Error::Misuse(_))));
    assert_eq!(code(outcome.server), Some(ErrorCode::Storage));
    assert!(store.is_empty());
}

/// P5: a record's length is checked before anything is buffered for it, and nothing more is read
/// than it has.
#[test]
fn p5_a_length_out_of_bounds_is_refused_when_it_is_read() {
    let scenario = Scenario::fast();
    for (length, refused) in [(17, true), (18, false), (4092, false), (4093, true), (1 << 31, true)]
    {
        let prefix = u32::try_from(length).expect("it is short").to_be_bytes();
        let mut server = scenario.with_client_by_hand(store());
        server.say_raw(&prefix);
        let mut client = scenario.with_server_by_hand(Operation::Information, &[]);
        client.say_raw(&prefix);
        let expected = refused.then_some(Err(Error::RecordDoesNotOpen));
        assert_eq!(
            (server.end(), client.end()),
            (expected.as_ref(), expected.as_ref()),
            "{length}"
        );
        let room = server.machine.buffers().0.len();
        assert!(refused || (1..=length.max(4096)).contains(&room), "{room}");
    }
    // Long ones are parts of files.
    for (length, refused) in
        [(MAX_PLAINTEXT + 16, false), (MAX_PLAINTEXT + 17, true), (1 << 31, true)]
    {
        let mut server = scenario.with_client_by_hand(store());
        let _ = server.ask(&Request::Upload(new_upload()));
        server.say_raw(&u32::try_from(length).expect("it is short").to_be_bytes());
        assert_eq!(
            server.end(),
            refused.then_some(Err(Error::RecordDoesNotOpen)).as_ref(),
            "{length}"
        );
        let room = server.machine.buffers().0.len();
        assert!(refused || (1..=length).contains(&room), "{room}");
    }
}

/// P5: who never reads what it asked for fills no memory: the server takes no second request before
/// the first answer is out.
#[test]
fn p5_a_client_that_does_not_read_fills_no_memory() {
    let scenario = Scenario::fast();
    let mut scripted = scenario.with_client_by_hand(store());
    let requests: Vec<u8> =
        (0..10_000).flat_map(|_| scripted.sealed(&Request::Information.encode())).collect();
    let (server, mut rest) = (&mut scripted.machine, requests.as_slice());
    for _ in 0..1000 {
        let step = server.poll(Time::ZERO);
        let (room, output) = server.buffers();
        assert!(output.len() < 200 && room.len() <= 4096);
        let count = room.len().min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        if count > 0 {
            server.received(count);
        }
        assert!(
            matches!(step, Ok(Step::Receive | Step::Send | Step::Yield | Step::Event(_))),
            "{step:?}"
        );
    }
    assert!(rest.len() > requests.len() - 3 * 4096);
}

/// P12: the same seed gives the same bytes on the wire, and another one gives others.
#[test]
fn p12_the_same_seed_gives_the_same_bytes() {
    fn check(scenario: impl Fn() -> Scenario) {
        let run = |seed| {
            Scenario { seed, ..scenario() }.run(
                store(),
                everything(None),
                b"hello",
                Wire::default(),
            )
        };
        let (first, again, other) = (run(1), run(1), run(77));
        assert_same(&first, &again);
        assert!(first.from_client != other.from_client && first.from_server != other.from_server);
    }
    check(Scenario::fast);
    check(|| Scenario::with(&RustCrypto));
}

/// P13: a session over a store behaves as an engine whose requests the test answers.
#[test]
fn p13_a_session_is_an_engine_answered_by_hand() {
    for size in [0, 1000, 300_000] {
        // It asks again for each read, with another buffer: those that it drops are free again.
        let scenario = Scenario::fast().with_limits(|limits| limits.record_buffers = 2);
        let engine = ServerEngine::with_rng(&scenario.server, SeededRng(scenario.seed));
        let mut client = scenario.scripted(everything(Some(size)));
        let by_hand =
            run(&mut Answered::new(engine, store()), &mut client, &file(size), Wire::default());
        assert_same(&run_everything(Some(size), size, Wire::default()), &by_hand);
    }
}

/// P16: a connection costs the server two private operations of RSA and the client one, whatever
/// goes over it.
#[test]
fn p16_a_connection_costs_two_private_operations_at_the_server_and_one_at_the_client() {
    for operations in [
        vec![],
        everything(Some(300_000)),
        vec![Operation::Download(Download { cookie: unknown(), ..download() })],
    ] {
        let (at_server, at_client) = (Counting::new(InsecureCrypto), Counting::new(InsecureCrypto));
        let client = Scenario::with(&at_client).client;
        let scenario = Scenario { client, ..Scenario::with(&at_server) };
        assert_eq!(
            scenario.run(store(), operations, &file(300_000), Wire::default()).client,
            Ok(())
        );
        assert_eq!((at_server.opened(), at_server.signed()), (1, 1));
        assert_eq!((at_client.opened(), at_client.signed()), (1, 0));
        assert_eq!((at_server.sealed(), at_client.sealed()), (2, 2));
    }
}

/// The server's identity goes out together with its hello (§13.8): no round trip is lost.
#[test]
fn hello_and_identity_are_one_write() {
    let outcome = Scenario::fast().run(store(), vec![], &[], Wire::default());
    let limits = outcome.from_server.len() - 450 - 512;
    assert!(limits > 0);
    assert_eq!(outcome.writes, [450, 512, 450, 512 + limits]);
}

/// A cookie is worth something only when the file is acknowledged, and checkpoints come before what
/// they lead to.
#[test]
fn events_come_in_order() {
    let chain = ChainDigest::from_bytes([0; 32]);
    let outcome = Scenario::fast().upload(store(), b"tiny", Wire::default());
    let kinds =
        |events: &[ClientEvent]| events.iter().map(std::mem::discriminant).collect::<Vec<_>>();
    let expected = [
        ClientEvent::ServerKey(
            Scenario::fast().server.config().identity().public_key().fingerprint(),
        ),
        ClientEvent::Connected(fss_test_support::scripted_peer::LIMITS),
        ClientEvent::UploadStarted {
            cookie: cookie(),
            position: 0,
            offset: 0,
            expires: None,
            keep: None,
            downloads: None,
        },
        ClientEvent::Finishing { offset: 0, chain },
        ClientEvent::Uploaded { cookie: cookie(), stored: 0, chain },
    ];
    assert_eq!(kinds(&outcome.client_events), kinds(&expected));
    let owner = Scenario::fast().client.identity().public_key().fingerprint();
    assert_eq!(
        outcome.server_events[..2],
        [ServerEvent::ClientKey(owner), ServerEvent::ClientProved(owner)]
    );
}

/// A client that has only sent another's key has proved nothing, even with a hello (§13.9).
#[test]
fn a_client_is_proved_by_its_first_record_and_not_before() {
    let mut scripted = Scenario::fast().with_client_by_hand(store());
    assert!(matches!(scripted.events[..], [ServerEvent::ClientKey(_)]));
    let answer = scripted.ask(&Request::Information);
    assert!(matches!(
        Reply::parse(&answer, ReplyContext::Information),
        Ok(Reply::Information { .. })
    ));
    assert!(matches!(
        scripted.events[..],
        [ServerEvent::ClientKey(_), ServerEvent::ClientProved(_), ServerEvent::Requested { .. }]
    ));
}
