//! What a byte of a client may cost: storage is asked for no more than the bytes are worth, however they are cut, and
//! requests that move no file are answered at a pace.

use std::time::Duration;

use fss::wire::reply::{Awaited, Reply};
use fss::{Machine as _, Time};
use fss_test_support::watched::Watched;

use super::*;

fn data(length: usize) -> Vec<u8> {
    Request::Data(&vec![5; length]).encode()
}

fn uploading() -> (Hand<'static, ServerSession<Watched>>, Watched) {
    let store = Watched::new(store());
    let mut hand = Scenario::fast().with_client_by_hand(store.clone());
    let answer = hand.ask(&Request::Upload(new_upload()));
    assert!(matches!(Reply::parse(&answer, Awaited::Upload), Ok(Reply::Accepted { .. })));
    store.asked();
    (hand, store)
}

#[test]
fn after_a_short_part_of_an_upload_only_its_end_may_follow() {
    let (mut hand, store) = uploading();
    hand.say(&data(4096));
    hand.say(&data(4096));
    hand.say(&data(1));
    hand.say(&data(1));
    assert_eq!(hand.hear_refusal().code, Some(RefusalCode::Protocol));
    assert_eq!(hand.leave(), Err(Refusal::PartAfterShortPart.into()));
    assert_eq!(store.asked(), ["write"; 3], "storage is not asked for what is cut small");
    let (mut hand, store) = uploading();
    for length in [4096, 262_144, 1, 0] {
        hand.say(&data(length));
    }
    assert!(hand.hear().starts_with(b"R\0OK\0offset=266241\0chain="));
    assert_eq!(store.asked(), ["write", "write", "write", "commit"]);
}

/// A client that takes a little at a time gets records as long as any other.
#[test]
fn a_window_that_opens_little_by_little_costs_no_more_reads() {
    let content = file(12_000_000);
    let store = Watched::new(stored(&content));
    let mut hand = Scenario::fast().with_client_by_hand(store.clone());
    store.asked();
    let request = download_by_hand(&hand, 1, &cookie());
    hand.say(&request.encode());
    let (mut taken, mut heard, mut records) = (0, 0, 0);
    loop {
        while let Some(frame) = hand.hear_if_any() {
            if let Ok(Reply::Data(data)) = Reply::parse(&frame, Awaited::Other) {
                records += usize::from(!data.is_empty());
                heard += data.len() as u64;
            }
        }
        if taken == heard {
            break;
        }
        taken = heard.min(taken + 64 * 1024);
        hand.say(&Request::Taken { offset: taken }.encode());
    }
    assert!(heard > 12_000_000);
    assert_eq!(records, usize::try_from(heard.div_ceil(4 * fss::chain::PIECE)).expect("few"));
    assert_eq!(store.asked().iter().filter(|step| **step == "read").count(), records);
}

#[test]
fn acknowledgements_that_tell_next_to_nothing_are_refused() {
    for offset in [0, 1, 65_535] {
        let mut hand = Scenario::fast().with_client_by_hand(stored(&file(9_000_000)));
        let request = download_by_hand(&hand, 1, &cookie());
        hand.say(&request.encode());
        hand.hear_raw();
        hand.say(&Request::Taken { offset }.encode());
        assert!(matches!(hand.leave(), Err(Error::UnexpectedFrame { .. })), "{offset}");
    }
}

/// Asks again and again; gives how long it took.
fn asks(times: usize, request: impl Fn(&Hand<'_, ServerSession<Watched>>) -> Request<'static>) -> Duration {
    let store = Watched::new(stored(b"x"));
    let mut hand = Scenario::fast().with_client_by_hand(store.clone());
    for _ in 0..times {
        let request = request(&hand);
        hand.ask(&request);
        hand.hear_raw();
    }
    hand.now().saturating_since(Time::ZERO)
}

#[test]
fn requests_that_move_no_file_are_answered_at_a_pace() {
    for (name, request) in [
        ("I", &(|_: &Hand<'_, _>| Request::Information) as &dyn Fn(&Hand<'_, ServerSession<Watched>>) -> Request<'static>),
        ("L", &|_| Request::List { after: Some(unknown()) }),
        ("D", &|_| Request::Challenge { cookie: cookie() }),
        ("X", &|_| Request::Delete { cookie: unknown(), proof: None }),
        ("D proof", &|hand| download_by_hand(hand, 9, &cookie())),
        ("N", &|_| Request::SignUp { name: UserName::parse(b"anna").expect("a name"), invite: None }),
    ] {
        assert_eq!(asks(256, request), Duration::ZERO, "{name}: some at once");
        let time = asks(256 + 1280, request);
        assert!((9..=10).contains(&time.as_secs()), "{name}: {time:?}");
    }
}

/// Files pay for themselves: small ones are not slowed down.
#[test]
fn operations_that_move_files_are_not_slowed_down() {
    let store = store();
    let mut hand = Scenario::fast().with_client_by_hand(store.clone());
    for _ in 0..1000 {
        hand.ask(&Request::Upload(new_upload()));
        hand.say(&data(1));
        assert!(hand.ask(&Request::Data(b"")).starts_with(b"R\0OK\0offset=1\0chain="));
    }
    assert_eq!(hand.now(), Time::ZERO);
    assert!(hand.machine.deadline().is_some());
}
