//! What a power failure leaves behind, at any step.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fss::chain::{CHECKPOINT, ChainDigest};
use fss::crypto::Fingerprint;
use fss::crypto::legacy::Verifier;
use fss::store::conformance::{chain, get, key, new_upload, put, put_sealed};
use fss::store::filesystem::FilesystemBlobs;
use fss::store::indexed::{
    BlobOwner, Blobs, FreeSpace, Index, NameTakenFn, OpenBlob, Pending, Progress, Record,
    Reservation, SignUp, StagedBlob,
};
use fss::store::sqlite::SqliteIndex;
use fss::store::{
    Account, Claim, DownloadClaims, EmbeddedStore, IndexedStore, LEASE, Listing, NewFile,
    OpenOptions, Store, StoreError, StoreErrorKind,
};
use fss::{Cookie, CookieSource, SequentialCookies, SystemClock, WallClock as _};

use super::{HandClock, database, directory, entries, open, unsettled};

/// Stops everything from a certain step on, as a power cut would: all steps after it fail and do
/// nothing. That one step fails too, but may have done its work.
#[derive(Clone)]
struct PowerCut {
    steps: Arc<AtomicU64>,
    last_is_done: bool,
    /// How much of each staged blob would survive.
    synced: Arc<Mutex<HashMap<String, u64>>>,
    /// The free space that the disk reports.
    free: Option<FreeSpace>,
}

/// A store on a disk that reports this much free space.
pub fn on_a_disk(free: FreeSpace) -> (tempfile::TempDir, impl Store) {
    let directory = directory();
    let store = PowerCut { free: Some(free), ..PowerCut::new(true) }.open(directory.path());
    (directory, store)
}

impl PowerCut {
    /// None yet.
    fn new(last_is_done: bool) -> Self {
        Self {
            steps: Arc::new(AtomicU64::new(u64::MAX)),
            last_is_done,
            synced: Arc::default(),
            free: None,
        }
    }

    /// A store that is cut when it comes.
    fn open(&self, directory: &Path) -> IndexedStore<CutIndex, CutBlobs> {
        let blobs = CutBlobs(FilesystemBlobs::open(directory).expect("opens"), self.clone());
        let index = CutIndex(
            SqliteIndex::open(&directory.join("fssGlobal.db")).expect("opens"),
            self.clone(),
        );
        IndexedStore::recover(index, blobs, OpenOptions::default().cookies(SequentialCookies))
            .expect("an empty store opens")
    }

    fn step<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let cut = || StoreError::new(StoreErrorKind::Unavailable, "the power is cut");
        match self.steps.load(Ordering::Relaxed) {
            0 => return Err(cut()),
            left => self.steps.store(left - 1, Ordering::Relaxed),
        }
        let done = work()?;
        if self.steps.load(Ordering::Relaxed) > 0 || !self.last_is_done {
            Ok(done)
        } else {
            Err(cut())
        }
    }

    /// Takes from a directory what was never synced, which a power cut may or may not do.
    fn lose_what_is_not_durable(&self, directory: &Path) {
        let synced = self.synced.lock().expect("not poisoned");
        for name in entries(directory).iter().filter_map(|name| name.strip_prefix(".incoming/")) {
            let staged = directory.join(".incoming").join(name);
            match synced.get(name) {
                None => fs::remove_dir_all(&staged).expect("removed"),
                Some(&length) => {
                    let content =
                        File::options().write(true).open(staged.join("F")).expect("there");
                    content.set_len(length).expect("cut");
                }
            }
        }
    }
}

/// A store after all leases have ended.
fn open_after_leases(directory: &Path) -> EmbeddedStore {
    let clock = HandClock::default();
    clock.advance(SystemClock.unix_seconds() + LEASE.as_secs() + 60);
    OpenOptions::default().clock(clock).open(directory).expect("the store opens")
}

struct CutIndex(SqliteIndex, PowerCut);
struct CutBlobs(FilesystemBlobs, PowerCut);
struct CutStaged {
    staged: Box<dyn StagedBlob>,
    name: String,
    cut: PowerCut,
}

impl Index for CutIndex {
    fn reserve(
        &self,
        pending: Option<&Pending>,
        files_per_owner: u64,
        cookies: &dyn CookieSource,
        taken: NameTakenFn<'_>,
    ) -> Result<Reservation, StoreError> {
        self.1.step(|| self.0.reserve(pending, files_per_owner, cookies, taken))
    }

    fn pending(&self, cookie: &Cookie) -> Result<Option<(String, Pending)>, StoreError> {
        self.1.step(|| self.0.pending(cookie))
    }

    fn checkpoints(&self, cookie: &Cookie) -> Result<Vec<(u64, ChainDigest)>, StoreError> {
        self.1.step(|| self.0.checkpoints(cookie))
    }

    fn advance(&self, cookie: &Cookie, progress: &Progress) -> Result<bool, StoreError> {
        self.1.step(|| self.0.advance(cookie, progress))
    }

    fn abandon(
        &self,
        cookie: &Cookie,
        lapsed_at: Option<u64>,
    ) -> Result<Option<String>, StoreError> {
        self.1.step(|| self.0.abandon(cookie, lapsed_at))
    }

    fn uploads(&self, lapsed_at: Option<u64>) -> Result<Vec<Reservation>, StoreError> {
        self.0.uploads(lapsed_at)
    }

    fn publish(
        &self,
        reservation: &Reservation,
        stored: u64,
        record: &Record,
    ) -> Result<(), StoreError> {
        self.1.step(|| self.0.publish(reservation, stored, record))
    }

    fn find(&self, cookie: &Cookie) -> Result<Option<(String, Record)>, StoreError> {
        self.1.step(|| self.0.find(cookie))
    }

    fn claim(&self, cookie: &Cookie, claim: &Claim) -> Result<bool, StoreError> {
        self.1.step(|| self.0.claim(cookie, claim))
    }

    fn deliver(
        &self,
        cookie: &Cookie,
        by: &Fingerprint,
    ) -> Result<Option<DownloadClaims>, StoreError> {
        self.1.step(|| self.0.deliver(cookie, by))
    }

    fn delivered(&self) -> Result<Vec<Cookie>, StoreError> {
        self.0.delivered()
    }

    fn unpublish(
        &self,
        cookie: &Cookie,
        remembered: Option<u64>,
    ) -> Result<Option<String>, StoreError> {
        self.1.step(|| self.0.unpublish(cookie, remembered))
    }

    fn was_unpublished(
        &self,
        cookie: &Cookie,
        owner: &Fingerprint,
        now: u64,
    ) -> Result<bool, StoreError> {
        self.0.was_unpublished(cookie, owner, now)
    }

    fn count(&self) -> Result<usize, StoreError> {
        self.0.count()
    }

    fn cookies(&self, expired_at: Option<u64>) -> Result<Vec<Cookie>, StoreError> {
        self.0.cookies(expired_at)
    }

    fn list(
        &self,
        owner: &Fingerprint,
        after: Option<&Cookie>,
        now: u64,
    ) -> Result<Option<Listing>, StoreError> {
        self.0.list(owner, after, now)
    }

    fn orphans(&self) -> Result<Vec<String>, StoreError> {
        self.0.orphans()
    }

    fn owner(&self, blob: &str) -> Result<Option<BlobOwner>, StoreError> {
        self.0.owner(blob)
    }

    fn clear_orphan(&self, blob: &str) -> Result<(), StoreError> {
        self.1.step(|| self.0.clear_orphan(blob))
    }

    fn sign_up(&self, wish: &SignUp<'_>) -> Result<Account, StoreError> {
        self.0.sign_up(wish)
    }

    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError> {
        self.0.account(key)
    }
}

impl CutBlobs {
    fn staged(&self, staged: Box<dyn StagedBlob>, blob: &str) -> Box<dyn StagedBlob> {
        Box::new(CutStaged { staged, name: blob.to_owned(), cut: self.1.clone() })
    }
}

impl Blobs for CutBlobs {
    fn stage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError> {
        self.1.step(|| self.0.stage(blob, verifier)).map(|staged| self.staged(staged, blob))
    }

    fn restage(&self, blob: &str, verifier: &Verifier) -> Result<Box<dyn StagedBlob>, StoreError> {
        self.1.step(|| self.0.restage(blob, verifier)).map(|staged| self.staged(staged, blob))
    }

    fn staged(&self) -> Result<Vec<String>, StoreError> {
        self.0.staged()
    }

    fn published(&self) -> Result<Vec<String>, StoreError> {
        self.0.published()
    }

    fn recover(&self, blob: &str) -> Result<(), StoreError> {
        self.1.step(|| self.0.recover(blob))
    }

    fn exists(&self, blob: &str) -> Result<bool, StoreError> {
        self.0.exists(blob)
    }

    fn free(&self) -> Result<Option<FreeSpace>, StoreError> {
        Ok(self.1.free)
    }

    fn open(&self, blob: &str) -> Result<Box<dyn OpenBlob>, StoreError> {
        self.0.open(blob)
    }

    fn discard(&self, blob: &str) -> Result<bool, StoreError> {
        self.1.step(|| self.0.discard(blob))
    }

    fn remove(&self, blob: &str) -> Result<(), StoreError> {
        self.1.step(|| self.0.remove(blob))
    }
}

impl CutStaged {
    fn is_synced(&self) -> Result<(), StoreError> {
        let length = self.staged.length()?;
        self.cut.synced.lock().expect("not poisoned").insert(self.name.clone(), length);
        Ok(())
    }
}

impl StagedBlob for CutStaged {
    fn length(&self) -> Result<u64, StoreError> {
        self.staged.length()
    }

    fn append(&mut self, data: &[u8]) -> Result<(), StoreError> {
        self.cut.step(|| self.staged.append(data))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.cut.clone().step(|| self.staged.sync().and_then(|()| self.is_synced()))
    }

    fn truncate(&mut self, length: u64) -> Result<(), StoreError> {
        self.cut.clone().step(|| self.staged.truncate(length).and_then(|()| self.is_synced()))
    }

    fn publish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { staged, cut, .. } = *self;
        cut.step(|| staged.publish())
    }
}

/// P15 for the store: cut at every step of storing, replacing and removing, what was acknowledged
/// is whole, what was not is invisible, and nothing is left over after the next start, unless it
/// could be resumed until then.
#[test]
fn p15_a_cut_at_every_step_loses_nothing_and_leaves_nothing() {
    for (steps, last_is_done) in (0..40).flat_map(|steps| [(steps, false), (steps, true)]) {
        let directory = directory();
        let cut = PowerCut::new(last_is_done);
        let mut expected: HashMap<Cookie, Option<Vec<u8>>> = HashMap::new();
        {
            let store = cut.open(directory.path());
            cut.steps.store(steps, Ordering::Relaxed);
            for size in [0_usize, 500, 1500] {
                let put = if size == 500 {
                    put_sealed(&store, &vec![7; size])
                } else {
                    put(&store, &vec![7; size])
                };
                if let Ok(cookie) = put {
                    expected.insert(cookie, Some(vec![7; size]));
                }
            }
            let first = Cookie::from_index(1);
            match store.remove(&first) {
                Ok(true) => drop(
                    expected
                        .insert(first, Some(vec![]))
                        .map(|_| expected.insert(Cookie::from_index(1), None)),
                ),
                Ok(false) => {}
                // It was not acknowledged that it is gone: it may be gone or there.
                Err(_) => drop(expected.remove(&first)),
            }
        }
        let store = open_after_leases(directory.path());
        for (cookie, content) in &expected {
            assert_eq!(get(&store, cookie).as_ref(), Ok(content), "cut after {steps} steps");
        }
        let there: Vec<_> = (1..10)
            .map(Cookie::from_index)
            .filter_map(|cookie| get(&store, &cookie).expect("whole").map(|_| cookie))
            .collect();
        assert_eq!(
            entries(directory.path()),
            there.iter().map(|cookie| format!("F-{cookie}")).collect::<Vec<_>>()
        );
        assert_eq!(unsettled(directory.path()), 0, "cut after {steps} steps");
        // At most the one whose step was cut may be there without having been acknowledged, beside
        // the one whose removal was.
        let unacknowledged = there
            .iter()
            .filter(|cookie| !expected.contains_key(cookie) && cookie.as_str() != "1")
            .count();
        assert!(unacknowledged <= 1, "cut after {steps} steps");
    }
}

/// What an interrupted and resumed upload has been told when the power fails.
#[derive(Default)]
struct Acknowledged {
    cookie: Option<Cookie>,
    /// It began anew, after other bytes had come as far as the checkpoint.
    anew: bool,
    checkpoint: bool,
    complete: bool,
}

/// Other bytes, as many as are before the checkpoint.
fn other(content: &Bytes) -> Bytes {
    content.slice(1..=usize::try_from(CHECKPOINT).expect("small"))
}

/// Uploads other bytes up to the checkpoint, then a file from the start to its checkpoint and
/// beyond, then from there to its end.
fn upload_in_parts(
    store: &impl Store,
    file: &NewFile,
    content: &Bytes,
    told: &mut Acknowledged,
) -> Result<(), StoreError> {
    let checkpoint = usize::try_from(CHECKPOINT).expect("small");
    let mut upload = store.create(file)?;
    let cookie = told.cookie.insert(upload.cookie().clone()).clone();
    upload.write(0, other(content))?;
    drop(upload);
    let resume = |offset| Ok(store.resume(&cookie, offset)?.expect("it is pending"));
    let resumed = resume(CHECKPOINT - 1)?;
    assert_eq!(resumed.offset, 0);
    told.anew = true;
    let mut upload = resumed.upload.expect("it is not complete");
    upload.write(0, content.slice(..checkpoint))?;
    told.checkpoint = true;
    upload.write(CHECKPOINT, Bytes::from_static(b"something else"))?;
    let resumed = resume(u64::MAX)?;
    assert_eq!((resumed.offset, resumed.chain), (CHECKPOINT, chain(file, &content[..checkpoint])));
    let mut upload = resumed.upload.expect("it is not complete");
    upload.write(CHECKPOINT, content.slice(checkpoint..))?;
    upload.commit()?;
    told.complete = true;
    Ok(())
}

/// P15 for sealed uploads: cut at every step, with and without the loss of what was not synced,
/// what was acknowledged is there, what is pending resumes, and what no client resumes is gone
/// when its lease has ended.
#[test]
fn p15_a_cut_of_a_sealed_upload_leaves_a_pending_one_or_a_whole_file() {
    let checkpoint = usize::try_from(CHECKPOINT).expect("small");
    let content = Bytes::from((0..251).collect::<Vec<u8>>().repeat(checkpoint / 251 + 300));
    let file = NewFile::Sealed { upload: new_upload(&content), owner: key(0) };
    let mut is_cut = true;
    for steps in 1.. {
        if !std::mem::take(&mut is_cut) {
            break;
        }
        for (last_is_done, goes_on) in [(false, true), (true, true), (true, false)] {
            let directory = directory();
            let mut told = Acknowledged::default();
            let cut = PowerCut::new(last_is_done);
            {
                let store = cut.open(directory.path());
                cut.steps.store(steps, Ordering::Relaxed);
                is_cut |= upload_in_parts(&store, &file, &content, &mut told).is_err();
            }
            if !last_is_done {
                cut.lose_what_is_not_durable(directory.path());
            }
            if goes_on {
                goes_on_after_a_cut(&open(directory.path()), &file, &content, &told);
                assert_eq!(unsettled(directory.path()), 0, "cut after {steps} steps");
            } else {
                let store = open_after_leases(directory.path());
                let cookie = Cookie::from_index(1);
                let there = get(&store, &cookie).expect("readable");
                assert!(there.is_some() || !told.complete, "cut after {steps} steps");
                assert!(
                    there.as_ref().is_none_or(|there| *there == content),
                    "cut after {steps} steps"
                );
                assert_eq!(
                    entries(directory.path()),
                    there.map(|_| "F-1".to_owned()).into_iter().collect::<Vec<_>>()
                );
                assert_eq!(unsettled(directory.path()), 0, "cut after {steps} steps");
            }
        }
    }
}

fn goes_on_after_a_cut(store: &impl Store, file: &NewFile, content: &Bytes, told: &Acknowledged) {
    let cookie = told.cookie.clone().unwrap_or(Cookie::from_index(1));
    let visible = store.open(&cookie).expect("readable").is_some();
    let Some(mut resumed) = store.resume(&cookie, u64::MAX).expect("nothing is damaged") else {
        assert!(told.cookie.is_none(), "an upload that was acknowledged is there");
        return;
    };
    if resumed.chain == chain(file, &other(content)) {
        assert!(!told.anew, "a checkpoint that was cut off is gone");
        resumed = store.resume(&cookie, 0).expect("nothing is damaged").expect("it is pending");
    }
    let Some(mut upload) = resumed.upload else {
        assert!(visible, "a complete file is there");
        assert_eq!(resumed.chain, chain(file, content));
        assert!(get(store, &cookie) == Ok(Some(content.to_vec())));
        return;
    };
    assert!(!visible && !told.complete, "an upload that is not complete is not visible");
    assert!(
        resumed.offset == CHECKPOINT || resumed.offset == 0 && !told.checkpoint,
        "a checkpoint that was passed is there"
    );
    let offset = usize::try_from(resumed.offset).expect("small");
    assert_eq!(resumed.chain, chain(file, &content[..offset]));
    upload.write(resumed.offset, content.slice(offset..)).expect("written");
    assert_eq!(upload.commit(), Ok(chain(file, content)));
    assert!(get(store, &cookie) == Ok(Some(content.to_vec())));
}

/// A claim is durable before it is reported, and a file whose last download was acknowledged goes,
/// now or later.
#[test]
fn p15_a_cut_of_a_delivery_keeps_the_claim_or_ends_it() {
    for (steps, last_is_done) in (0..8).flat_map(|steps| [(steps, false), (steps, true)]) {
        let directory = directory();
        let upload = new_upload(b"once").with_downloads(Some(1));
        let file = NewFile::Sealed { upload, owner: key(0) };
        let cookie = fss::store::conformance::put_file(&open(directory.path()), &file, b"once")
            .expect("stored");
        let cut = PowerCut::new(last_is_done);
        let (mut claimed, mut delivered) = (false, false);
        {
            let store = cut.open(directory.path());
            cut.steps.store(steps, Ordering::Relaxed);
            if let Ok(Some(mut download)) = store.open(&cookie) {
                claimed = download.claim(&key(1)).is_ok_and(|claimed| claimed);
                delivered = claimed && download.delivered().is_ok();
            }
        }
        let count = "SELECT count(*) FROM fss_claim";
        let noted: i64 =
            database(directory.path()).query_row(count, [], |row| row.get(0)).expect("our table");
        let store = open(directory.path());
        let there = get(&store, &cookie).expect("whole").is_some();
        assert!(!delivered || !there, "cut after {steps} steps");
        assert!(there || claimed, "cut after {steps} steps: what was not delivered is there");
        let again =
            store.open(&cookie).expect("readable").map(|mut download| download.claim(&key(1)));
        assert!(
            again.is_none_or(|claim| claim == Ok(true)),
            "cut after {steps} steps: who has claimed it can come back"
        );
        assert!(claimed || noted == 0 || last_is_done, "cut after {steps} steps");
        assert_eq!(entries(directory.path()).len(), usize::from(there), "cut after {steps} steps");
        assert_eq!(unsettled(directory.path()), 0, "cut after {steps} steps");
    }
}

/// What cannot be removed keeps no answer and no start from coming, and is removed when that is
/// possible.
#[test]
fn what_cannot_be_removed_is_left_to_the_sweep() {
    let directory = directory();
    let cookies: Vec<Cookie> = {
        let store = OpenOptions::default()
            .cookies(SequentialCookies)
            .open(directory.path())
            .expect("the store opens");
        (0..3).map(|_| put(&store, b"content").expect("stored")).collect()
    };
    let heal = |cut: &PowerCut| cut.steps.store(u64::MAX, Ordering::Relaxed);
    let cut = PowerCut::new(false);
    {
        let store = cut.open(directory.path());
        for cookie in &cookies[..2] {
            // The record is unpublished, and no more than that.
            cut.steps.store(1, Ordering::Relaxed);
            assert_eq!(store.remove(cookie), Ok(true));
            heal(&cut);
            assert_eq!(store.open(cookie).map(|file| file.is_some()), Ok(false));
        }
        assert_eq!((store.leftovers().len(), entries(directory.path()).len()), (2, 3));
    }
    // Nor can the next start remove it.
    cut.steps.store(0, Ordering::Relaxed);
    let store = cut.open(directory.path());
    assert_eq!((store.leftovers().len(), unsettled(directory.path())), (2, 2));
    heal(&cut);
    assert_eq!(
        get(&store, &cookies[2]),
        Ok(Some(b"content".to_vec())),
        "and the others are served"
    );
    assert_eq!(store.remove_expired(), Ok(0));
    assert_eq!((store.leftovers(), unsettled(directory.path())), (vec![], 0));
    assert_eq!(entries(directory.path()), ["F-3"]);
}
