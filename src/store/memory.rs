//! A store in memory: for tests, demonstrations, and files that need not outlive the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use super::CLAIM_LEASE;
use super::error::superseded;
use super::retention::{DownloadClaims, RetentionTerms};
use super::{
    Account, Entry, FILE_CHARGE, FileReader, FileWriter, Invite, LEASE, LISTED_AT_ONCE, Listing,
    NewFile, REMOVED_REMEMBERED, Removal, Resumed, Retention, Store, StoreError, StoreErrorKind,
    StoredFile, StoredFormat, UploadKey, UserName,
};
use crate::chain::{CHECKPOINT, Chain, ChainDigest};
use crate::crypto::Fingerprint;
use crate::types::cookie::{Cookie, CookieSource, RandomCookies};
use crate::types::time::{SystemClock, WallClock};

/// Keeps files in memory until it is dropped. Clones share the same files. Anyone may sign up,
/// without an invite and without a quota.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    cookies: Box<dyn CookieSource>,
    retention: Retention,
    clock: Box<dyn WallClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: HashMap<Cookie, File>,
    /// Uploads that are not complete: their cookies are reserved.
    uploads: HashMap<Cookie, Pending>,
    users: HashMap<Fingerprint, UserName>,
    /// Files that were removed, whose they were, and until when that is remembered; the oldest
    /// first.
    removed: VecDeque<(Cookie, Fingerprint, u64)>,
    /// Uploads begun so far.
    begun: u64,
    /// Uploads begun, resumed or completed so far: tells what was first.
    events: u64,
}

struct File {
    known: StoredFile,
    data: Bytes,
    /// When it was stored, in Unix seconds, and as which.
    stored: (u64, u64),
    /// How many deliveries it is kept for, if they are limited, and how many were made.
    downloads: Option<u64>,
    delivered: u64,
    /// Claims that are open, with the ends of their leases.
    claims: HashMap<Fingerprint, u64>,
}

impl File {
    /// Its deliveries, if they are limited.
    fn deliveries(&self) -> Option<DownloadClaims> {
        self.downloads.map(|limit| DownloadClaims {
            limit,
            made: self.delivered,
            claimed: self.claims.len() as u64,
        })
    }
}

struct Pending {
    file: NewFile,
    data: BytesMut,
    /// Positions and chains, the start included.
    checkpoints: Vec<(u64, ChainDigest)>,
    /// Which [`MemoryUpload`] may go on with it.
    holder: u64,
    lease: u64,
}

impl MemoryStore {
    /// An empty store with random cookies that keeps files for ever.
    pub fn new() -> Self {
        Self::with(RandomCookies, Retention::Forever)
    }

    /// An empty store with a choice of cookies and retention.
    pub fn with(cookies: impl CookieSource + 'static, retention: Retention) -> Self {
        Self::with_clock(cookies, retention, SystemClock)
    }

    /// The same with a clock for dates and expiry.
    pub fn with_clock(
        cookies: impl CookieSource + 'static,
        retention: Retention,
        clock: impl WallClock + 'static,
    ) -> Self {
        let shared = Shared {
            cookies: Box::new(cookies),
            retention,
            clock: Box::new(clock),
            state: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How many files can be downloaded.
    pub fn len(&self) -> usize {
        self.shared.state().files.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many uploads are not complete.
    pub fn pending(&self) -> usize {
        self.shared.state().uploads.len()
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
    /// Locks the state, without what has expired.
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics half-way through a change, so it is sound even if a thread died holding
        // it.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.unix_seconds();
        state.files.retain(|_, file| file.known.expires.is_none_or(|expires| expires > now));
        state.files.values_mut().for_each(|file| file.claims.retain(|_, lease| *lease > now));
        state.uploads.retain(|_, upload| upload.lease > now);
        state
    }

    fn lease(&self) -> u64 {
        self.clock.unix_seconds().saturating_add(LEASE.as_secs())
    }

    fn keep(&self, file: &NewFile) -> RetentionTerms {
        match file {
            NewFile::Legacy { .. } => self.retention.grant_legacy(),
            NewFile::Sealed { upload, .. } => self
                .retention
                .grant(RetentionTerms { seconds: upload.keep, downloads: upload.downloads }),
        }
    }
}

impl Store for MemoryStore {
    fn create(&self, file: &NewFile) -> Result<Box<dyn FileWriter>, StoreError> {
        let lease = self.shared.lease();
        let mut state = self.shared.state();
        state.events += 1;
        let holder = state.events;
        for _ in 0..super::indexed::COOKIE_TRIES {
            state.begun += 1;
            let cookie = self.shared.cookies.cookie(state.begun);
            if !state.files.contains_key(&cookie) && !state.uploads.contains_key(&cookie) {
                let chain = file.chain();
                let checkpoints = vec![(0, chain.digest())];
                state.uploads.insert(
                    cookie.clone(),
                    Pending {
                        file: file.clone(),
                        data: BytesMut::new(),
                        checkpoints,
                        holder,
                        lease,
                    },
                );
                let granted = self.shared.keep(file);
                let expires = granted.expires(self.shared.clock.unix_seconds());
                return Ok(Box::new(MemoryUpload {
                    shared: Arc::clone(&self.shared),
                    cookie,
                    holder,
                    chain,
                    expires,
                    granted,
                }));
            }
        }
        Err(super::indexed::no_cookie_left())
    }

    fn find_upload(&self, cookie: &Cookie) -> Result<Option<UploadKey>, StoreError> {
        let state = self.shared.state();
        if let Some(Pending { file: NewFile::Sealed { upload, owner }, .. }) =
            state.uploads.get(cookie)
        {
            let (header, verifier) = (upload.header.clone(), upload.verifier.clone());
            return Ok(Some(UploadKey { header, verifier, owner: Some(*owner) }));
        }
        Ok(state.files.get(cookie).and_then(|file| {
            let StoredFile { header, verifier, owner, .. } = file.known.clone();
            header.map(|header| UploadKey { header, verifier, owner })
        }))
    }

    fn resume(&self, cookie: &Cookie, offset: u64) -> Result<Option<Resumed>, StoreError> {
        let lease = self.shared.lease();
        let mut state = self.shared.state();
        if let Some(File { known, .. }) = state.files.get(cookie)
            && let StoredFile { header: Some(_), size, chain: Some(chain), expires, .. } = known
        {
            return Ok(Some(Resumed {
                upload: None,
                offset: *size,
                chain: *chain,
                size: Some(*size),
                expires: *expires,
            }));
        }
        state.events += 1;
        let holder = state.events;
        let Some(pending) = state.uploads.get_mut(cookie) else { return Ok(None) };
        let NewFile::Sealed { upload, .. } = &pending.file else { return Ok(None) };
        let size = upload.size;
        pending.checkpoints.retain(|(position, _)| *position == 0 || *position <= offset);
        let Some(&(offset, chain)) = pending.checkpoints.last() else { return Ok(None) };
        pending.data.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
        (pending.holder, pending.lease) = (holder, lease);
        let granted = self.shared.keep(&pending.file);
        let expires = granted.expires(self.shared.clock.unix_seconds());
        let upload = MemoryUpload {
            shared: Arc::clone(&self.shared),
            cookie: cookie.clone(),
            holder,
            chain: Chain::resume(offset, chain),
            expires,
            granted,
        };
        Ok(Some(Resumed { upload: Some(Box::new(upload)), offset, chain, size, expires }))
    }

    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn FileReader>>, StoreError> {
        let state = self.shared.state();
        Ok(state.files.get(cookie).map(|file| -> Box<dyn FileReader> {
            let (known, data) = (file.known.clone(), file.data.clone());
            Box::new(MemoryDownload {
                shared: Arc::clone(&self.shared),
                cookie: cookie.clone(),
                known,
                data,
                claimed_by: None,
            })
        }))
    }

    fn format(&self, cookie: &Cookie) -> Result<Option<StoredFormat>, StoreError> {
        Ok(self.shared.state().files.get(cookie).map(|file| file.known.header.clone().into()))
    }

    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        let now = self.shared.clock.unix_seconds();
        Ok(self.shared.state().remove(cookie, now))
    }

    fn remove_owned(&self, cookie: &Cookie, owner: &Fingerprint) -> Result<Removal, StoreError> {
        let now = self.shared.clock.unix_seconds();
        let mut state = self.shared.state();
        if state.files.get(cookie).is_some_and(|file| file.known.owner == Some(*owner)) {
            state.remove(cookie, now);
            return Ok(Removal::Removed);
        }
        let is_it = |(removed, by, until): &(Cookie, Fingerprint, u64)| {
            removed == cookie && by == owner && *until > now
        };
        Ok(Removal::of_missing(state.removed.iter().any(is_it)))
    }

    fn list(
        &self,
        owner: &Fingerprint,
        after: Option<&Cookie>,
    ) -> Result<Option<Listing>, StoreError> {
        let state = self.shared.state();
        let mut files: Vec<_> =
            state.files.iter().filter(|(_, file)| file.known.owner == Some(*owner)).collect();
        files.sort_unstable_by_key(|(_, file)| file.stored.1);
        let start = match after {
            None => 0,
            Some(after) => match files.iter().position(|(cookie, _)| *cookie == after) {
                Some(position) => position + 1,
                None => return Ok(None),
            },
        };
        let more = files.len() > start + LISTED_AT_ONCE;
        let entry = |(cookie, file): &(&Cookie, &File)| Entry {
            cookie: (*cookie).clone(),
            size: file.known.size,
            stored: file.stored.0,
            expires: file.known.expires,
            downloads: file.deliveries().map(|deliveries| deliveries.left()),
        };
        Ok(Some(Listing {
            files: files.iter().skip(start).take(LISTED_AT_ONCE).map(entry).collect(),
            more,
        }))
    }

    fn sign_up(
        &self,
        key: &Fingerprint,
        name: &UserName,
        invite: Option<&Invite>,
    ) -> Result<Account, StoreError> {
        let mut state = self.shared.state();
        if !state.users.contains_key(key) {
            if invite.is_some() {
                return Err(StoreError::new(
                    StoreErrorKind::BadInvite,
                    "a store in memory has no invites",
                ));
            }
            if state.users.values().any(|taken| taken == name) {
                return Err(StoreError::new(
                    StoreErrorKind::NameTaken,
                    format!("there is a user {}", name.as_str()),
                ));
            }
            state.users.insert(*key, name.clone());
        }
        state.account(key).ok_or_else(|| {
            StoreError::new(StoreErrorKind::Misuse, "a user that was just made is not there")
        })
    }

    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError> {
        Ok(self.shared.state().account(key))
    }
}

impl State {
    fn remove(&mut self, cookie: &Cookie, now: u64) -> bool {
        let Some(file) = self.files.remove(cookie) else { return false };
        if let Some(owner) = file.known.owner {
            let forgotten = (self.removed.len() + 1).saturating_sub(REMOVED_REMEMBERED);
            self.removed.drain(..forgotten);
            self.removed.push_back((cookie.clone(), owner, now.saturating_add(LEASE.as_secs())));
        }
        true
    }

    fn account(&self, key: &Fingerprint) -> Option<Account> {
        let name = self.users.get(key)?.clone();
        let stored = self
            .files
            .values()
            .filter(|file| file.known.owner == Some(*key))
            .map(|file| file.known.size);
        let coming = self.uploads.values().filter_map(|pending| match &pending.file {
            NewFile::Sealed { upload, owner } if owner == key => {
                Some(upload.size.unwrap_or(pending.data.len() as u64))
            }
            _ => None,
        });
        let used = stored
            .chain(coming)
            .fold(0, |used: u64, size| used.saturating_add(size).saturating_add(FILE_CHARGE));
        Some(Account::new(name, used))
    }
}

struct MemoryUpload {
    shared: Arc<Shared>,
    cookie: Cookie,
    holder: u64,
    chain: Chain,
    expires: Option<u64>,
    granted: RetentionTerms,
}

impl MemoryUpload {
    fn pending<'a>(&self, state: &'a mut State) -> Result<&'a mut Pending, StoreError> {
        let pending =
            state.uploads.get_mut(&self.cookie).filter(|pending| pending.holder == self.holder);
        pending.ok_or_else(superseded)
    }
}

impl FileWriter for MemoryUpload {
    fn cookie(&self) -> &Cookie {
        &self.cookie
    }

    fn expires(&self) -> Option<u64> {
        self.expires
    }

    fn granted(&self) -> RetentionTerms {
        self.granted
    }

    fn write(&mut self, offset: u64, data: Bytes) -> Result<(), StoreError> {
        if offset != self.chain.position() {
            return Err(StoreError::new(
                StoreErrorKind::Misuse,
                "a write that does not follow the one before",
            ));
        }
        let mut rest = &data[..];
        let mut passed = Vec::new();
        while !rest.is_empty() {
            let to_checkpoint = CHECKPOINT - self.chain.position() % CHECKPOINT;
            let (taken, after) = rest.split_at(
                usize::try_from(to_checkpoint).map_or(rest.len(), |most| most.min(rest.len())),
            );
            self.chain.update(taken);
            if self.chain.position().is_multiple_of(CHECKPOINT) {
                passed.push((self.chain.position(), self.chain.digest()));
            }
            rest = after;
        }
        let lease = self.shared.lease();
        let mut state = self.shared.state();
        let pending = self.pending(&mut state)?;
        pending.data.extend_from_slice(&data);
        if !passed.is_empty() {
            pending.checkpoints.extend(passed);
            pending.lease = lease;
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<ChainDigest, StoreError> {
        let now = self.shared.clock.unix_seconds();
        let mut state = self.shared.state();
        self.pending(&mut state)?;
        let Some(Pending { file, data, .. }) = state.uploads.remove(&self.cookie) else {
            return Err(superseded());
        };
        let keep = self.shared.keep(&file);
        let (header, verifier, owner) = match file {
            NewFile::Legacy { verifier } => (None, verifier, None),
            NewFile::Sealed { upload, owner } => {
                (Some(upload.header), upload.verifier, Some(owner))
            }
        };
        let chain = self.chain.digest();
        let (size, expires) = (self.chain.position(), keep.expires(now));
        let known = StoredFile { header, verifier, size, chain: Some(chain), expires, owner };
        state.events += 1;
        let stored = (now, state.events);
        let (data, downloads) = (data.freeze(), keep.downloads);
        let file = File { known, data, stored, downloads, delivered: 0, claims: HashMap::new() };
        state.files.insert(self.cookie.clone(), file);
        Ok(chain)
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(Pending { file: NewFile::Legacy { .. }, .. }) = state.uploads.get(&self.cookie)
        {
            state.uploads.remove(&self.cookie);
        }
    }
}

struct MemoryDownload {
    shared: Arc<Shared>,
    cookie: Cookie,
    known: StoredFile,
    data: Bytes,
    claimed_by: Option<Fingerprint>,
}

impl MemoryDownload {
    /// Claims a delivery, or renews the claim that the key has.
    fn renew_claim(&mut self, by: &Fingerprint) -> bool {
        let lease = self.shared.clock.unix_seconds().saturating_add(CLAIM_LEASE.as_secs());
        let mut state = self.shared.state();
        let Some(file) = state.files.get_mut(&self.cookie) else { return false };
        let Some(deliveries) = file.deliveries() else { return true };
        let claimed = deliveries.left() > 0 || file.claims.contains_key(by);
        if claimed {
            file.claims.insert(*by, lease);
        }
        claimed
    }
}

impl FileReader for MemoryDownload {
    fn file(&self) -> &StoredFile {
        &self.known
    }

    fn claim(&mut self, by: &Fingerprint) -> Result<bool, StoreError> {
        let claimed = self.renew_claim(by);
        self.claimed_by = claimed.then_some(*by);
        Ok(claimed)
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.data.get(start..));
        let data = rest.and_then(|rest| rest.get(..buffer.len())).ok_or_else(|| {
            StoreError::new(StoreErrorKind::Misuse, "a read beyond the end of the file")
        })?;
        buffer.copy_from_slice(data);
        if let Some(by) = self.claimed_by {
            // A slow download keeps its claim. If it is lost, the delivery counts even so.
            self.renew_claim(&by);
        }
        Ok(())
    }

    fn delivered(self: Box<Self>) -> Result<(), StoreError> {
        let mut state = self.shared.state();
        let Some(file) = state.files.get_mut(&self.cookie) else { return Ok(()) };
        let is_over = match self.claimed_by.filter(|_| file.downloads.is_some()) {
            Some(by) => {
                file.claims.remove(&by);
                file.delivered += 1;
                file.deliveries().is_some_and(|deliveries| deliveries.are_made())
            }
            None => {
                self.known.header.is_none() && self.shared.retention == Retention::UntilDownloaded
            }
        };
        if is_over {
            state.files.remove(&self.cookie);
        }
        Ok(())
    }
}
