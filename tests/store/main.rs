//! The stores keep their contract: the conformance suite, crashes at every step, and directories
//! that are not as they should be.

mod concurrency;
mod crashes;
mod directories;
mod quota;
mod retention;
mod uploads;
mod users;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fss::store::conformance::{check, get, new_upload, put};
use fss::store::{
    EmbeddedStore, NewFile, OpenOptions, Retention, Store, StoreError, StoreErrorKind,
};
use fss::{Cookie, MemoryStore, SequentialCookies, WallClock};
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

fn directory() -> TempDir {
    tempdir().expect("a directory")
}

fn open(directory: &Path) -> EmbeddedStore {
    EmbeddedStore::in_directory(directory).expect("the store opens")
}

fn kind<T>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.err().expect("an error").kind()
}

/// What is in a store's directory beyond its database.
fn entries(directory: &Path) -> Vec<String> {
    let names = |path: &Path| {
        fs::read_dir(path).expect("readable").map(|entry| entry.expect("readable").file_name())
    };
    let mut entries: Vec<String> =
        names(directory).map(|name| name.to_string_lossy().into_owned()).collect();
    entries.extend(
        names(&directory.join(".incoming"))
            .map(|name| format!(".incoming/{}", name.to_string_lossy())),
    );
    entries.retain(|name| !name.starts_with("fssGlobal") && name != ".lock" && name != ".incoming");
    entries.sort();
    entries
}

/// A wall clock that stands until it is moved.
#[derive(Clone, Default)]
struct HandClock(Arc<AtomicU64>);

impl HandClock {
    fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl WallClock for HandClock {
    fn unix_seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A file of FSS 1.0 whose content does not matter.
fn legacy() -> NewFile {
    NewFile::Legacy { verifier: new_upload(b"").verifier }
}

/// The database of a directory whose store may be open.
fn database(directory: &Path) -> Connection {
    Connection::open(directory.join("fssGlobal.db")).expect("a database")
}

/// The number of rows for directories being created or removed: none when recovery is complete.
fn unsettled(directory: &Path) -> u64 {
    let count = "SELECT (SELECT count(*) FROM fss_unowned) + (SELECT count(*) FROM fss_pending)
                      + (SELECT count(*) FROM fss_checkpoint)";
    let count: i64 =
        database(directory).query_row(count, [], |row| row.get(0)).expect("our tables");
    count.unsigned_abs()
}

#[test]
fn the_stores_conform() {
    check(MemoryStore::new);
    check(|| Arc::new(MemoryStore::with(SequentialCookies, Retention::Forever)));
    let directories = directory();
    let count = AtomicU64::new(0);
    let next = || directories.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
    check(|| Box::new(open(&next())));
}

#[test]
fn files_outlive_the_process_and_abandoned_ones_leave_nothing() {
    let directory = directory();
    let cookie = {
        let store = open(directory.path());
        let mut upload = store.create(&legacy()).expect("created");
        upload.write(0, Bytes::from_static(b"abandoned")).expect("written");
        drop(upload);
        put(&store, b"kept").expect("stored")
    };
    assert_eq!(entries(directory.path()), [format!("F-{cookie}")]);
    assert_eq!(get(&open(directory.path()), &cookie), Ok(Some(b"kept".to_vec())));
}

#[test]
fn one_process_at_a_time() {
    let directory = directory();
    let first = open(directory.path());
    assert_eq!(kind(EmbeddedStore::in_directory(directory.path())), StoreErrorKind::Busy);
    drop(first);
    open(directory.path());
}

#[test]
fn index_cookies_never_repeat_and_go_on_where_2019_has_got_to() {
    let directory = directory();
    let recorded =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/server-dir/fssGlobal.db");
    fs::copy(recorded, directory.path().join("fssGlobal.db")).expect("copied");
    // A directory that no record names is not ours, and its name is not given out.
    fs::create_dir(directory.path().join("F-7")).expect("created");
    let open = || {
        OpenOptions::default()
            .cookies(SequentialCookies)
            .open(directory.path())
            .expect("the store opens")
    };
    let store = open();
    let first = put(&store, b"first").expect("stored");
    assert_eq!(first, Cookie::from_index(6));
    assert_eq!(store.remove(&first), Ok(true));
    drop(store);
    let store = open();
    assert_eq!(put(&store, b"second"), Ok(Cookie::from_index(8)));
    assert!(directory.path().join("F-7").exists(), "what is not ours is left alone");
}

/// Many names that are taken cost tries, and not the service.
#[test]
fn index_cookies_get_past_names_that_are_taken() {
    let directory = directory();
    for number in 1..=40 {
        fs::create_dir(directory.path().join(format!("F-{number}"))).expect("created");
    }
    let store = OpenOptions::default()
        .cookies(SequentialCookies)
        .open(directory.path())
        .expect("the store opens");
    let cookies: Vec<_> = (0..3).map(|_| put(&store, b"x").ok()).collect();
    assert_eq!(cookies, [None, None, Some(Cookie::from_index(41))]);
}

#[test]
fn a_source_that_repeats_itself_ends_in_an_error() {
    let directory = directory();
    let store = OpenOptions::default()
        .cookies(|_| Cookie::from_index(1))
        .open(directory.path())
        .expect("the store opens");
    put(&store, b"the only one").expect("stored");
    assert_eq!(kind(put(&store, b"another")), StoreErrorKind::Unavailable);
    let memory = MemoryStore::with(|_| Cookie::from_index(1), Retention::Forever);
    put(&memory, b"the only one").expect("stored");
    assert_eq!(kind(put(&memory, b"another")), StoreErrorKind::Unavailable);
}

#[test]
fn clean_removes_all_files() {
    let directory = directory();
    let store = open(directory.path());
    for size in 0..3 {
        put(&store, &vec![7; size]).expect("stored");
    }
    assert_eq!((store.clean(), store.count()), (Ok(3), Ok(0)));
    assert_eq!(entries(directory.path()), Vec::<String>::new());
}
