//! Clients that break the rules: a declared refusal, nothing stored that was not sent whole,
//! nothing lost that was there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use fss::chain::SEALED_CHUNK_LEN;
use fss::sealed::MAX_SEALED_CHUNK;
use fss::server::ServerEvent;
use fss::wire::record::MAX_PLAINTEXT;
use fss::wire::reply::{Reply, ReplyContext};
use fss::{Limits, Machine as _, Step, Time};

use super::*;

type Server = ScriptedPeer<'static, ServerSession<MemoryStore>>;

fn limited(change: impl FnOnce(&mut Limits)) -> Scenario {
    Scenario::fast().with_limits(change)
}

fn connected() -> (Server, MemoryStore) {
    let store = store();
    (Scenario::fast().with_client_by_hand(store.clone()), store)
}

/// An upload that has begun.
fn uploading(scenario: &Scenario, size: Option<u64>) -> (Server, MemoryStore) {
    let store = store();
    let mut scripted = scenario.with_client_by_hand(store.clone());
    let answer = scripted.ask(&Request::Upload(new_upload().with_size(size)));
    assert!(matches!(
        Reply::parse(&answer, ReplyContext::Upload),
        Ok(Reply::Accepted { offset: 0, chain: None, .. })
    ));
    (scripted, store)
}

fn data(length: usize) -> Vec<u8> {
    Request::Data(&vec![5; length]).encode()
}

/// The server sends an error, ends the connection, and publishes nothing; it could be resumed.
fn assert_refused((mut scripted, store): (Server, MemoryStore), code: ErrorCode, why: Refusal) {
    assert_eq!(scripted.hear_refusal().code, Some(code));
    assert_eq!(scripted.leave(), Err(why.into()));
    assert_eq!((store.len(), store.pending()), (0, 1));
}

#[test]
fn who_sends_more_than_the_window_breaks_the_protocol() {
    let scenario = limited(|limits| limits.upload_window = 0);
    let (mut scripted, store) = uploading(&scenario, None);
    scripted.say(&data(4 * MAX_SEALED_CHUNK));
    assert!(
        matches!(Reply::parse(&scripted.hear(), ReplyContext::Upload), Ok(Reply::Received { .. })),
        "4 pieces are always within"
    );
    scripted.say(&data(MAX_PLAINTEXT - 2));
    assert_refused((scripted, store), ErrorCode::Protocol, Refusal::BeyondWindow);
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Long records are bounded over all connections: one more waits, without reading, until a buffer
/// is given back.
#[test]
fn a_record_waits_while_all_buffers_are_lent() {
    let scenario = limited(|limits| limits.record_buffers = 2);
    let mut hands = [(); 3].map(|()| uploading(&scenario, None).0);
    let [mut first, mut second, third] =
        hands.each_mut().map(|scripted| scripted.sealed(&data(200_000)));
    let rest = [first.split_off(5000), second.split_off(5000)];
    hands[0].say_raw(&first);
    hands[1].say_raw(&second);
    let woken = Arc::new(Woken::default());
    let server = &mut hands[2].machine;
    server.set_waker(Arc::clone(&woken).into());
    let room = server.buffers().0;
    let count = room.len();
    room.copy_from_slice(&third[..count]);
    server.received(count);
    for _ in 0..3 {
        assert_eq!(
            server.poll(Time::ZERO),
            Ok(Step::Sleep(Duration::from_secs(1))),
            "who is woken need not look often"
        );
    }
    assert!(server.buffers().0.is_empty(), "there is no room to read into");
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    hands[0].say_raw(&rest[0]);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1, "a buffer is there");
    hands[2].say_raw(&third[count..]);
    hands[1].say_raw(&rest[1]);
    for scripted in &mut hands {
        assert!(scripted.ask(&Request::Data(b"")).starts_with(b"R\0OK\0offset=200000\0chain="));
    }
}

#[test]
fn an_upload_must_end_where_it_said() {
    for (size, parts) in
        [(10, vec![11]), (10, vec![10, 1]), (10, vec![9, 0]), (10, vec![0]), (0, vec![1])]
    {
        let (mut scripted, store) = uploading(&Scenario::fast(), Some(size));
        for length in parts {
            scripted.say(&data(length));
        }
        assert_refused((scripted, store), ErrorCode::BadRequest, Refusal::OtherSize);
    }
}

#[test]
fn an_upload_of_no_size_must_not_outgrow_the_largest_file() {
    let (mut scripted, store) = uploading(&limited(|limits| limits.largest_file = 1000), None);
    scripted.say(&data(1000));
    assert_eq!(scripted.end(), None);
    scripted.say(&data(1));
    assert_refused((scripted, store), ErrorCode::TooLarge, Refusal::FileTooLarge { limit: 1000 });
}

/// The server does not look into the bytes (§17.4): what is no sealed file is stored, and no client
/// of ours takes it.
#[test]
fn an_upload_of_nothing_is_stored_and_given_back_as_such() {
    let (mut scripted, store) = uploading(&Scenario::fast(), None);
    scripted.say(&data(0));
    assert!(matches!(
        Reply::parse(&scripted.hear(), ReplyContext::Upload),
        Ok(Reply::Received { offset: 0, chain: Some(_) })
    ));
    let approval = scripted.ask(&download_by_hand(&scripted, 1, &cookie()));
    assert!(matches!(
        Reply::parse(&approval, ReplyContext::Other),
        Ok(Reply::Approved { size: 0, .. })
    ));
    assert_eq!(scripted.hear(), b"F\0");
    scripted.say(&Request::Taken { offset: 0 }.encode());
    assert!(matches!(scripted.events.last(), Some(ServerEvent::Delivered { bytes: 0, .. })));
    let outcome = Scenario::fast().download(&store, Wire::default());
    assert_eq!(outcome.client, Err(fss::Integrity::Chain.into()));
}

#[test]
fn data_behind_the_end_of_a_file_breaks_the_protocol_and_the_file_stays() {
    let (mut scripted, store) = uploading(&Scenario::fast(), None);
    let all = [data(10), data(0), data(1)].map(|frame| scripted.sealed(&frame)).concat();
    scripted.say_raw(&all);
    assert!(matches!(
        Reply::parse(&scripted.hear(), ReplyContext::Upload),
        Ok(Reply::Received { offset: 10, chain: Some(_) })
    ));
    assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::Protocol));
    assert_eq!((store.len(), sealed_bytes(&store)), (1, vec![5; 10]));
}

/// An acknowledgement at the latest when an eighth of the window has come (§17.8), and never one
/// that goes back.
#[test]
fn a_client_with_data_never_waits() {
    let (mut scripted, _) = uploading(&Scenario::fast(), None);
    let (mut sent, mut acknowledged) = (0, 0);
    for length in [5000, 300_000 - 1, 4097, 200_000, 263_000, 263_000].into_iter().cycle().take(60)
    {
        length_in_parts(length).for_each(|part| scripted.say(&data(part)));
        sent += length as u64;
        while let Some(frame) = scripted.hear_if_any() {
            let Ok(Reply::Received { offset, chain: None }) =
                Reply::parse(&frame, ReplyContext::Upload)
            else {
                panic!("{}", frame.escape_ascii())
            };
            assert!((acknowledged + 1..=sent).contains(&offset));
            acknowledged = offset;
        }
        assert!(sent - acknowledged < 1 << 20, "{sent} {acknowledged}");
    }
    assert!(acknowledged > 8 << 20);
}

fn length_in_parts(length: usize) -> impl Iterator<Item = usize> {
    let most = MAX_PLAINTEXT - 2;
    std::iter::repeat_n(most, length / most).chain([length % most])
}

#[test]
fn an_upload_that_is_left_is_pending_and_not_to_be_seen() {
    for farewell in [
        None,
        Some(Request::Refusal(fss::wire::error_frame::ErrorFrame::new(ErrorCode::Storage, None))),
    ] {
        let (mut scripted, store) = uploading(&Scenario::fast(), Some(100));
        scripted.say(&data(50));
        if let Some(frame) = farewell {
            scripted.say(&frame.encode());
        }
        assert!(scripted.leave().is_err());
        assert_eq!(scripted.hear_raw(), b"", "whoever goes is told nothing");
        assert_eq!((store.len(), store.pending()), (0, 1));
        let mut scripted = Scenario::fast().with_client_by_hand(store);
        assert_eq!(scripted.ask(&Request::List { after: None }), b"R\0END\0");
        scripted.say(&download_by_hand(&scripted, 1, &cookie()).encode());
        assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::Refused));
    }
}

/// A file that is longer than the window of a download, and so much of it as was sent.
fn downloading() -> (Server, u64) {
    let (mut scripted, store) = connected();
    put(&store, vec![5; 20 << 20]);
    let approval = scripted.ask(&download_by_hand(&scripted, 1, &cookie()));
    assert!(matches!(Reply::parse(&approval, ReplyContext::Other), Ok(Reply::Approved { .. })));
    let sent = bytes_of_file(&mut scripted);
    (scripted, sent)
}

fn bytes_of_file(scripted: &mut Server) -> u64 {
    std::iter::from_fn(|| scripted.hear_if_any()).map(|frame| frame.len() as u64 - 2).sum()
}

/// §18.7: 8 MiB beyond what is acknowledged, in whole records.
#[test]
fn a_server_sends_no_more_than_the_window_of_a_download() {
    let (mut scripted, mut sent) = downloading();
    let mut taken = 0;
    while sent < 20 << 20 {
        let ahead = sent - taken;
        assert!(ahead <= 8 << 20 && ahead + 4 * SEALED_CHUNK_LEN > 8 << 20, "{ahead}");
        taken += 3_000_000;
        scripted.say(&Request::Taken { offset: taken }.encode());
        sent += bytes_of_file(&mut scripted);
    }
    assert_eq!(sent, 20 << 20);
    scripted.say(&Request::Taken { offset: sent }.encode());
    assert!(matches!(scripted.events.last(), Some(ServerEvent::Delivered { .. })));
}

#[test]
fn acknowledgements_of_what_was_not_sent_or_that_go_back_break_the_protocol() {
    for offsets in [
        |sent| vec![sent + 1],
        |_| vec![20 << 20],
        |_| vec![(20 << 20) + 1],
        |sent| vec![sent, sent - 1],
        |_| vec![i64::MAX.unsigned_abs()],
    ] as [fn(u64) -> Vec<u64>; 5]
    {
        let (mut scripted, sent) = downloading();
        for offset in offsets(sent) {
            bytes_of_file(&mut scripted);
            scripted.say(&Request::Taken { offset }.encode());
        }
        let last = std::iter::from_fn(|| scripted.hear_if_any()).last().expect("it says something");
        assert_eq!(
            last,
            fss::wire::error_frame::ErrorFrame::new(ErrorCode::Protocol, None).encode()
        );
        assert!(
            !scripted.events.iter().any(|event| matches!(event, ServerEvent::Delivered { .. }))
        );
    }
}

/// The last acknowledgement is sent exactly once (§18.8).
#[test]
fn a_file_is_delivered_once() {
    let mut scripted = Scenario::fast().with_client_by_hand(stored(b"tiny"));
    scripted.ask(&download_by_hand(&scripted, 1, &cookie()));
    let size = bytes_of_file(&mut scripted);
    for _ in 0..2 {
        scripted.say(&Request::Taken { offset: size }.encode());
    }
    assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::Protocol));
    let delivered = scripted
        .events
        .iter()
        .filter(|event| matches!(event, ServerEvent::Delivered { .. }))
        .count();
    assert_eq!(delivered, 1);
}

#[test]
fn offsets_of_a_download_are_those_of_pieces_or_the_end() {
    let store = stored(&file(150_000));
    let size = sealed_bytes(&store).len() as u64;
    let mut scripted = Scenario::fast().with_client_by_hand(store);
    let at = |scripted: &Server, offset| Request::Download {
        cookie: cookie(),
        proof: proof(1, scripted.binding(), &cookie()),
        offset,
    };
    for offset in [
        1,
        SEALED_CHUNK_LEN - 1,
        SEALED_CHUNK_LEN + 1,
        size - 1,
        size + 1,
        4 * SEALED_CHUNK_LEN,
        i64::MAX.unsigned_abs(),
    ] {
        let request = at(&scripted, offset);
        scripted.say(&request.encode());
        assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::BadRequest), "{offset}");
    }
    for offset in [0, SEALED_CHUNK_LEN, 2 * SEALED_CHUNK_LEN, size] {
        let approval = scripted.ask(&at(&scripted, offset));
        assert!(
            matches!(Reply::parse(&approval, ReplyContext::Other), Ok(Reply::Approved { size: whole, .. }) if whole == size)
        );
        assert_eq!(bytes_of_file(&mut scripted), size - offset, "{offset}");
        scripted.say(&Request::Taken { offset: size }.encode());
    }
    assert_eq!(scripted.leave(), Ok(()));
}

/// A store with so many files of one owner.
fn with_files(count: u64) -> MemoryStore {
    let store = store();
    (0..count).for_each(|_| put(&store, vec![5; 100]));
    store
}

fn list(scripted: &mut Server, after: Option<Cookie>) -> (Vec<Cookie>, bool) {
    scripted.say(&Request::List { after }.encode());
    let mut cookies = Vec::new();
    loop {
        match Reply::parse(&scripted.hear(), ReplyContext::List) {
            Ok(Reply::Entry(entry)) => cookies.push(entry.cookie),
            Ok(Reply::EndOfList { more }) => return (cookies, more),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_list_is_cut_into_answers_of_256() {
    let mut scripted = Scenario::fast().with_client_by_hand(with_files(600));
    let (mut all, mut lengths, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let (cookies, more) = list(&mut scripted, after);
        lengths.push(cookies.len());
        all.extend(cookies);
        if !more {
            break;
        }
        after = all.last().cloned();
    }
    assert_eq!(lengths, [256, 256, 88]);
    assert!(
        all.is_sorted_by_key(|cookie| cookie.as_str().parse::<u64>().expect("it is an index")),
        "oldest first"
    );
}

#[test]
fn a_list_of_exactly_256_has_no_more() {
    let mut scripted = Scenario::fast().with_client_by_hand(with_files(256));
    let (cookies, more) = list(&mut scripted, None);
    assert_eq!((cookies.len(), more), (256, false));
    assert_eq!(list(&mut scripted, cookies.last().cloned()), (vec![], false));
}

/// Whose file it is, or whether there is one, is not told (§19.1).
#[test]
fn nobody_lists_or_deletes_the_files_of_others() {
    let store = with_files(3);
    let mut stranger = Scenario::of_stranger().with_client_by_hand(store.clone());
    assert_eq!(list(&mut stranger, None), (vec![], false));
    let after = |cookie| Request::List { after: Some(cookie) };
    let delete = |cookie| Request::Delete { cookie, proof: None };
    for request in [after(cookie()), after(unknown()), delete(cookie()), delete(unknown())] {
        stranger.say(&request.encode());
        assert_eq!(stranger.hear_refusal().code, Some(ErrorCode::Refused), "{request:?}");
    }
    let right = proof(1, stranger.binding(), &cookie());
    assert_eq!(stranger.ask(&Request::Delete { cookie: cookie(), proof: Some(right) }), b"R\0OK\0");
    assert_eq!(store.len(), 2);
    let mut owner = Scenario::fast().with_client_by_hand(store.clone());
    assert_eq!(owner.ask(&delete(Cookie::from_index(2))), b"R\0OK\0", "who owns it needs no proof");
    owner.say(&after(Cookie::from_index(2)).encode());
    assert_eq!(
        owner.hear_refusal().code,
        Some(ErrorCode::Refused),
        "it is gone: the client begins anew"
    );
    assert_eq!(store.len(), 1);
}

/// Several clients may download a file at once, and one that is removed meanwhile is read to its
/// end (§18.9).
#[test]
fn a_file_that_is_deleted_is_still_read_by_who_has_begun() {
    let store = with_files(1);
    let (mut reader, mut owner) = (
        Scenario::fast().with_client_by_hand(store.clone()),
        Scenario::fast().with_client_by_hand(store.clone()),
    );
    reader.ask(&download_by_hand(&reader, 1, &cookie()));
    assert_eq!(owner.ask(&Request::Delete { cookie: cookie(), proof: None }), b"R\0OK\0");
    assert_eq!(bytes_of_file(&mut reader), 100);
    reader.say(&Request::Taken { offset: 100 }.encode());
    assert_eq!(reader.leave(), Ok(()));
}
