//! Servers that lie to the client program: what is not whole is not taken for a file.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fss::chain::{CHECKPOINT, SEALED_CHUNK_LEN};
use fss::crypto::Fingerprint;
use fss::sealed::{Cost, Header};
use fss::server::ServerState;
use fss::store::{
    Account, Entry, FileReader, FileWriter, Invite, Listing, NewFile, Removal, Resumed, Store,
    StoreError, StoreErrorKind, StoredFile, StoredFormat, UploadKey, UserName,
};
use fss::{Config, Cookie, MemoryStore, ServerSession, SystemRng};

use fss_test_support::harness::{Harness, Server, fails, succeeds};

const MIB: usize = 1024 * 1024;
/// Two checkpoints and a rest.
const SIZE: usize = 40 * MIB;

/// A store that keeps files as it should, and tells of them what a test wants.
#[derive(Clone, Default)]
struct Liar(Arc<Lies>);

#[derive(Default)]
struct Lies {
    store: MemoryStore,
    /// The announced size of a file, if it is false.
    size: AtomicU64,
    /// After how many bytes reading fails; never, if it is 0.
    readable: AtomicU64,
    /// Another header than the file has.
    header: Mutex<Option<Header>>,
    /// How often a client asked for a header.
    challenges: AtomicUsize,
    /// Whether the list is endless.
    lists_for_ever: AtomicBool,
}

struct Told {
    inner: Box<dyn FileReader>,
    file: StoredFile,
    readable: u64,
}

impl Liar {
    /// Serves connections, one after the other, until the test is over.
    fn serve(&self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let config = Config::generate().expect("there are random numbers");
        let (server, store) = (ServerState::new(config), self.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut session = ServerSession::with_state(&store, &server);
                // How it ended is what the client tells.
                let _ = fss::driver::blocking::Driver::new(stream)
                    .run(&mut session, |_, _| Ok::<_, fss::Error>(()));
            }
        });
        Server::nowhere(&address)
    }

    fn tell_size(&self, size: u64) {
        self.0.size.store(size, Ordering::SeqCst);
    }

    fn break_after(&self, bytes: u64) {
        self.0.readable.store(bytes, Ordering::SeqCst);
    }
}

impl Store for Liar {
    fn create(&self, file: &NewFile) -> Result<Box<dyn FileWriter>, StoreError> {
        self.0.store.create(file)
    }

    fn find_upload(&self, cookie: &Cookie) -> Result<Option<UploadKey>, StoreError> {
        self.0.store.find_upload(cookie)
    }

    fn resume(&self, cookie: &Cookie, offset: u64) -> Result<Option<Resumed>, StoreError> {
        self.0.store.resume(cookie, offset)
    }

    fn open(&self, cookie: &Cookie) -> Result<Option<Box<dyn FileReader>>, StoreError> {
        let Some(inner) = self.0.store.open(cookie)? else { return Ok(None) };
        let mut file = inner.file().clone();
        file.size =
            Some(self.0.size.load(Ordering::SeqCst)).filter(|&size| size > 0).unwrap_or(file.size);
        file.header = self.0.header.lock().expect("it is not poisoned").clone().or(file.header);
        let readable = Some(self.0.readable.load(Ordering::SeqCst))
            .filter(|&bytes| bytes > 0)
            .unwrap_or(u64::MAX);
        Ok(Some(Box::new(Told { inner, file, readable })))
    }

    fn format(&self, cookie: &Cookie) -> Result<Option<StoredFormat>, StoreError> {
        self.0.challenges.fetch_add(1, Ordering::SeqCst);
        let told =
            self.0.header.lock().expect("it is not poisoned").clone().map(StoredFormat::Sealed);
        let format = self.0.store.format(cookie)?;
        Ok(format.map(|format| told.unwrap_or(format)))
    }

    fn remove(&self, cookie: &Cookie) -> Result<bool, StoreError> {
        self.0.store.remove(cookie)
    }

    fn remove_owned(&self, cookie: &Cookie, owner: &Fingerprint) -> Result<Removal, StoreError> {
        self.0.store.remove_owned(cookie, owner)
    }

    fn list(
        &self,
        owner: &Fingerprint,
        after: Option<&Cookie>,
    ) -> Result<Option<Listing>, StoreError> {
        if !self.0.lists_for_ever.load(Ordering::SeqCst) {
            return self.0.store.list(owner, after);
        }
        let start = after.and_then(|after| after.as_str().parse::<u64>().ok()).unwrap_or(0);
        let entry = |number| Entry::new(Cookie::from_index(number), 1, 1);
        Ok(Some(Listing::new((start + 1..=start + 256).map(entry).collect(), true)))
    }

    fn sign_up(
        &self,
        key: &Fingerprint,
        name: &UserName,
        invite: Option<&Invite>,
    ) -> Result<Account, StoreError> {
        self.0.store.sign_up(key, name, invite)
    }

    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError> {
        self.0.store.account(key)
    }
}

impl FileReader for Told {
    fn file(&self) -> &StoredFile {
        &self.file
    }

    fn claim(&mut self, by: &Fingerprint) -> Result<bool, StoreError> {
        self.inner.claim(by)
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        if offset >= self.readable {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "no more of it is told"));
        }
        self.inner.read(offset, buffer)
    }

    fn delivered(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.delivered()
    }
}

/// A client that has a file on a server that lies, and the first 16 MiB of a download of it.
struct Begun {
    harness: Harness,
    liar: Liar,
    server: Server,
    content: Vec<u8>,
}

impl Begun {
    fn new() -> Self {
        let (harness, liar) = (Harness::new(), Liar::default());
        let server = liar.serve();
        let content: Vec<u8> =
            (0..SIZE).map(|at| u8::try_from((at / 251 + at) % 241).expect("it is small")).collect();
        harness.upload(&server, "file", &content);
        let begun = Self { harness, liar, server, content };
        begun.liar.break_after(20 << 20);
        let broken = begun.download();
        assert!(!broken.status.success() && begun.harness.parts().len() == 1, "{broken:?}");
        begun.liar.break_after(0);
        begun
    }

    fn download(&self) -> std::process::Output {
        self.harness.client(&self.server, &["download", "file", "-o", "back"])
    }

    /// The false answer is reported, and then the true one is accepted.
    fn sees_through(self, size: u64) {
        self.liar.tell_size(size);
        fails(&self.download(), 15, &["cannot download file"]);
        assert!(!self.harness.path("back").exists(), "{size}");
        self.liar.tell_size(0);
        succeeds(&self.download());
        assert!(self.harness.read("back") == self.content, "{size}");
        assert_eq!(self.harness.parts(), [] as [std::path::PathBuf; 0]);
    }
}

#[test]
fn a_download_that_goes_on_is_not_whole_where_it_was() {
    Begun::new().sees_through(CHECKPOINT);
}

#[test]
fn a_download_that_goes_on_is_not_whole_before_its_last_chunk() {
    Begun::new().sees_through(CHECKPOINT + SEALED_CHUNK_LEN);
}

/// A server must not fill a client's memory.
#[test]
fn a_list_that_never_ends_is_ended() {
    let (harness, liar) = (Harness::new(), Liar::default());
    let server = liar.serve();
    liar.0.lists_for_ever.store(true, Ordering::SeqCst);
    fails(
        &harness.client(&server, &["list", "--remote"]),
        1,
        &["Invalid server response", "more than 1000000 files"],
    );
}

/// A proof that is made from a header of the server's choice would let it guess the password with a
/// table made beforehand.
#[test]
fn a_listed_file_is_deleted_with_the_header_that_is_listed() {
    let (harness, liar) = (Harness::new(), Liar::default());
    let server = liar.serve();
    harness.write("file", b"content");
    let mut upload = harness.client_command(&server);
    succeeds(&fss_test_support::harness::run(
        upload.args(["upload", "file", "--own-password"]).env("FSS_FILE_PASSWORD", "its own"),
    ));
    *liar.0.header.lock().expect("it is not poisoned") =
        Some(Header::new(Cost::DEFAULT, &mut SystemRng));
    let mut delete = harness.client_command(&server);
    succeeds(&fss_test_support::harness::run(
        delete.args(["delete", "file", "--own-password"]).env("FSS_FILE_PASSWORD", "its own"),
    ));
    assert_eq!(liar.0.challenges.load(Ordering::SeqCst), 0, "it was not asked for a header");
}
