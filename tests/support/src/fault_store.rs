//! A store that counts what it is asked, and fails at a chosen step, as one on a full disk does.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fss::chain::ChainDigest;
use fss::crypto::Fingerprint;
use fss::store::{
    Account, FileReader, FileWriter, Invite, Listing, NewFile, Removal, Resumed, RetentionTerms,
    Store, StoreError, StoreErrorKind, StoredFile, StoredFormat, UploadKey, UserName,
};
use fss::{Cookie, MemoryStore};

/// Wraps a store in memory.
#[derive(Clone)]
pub struct FaultStore {
    store: MemoryStore,
    plan: Arc<FaultPlan>,
}

struct FaultPlan {
    /// Steps until one fails; never, if it is negative.
    left: AtomicI64,
    /// How it fails.
    kind: StoreErrorKind,
    asked: Mutex<Vec<&'static str>>,
    /// Where in memory each read put what it read.
    read_into: Mutex<Vec<usize>>,
    /// What was written, where that is kept.
    written: Option<Mutex<Vec<Bytes>>>,
}

impl FaultPlan {
    fn step(&self, name: &'static str) -> Result<(), StoreError> {
        self.asked.lock().expect("no test thread panicked").push(name);
        match self.left.fetch_sub(1, Ordering::Relaxed) {
            0 => Err(StoreError::new(self.kind, "as the test wants it")),
            _ => Ok(()),
        }
    }
}

impl FaultStore {
    /// Never fails.
    pub fn new(store: MemoryStore) -> Self {
        Self::failing_at(store, -1)
    }

    /// Fails at step `step`, counted from 0, as on a full disk.
    pub fn failing_at(store: MemoryStore, step: i64) -> Self {
        Self::failing_with(store, step, StoreErrorKind::Full)
    }

    /// Fails at step `step`, counted from 0, with an error of this kind.
    pub fn failing_with(store: MemoryStore, step: i64, kind: StoreErrorKind) -> Self {
        Self {
            store,
            plan: Arc::new(FaultPlan {
                left: step.into(),
                kind,
                asked: Mutex::default(),
                read_into: Mutex::default(),
                written: None,
            }),
        }
    }

    /// Never fails, and keeps all data that is written to it, as a store does that writes in the
    /// background.
    pub fn keeping(store: MemoryStore) -> Self {
        let (kind, written) = (StoreErrorKind::Full, Some(Mutex::default()));
        Self {
            store,
            plan: Arc::new(FaultPlan {
                left: (-1).into(),
                kind,
                asked: Mutex::default(),
                read_into: Mutex::default(),
                written,
            }),
        }
    }

    /// The names of the steps since the last call.
    pub fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.plan.asked.lock().expect("no test thread panicked"))
    }

    /// Where in memory each read put what it read, since the last call.
    pub fn read_into(&self) -> Vec<usize> {
        std::mem::take(&mut self.plan.read_into.lock().expect("no test thread panicked"))
    }

    fn wrap<T: ?Sized>(&self, inner: Box<T>) -> FaultFile<T> {
        FaultFile { inner, plan: Arc::clone(&self.plan) }
    }
}

struct FaultFile<T: ?Sized> {
    inner: Box<T>,
    plan: Arc<FaultPlan>,
}

impl Store for FaultStore {
    fn create(&self, file: &NewFile) -> Result<Box<dyn FileWriter>, StoreError> {
        self.plan.step("create")?;
        Ok(Box::new(self.wrap(self.store.create(file)?)))
    }

    fn find_upload(&self, cookie: &Cookie) -> Result<Option<UploadKey>, StoreError> {
        self.plan.step("find upload")?;
        self.store.find_upload(cookie)
    }

    fn resume(&self, cookie: &Cookie, offset: u64) -> Result<Option<Resumed>, StoreError> {
        self.plan.step("resume")?;
        let resumed = self.store.resume(cookie, offset)?;
        Ok(resumed.map(|mut resumed| {
            resumed.upload =
                resumed.upload.map(|upload| -> Box<dyn FileWriter> { Box::new(self.wrap(upload)) });
            resumed
        }))
    }

    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn FileReader>>, StoreError> {
        self.plan.step("open")?;
        Ok(self
            .store
            .open(cookie)?
            .map(|file| -> Box<dyn FileReader> { Box::new(self.wrap(file)) }))
    }

    fn format(&self, cookie: &Cookie) -> Result<Option<StoredFormat>, StoreError> {
        self.plan.step("format")?;
        self.store.format(cookie)
    }

    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        self.plan.step("remove")?;
        self.store.remove(cookie)
    }

    fn remove_owned(&self, cookie: &Cookie, owner: &Fingerprint) -> Result<Removal, StoreError> {
        self.plan.step("remove owned")?;
        self.store.remove_owned(cookie, owner)
    }

    fn list(
        &self,
        owner: &Fingerprint,
        after: Option<&Cookie>,
    ) -> Result<Option<Listing>, StoreError> {
        self.plan.step("list")?;
        self.store.list(owner, after)
    }

    fn sign_up(
        &self,
        key: &Fingerprint,
        name: &UserName,
        invite: Option<&Invite>,
    ) -> Result<Account, StoreError> {
        self.plan.step("sign up")?;
        self.store.sign_up(key, name, invite)
    }

    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError> {
        self.plan.step("account")?;
        self.store.account(key)
    }
}

impl FileWriter for FaultFile<dyn FileWriter> {
    fn cookie(&self) -> &Cookie {
        self.inner.cookie()
    }

    fn expires(&self) -> Option<u64> {
        self.inner.expires()
    }

    fn granted(&self) -> RetentionTerms {
        self.inner.granted()
    }

    fn write(&mut self, offset: u64, data: Bytes) -> Result<(), StoreError> {
        self.plan.step("write")?;
        if let Some(written) = &self.plan.written {
            written.lock().expect("no test thread panicked").push(data.clone());
        }
        self.inner.write(offset, data)
    }

    fn commit(self: Box<Self>) -> Result<ChainDigest, StoreError> {
        self.plan.step("commit")?;
        self.inner.commit()
    }
}

impl FileReader for FaultFile<dyn FileReader> {
    fn file(&self) -> &StoredFile {
        self.inner.file()
    }

    fn claim(&mut self, by: &Fingerprint) -> Result<bool, StoreError> {
        self.plan.step("claim")?;
        self.inner.claim(by)
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        self.plan.step("read")?;
        let address = buffer.as_ptr().addr();
        self.plan.read_into.lock().expect("no test thread panicked").push(address);
        self.inner.read(offset, buffer)
    }

    fn delivered(self: Box<Self>) -> Result<(), StoreError> {
        self.plan.step("delivered")?;
        self.inner.delivered()
    }
}
