//! What a byte of a client may cost: storage is asked for no more than the bytes are worth, however
//! they are cut, and requests that move no file are answered at a pace.

use std::time::Duration;

use fss::wire::frame::Frame;
use fss::wire::record::PREFIX;
use fss::wire::reply::{Reply, ReplyContext};
use fss::{Machine as _, Time};
use fss_test_support::fault_store::FaultStore;

use super::*;

fn data(length: usize) -> Vec<u8> {
    Request::Data(&vec![5; length]).encode()
}

fn uploading() -> (ScriptedPeer<'static, ServerSession<FaultStore>>, FaultStore) {
    let store = FaultStore::new(store());
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    let answer = scripted.ask(&Request::Upload(new_upload()));
    assert!(matches!(Reply::parse(&answer, ReplyContext::Upload), Ok(Reply::Accepted { .. })));
    store.asked();
    (scripted, store)
}

#[test]
fn after_a_short_part_of_an_upload_only_its_end_may_follow() {
    let (mut scripted, store) = uploading();
    scripted.say(&data(4096));
    scripted.say(&data(4096));
    scripted.say(&data(1));
    scripted.say(&data(1));
    assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::Protocol));
    assert_eq!(scripted.leave(), Err(Refusal::PartAfterShortPart.into()));
    assert_eq!(store.asked(), ["write"; 3], "storage is not asked for what is cut small");
    let (mut scripted, store) = uploading();
    for length in [4096, 262_144, 1, 0] {
        scripted.say(&data(length));
    }
    assert!(scripted.hear().starts_with(b"R\0OK\0offset=266241\0chain="));
    assert_eq!(store.asked(), ["write", "write", "write", "commit"]);
}

/// A client that takes a little at a time gets records as long as any other.
#[test]
fn a_window_that_opens_little_by_little_costs_no_more_reads() {
    let content = file(12_000_000);
    let store = FaultStore::new(stored(&content));
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    store.asked();
    let request = download_by_hand(&scripted, 1, &cookie());
    scripted.say(&request.encode());
    let (mut taken, mut heard, mut records) = (0, 0, 0);
    loop {
        while let Some(frame) = scripted.hear_if_any() {
            if let Ok(Reply::Data(data)) = Reply::parse(&frame, ReplyContext::Other) {
                records += usize::from(!data.is_empty());
                heard += data.len() as u64;
            }
        }
        if taken == heard {
            break;
        }
        taken = heard.min(taken + 64 * 1024);
        scripted.say(&Request::Taken { offset: taken }.encode());
    }
    assert!(heard > 12_000_000);
    assert_eq!(
        records,
        usize::try_from(heard.div_ceil(4 * fss::chain::SEALED_CHUNK_LEN)).expect("few")
    );
    assert_eq!(store.asked().iter().filter(|step| **step == "read").count(), records);
}

/// Nothing is allocated for a part of a download, and its bytes are copied nowhere: the store reads
/// them into the buffer that is sent, and the next part goes into the same one.
#[test]
fn a_store_reads_into_the_buffer_that_is_sent() {
    let store = FaultStore::new(stored(&file(3_000_000)));
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    scripted.written_from.clear();
    let request = download_by_hand(&scripted, 1, &cookie());
    scripted.say(&request.encode());
    let (read_into, written_from) = (store.read_into(), &scripted.written_from);
    assert_eq!(read_into.len(), 12);
    let before_data = PREFIX + Frame::DATA_PREFIX.len();
    let sent: Vec<_> = read_into.iter().map(|address| address - before_data).collect();
    let records: Vec<_> =
        written_from.iter().copied().filter(|address| sent.contains(address)).collect();
    assert_eq!(records, sent, "each record is written from where it was read");
    assert!(sent.iter().all(|address| *address == sent[0]), "one buffer is enough for all");
}

#[test]
fn acknowledgements_that_tell_next_to_nothing_are_refused() {
    for offset in [0, 1, 65_535] {
        let mut scripted = Scenario::fast().with_client_by_hand(stored(&file(9_000_000)));
        let request = download_by_hand(&scripted, 1, &cookie());
        scripted.say(&request.encode());
        scripted.hear_raw();
        scripted.say(&Request::Taken { offset }.encode());
        assert!(matches!(scripted.leave(), Err(Error::Misbehaved(_))), "{offset}");
    }
}

/// Asks again and again; gives how long it took.
fn asks(
    times: usize,
    request: impl Fn(&ScriptedPeer<'_, ServerSession<FaultStore>>) -> Request<'static>,
) -> Duration {
    let store = FaultStore::new(stored(b"x"));
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    for _ in 0..times {
        let request = request(&scripted);
        scripted.ask(&request);
        scripted.hear_raw();
    }
    scripted.now().saturating_since(Time::ZERO)
}

#[test]
fn requests_that_move_no_file_are_answered_at_a_pace() {
    for (name, request) in [
        (
            "I",
            &(|_: &ScriptedPeer<'_, _>| Request::Information)
                as &dyn Fn(&ScriptedPeer<'_, ServerSession<FaultStore>>) -> Request<'static>,
        ),
        ("L", &|_| Request::List { after: Some(unknown()) }),
        ("D", &|_| Request::Challenge { cookie: cookie() }),
        ("X", &|_| Request::Delete { cookie: unknown(), proof: None }),
        ("D proof", &|scripted| download_by_hand(scripted, 9, &cookie())),
        ("N", &|_| Request::SignUp {
            name: UserName::parse(b"anna").expect("a name"),
            invite: None,
        }),
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
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    for _ in 0..1000 {
        scripted.ask(&Request::Upload(new_upload()));
        scripted.say(&data(1));
        assert!(scripted.ask(&Request::Data(b"")).starts_with(b"R\0OK\0offset=1\0chain="));
    }
    assert_eq!(scripted.now(), Time::ZERO);
    assert!(scripted.machine.deadline().is_some());
}
