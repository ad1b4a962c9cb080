//! What programs on the library may forget, and what becomes of it.

use std::time::Duration;

use fss::server::ServerEngine;
use fss::{Limits, Machine, Step, Time};
use fss_test_support::fault_store::FaultStore;

use super::*;

/// The caller looks at no event, and has not asked for refusals as events.
#[test]
fn a_refusal_is_an_error_to_who_looks_at_no_event() {
    let scenario = Scenario::fast();
    for operation in [
        Operation::Challenge { cookie: unknown() },
        Operation::Download(Download { cookie: unknown(), ..download() }),
        Operation::Delete { cookie: unknown(), verifier: None },
        Operation::List { after: Some(unknown()) },
    ] {
        let is_challenge = matches!(operation, Operation::Challenge { .. });
        let client = ClientSession::new(scenario.client.clone()).with_random_numbers(SeededRng(2));
        let mut client = Scripted { client, operations: VecDeque::from([operation]) };
        let outcome = run(&mut scenario.server(store()), &mut client, b"", Wire::default());
        assert_eq!(
            outcome.server,
            Ok(()),
            "that a client gives up is none of the server's trouble"
        );
        if is_challenge {
            assert_eq!(outcome.client, Ok(()), "a decoy is no refusal");
        } else {
            assert_eq!(code(outcome.client), Some(ErrorCode::Refused));
        }
    }
}

/// An engine that has been asked for something, and needs storage for it.
fn needing() -> ServerEngine {
    let scenario = Scenario::fast();
    // The same random numbers make the same bytes.
    let recorded = scenario
        .run(store(), vec![Operation::List { after: None }], b"", Wire::default())
        .from_client;
    let (mut engine, mut rest) =
        (ServerEngine::with_rng(&scenario.server, SeededRng(scenario.seed)), &recorded[..]);
    loop {
        match engine.poll(Time::ZERO).expect("it goes well") {
            Step::Request(_) => return engine,
            Step::Send => {
                let count = engine.buffers().1.len();
                engine.sent(count);
            }
            Step::Receive => {
                let room = engine.buffers().0;
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                engine.received(count);
            }
            _ => {}
        }
    }
}

/// Polls without answering, as a driver does that ignores `Step::Request`; gives how that ends, if
/// it does.
fn ignores(engine: &mut ServerEngine, between: Duration) -> Option<Error> {
    let mut now = Time::ZERO;
    for _ in 0..100_000 {
        match engine.poll(now) {
            Ok(Step::Send) => {
                let count = engine.buffers().1.len();
                engine.sent(count);
            }
            Ok(Step::Receive) => engine.received(0),
            Ok(_) => {}
            Err(error) => return Some(error),
        }
        now = now + between;
    }
    None
}

#[test]
fn a_request_that_nobody_answers_does_not_spin_for_ever() {
    let misused = ignores(&mut needing(), Duration::ZERO);
    assert!(matches!(misused, Some(Error::Misuse(_))), "{misused:?}");
}

#[test]
fn storage_that_takes_its_time_may_be_asked_for_again_and_again() {
    assert_eq!(ignores(&mut needing(), Duration::from_millis(1)), None);
}

#[test]
fn a_store_that_keeps_what_is_written_stalls_no_upload() {
    let mut limits = Limits::default();
    limits.record_buffers = 4;
    let fast = Scenario::fast();
    let scenario = Scenario { server: fast.server.clone().with_limits(limits), ..fast };
    let store = FaultStore::keeping(store());
    for _ in 0..16 {
        let outcome = scenario.upload(store.clone(), &file(600_000), Wire::default());
        assert_eq!((outcome.client, outcome.server), (Ok(()), Ok(())));
    }
}
