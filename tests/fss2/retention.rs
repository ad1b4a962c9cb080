//! Files that are kept for a time or for a number of downloads (§25.5 to §25.9).

use std::time::Duration;

use fss::client::legacy;
use fss::crypto::legacy::FileKey;
use fss::server::ServerEvent;
use fss::store::{CLAIM_LEASE, Entry};
use fss::wire::reply::{Reply, ReplyContext};
use fss::{Password, RandomCookies};

use super::*;

/// A store that keeps files so long, and its clock, which shows 1000.
fn keeping(retention: Retention) -> (MemoryStore, Clock) {
    let clock = Clock::default();
    clock.advance(1000);
    (MemoryStore::with_clock(SequentialCookies, retention, clock.clone()), clock)
}

/// Uploads a file that is to be kept so long, and gives what the server says of its end.
fn upload_for(store: &MemoryStore, keep: Option<u64>, downloads: Option<u64>) -> Option<u64> {
    let upload = Upload { keep, downloads, ..upload(Some(4)) };
    let outcome =
        Scenario::fast().run(store, vec![Operation::Upload(upload)], b"tiny", Wire::default());
    assert_eq!(outcome.client, Ok(()));
    let started = |event: &ClientEvent| match event {
        ClientEvent::UploadStarted { expires, .. } => Some(*expires),
        _ => None,
    };
    outcome.client_events.iter().find_map(started).expect("an upload starts")
}

/// A whole download, if the file is there.
fn is_downloaded(store: &MemoryStore) -> bool {
    let outcome = Scenario::fast().download(store, Wire::default());
    assert_eq!(outcome.client, Ok(()), "a refusal ends only the operation");
    outcome.file == b"tiny"
}

/// A download that has been approved, and is not acknowledged.
fn begin(store: &MemoryStore) -> Option<ScriptedPeer<'static, ServerSession<MemoryStore>>> {
    begin_as(&Scenario::fast(), store)
}

/// The same by a client with a key of its own.
fn begin_by(
    client: u8,
    store: &MemoryStore,
) -> Option<ScriptedPeer<'static, ServerSession<MemoryStore>>> {
    begin_as(
        &Scenario {
            client: Config::new(Arc::new(InsecureCrypto), identity(client)),
            ..Scenario::fast()
        },
        store,
    )
}

fn begin_as(
    scenario: &Scenario,
    store: &MemoryStore,
) -> Option<ScriptedPeer<'static, ServerSession<MemoryStore>>> {
    let mut scripted = scenario.with_client_by_hand(store.clone());
    let answer = scripted.ask(&download_by_hand(&scripted, 1, &cookie()));
    matches!(Reply::parse(&answer, ReplyContext::Other), Ok(Reply::Approved { .. }))
        .then_some(scripted)
}

fn acknowledge(scripted: &mut ScriptedPeer<'static, ServerSession<MemoryStore>>) {
    let size = scripted.hear().len() as u64 - 2;
    scripted.say(&Request::Taken { offset: size }.encode());
    assert!(matches!(scripted.events.last(), Some(ServerEvent::Delivered { .. })));
}

fn entries(store: &MemoryStore) -> Vec<Entry> {
    let outcome =
        Scenario::fast().run(store, vec![Operation::List { after: None }], &[], Wire::default());
    let entry = |event| if let ClientEvent::Listed(entry) = event { Some(entry) } else { None };
    outcome.client_events.into_iter().filter_map(entry).collect()
}

#[test]
fn a_file_for_one_download_is_gone_after_it() {
    let (store, _) = keeping(Retention::Forever);
    upload_for(&store, None, Some(1));
    assert!(is_downloaded(&store));
    assert!(store.is_empty());
    assert!(!is_downloaded(&store));
}

#[test]
fn deliveries_are_counted_down_in_lists() {
    let (store, _) = keeping(Retention::Forever);
    upload_for(&store, None, Some(3));
    for left in [3, 2, 1] {
        assert_eq!(
            entries(&store).iter().map(|entry| entry.downloads).collect::<Vec<_>>(),
            [Some(left)]
        );
        assert!(is_downloaded(&store));
    }
    assert_eq!(entries(&store), []);
}

/// With none left the cookie is unknown (§25.7), except to a key with a claim.
#[test]
fn no_more_clients_download_at_once_than_there_are_deliveries() {
    let (store, clock) = keeping(Retention::Forever);
    upload_for(&store, None, Some(2));
    let (mut first, second) =
        (begin_by(1, &store).expect("one is left"), begin_by(2, &store).expect("another is left"));
    assert!(begin_by(3, &store).is_none());
    drop(second);
    assert!(begin_by(3, &store).is_none(), "who broke off may come back");
    drop(begin_by(2, &store).expect("it has a claim"));
    clock.advance(CLAIM_LEASE.as_secs());
    let mut third = begin_by(3, &store).expect("who does not come back has left it to others");
    acknowledge(&mut first);
    assert_eq!(store.len(), 1);
    acknowledge(&mut third);
    assert!(store.is_empty());
}

/// However often and however the connection ends without the last acknowledgement: four cuts by
/// a man in the middle, who has no key, used to destroy a file.
#[test]
fn no_broken_download_uses_a_delivery_up() {
    type End = fn(ScriptedPeer<'static, ServerSession<MemoryStore>>);
    let ends: [End; 4] = [
        drop,
        |mut scripted| assert!(scripted.leave().is_err()),
        |mut scripted| scripted.say(b"I\0"),
        |mut scripted| scripted.let_pass(Duration::from_secs(60)),
    ];
    for end in ends {
        let (store, _) = keeping(Retention::Forever);
        upload_for(&store, None, Some(1));
        for broken in 0..20 {
            end(begin(&store).expect("the claim is still there"));
            assert_eq!(store.len(), 1, "{broken}");
        }
        acknowledge(&mut begin(&store).expect("the claim is still there"));
        assert!(store.is_empty());
    }
}

/// The server has not noticed yet that the first line is dead.
#[test]
fn a_client_that_comes_back_goes_on_with_the_claim_that_it_has() {
    let (store, _) = keeping(Retention::UntilDownloaded);
    upload_for(&store, None, None);
    let dead = begin(&store).expect("one is left");
    let mut back = begin(&store).expect("it is the same claim");
    assert!(begin_by(1, &store).is_none());
    acknowledge(&mut back);
    assert!(store.is_empty());
    drop(dead);
}

/// The owner may delete what others are about to download.
#[test]
fn a_file_whose_deliveries_are_claimed_is_its_owners_still() {
    let (store, _) = keeping(Retention::UntilDownloaded);
    upload_for(&store, None, None);
    let _claimed = begin_by(1, &store).expect("one is left");
    let delete = Operation::Delete { cookie: cookie(), verifier: None };
    let outcome = Scenario::fast().run(&store, vec![delete], &[], Wire::default());
    assert_eq!(outcome.client_events.last(), Some(&ClientEvent::Deleted));
    assert!(store.is_empty());
}

/// The same with our client, wherever the line breaks.
#[test]
fn a_download_whose_acknowledgement_is_lost_can_be_made_again() {
    let scenario = Scenario::fast();
    let whole = scenario.download(stored(b"tiny"), Wire::default()).from_client.len();
    let (store, _) = keeping(Retention::UntilDownloaded);
    upload_for(&store, None, None);
    for cut in (1..40).map(|missing| whole - missing) {
        let outcome = scenario.download(&store, Wire { to_server: Some(cut), ..Wire::default() });
        assert!(outcome.server.is_err(), "{cut}");
        assert_eq!(store.len(), 1, "{cut}");
    }
    assert!(is_downloaded(&store));
    assert!(store.is_empty());
}

/// Only `S Approved` claims: refusals of any kind use nothing up.
#[test]
fn what_is_refused_claims_nothing() {
    let (store, _) = keeping(Retention::UntilDownloaded);
    upload_for(&store, None, None);
    for _ in 0..10 {
        // A server of its own, for so many wrong passwords would be slowed down.
        let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
        let wrong = download_by_hand(&scripted, 2, &cookie());
        let offset = Request::Download {
            cookie: cookie(),
            proof: proof(1, scripted.binding(), &cookie()),
            offset: 5,
        };
        for (request, code) in [(wrong, ErrorCode::Refused), (offset, ErrorCode::BadRequest)] {
            scripted.say(&request.encode());
            assert_eq!(scripted.hear_refusal().code, Some(code));
        }
        assert!(
            scripted.ask(&Request::Challenge { cookie: cookie() }).starts_with(b"S\0Challenge\0")
        );
    }
    assert!(is_downloaded(&store));
}

#[test]
fn a_server_that_keeps_until_downloaded_gives_one_delivery_whatever_is_asked() {
    for downloads in [None, Some(1), Some(100)] {
        let (store, _) = keeping(Retention::UntilDownloaded);
        assert_eq!(upload_for(&store, Some(60), downloads), Some(1060));
        assert_eq!(
            entries(&store).iter().map(|entry| entry.downloads).collect::<Vec<_>>(),
            [Some(1)]
        );
        assert!(is_downloaded(&store));
        assert!(store.is_empty());
    }
}

/// The smaller of what the client asks and the server keeps; it is told where §17.6, §18.6 and
/// §19.1 say.
#[test]
fn a_file_expires_and_everybody_was_told_when() {
    let hour = Retention::For(Duration::from_secs(3600));
    for (retention, keep, seconds) in [
        (Retention::Forever, Some(60), 60),
        (hour, Some(60), 60),
        (hour, Some(9999), 3600),
        (hour, None, 3600),
    ] {
        let (store, clock) = keeping(retention);
        let expires = Some(1000 + seconds);
        assert_eq!(upload_for(&store, keep, None), expires);
        assert_eq!(
            entries(&store).iter().map(|entry| (entry.stored, entry.expires)).collect::<Vec<_>>(),
            [(1000, expires)]
        );
        clock.advance(seconds - 1);
        let outcome = Scenario::fast().download(&store, Wire::default());
        let (metadata, size) = (Some(metadata()), 4);
        assert!(outcome.client_events.contains(&ClientEvent::DownloadStarted {
            metadata,
            size: Some(size),
            expires
        }));
        clock.advance(1);
        assert!(!is_downloaded(&store));
        assert_eq!((entries(&store), store.len()), (vec![], 0));
    }
    let (store, clock) = keeping(Retention::Forever);
    assert_eq!(upload_for(&store, None, None), None);
    clock.advance(u64::MAX / 2);
    assert!(is_downloaded(&store));
}

/// Seconds count from the end of the upload, not from its beginning (§17.6).
#[test]
fn the_time_of_a_file_begins_with_its_completion() {
    let (store, clock) = keeping(Retention::Forever);
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    scripted.ask(&Request::Upload(new_upload().with_keep(Some(60))));
    clock.advance(500);
    scripted.ask(&Request::Data(b""));
    assert_eq!(entries(&store)[0].expires, Some(1560));
}

/// A file whose time comes while it is read is read to its end.
#[test]
fn a_download_outlives_the_file() {
    let (store, clock) = keeping(Retention::Forever);
    upload_for(&store, Some(60), None);
    let mut scripted = begin(&store).expect("it is there");
    clock.advance(60);
    assert!(store.is_empty());
    acknowledge(&mut scripted);
    assert_eq!(scripted.leave(), Ok(()));
}

/// A file of 1.0 on such a server goes with the last `D OK` of either version (§25.9).
#[test]
fn a_file_of_1_0_is_removed_by_a_delivery_of_fss_2() {
    let (store, _) = keeping(Retention::UntilDownloaded);
    let password = Password::new("correct horse").expect("it is valid");
    let scenario = Scenario::fast();
    let mut client = legacy::LegacySession::upload(scenario.client.clone(), &password);
    assert_eq!(
        run(&mut scenario.server(&store), &mut client, b"a file", Wire::default()).client,
        Ok(())
    );
    for is_acknowledged in [false, true] {
        let mut scripted = scenario.with_client_by_hand(store.clone());
        let proof =
            Proof::new(&FileKey::derive(&password).verifier(), scripted.binding(), &cookie());
        scripted.ask(&Request::Download { cookie: cookie(), proof, offset: 0 });
        if is_acknowledged {
            acknowledge(&mut scripted);
        }
        drop(scripted);
        assert_eq!(store.len(), usize::from(!is_acknowledged));
    }
}

/// Cookies of files that are gone are not given out again where they are random; nothing of them is
/// left to be seen.
#[test]
fn a_file_that_is_gone_leaves_nothing() {
    let store =
        MemoryStore::with_clock(RandomCookies, Retention::UntilDownloaded, Clock::default());
    let outcome = Scenario::fast().upload(&store, b"tiny", Wire::default());
    let Some(ClientEvent::Uploaded { cookie, .. }) = outcome.client_events.last() else {
        panic!("{:?}", outcome.client)
    };
    let of = || Download { cookie: cookie.clone(), ..download() };
    let operations = vec![
        Operation::Download(of()),
        Operation::Download(of()),
        Operation::List { after: Some(cookie.clone()) },
    ];
    let outcome = Scenario::fast().run(&store, operations, &[], Wire::default());
    let refused = outcome
        .client_events
        .iter()
        .filter(|event| matches!(event, ClientEvent::Refused(_)))
        .count();
    assert_eq!((outcome.client, refused), (Ok(()), 2));
}
