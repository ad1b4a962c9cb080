//! The stores keep their contract: the conformance suite, crashes at every step, and directories that are not as they
//! should be.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fss::crypto::legacy::Verifier;
use fss::store::conformance::{check, get, put};
use fss::store::filesystem::FilesystemBlobs;
use fss::store::indexed::{Blobs, Content, Index, OpenBlob, Record, Reservation, StagedBlob, Taken};
use fss::store::sqlite::SqliteIndex;
use fss::store::{EmbeddedStore, Finding, IndexedStore, OpenOptions, Retention, Store, StoreError, StoreErrorKind, Verified};
use fss::{Cookie, CookieSource, IndexCookies, MemoryStore, RandomCookies, SystemClock, WallClock};
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
    let names = |path: &Path| fs::read_dir(path).expect("readable").map(|entry| entry.expect("readable").file_name());
    let mut entries: Vec<String> = names(directory).map(|name| name.to_string_lossy().into_owned()).collect();
    entries.extend(names(&directory.join(".incoming")).map(|name| format!(".incoming/{}", name.to_string_lossy())));
    entries.retain(|name| !name.starts_with("fssGlobal") && name != ".lock" && name != ".incoming");
    entries.sort();
    entries
}

#[test]
fn the_stores_conform() {
    check(MemoryStore::new);
    check(|| Arc::new(MemoryStore::with(IndexCookies, Retention::Forever)));
    let directories = directory();
    let count = AtomicU64::new(0);
    let next = || directories.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
    check(|| open(&next()));
    check(|| Box::new(OpenOptions::default().cookies(IndexCookies).open(&next()).expect("the store opens")));
}

#[test]
fn files_outlive_the_process_and_abandoned_ones_leave_nothing() {
    let directory = directory();
    let cookie = {
        let store = open(directory.path());
        let mut upload = store.create(&Verifier::from_bytes([1; 48])).expect("created");
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
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/server-dir/fssGlobal.db");
    fs::copy(recorded, directory.path().join("fssGlobal.db")).expect("copied");
    // A directory that no record names is not ours, and its name is not given out.
    fs::create_dir(directory.path().join("F-7")).expect("created");
    let open = || OpenOptions::default().cookies(IndexCookies).open(directory.path()).expect("the store opens");
    let store = open();
    let first = put(&store, b"first").expect("stored");
    assert_eq!(first, Cookie::from_index(6));
    assert_eq!(store.remove(&first), Ok(true));
    drop(store);
    let store = open();
    assert_eq!(put(&store, b"second"), Ok(Cookie::from_index(8)));
    assert!(directory.path().join("F-7").exists(), "what is not ours is left alone");
}

/// Every file is compared with its record: a flipped bit, a byte too few or too many, and a missing file are found.
#[test]
fn verify_finds_what_is_damaged_and_nothing_else() {
    let directory = directory();
    let store = open(directory.path());
    let content: Vec<u8> = (0..200_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let cookies: Vec<Cookie> = (0..5).map(|_| put(&store, &content).expect("stored")).collect();
    put(&store, b"").expect("stored");
    assert_eq!(store.verify(|_, _| ()), Ok(Verified { whole: 6, unrecorded: 0, damaged: 0 }));
    let path = |index: usize| directory.path().join(format!("F-{}/F", cookies[index]));
    let mut flipped = content.clone();
    flipped[199_999] ^= 0x80;
    fs::write(path(0), &flipped).expect("written");
    fs::write(path(1), &content[..199_999]).expect("written");
    fs::write(path(2), [content.as_slice(), b"x"].concat()).expect("written");
    fs::remove_file(path(3)).expect("removed");
    let mut damaged = Vec::new();
    let verified = store.verify(|cookie, finding| match finding {
        Finding::Damaged(error) if error.kind() == StoreErrorKind::Damaged => damaged.push(cookie.clone()),
        finding => assert_eq!(*finding, Finding::Whole),
    });
    assert_eq!(verified, Ok(Verified { whole: 2, unrecorded: 0, damaged: 4 }));
    assert_eq!(damaged, cookies[..4]);
}

/// What 2019 stored has no digest; an index of our first version gains the columns for it.
#[test]
fn verify_knows_files_that_were_stored_before_there_were_digests() {
    let directory = directory();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/server-dir");
    copy(&recorded, directory.path());
    let database = rusqlite::Connection::open(directory.path().join("fssGlobal.db")).expect("it opens");
    let first_version = "CREATE TABLE fss_file(cookie TEXT PRIMARY KEY, stored INTEGER NOT NULL, expires INTEGER) WITHOUT ROWID";
    database.execute(first_version, []).expect("created");
    drop(database);
    let store = open(directory.path());
    let old = u64::try_from(store.count().expect("counted")).expect("few");
    assert!(old > 0);
    put(&store, b"new").expect("stored");
    assert_eq!(store.verify(|_, _| ()), Ok(Verified { whole: 1, unrecorded: old, damaged: 0 }));
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("created");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// What takes a cookie's name after it was reserved is not ours, whoever made it.
#[test]
fn a_directory_that_appears_under_a_reserved_name_is_left_alone() {
    let directory = directory();
    let store = OpenOptions::default().cookies(IndexCookies).open(directory.path()).expect("the store opens");
    let upload = store.create(&Verifier::from_bytes([1; 48])).expect("created");
    fs::create_dir(directory.path().join("F-1")).expect("created");
    fs::write(directory.path().join("F-1/F"), b"not ours").expect("written");
    assert_eq!(kind(upload.commit()), StoreErrorKind::Exists);
    drop(store);
    drop(open(directory.path()));
    assert_eq!(entries(directory.path()), ["F-1"]);
}

/// Many names that are taken cost tries, and not the service.
#[test]
fn index_cookies_get_past_names_that_are_taken() {
    let directory = directory();
    for number in 1..=40 {
        fs::create_dir(directory.path().join(format!("F-{number}"))).expect("created");
    }
    let store = OpenOptions::default().cookies(IndexCookies).open(directory.path()).expect("the store opens");
    let cookies: Vec<_> = (0..3).map(|_| put(&store, b"x").ok()).collect();
    assert_eq!(cookies, [None, None, Some(Cookie::from_index(41))]);
}

#[test]
fn a_source_that_repeats_itself_ends_in_an_error() {
    let directory = directory();
    let store = OpenOptions::default().cookies(|_| Cookie::from_index(1)).open(directory.path()).expect("the store opens");
    put(&store, b"the only one").expect("stored");
    assert_eq!(kind(put(&store, b"another")), StoreErrorKind::Unavailable);
    let memory = MemoryStore::with(|_| Cookie::from_index(1), Retention::Forever);
    put(&memory, b"the only one").expect("stored");
    assert_eq!(kind(put(&memory, b"another")), StoreErrorKind::Unavailable);
}

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

/// A wall clock that stands until it is moved.
#[derive(Clone, Default)]
struct HandClock(Arc<AtomicU64>);

impl WallClock for HandClock {
    fn unix_seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
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
    clock.0.store(99, Ordering::Relaxed);
    assert_eq!((get(&store, &cookie).map(|file| file.is_some()), store.remove_expired()), (Ok(true), Ok(0)));
    clock.0.store(100, Ordering::Relaxed);
    assert_eq!(get(&store, &cookie), Ok(None), "it is gone even before it is removed");
    drop(store);
    assert_eq!(open().count(), Ok(0), "opening sweeps");
    assert_eq!(entries(directory.path()), Vec::<String>::new());
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

/// Stops everything from a certain step on, as a power cut would: all steps after it fail and do nothing. That one step
/// fails too, but may have done its work.
#[derive(Clone)]
struct PowerCut {
    steps: Arc<AtomicU64>,
    last_is_done: bool,
}

impl PowerCut {
    fn step<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let cut = || StoreError::new(StoreErrorKind::Unavailable, "the power is cut");
        match self.steps.load(Ordering::Relaxed) {
            0 => return Err(cut()),
            left => self.steps.store(left - 1, Ordering::Relaxed),
        }
        let done = work()?;
        if self.steps.load(Ordering::Relaxed) > 0 || !self.last_is_done { Ok(done) } else { Err(cut()) }
    }
}

struct CutIndex(SqliteIndex, PowerCut);
struct CutBlobs(FilesystemBlobs, PowerCut);
struct CutStaged(Box<dyn StagedBlob>, PowerCut);

impl Index for CutIndex {
    fn reserve(&self, cookies: &dyn CookieSource, taken: Taken<'_>) -> Result<Reservation, StoreError> {
        self.1.step(|| self.0.reserve(cookies, taken))
    }

    fn publish(&self, reservation: &Reservation, record: &Record) -> Result<(), StoreError> {
        self.1.step(|| self.0.publish(reservation, record))
    }

    fn find(&self, cookie: &Cookie, now: u64) -> Result<Option<String>, StoreError> {
        self.1.step(|| self.0.find(cookie, now))
    }

    fn content(&self, cookie: &Cookie) -> Result<Option<(String, Option<Content>)>, StoreError> {
        self.0.content(cookie)
    }

    fn withdraw(&self, cookie: &Cookie) -> Result<Option<String>, StoreError> {
        self.1.step(|| self.0.withdraw(cookie))
    }

    fn count(&self) -> Result<usize, StoreError> {
        self.0.count()
    }

    fn cookies(&self, expired_at: Option<u64>) -> Result<Vec<Cookie>, StoreError> {
        self.0.cookies(expired_at)
    }

    fn unowned(&self) -> Result<Vec<String>, StoreError> {
        self.0.unowned()
    }

    fn forget(&self, blob: &str) -> Result<(), StoreError> {
        self.1.step(|| self.0.forget(blob))
    }
}

impl Blobs for CutBlobs {
    fn stage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError> {
        let staged = self.1.step(|| self.0.stage(blob, verifier))?;
        Ok(Box::new(CutStaged(staged, self.1.clone())))
    }

    fn exists(&self, blob: &str) -> Result<bool, StoreError> {
        self.0.exists(blob)
    }

    fn open(&self, blob: &str) -> Result<Box<dyn OpenBlob>, StoreError> {
        self.0.open(blob)
    }

    fn discard(&self, blob: &str) -> Result<(), StoreError> {
        self.1.step(|| self.0.discard(blob))
    }

    fn remove(&self, blob: &str) -> Result<(), StoreError> {
        self.1.step(|| self.0.remove(blob))
    }
}

impl StagedBlob for CutStaged {
    fn append(&mut self, data: &[u8]) -> Result<(), StoreError> {
        self.1.step(|| self.0.append(data))
    }

    fn publish(self: Box<Self>) -> Result<(), StoreError> {
        let Self(staged, cut) = *self;
        cut.step(|| staged.publish())
    }
}

/// P15 for the store: cut at every step of storing, replacing and removing, what was acknowledged is whole, what was not
/// is invisible, and nothing is left over after the next start.
#[test]
fn p15_a_cut_at_every_step_loses_nothing_and_leaves_nothing() {
    for (steps, last_is_done) in (0..40).flat_map(|steps| [(steps, false), (steps, true)]) {
        let directory = directory();
        let cut = PowerCut { steps: Arc::new(AtomicU64::new(u64::MAX)), last_is_done };
        let mut expected: HashMap<Cookie, Option<Vec<u8>>> = HashMap::new();
        {
            let blobs = CutBlobs(FilesystemBlobs::open(directory.path()).expect("opens"), cut.clone());
            let index = CutIndex(SqliteIndex::open(&directory.path().join("fssGlobal.db")).expect("opens"), cut.clone());
            let store = IndexedStore::recover(index, blobs, Box::new(IndexCookies), Box::new(SystemClock), Retention::Forever);
            let store = store.expect("an empty store opens");
            cut.steps.store(steps, Ordering::Relaxed);
            for size in [0_usize, 500, 1500] {
                if let Ok(cookie) = put(&store, &vec![7; size]) {
                    expected.insert(cookie, Some(vec![7; size]));
                }
            }
            let first = Cookie::from_index(1);
            match store.remove(&first) {
                Ok(true) => drop(expected.insert(first, Some(vec![])).map(|_| expected.insert(Cookie::from_index(1), None))),
                Ok(false) => {}
                // It was not acknowledged that it is gone: it may be gone or there.
                Err(_) => drop(expected.remove(&first)),
            }
        }
        let store = open(directory.path());
        for (cookie, content) in &expected {
            assert_eq!(get(&store, cookie).as_ref(), Ok(content), "cut after {steps} steps");
        }
        let there: Vec<_> =
            (1..10).map(Cookie::from_index).filter_map(|cookie| get(&store, &cookie).expect("whole").map(|_| cookie)).collect();
        assert_eq!(entries(directory.path()), there.iter().map(|cookie| format!("F-{cookie}")).collect::<Vec<_>>());
        // At most the one whose step was cut may be there without having been acknowledged, beside the one whose removal was.
        let unacknowledged = there.iter().filter(|cookie| !expected.contains_key(cookie) && cookie.as_str() != "1").count();
        assert!(unacknowledged <= 1, "cut after {steps} steps");
    }
}

#[test]
fn damaged_and_foreign_databases_are_told_apart_and_left_alone() {
    let directory = directory();
    let database = directory.path().join("fssGlobal.db");
    fs::write(&database, b"this is no database, and longer than the header of one would be: \0\0\0\0").expect("written");
    let before = fs::read(&database).expect("readable");
    assert_eq!(kind(EmbeddedStore::in_directory(directory.path())), StoreErrorKind::Damaged);
    assert_eq!(fs::read(&database).expect("readable"), before);
    fs::remove_file(&database).expect("removed");
    let other = rusqlite::Connection::open(&database).expect("a database");
    other.execute_batch("CREATE TABLE accounts(name TEXT)").expect("created");
    drop(other);
    let error = EmbeddedStore::in_directory(directory.path()).expect_err("it is of something else");
    assert_eq!(error.kind(), StoreErrorKind::Foreign);
    assert!(error.to_string().contains("fssGlobal.db is a database of something else"), "{error}");
    let tables: i64 = rusqlite::Connection::open(&database)
        .and_then(|database| database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)))
        .expect("a database");
    assert_eq!(tables, 1);
}

#[test]
fn records_that_lead_astray_are_damage_and_not_followed() {
    let directory = directory();
    drop(open(directory.path()));
    fs::create_dir(directory.path().join("F-5")).expect("created");
    fs::write(directory.path().join("F-5/H"), [0; 48]).expect("written");
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("F-5/F")).expect("linked");
    fs::create_dir(directory.path().join("F-6")).expect("created");
    fs::write(directory.path().join("F-6/F"), b"").expect("written");
    fs::write(directory.path().join("F-6/H"), [0; 47]).expect("written");
    let database = rusqlite::Connection::open(directory.path().join("fssGlobal.db")).expect("a database");
    for (cookie, path) in [(1, "../elsewhere"), (2, "/etc"), (3, "F-gone"), (4, "F-1/../.."), (5, "F-5"), (6, "F-6")] {
        database.execute("INSERT INTO stored VALUES (?1, ?2, '2019-01-01')", (cookie.to_string(), path)).expect("inserted");
    }
    drop(database);
    let store = open(directory.path());
    for cookie in 1..=6 {
        assert!(
            matches!(store.open(&Cookie::from_index(cookie)).map(drop), Err(error) if error.kind() != StoreErrorKind::Full),
            "{cookie}"
        );
    }
    fs::create_dir(directory.path().join("F-1")).expect("created");
    for cookie in 1..=6 {
        assert_eq!(store.remove(&Cookie::from_index(cookie)), Ok(true), "a bad record can be got rid of");
    }
    drop(store);
    assert_eq!(open(directory.path()).count(), Ok(0));
    assert!(directory.path().join("F-1").exists() && Path::new("/etc/passwd").exists(), "what is not ours is left alone");
}

#[test]
fn a_directory_that_cannot_be_made_says_so() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, b"").expect("written");
    let error = EmbeddedStore::in_directory(&file.join("inside")).expect_err("a file has nothing inside");
    assert!(error.to_string().contains("cannot create"), "{error}");
}
