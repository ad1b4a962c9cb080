//! How long files are kept, and how often they are delivered.

use std::time::Duration;

use bytes::Bytes;
use fss::store::conformance::{get, key, new_upload, put, put_file};
use fss::store::{
    CLAIM_LEASE, EmbeddedStore, FileReader, Listing, NewFile, OpenOptions, Retention, Store,
};
use fss::{Cookie, MemoryStore, RandomCookies};

use super::{HandClock, database, directory, entries, open, unsettled};

#[test]
fn until_downloaded_means_until_the_delivery_is_acknowledged() {
    let directory = directory();
    let embedded = OpenOptions::default()
        .retention(Retention::UntilDownloaded)
        .open(directory.path())
        .expect("the store opens");
    let memory = MemoryStore::with(RandomCookies, Retention::UntilDownloaded);
    for store in [&embedded as &dyn Store, &memory] {
        let cookie = put(&store, b"once").expect("stored");
        for _ in 0..2 {
            assert_eq!(
                get(&store, &cookie),
                Ok(Some(b"once".to_vec())),
                "reading is not yet delivery"
            );
        }
        store.open(&cookie).expect("readable").expect("there").delivered().expect("recorded");
        assert_eq!(get(&store, &cookie), Ok(None));
    }
    assert_eq!(entries(directory.path()), Vec::<String>::new());
}

#[test]
fn files_expire_at_their_time() {
    let directory = directory();
    let clock = HandClock::default();
    let retention = Retention::For(Duration::from_secs(100));
    let open = || {
        OpenOptions::default()
            .retention(retention)
            .clock(clock.clone())
            .open(directory.path())
            .expect("the store opens")
    };
    let store = open();
    let cookie = put(&store, b"for a while").expect("stored");
    clock.advance(99);
    assert_eq!(
        (get(&store, &cookie).map(|file| file.is_some()), store.remove_expired()),
        (Ok(true), Ok(0))
    );
    clock.advance(1);
    assert_eq!(get(&store, &cookie), Ok(None), "it is gone even before it is removed");
    drop(store);
    assert_eq!(open().count(), Ok(0), "opening sweeps");
    assert_eq!(entries(directory.path()), Vec::<String>::new());
}

/// A sealed file, for so many downloads.
fn put_limited(store: &EmbeddedStore, downloads: Option<u64>) -> Cookie {
    let upload = new_upload(b"limited").with_downloads(downloads);
    put_file(store, &NewFile::Sealed { upload, owner: key(0) }, b"limited").expect("stored")
}

#[test]
fn sealed_files_are_granted_the_smaller_of_both() {
    let directory = directory();
    let retention = Retention::UntilDownloaded;
    let store = OpenOptions::default()
        .retention(retention)
        .open(directory.path())
        .expect("the store opens");
    for downloads in [None, Some(5)] {
        let cookie = put_limited(&store, downloads);
        assert_eq!(
            store.list(&key(0), None).map(|list| list.expect("listed").files[0].downloads),
            Ok(Some(1))
        );
        let mut download = store.open(&cookie).expect("readable").expect("there");
        assert_eq!(download.claim(&key(1)), Ok(true));
        download.delivered().expect("recorded");
    }
    assert_eq!(entries(directory.path()), Vec::<String>::new());
    drop(store);

    let clock = HandClock::default();
    let options = OpenOptions::default()
        .retention(Retention::For(Duration::from_secs(100)))
        .clock(clock.clone());
    let store = options.open(directory.path()).expect("the store opens");
    let upload = new_upload(b"").with_keep(Some(1000));
    let mut upload = store.create(&NewFile::Sealed { upload, owner: key(0) }).expect("created");
    assert_eq!(upload.expires(), Some(100));
    let cookie = upload.cookie().clone();
    clock.advance(50);
    upload.write(0, Bytes::from_static(b"x")).expect("written");
    upload.commit().expect("stored");
    assert_eq!(
        store.open(&cookie).map(|file| file.expect("there").file().expires),
        Ok(Some(150)),
        "from its completion"
    );
    clock.advance(100);
    assert!(store.open(&cookie).expect("readable").is_none());
    assert!(
        store.find_upload(&cookie).expect("readable").is_none()
            && store.resume(&cookie, 0).expect("readable").is_none()
    );
    assert_eq!(store.list(&key(0), None), Ok(Some(Listing::default())));
    assert_eq!((store.remove_expired(), entries(directory.path())), (Ok(1), vec![]));
}

/// A claim is its key's until it is delivered or its lease ends, also across a restart.
#[test]
fn a_claim_outlives_connections_and_restarts_until_its_lease_ends() {
    let directory = directory();
    let clock = HandClock::default();
    let open = || {
        OpenOptions::default().clock(clock.clone()).open(directory.path()).expect("the store opens")
    };
    let cookie = put_limited(&open(), Some(1));
    let claims = |store: &EmbeddedStore, by| {
        store.open(&cookie).expect("readable").expect("there").claim(&key(by))
    };
    assert_eq!(claims(&open(), 1), Ok(true));
    for _ in 0..3 {
        let store = open();
        clock.advance(CLAIM_LEASE.as_secs() - 1);
        assert_eq!((claims(&store, 2), claims(&store, 1)), (Ok(false), Ok(true)));
    }
    let store = open();
    clock.advance(CLAIM_LEASE.as_secs());
    assert_eq!(
        (claims(&store, 2), claims(&store, 1)),
        (Ok(true), Ok(false)),
        "who did not come back has left it to others"
    );
}

/// However slow it is: who still reads has not gone.
#[test]
fn a_slow_download_keeps_its_claim() {
    let directory = directory();
    let clock = HandClock::default();
    let embedded = OpenOptions::default()
        .clock(clock.clone())
        .open(directory.path())
        .expect("the store opens");
    let memory = MemoryStore::with_clock(RandomCookies, Retention::Forever, clock.clone());
    for store in [&embedded as &dyn Store, &memory] {
        let upload = new_upload(b"limited").with_downloads(Some(1));
        let cookie = put_file(&store, &NewFile::Sealed { upload, owner: key(0) }, b"limited")
            .expect("stored");
        let mut download = store.open(&cookie).expect("readable").expect("there");
        assert_eq!(download.claim(&key(1)), Ok(true));
        for _ in 0..10 {
            clock.advance(CLAIM_LEASE.as_secs() * 3 / 4);
            download.read(0, &mut [0]).expect("readable");
            assert_eq!(
                store.open(&cookie).expect("readable").expect("there").claim(&key(2)),
                Ok(false)
            );
        }
        download.delivered().expect("recorded");
        assert!(store.open(&cookie).expect("readable").is_none());
    }
}

/// Its claim has lapsed and is another's: what was delivered counts all the same.
#[test]
fn a_delivery_after_its_lease_counts() {
    let directory = directory();
    let clock = HandClock::default();
    let store = OpenOptions::default()
        .clock(clock.clone())
        .open(directory.path())
        .expect("the store opens");
    let cookie = put_limited(&store, Some(1));
    let mut late = store.open(&cookie).expect("readable").expect("there");
    assert_eq!(late.claim(&key(1)), Ok(true));
    clock.advance(CLAIM_LEASE.as_secs());
    let mut other = store.open(&cookie).expect("readable").expect("there");
    assert_eq!(other.claim(&key(2)), Ok(true));
    late.delivered().expect("recorded");
    assert_eq!(store.count(), Ok(0));
    other.delivered().expect("there is nothing left to do");
}

/// It was cut off between the last delivery and the removal.
#[test]
fn a_file_that_was_delivered_is_removed_at_the_start() {
    let directory = directory();
    let (_delivered, untouched) = {
        let store = open(directory.path());
        (put_limited(&store, Some(5)), put_limited(&store, None))
    };
    database(directory.path())
        .execute("UPDATE fss_file SET delivered = 5 WHERE downloads = 5", [])
        .expect("ours");
    let store = open(directory.path());
    assert_eq!(store.count(), Ok(1));
    assert_eq!(entries(directory.path()), [format!("F-{untouched}")]);
    assert_eq!(unsettled(directory.path()), 0);
}

/// Many claim at once what is there once.
#[test]
fn no_delivery_is_claimed_twice() {
    let directory = directory();
    let store = open(directory.path());
    let cookie = put_limited(&store, Some(3));
    let claimed: usize = std::thread::scope(|scope| {
        let downloads: Vec<_> =
            (0..8).map(|_| store.open(&cookie).expect("readable").expect("there")).collect();
        let claim = |by, mut download: Box<dyn FileReader>| {
            let claimed = download.claim(&key(by)).expect("readable");
            if claimed {
                download.delivered().expect("recorded");
            }
            usize::from(claimed)
        };
        let threads: Vec<_> = (1..)
            .zip(downloads)
            .map(|(by, download)| scope.spawn(move || claim(by, download)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!((claimed, store.count()), (3, Ok(0)));
    assert_eq!(entries(directory.path()), Vec::<String>::new());
}
