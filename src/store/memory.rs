//! A store in memory: for tests, demonstrations, and files that need not outlive the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::{Download, Retention, Store, StoreError, StoreErrorKind, Upload};
use crate::cookie::{Cookie, CookieSource, RandomCookies};
use crate::crypto::legacy::Verifier;

/// Keeps files in memory until it is dropped. Clones share the same files.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    cookies: Box<dyn CookieSource>,
    retention: Retention,
    files: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    /// `None` for a file on its way in: its cookie is reserved.
    by_cookie: HashMap<Cookie, Option<File>>,
    created: u64,
}

#[derive(Clone)]
struct File {
    verifier: Verifier,
    data: Bytes,
}

impl MemoryStore {
    /// An empty store with random cookies that keeps files for ever.
    pub fn new() -> Self {
        Self::with(RandomCookies, Retention::Forever)
    }

    /// An empty store with a choice of cookies and retention. [`Retention::For`] keeps for ever here: memory has no dates.
    pub fn with(cookies: impl CookieSource + 'static, retention: Retention) -> Self {
        Self { shared: Arc::new(Shared { cookies: Box::new(cookies), retention, files: Mutex::default() }) }
    }

    /// How many files can be downloaded.
    pub fn len(&self) -> usize {
        self.shared.files().by_cookie.values().flatten().count()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("files", &self.len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        // No code panics half-way through a change of the map, so it is sound even if a thread died holding it.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn create(&self, verifier: &Verifier) -> Result<Box<dyn Upload>, StoreError> {
        let mut files = self.shared.files();
        for _ in 0..super::indexed::COOKIE_TRIES {
            files.created += 1;
            let cookie = self.shared.cookies.cookie(files.created);
            if !files.by_cookie.contains_key(&cookie) {
                files.by_cookie.insert(cookie.clone(), None);
                let upload =
                    Incoming { shared: Arc::clone(&self.shared), cookie, verifier: verifier.clone(), data: BytesMut::new() };
                return Ok(Box::new(upload));
            }
        }
        Err(super::indexed::no_cookie_left())
    }

    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn Download>>, StoreError> {
        let file = self.shared.files().by_cookie.get(cookie).cloned().flatten();
        Ok(file.map(|file| -> Box<dyn Download> {
            Box::new(Outgoing { shared: Arc::clone(&self.shared), cookie: cookie.clone(), file })
        }))
    }

    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        let mut files = self.shared.files();
        let there = matches!(files.by_cookie.get(cookie), Some(Some(_)));
        if there {
            files.by_cookie.remove(cookie);
        }
        Ok(there)
    }
}

struct Incoming {
    shared: Arc<Shared>,
    cookie: Cookie,
    verifier: Verifier,
    data: BytesMut,
}

impl Upload for Incoming {
    fn cookie(&self) -> &Cookie {
        &self.cookie
    }

    fn write(&mut self, offset: u64, data: Bytes) -> Result<(), StoreError> {
        if offset != self.data.len() as u64 {
            return Err(StoreError::new(StoreErrorKind::Misuse, "a write that does not follow the one before"));
        }
        self.data.extend_from_slice(&data);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let file = File { verifier: self.verifier.clone(), data: self.data.split().freeze() };
        self.shared.files().by_cookie.insert(self.cookie.clone(), Some(file));
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut files = self.shared.files();
        if let Some(None) = files.by_cookie.get(&self.cookie) {
            files.by_cookie.remove(&self.cookie);
        }
    }
}

struct Outgoing {
    shared: Arc<Shared>,
    cookie: Cookie,
    file: File,
}

impl Download for Outgoing {
    fn verifier(&self) -> &Verifier {
        &self.file.verifier
    }

    fn size(&self) -> u64 {
        self.file.data.len() as u64
    }

    fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        let start =
            usize::try_from(offset).ok().filter(|start| start.checked_add(length).is_some_and(|end| end <= self.file.data.len()));
        let start = start.ok_or_else(|| StoreError::new(StoreErrorKind::Misuse, "a read beyond the end of the file"))?;
        Ok(self.file.data.slice(start..start + length))
    }

    fn delivered(self: Box<Self>) -> Result<(), StoreError> {
        if self.shared.retention == Retention::UntilDownloaded {
            self.shared.files().by_cookie.remove(&self.cookie);
        }
        Ok(())
    }
}
