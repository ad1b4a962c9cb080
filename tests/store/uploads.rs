//! Uploads that are interrupted and resumed.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use fss::chain::CHECKPOINT;
use fss::store::conformance::{chain, get, key, new_upload, put_sealed, read, write};
use fss::store::indexed::PENDING_PER_OWNER;
use fss::store::{
    EmbeddedStore, FILE_CHARGE, FileWriter, LEASE, NewFile, OpenOptions, Store, StoreError,
    StoreErrorKind, Users,
};
use fss::{Cookie, SequentialCookies};

use super::{HandClock, directory, entries, kind, open, unsettled};

fn sealed(content: &[u8]) -> NewFile {
    sealed_of_size(content, None)
}

fn sealed_of_size(content: &[u8], size: Option<u64>) -> NewFile {
    NewFile::Sealed { upload: new_upload(content).with_size(size), owner: key(0) }
}

fn begin(store: &EmbeddedStore, content: &[u8]) -> Box<dyn FileWriter> {
    let mut upload = store.create(&sealed(content)).expect("created");
    write(&mut *upload, 0, content).expect("written");
    upload
}

/// The rest of an upload that is there.
fn resume(store: &EmbeddedStore, cookie: &Cookie) -> Box<dyn FileWriter> {
    store.resume(cookie, 0).expect("readable").expect("pending").upload.expect("not complete")
}

fn pending_directory(directory: &Path, cookie: &Cookie) -> std::path::PathBuf {
    directory.join(".incoming").join(format!("F-{cookie}"))
}

#[test]
fn pending_uploads_outlive_the_process() {
    let directory = directory();
    let cookie = begin(&open(directory.path()), b"before").cookie().clone();
    for _ in 0..2 {
        let store = open(directory.path());
        assert_eq!(entries(directory.path()), [format!(".incoming/F-{cookie}")]);
        let key = store.find_upload(&cookie).expect("readable").expect("pending");
        assert_eq!(
            (key.header, key.verifier),
            (new_upload(b"before").header, new_upload(b"before").verifier)
        );
        write(&mut *resume(&store, &cookie), 0, b"after!").expect("written");
    }
    let store = open(directory.path());
    let mut upload = resume(&store, &cookie);
    write(&mut *upload, 0, b"before").expect("written");
    assert_eq!(upload.commit(), Ok(chain(&sealed(b"before"), b"before")));
    drop(store);
    assert_eq!(get(&open(directory.path()), &cookie), Ok(Some(b"before".to_vec())));
    assert_eq!(
        (entries(directory.path()), unsettled(directory.path())),
        (vec![format!("F-{cookie}")], 0)
    );
}

#[test]
fn a_lease_ends_unless_something_new_comes() {
    let directory = directory();
    let clock = HandClock::default();
    let options = || OpenOptions::default().clock(clock.clone());
    let store = options().open(directory.path()).expect("the store opens");
    let renewed = begin(&store, b"renewed").cookie().clone();
    let left = begin(&store, b"left").cookie().clone();
    let mut slow = begin(&store, b"slow");
    clock.advance(LEASE.as_secs() - 1);
    drop(resume(&store, &renewed));
    assert_eq!(store.remove_expired(), Ok(0));
    clock.advance(1);
    assert!(
        store.find_upload(&left).expect("readable").is_none(),
        "it is unknown even before it is removed"
    );
    assert!(store.resume(&left, 0).expect("readable").is_none());
    assert_eq!(store.remove_expired(), Ok(1));
    slow.write(4, Bytes::from_static(b"er")).expect("it is in progress");
    drop(slow);
    assert_eq!(store.remove_expired(), Ok(1), "now nobody goes on with it");
    assert_eq!(entries(directory.path()), [format!(".incoming/F-{renewed}")]);
    drop(store);
    clock.advance(LEASE.as_secs());
    drop(options().open(directory.path()).expect("opening sweeps"));
    assert_eq!((entries(directory.path()), unsettled(directory.path())), (vec![], 0));
}

/// A checkpoint renews the lease by itself.
#[test]
fn a_checkpoint_renews_the_lease() {
    let directory = directory();
    let clock = HandClock::default();
    let store = OpenOptions::default()
        .clock(clock.clone())
        .open(directory.path())
        .expect("the store opens");
    let mut upload = store.create(&sealed(b"")).expect("created");
    clock.advance(LEASE.as_secs() - 1);
    let content = vec![7; usize::try_from(CHECKPOINT).expect("small")];
    upload.write(0, content.into()).expect("written");
    clock.advance(LEASE.as_secs() - 1);
    assert_eq!(store.remove_expired(), Ok(0));
    upload.commit().expect("stored");
}

#[test]
fn damage_to_a_pending_upload_is_never_a_hole() {
    let directory = directory();
    let content = vec![7; usize::try_from(CHECKPOINT + 10).expect("small")];
    let (cut, gone, headless) = {
        let store = open(directory.path());
        let mut upload = store.create(&sealed(&content)).expect("created");
        upload.write(0, content.clone().into()).expect("written");
        (
            upload.cookie().clone(),
            begin(&store, b"gone").cookie().clone(),
            begin(&store, b"headless").cookie().clone(),
        )
    };
    let shorten = |cookie: &Cookie, length| {
        let path = pending_directory(directory.path(), cookie).join("F");
        fs::File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(length))
            .expect("cut");
    };
    shorten(&cut, CHECKPOINT + 63);
    shorten(&headless, 10);
    fs::remove_dir_all(pending_directory(directory.path(), &gone)).expect("removed");
    let store = open(directory.path());
    let mut upload = resume(&store, &gone);
    write(&mut *upload, 0, b"gone").expect("what is not there begins anew");
    assert_eq!(upload.commit(), Ok(chain(&sealed(b"gone"), b"gone")));
    let resumed = store.resume(&cut, u64::MAX).expect("readable").expect("pending");
    assert_eq!(resumed.offset, 0, "the checkpoint is not in the file");
    drop(resumed);
    let mut upload = resume(&store, &headless);
    write(&mut *upload, 0, b"headless").expect("written");
    upload.commit().expect("stored");
    assert_eq!(get(&store, &headless), Ok(Some(b"headless".to_vec())));
    assert_eq!(
        store.verify(|_, _| ()).map(|verified| (verified.whole, verified.damaged)),
        Ok((2, 0))
    );
}

/// Many take an upload over from each other: one of them completes it, and nothing of the others is
/// in the file.
#[test]
fn of_many_that_go_on_one_wins() {
    let directory = directory();
    let store = open(directory.path());
    for _ in 0..10 {
        let cookie = begin(&store, b"at first").cookie().clone();
        let go_on = |thread: u8| -> Result<u8, StoreError> {
            let resumed = store.resume(&cookie, 0)?.expect("it is pending or complete");
            let Some(mut upload) = resumed.upload else { return Ok(0) };
            for offset in 0..8 {
                upload.write(offset * 1000, vec![thread; 1000].into())?;
            }
            upload.commit().map(|_| thread)
        };
        let ends: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (1..=6).map(|thread| scope.spawn(move || go_on(thread))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let winners: Vec<u8> = ends
            .iter()
            .filter_map(|end| end.as_ref().ok().copied())
            .filter(|&thread| thread > 0)
            .collect();
        let losers = ends.iter().filter_map(|end| end.as_ref().err());
        assert!(
            losers.map(StoreError::kind).all(|kind| kind == StoreErrorKind::Superseded),
            "{ends:?}"
        );
        let [winner] = winners[..] else { panic!("one completes it: {ends:?}") };
        let mut file = store.open(&cookie).expect("readable").expect("there");
        assert_eq!(read(&mut *file, 0, 8000).expect("readable"), vec![winner; 8000]);
    }
    assert_eq!(unsettled(directory.path()), 0);
}

/// Uploads, resumes, sweeps and downloads at once, for the locks.
#[test]
fn many_threads_go_on_with_many_uploads() {
    let directory = directory();
    let store = open(directory.path());
    std::thread::scope(|scope| {
        for thread in 0..6_usize {
            let store = &store;
            scope.spawn(move || {
                for i in 0..5 {
                    let content = vec![u8::try_from(thread).expect("few"); 3000 + i];
                    let cookie = begin(store, &content[..100]).cookie().clone();
                    let mut upload = resume(store, &cookie);
                    write(&mut *upload, 0, &content).expect("written");
                    upload.commit().expect("stored");
                    let mut file = store.open(&cookie).expect("readable").expect("there");
                    assert_eq!(read(&mut *file, 0, content.len()).expect("readable"), content);
                    assert_eq!(store.remove_expired(), Ok(0));
                }
            });
        }
    });
    assert_eq!((store.count(), unsettled(directory.path())), (Ok(30), 0));
}

#[test]
fn an_owner_has_a_limited_number_of_pending_uploads() {
    let directory = directory();
    let store = OpenOptions::default()
        .cookies(SequentialCookies)
        .open(directory.path())
        .expect("the store opens");
    for _ in 0..PENDING_PER_OWNER {
        drop(store.create(&sealed(b"")).expect("created"));
    }
    assert_eq!(kind(store.create(&sealed(b"")).map(drop)), StoreErrorKind::TooManyUploads);
    let other = NewFile::Sealed { upload: new_upload(b""), owner: key(1) };
    assert!(store.create(&other).is_ok(), "they are counted for each owner");
    resume(&store, &Cookie::from_index(1)).commit().expect("stored");
    assert!(store.create(&sealed(b"")).is_ok(), "a complete one makes room");
    assert_eq!(kind(put_sealed(&store, b"")), StoreErrorKind::TooManyUploads);
}

/// What an upload reserves and what is stored count against the quota; without a size, 24 MiB are
/// reserved ahead.
#[test]
fn a_quota_is_kept() {
    const AHEAD: u64 = 24 << 20;
    const CHARGE: u64 = FILE_CHARGE;
    let directory = directory();
    let store = open(directory.path());
    let users = Users::open(directory.path()).expect("there is a database");
    let name = fss::store::UserName::parse(b"alice").expect("a name");
    store.sign_up(&key(0), &name, None).expect("open to everybody");
    let limit = |quota| assert_eq!(users.set_quota(&name, Some(quota)), Ok(true));
    let used = || store.account(&key(0)).expect("readable").expect("a user").used;
    limit(1000 + 2 * CHARGE);
    let create = |size| store.create(&sealed_of_size(b"", size));
    assert_eq!(kind(create(Some(1001 + CHARGE)).map(drop)), StoreErrorKind::Quota);
    assert_eq!(kind(create(Some(u64::MAX >> 1)).map(drop)), StoreErrorKind::Quota);
    assert_eq!(kind(create(None).map(drop)), StoreErrorKind::Quota);
    assert_eq!(
        entries(directory.path()),
        Vec::<String>::new(),
        "nothing is left of what was refused"
    );
    let mut upload = create(Some(600)).expect("it fits");
    assert_eq!((used(), kind(create(Some(401)).map(drop))), (600 + CHARGE, StoreErrorKind::Quota));
    upload.write(0, vec![7; 600].into()).expect("written");
    let cookie = upload.cookie().clone();
    upload.commit().expect("stored");
    assert_eq!((used(), kind(create(Some(401)).map(drop))), (600 + CHARGE, StoreErrorKind::Quota));
    assert!(create(Some(400)).is_ok(), "up to the last byte");
    assert_eq!(
        (used(), store.remove(&cookie), used()),
        (1000 + 2 * CHARGE, Ok(true), 400 + CHARGE)
    );

    limit(400 + AHEAD + 2 * CHARGE);
    let mut upload = create(None).expect("it fits");
    let content = vec![7; usize::try_from(CHECKPOINT).expect("small")];
    assert_eq!(kind(upload.write(0, content.into())), StoreErrorKind::Quota, "at the checkpoint");
    let cookie = upload.cookie().clone();
    drop(upload);
    assert_eq!(used(), 400 + AHEAD + 2 * CHARGE);
    assert_eq!(kind(store.resume(&cookie, CHECKPOINT).map(drop)), StoreErrorKind::Quota);
    limit(400 + AHEAD + CHECKPOINT + 2 * CHARGE);
    let resumed = store.resume(&cookie, CHECKPOINT).expect("it fits").expect("pending");
    assert_eq!(
        (resumed.offset, used()),
        (CHECKPOINT, 400 + AHEAD + CHECKPOINT + 2 * CHARGE),
        "what came before was kept"
    );
    resumed.upload.expect("not complete").commit().expect("stored");
    assert_eq!(used(), 400 + CHECKPOINT + 2 * CHARGE);
    limit(0);
    let stranger =
        NewFile::Sealed { upload: new_upload(b"").with_size(Some(1 << 20)), owner: key(1) };
    assert!(
        store.create(&stranger).is_ok() && store.create(&stranger).is_ok(),
        "strangers have none"
    );
}

/// However far the clock jumps, ahead or back: what is in progress continues, and only what no
/// client continues ends.
#[test]
fn a_clock_that_jumps_ends_nothing_that_is_in_progress() {
    const YEAR: u64 = 365 * 24 * 60 * 60;
    let directory = directory();
    let clock = HandClock::default();
    let store = OpenOptions::default()
        .clock(clock.clone())
        .open(directory.path())
        .expect("the store opens");
    let begin = || store.create(&sealed_of_size(b"content", None)).expect("it begins");
    let (mut running, broken) = (begin(), begin().cookie().clone());
    running.write(0, Bytes::from_static(b"con")).expect("written");
    clock.advance(YEAR);
    store.remove_expired().expect("swept");
    assert!(store.find_upload(&broken).expect("readable").is_none(), "its lease is over");
    running.write(3, Bytes::from_static(b"tent")).expect("written");
    let cookie = running.cookie().clone();
    running.commit().expect("stored");
    assert_eq!(get(&store, &cookie), Ok(Some(b"content".to_vec())));
}
