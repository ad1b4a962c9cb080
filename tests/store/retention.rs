//! How long files are kept, and how often they are delivered.

use std::time::Duration;

use bytes::Bytes;
use fss::store::conformance::{get, key, new_upload, put, put_file};
use fss::store::{Download, EmbeddedStore, Listing, NewFile, NewUpload, OpenOptions, Retention, Store};
use fss::{Cookie, MemoryStore, RandomCookies};

use super::{HandClock, database, directory, entries, open, unsettled};

#[test]
fn until_downloaded_means_until_the_delivery_is_acknowledged() {
    let directory = directory();
    let embedded = OpenOptions::default().retention(Retention::UntilDownloaded).open(directory.path()).expect("the store opens");
    let memory = MemoryStore::with(RandomCookies, Retention::UntilDownloaded);
    for store in [&embedded as &dyn Store, &memory] {
        let cookie = put(&store, b"once").expect("stored");
        for _ in 0..2 {
            assert_eq!(get(&store, &cookie), Ok(Some(b"once".to_vec())), "reading is not yet delivery");
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
    let open =
        || OpenOptions::default().retention(retention).clock(clock.clone()).open(directory.path()).expect("the store opens");
    let store = open();
    let cookie = put(&store, b"for a while").expect("stored");
    clock.advance(99);
    assert_eq!((get(&store, &cookie).map(|file| file.is_some()), store.remove_expired()), (Ok(true), Ok(0)));
    clock.advance(1);
    assert_eq!(get(&store, &cookie), Ok(None), "it is gone even before it is removed");
    drop(store);
    assert_eq!(open().count(), Ok(0), "opening sweeps");
    assert_eq!(entries(directory.path()), Vec::<String>::new());
}

/// A sealed file, for so many downloads.
fn put_limited(store: &EmbeddedStore, downloads: Option<u64>) -> Cookie {
    let upload = NewUpload { downloads, ..new_upload(b"limited") };
    put_file(store, &NewFile::Sealed { upload, owner: key(0) }, b"limited").expect("stored")
}

#[test]
fn sealed_files_are_granted_the_smaller_of_both() {
    let directory = directory();
    let retention = Retention::UntilDownloaded;
    let store = OpenOptions::default().retention(retention).open(directory.path()).expect("the store opens");
    for downloads in [None, Some(5)] {
        let cookie = put_limited(&store, downloads);
        assert_eq!(store.list(&key(0), None).map(|list| list.expect("listed").files[0].downloads), Ok(Some(1)));
        let mut download = store.open(&cookie).expect("readable").expect("there");
        assert_eq!(download.claim(), Ok(true));
        download.delivered().expect("recorded");
    }
    assert_eq!(entries(directory.path()), Vec::<String>::new());
    drop(store);

    let clock = HandClock::default();
    let options = OpenOptions::default().retention(Retention::For(Duration::from_secs(100))).clock(clock.clone());
    let store = options.open(directory.path()).expect("the store opens");
    let upload = NewUpload { keep: Some(1000), ..new_upload(b"") };
    let mut upload = store.create(&NewFile::Sealed { upload, owner: key(0) }).expect("created");
    assert_eq!(upload.expires(), Some(100));
    let cookie = upload.cookie().clone();
    clock.advance(50);
    upload.write(0, Bytes::from_static(b"x")).expect("written");
    upload.commit().expect("stored");
    assert_eq!(store.open(&cookie).map(|file| file.expect("there").file().expires), Ok(Some(150)), "from its completion");
    clock.advance(100);
    assert!(store.open(&cookie).expect("readable").is_none());
    assert!(store.find_upload(&cookie).expect("readable").is_none() && store.resume(&cookie, 0).expect("readable").is_none());
    assert_eq!(store.list(&key(0), None), Ok(Some(Listing::default())));
    assert_eq!((store.remove_expired(), entries(directory.path())), (Ok(1), vec![]));
}

/// Whoever claimed is gone after a restart: what it claimed is given back, by the same rule as when its line breaks.
#[test]
fn a_restart_settles_what_was_claimed() {
    let directory = directory();
    let (open_claims, used_up, untouched) = {
        let store = open(directory.path());
        (put_limited(&store, Some(5)), put_limited(&store, Some(1)), put_limited(&store, None))
    };
    let claim = |cookie: &Cookie, claimed: i64, returned: i64| {
        let update = "UPDATE fss_file SET claimed = ?2, committed = 0, returned = ?3 WHERE cookie = ?1";
        database(directory.path()).execute(update, (cookie.as_str(), claimed, returned)).expect("our table");
    };
    let find = "SELECT claimed, committed, returned FROM fss_file WHERE cookie = ?1";
    let counts = |cookie: &Cookie| -> (i64, i64, i64) {
        let counts = database(directory.path());
        counts.query_row(find, [cookie.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("our table")
    };
    claim(&open_claims, 4, 0);
    claim(&used_up, 1, 3);
    let store = open(directory.path());
    assert_eq!(counts(&open_claims), (1, 1, 3), "three are given back, and one counts");
    assert_eq!(store.open(&used_up).map(|file| file.is_some()), Ok(false));
    drop(store);
    // It was cut off between the last delivery and the removal.
    database(directory.path()).execute("UPDATE fss_file SET claimed = 5, committed = 5 WHERE downloads = 5", []).expect("ours");
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
        let downloads: Vec<_> = (0..8).map(|_| store.open(&cookie).expect("readable").expect("there")).collect();
        let claim = |mut download: Box<dyn Download>| {
            let claimed = download.claim().expect("readable");
            if claimed {
                download.delivered().expect("recorded");
            }
            usize::from(claimed)
        };
        let threads: Vec<_> = downloads.into_iter().map(|download| scope.spawn(move || claim(download))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!((claimed, store.count()), (3, Ok(0)));
    assert_eq!(entries(directory.path()), Vec::<String>::new());
}
