//! Teaches: a server with a store of your own, here a map: `cargo run --example custom_store`.
//!
//! It keeps files, and leaves out what it may: interrupted uploads start again, and there are no
//! lists and no users. [`fss::store`] states the contract, and `fss::store::conformance::check`
//! tests it. To have all of it with another database, or with contents elsewhere, implement `Index`
//! or `Blobs` for `fss::store::IndexedStore`, which keeps the rules.

use std::collections::HashMap;
use std::error::Error;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fss::bytes::Bytes;
use fss::chain::{Chain, ChainDigest};
use fss::driver::{Server, blocking::serve_listener};
use fss::store::{FileReader, FileWriter, NewFile, Store, StoreError, StoreErrorKind, StoredFile};
use fss::{Config, Cookie, CookieSource as _, RandomCookies};

#[derive(Clone, Default)]
struct Files(Arc<Mutex<HashMap<Cookie, Stored>>>);

#[derive(Clone)]
struct Stored(StoredFile, Bytes);

/// A file that is invisible until its commit.
struct Upload {
    files: Files,
    cookie: Cookie,
    file: NewFile,
    chain: Chain,
    data: Vec<u8>,
}

impl Files {
    fn map(&self) -> MutexGuard<'_, HashMap<Cookie, Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Files {
    fn create(&self, file: &NewFile) -> Result<Box<dyn FileWriter>, StoreError> {
        let (files, cookie, chain) = (self.clone(), RandomCookies.cookie(0), file.chain());
        Ok(Box::new(Upload { files, cookie, file: file.clone(), chain, data: Vec::new() }))
    }

    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn FileReader>>, StoreError> {
        Ok(self.map().get(cookie).cloned().map(|stored| Box::new(stored) as _))
    }

    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        Ok(self.map().remove(cookie).is_some())
    }
}

impl FileWriter for Upload {
    fn cookie(&self) -> &Cookie {
        &self.cookie
    }

    fn write(&mut self, _offset: u64, data: Bytes) -> Result<(), StoreError> {
        self.chain.update(&data);
        self.data.extend_from_slice(&data);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<ChainDigest, StoreError> {
        let chain = self.chain.digest();
        let file = self.file.into_stored(self.data.len() as u64, chain);
        self.files.map().insert(self.cookie, Stored(file, self.data.into()));
        Ok(chain)
    }
}

impl FileReader for Stored {
    fn file(&self) -> &StoredFile {
        &self.0
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.1.get(start..));
        let data = rest.and_then(|rest| rest.get(..buffer.len()));
        let short = || StoreError::new(StoreErrorKind::Damaged, "the file is too short");
        buffer.copy_from_slice(data.ok_or_else(short)?);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9541".to_owned());
    let config = Config::generate()?;
    let key = config.identity().public_key().fingerprint();
    let listener = TcpListener::bind(address)?;
    println!("listening on {} with the key {key}", listener.local_addr()?);
    let server = Server::new(config, Files::default())
        .with_observer(|client, event: &_| println!("{client}: {event:?}"));
    Ok(serve_listener(listener, &Arc::new(server))?)
}
