//! What holds for every exchange between our own client and server.

use fss::client::legacy::LegacyEvent;
use fss::crypto::rustcrypto::RustCrypto;
use fss::server::{ServerEngine, ServerEvent};
use fss::{Error, Machine as _, MemoryStore, Phase, Step};
use fss_test_support::counting::Counting;
use fss_test_support::engine::Answered;
use fss_test_support::insecure_crypto::InsecureCrypto;
use fss_test_support::replay::replay;
use fss_test_support::sim_net::{Wire, run};
use fss_test_support::{keys, rng::SeededRng};
use proptest::prelude::*;
use std::sync::Arc;

use super::{SIZES, Scenario, cookie, file, password, store};

fn cuts(lengths: Vec<usize>) -> Wire {
    let mut lengths = lengths.into_iter().cycle();
    Wire {
        cut: Box::new(move || lengths.next().unwrap_or(1)),
        needless_polls: true,
        ..Wire::default()
    }
}

fn uploaded(size: usize) -> MemoryStore {
    let store = store();
    let outcome = Scenario::fast().upload(&store, &file(size), Wire::default());
    assert_eq!((outcome.client, outcome.server), (Ok(()), Ok(())));
    store
}

/// P6: what one side reports sent, the other reports received.
#[test]
fn p6_every_size_arrives_whole_both_ways() {
    for size in SIZES {
        let (store, scenario) = (store(), Scenario::fast());
        let up = scenario.upload(&store, &file(size), Wire::default());
        let stored = size.next_multiple_of(16) as u64;
        assert_eq!((&up.client, &up.server), (&Ok(()), &Ok(())), "{size}");
        assert_eq!(
            up.client_events.last(),
            Some(&LegacyEvent::Uploaded { cookie: cookie(), size: size as u64 })
        );
        let own = fss::Cookie::from_index(1);
        assert_eq!(
            up.server_events.last(),
            Some(&ServerEvent::Stored { cookie: own.clone(), bytes: stored, received: stored })
        );
        for known in [Some(size as u64), None] {
            let down = scenario.download(&store, known, Wire::default());
            assert_eq!((&down.client, &down.server), (&Ok(()), &Ok(())), "{size}");
            // Without the size, bytes of the file that look like padding are taken for it: here
            // none do.
            assert_eq!(down.file, file(size), "{size}");
            assert_eq!(
                down.client_events.last(),
                Some(&LegacyEvent::Downloaded { size: size as u64, guessed: known.is_none() })
            );
            assert_eq!(
                down.server_events.last(),
                Some(&ServerEvent::Delivered { cookie: own.clone(), bytes: stored, sent: stored })
            );
        }
    }
}

/// One message is one write of at most 4096 bytes, for 2019 peers take one read for one message.
#[test]
fn each_message_is_offered_whole() {
    for size in [0, 1024, 5000] {
        let up = Scenario::fast().upload(store(), &file(size), Wire::default());
        let down = Scenario::fast().download(uploaded(size), Some(size as u64), Wire::default());
        for length in up.writes.iter().chain(&down.writes) {
            assert!(*length == 450 || (length % 256 == 0 && *length <= 4096), "{length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// P1, P2, P9: however reads and writes are cut, and however often a machine is polled, the
    /// same happens.
    #[test]
    fn p1_p2_p9_segmentation_changes_nothing(size in 0_usize..5000, lengths in prop::collection::vec(1_usize..700, 1..20)) {
        let scenario = Scenario::fast();
        let (whole_store, cut_store) = (store(), store());
        let whole = scenario.upload(&whole_store, &file(size), Wire::default());
        let cut = scenario.upload(&cut_store, &file(size), cuts(lengths.clone()));
        prop_assert_eq!((whole.client, whole.server, whole.server_events, whole.client_events), (cut.client, cut.server, cut.server_events, cut.client_events));
        prop_assert_eq!((whole.from_client, whole.from_server), (cut.from_client, cut.from_server));
        let whole = scenario.download(&whole_store, Some(size as u64), Wire::default());
        let cut = scenario.download(&cut_store, Some(size as u64), cuts(lengths));
        prop_assert_eq!((whole.client, whole.server, whole.server_events, whole.client_events), (cut.client, cut.server, cut.server_events, cut.client_events));
        prop_assert_eq!((whole.from_client, whole.from_server, whole.file), (cut.from_client, cut.from_server, cut.file));
    }

    /// P10: a transfer that is cut off anywhere is an error, never success, and leaves nothing in
    /// the store.
    #[test]
    fn p10_every_prefix_of_an_upload_fails(size in 0_usize..3000, at in any::<prop::sample::Index>()) {
        let scenario = Scenario::fast();
        let length = scenario.upload(store(), &file(size), Wire::default()).from_client.len();
        let cut_at = at.index(length);
        let store = store();
        let wire = Wire { to_server: Some(cut_at), ..Wire::default() };
        let outcome = scenario.upload(&store, &file(size), wire);
        prop_assert!(matches!(outcome.server, Err(Error::Disconnected(_))), "{:?}", outcome.server);
        prop_assert!(outcome.client.is_err());
        prop_assert!(store.is_empty());
    }

    /// P10 for downloads: a truncated answer is an error for the client, whatever it has returned
    /// before.
    #[test]
    fn p10_every_prefix_of_a_download_fails(size in 0_usize..3000, at in any::<prop::sample::Index>()) {
        let store = uploaded(size);
        let scenario = Scenario::fast();
        let length = scenario.download(&store, Some(size as u64), Wire::default()).from_server.len();
        let wire = Wire { to_client: Some(at.index(length)), ..Wire::default() };
        let outcome = scenario.download(&store, Some(size as u64), wire);
        prop_assert!(outcome.client.is_err());
        let claimed = outcome.client_events.iter().any(|event| matches!(event, LegacyEvent::Downloaded { .. }));
        prop_assert!(!claimed);
    }
}

/// Where a file is kept until it is downloaded, only the acknowledgement of its end removes it.
#[test]
fn a_broken_download_does_not_remove_the_file() {
    let scenario = Scenario::fast();
    let kept = || MemoryStore::with(fss::SequentialCookies, fss::store::Retention::UntilDownloaded);
    let store = kept();
    scenario.upload(&store, &file(2000), Wire::default());
    let length = scenario.download(uploaded(2000), Some(2000), Wire::default()).from_client.len();
    for cut in [460, 1000, length - 600, length - 512, length - 256, length - 1] {
        let outcome =
            scenario.download(&store, Some(2000), Wire { to_server: Some(cut), ..Wire::default() });
        assert!(outcome.server.is_err(), "{cut}");
        assert_eq!(store.len(), 1, "{cut}");
    }
    assert_eq!(scenario.download(&store, Some(2000), Wire::default()).client, Ok(()));
    assert!(store.is_empty());
}

/// P10 at the borders of messages: everything but the whole exchange fails, byte for byte.
#[test]
fn p10_an_upload_fails_at_each_byte_around_its_messages() {
    let scenario = Scenario::fast();
    let whole = scenario.upload(store(), &file(20), Wire::default()).from_client;
    for cut in
        (0..whole.len()).filter(|cut| (cut + 256 - 450 % 256) % 256 < 2 || cut + 2 > whole.len())
    {
        let store = store();
        let outcome =
            scenario.upload(&store, &file(20), Wire { to_server: Some(cut), ..Wire::default() });
        assert!(outcome.server.is_err() && store.is_empty(), "{cut}");
    }
}

/// The server has stored the file, and its last word is lost: the client must not claim success,
/// the file is there.
#[test]
fn a_lost_last_acknowledgement_is_no_success_for_the_client() {
    let scenario = Scenario::fast();
    let length = scenario.upload(store(), &file(20), Wire::default()).from_server.len();
    let store = store();
    let outcome = scenario.upload(
        &store,
        &file(20),
        Wire { to_client: Some(length - 512), ..Wire::default() },
    );
    assert_eq!(outcome.client, Err(Error::Disconnected(Phase::Finish)));
    assert_eq!(outcome.server, Ok(()));
    assert_eq!(store.len(), 1);
}

/// P12: with `rustcrypto` the same seed gives the same bytes on the wire.
#[test]
fn p12_the_same_seed_gives_the_same_bytes() {
    let scenario = Scenario::with(&RustCrypto);
    let (first, second) = (
        scenario.upload(store(), b"hello", Wire::default()),
        scenario.upload(store(), b"hello", Wire::default()),
    );
    assert_eq!(first, second);
    let other = Scenario { seed: 77, ..scenario }.upload(store(), b"hello", Wire::default());
    assert_ne!(first.from_client, other.from_client);
}

/// P13: a session over a store behaves as an engine whose requests the test answers.
#[test]
fn p13_a_session_is_an_engine_answered_by_hand() {
    let scenario = Scenario::fast();
    for size in [0, 1000, 2500] {
        let (by_session, by_hand) = (store(), store());
        let expected = scenario.upload(&by_session, &file(size), Wire::default());
        let client =
            fss::client::legacy::LegacySession::upload(scenario.client.clone(), &password());
        let mut client = client.with_random_numbers(SeededRng(scenario.seed + 1));
        let engine = ServerEngine::with_rng(&scenario.server, SeededRng(scenario.seed));
        let mut engine = Answered::new(engine, by_hand.clone());
        assert_eq!(run(&mut engine, &mut client, &file(size), Wire::default()), expected);

        let expected = scenario.download(&by_session, None, Wire::default());
        let client = fss::client::legacy::LegacySession::download(
            scenario.client.clone(),
            &cookie(),
            &password(),
            None,
        );
        let mut client = client.with_random_numbers(SeededRng(scenario.seed + 1));
        let engine = ServerEngine::with_rng(&scenario.server, SeededRng(scenario.seed));
        let mut engine = Answered::new(engine, by_hand);
        assert_eq!(run(&mut engine, &mut client, &[], Wire::default()), expected);
    }
}

/// P16: the RSA operations of a transfer are exactly those of the cost model.
#[test]
fn p16_private_operations_are_exactly_those_of_the_cost_model() {
    for chunks in [0_u64, 1, 2, 10] {
        let (at_server, at_client) = (Counting::new(InsecureCrypto), Counting::new(InsecureCrypto));
        let mut scenario = Scenario::with(&at_server);
        scenario.client = Scenario::with(&at_client).client;
        let size = usize::try_from(chunks).expect("small") * 1024;
        let store = store();
        scenario.upload(&store, &file(size), Wire::default());
        // A chunk is 8 blocks and its acknowledgement 2; request, cookie, end and its
        // acknowledgement are 2 each.
        assert_eq!((at_server.opened(), at_client.sealed()), (8 * chunks + 4, 8 * chunks + 4));
        assert_eq!((at_client.opened(), at_server.sealed()), (2 * chunks + 4, 2 * chunks + 4));
        scenario.download(&store, None, Wire::default());
        assert_eq!(at_client.opened(), (2 * chunks + 4) + (8 * chunks + 4));
        assert_eq!(at_server.opened(), (8 * chunks + 4) + (2 * chunks + 4));
    }
}

/// One poll does at most one private operation, even when many blocks have come.
#[test]
fn a_poll_does_one_private_operation() {
    let counting = Counting::new(InsecureCrypto);
    let scenario = Scenario::with(&counting);
    let recorded = scenario.upload(store(), &file(3000), Wire::default()).from_client;
    let mut server = fss::ServerSession::with_state(store(), &scenario.server);
    let (mut rest, mut yields, mut before) = (recorded.as_slice(), 0, counting.opened());
    for tick in 0..1000_u64 {
        let step = server.poll(fss::Time::ZERO + std::time::Duration::from_millis(tick));
        assert!(counting.opened() <= before + 1);
        before = counting.opened();
        match step {
            Ok(Step::Close) => break,
            Ok(Step::Yield) => yields += 1,
            Ok(Step::Send) => {
                let count = server.buffers().1.len();
                server.sent(count);
            }
            Ok(Step::Receive) => {
                let room = server.buffers().0;
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                server.received(count);
            }
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(yields > 10);
}

/// A key may be followed by white space, and the first block may begin with bytes that look like
/// it.
#[test]
fn white_space_after_a_key_is_told_from_ciphertext() {
    // Blocks of the provider without security begin with 0, so white space is never ambiguous with
    // them; with real keys each seed gives other first bytes, and some of them are white space.
    let provider = RustCrypto;
    let scenario = Scenario::with(&provider);
    let key = fss::wire::key_exchange::write(scenario.client.identity().public_key().as_bytes());
    let sealing = fss::crypto::CryptoProvider::load_public_key(
        &provider,
        keys::transport(&provider).public_key(),
    )
    .expect("valid");
    let mut white_starts = 0;
    for seed in 0..120 {
        let mut request = Vec::new();
        let mut rng = fss_test_support::rng::SeededRng(seed);
        fss::wire::rsa_message::seal_message(
            &*sealing,
            b"D\x001\0secret\0",
            &mut rng,
            &mut request,
        )
        .expect("short");
        let white = request[0].is_ascii_whitespace() || request[0] == 0x0b;
        white_starts += usize::from(white);
        if !white && seed > 4 {
            continue;
        }
        for space in ["", "\n", "\r\n", "\n \t\n"] {
            if white && space.len() > 2 {
                continue;
            }
            let wire = [key.as_slice(), space.as_bytes(), &request].concat();
            // Each as a server of its own, for so many wrong passwords would be slowed down.
            let config = scenario.server.clone().with_throttle(Arc::default());
            let mut server = fss::ServerSession::with_state(store(), &config);
            assert_eq!(
                replay(&mut server, &wire, |_, request| match request {}, drop).end,
                Err(Error::Refused(fss::Refusal::UnknownCookie)),
                "{seed} {space:?} {:?}",
                &request[..4]
            );
        }
    }
    assert!(white_starts > 0, "no seed gave an ambiguous block");
}

/// The cookie of an upload reaches the client before the file, but only the acknowledged end makes
/// it worth something.
#[test]
fn events_come_in_order() {
    let outcome = Scenario::fast().upload(store(), b"x", Wire::default());
    let kinds: Vec<&str> = outcome
        .client_events
        .iter()
        .map(|event| match event {
            LegacyEvent::UploadStarted { .. } => "started",
            LegacyEvent::Uploaded { .. } => "uploaded",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["started", "uploaded"]);
    assert!(matches!(&outcome.server_events[0], ServerEvent::ClientKey(_)));
}
