//! Teaches: a server with a store of your own, here a map: `cargo run --example custom_store`.
//!
//! It keeps files, and leaves out what it may: uploads that were interrupted start again, and there
//! are no lists and no users. [`fss::store`] states the contract, and
//! `fss::store::conformance::check` tests it. To have all of it with other databases or contents
//! elsewhere, implement `Index` or `Blobs` for `fss::store::IndexedStore`, which keeps the rules.

use std::collections::HashMap;
use std::error::Error;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use fss::bytes::Bytes;
use fss::chain::{Chain, ChainDigest};
use fss::crypto::Fingerprint;
use fss::driver::{Server, blocking::serve_listener};
use fss::remote::{Client, Put, Trust};
use fss::store::{
    Account, FileReader, FileWriter, Invite, Listing, NewFile, Removal, Resumed, RetentionTerms,
    Store, StoreError, StoreErrorKind, StoredFile, StoredFormat, UploadKey, UserName,
};
use fss::{Config, Cookie, CookieSource as _, Password, RandomCookies};

type Map = HashMap<Cookie, (StoredFile, Bytes)>;

#[derive(Clone, Default)]
struct Files(Arc<Mutex<Map>>);

impl Files {
    fn map(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[rustfmt::skip] // What is left out has a line each.
impl Store for Files {
    fn create(&self, file: &NewFile) -> Result<Box<dyn FileWriter>, StoreError> {
        let (files, cookie) = (self.clone(), RandomCookies.cookie(0));
        Ok(Box::new(Upload { files, cookie, file: file.clone(), chain: file.chain(), data: Vec::new() }))
    }
    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn FileReader>>, StoreError> {
        Ok(self.map().get(cookie).cloned().map(|(file, data)| Box::new(Download(file, data)) as _))
    }
    fn format(&self, cookie: &Cookie) -> Result<Option<StoredFormat>, StoreError> {
        Ok(self.map().get(cookie).map(|(file, _)| file.header.clone().map_or(StoredFormat::Legacy, StoredFormat::Sealed)))
    }
    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        Ok(self.map().remove(cookie).is_some())
    }
    fn remove_owned(&self, cookie: &Cookie, owner: &Fingerprint) -> Result<Removal, StoreError> {
        let mut map = self.map();
        let is_owned = map.get(cookie).is_some_and(|(file, _)| file.owner.as_ref() == Some(owner));
        Ok(if is_owned && map.remove(cookie).is_some() { Removal::Removed } else { Removal::NotOwned })
    }
    fn find_upload(&self, _: &Cookie) -> Result<Option<UploadKey>, StoreError> { Ok(None) }
    fn resume(&self, _: &Cookie, _: u64) -> Result<Option<Resumed>, StoreError> { Ok(None) }
    fn list(&self, _: &Fingerprint, _: Option<&Cookie>) -> Result<Option<Listing>, StoreError> { Ok(Some(Listing::default())) }
    fn account(&self, _: &Fingerprint) -> Result<Option<Account>, StoreError> { Ok(None) }
    fn sign_up(&self, _: &Fingerprint, _: &UserName, _: Option<&Invite>) -> Result<Account, StoreError> {
        Err(StoreError::new(StoreErrorKind::BadInvite, "this store has no users"))
    }
}

/// Nobody sees it before it is committed.
struct Upload {
    files: Files,
    cookie: Cookie,
    file: NewFile,
    chain: Chain,
    data: Vec<u8>,
}

#[rustfmt::skip]
impl FileWriter for Upload {
    fn cookie(&self) -> &Cookie { &self.cookie }
    fn expires(&self) -> Option<u64> { None }
    fn granted(&self) -> RetentionTerms { RetentionTerms::default() }
    fn write(&mut self, _: u64, data: Bytes) -> Result<(), StoreError> {
        self.chain.update(&data);
        self.data.extend_from_slice(&data);
        Ok(())
    }
    fn commit(self: Box<Self>) -> Result<ChainDigest, StoreError> {
        let (header, verifier, owner) = match self.file {
            NewFile::Legacy { verifier } => (None, verifier, None),
            NewFile::Sealed { upload, owner } => (Some(upload.header), upload.verifier, Some(owner)),
        };
        let (size, chain) = (self.data.len() as u64, self.chain.digest());
        let file = StoredFile::new(verifier, size);
        let file = file.with_header(header).with_chain(Some(chain)).with_owner(owner);
        self.files.map().insert(self.cookie, (file, self.data.into()));
        Ok(chain)
    }
}

struct Download(StoredFile, Bytes);

#[rustfmt::skip]
impl FileReader for Download {
    fn file(&self) -> &StoredFile { &self.0 }
    fn claim(&mut self, _: &Fingerprint) -> Result<bool, StoreError> { Ok(true) }
    fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        let missing = || StoreError::new(StoreErrorKind::Damaged, "the file is shorter than its size");
        let start = usize::try_from(offset).map_err(|_| missing())?;
        let end = start.checked_add(length).filter(|&end| end <= self.1.len()).ok_or_else(missing)?;
        Ok(self.1.slice(start..end))
    }
    fn delivered(self: Box<Self>) -> Result<(), StoreError> { Ok(()) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (config, files) = (Config::generate()?, Files::default());
    let key = config.identity().public_key().fingerprint();
    let server = Arc::new(Server::new(config, files.clone()));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let serving = Arc::clone(&server);
    let serving = thread::spawn(move || serve_listener(listener, &serving));

    let client = Client::new(Config::generate()?, address, Trust::Pinned(key));
    let password = Password::new("correct horse battery staple")?;
    let stored = client.put(&b"a text"[..], &password, &Put::named("text"))?;
    println!("{} file is in the map", files.map().len());
    let mut text = Vec::new();
    client.get(&stored, &password, &mut text)?;
    println!("it came back: {}", String::from_utf8(text)?);

    server.shutdown().start();
    serving.join().map_err(|_| "the server panicked")??;
    Ok(())
}
