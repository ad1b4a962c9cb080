//! The machines of FSS/2 on a simulated wire, in virtual time, and as their adversaries see them.
//!
//! The numbers P1, P2, … are those of `docs/design.md`, and § refers to `docs/protocol.md`.

mod costs;
mod embedding;
mod flipped_bits;
mod guessing;
mod hidden_files;
mod hostile_clients;
mod hostile_servers;
mod impostors;
mod limits;
mod model;
mod operations;
mod order;
mod properties;
mod pump;
mod refusals;
mod resume;
mod retention;
mod versions;

use std::collections::VecDeque;
use std::sync::Arc;

use fss::client::{ClientEvent, ClientSession, Download, Operation, Upload};
use fss::crypto::CryptoProvider;
use fss::crypto::proof::Proof;
use fss::sealed::{Cost, Header, Key, Metadata};
use fss::server::{Decoys, ServerState};
use fss::store::conformance::read;
use fss::store::{NewFile, NewUpload, Retention, Store, UserName};
use fss::wire::error_frame::ErrorCode;
use fss::wire::request::Request;
use fss::{Config, Cookie, Error, Limits, MemoryStore, Refusal, SequentialCookies, ServerSession};
use fss_test_support::clock::Clock;
use fss_test_support::insecure_crypto::{InsecureCrypto, identity};
use fss_test_support::scripted_peer::ScriptedPeer;
use fss_test_support::sim_net::{Outcome, Scripted, Wire, run};
use fss_test_support::{keys, rng::SeededRng};

/// Machines move between threads, and live as long as their owner likes.
const _: () = {
    const fn moves<T: Send + 'static>() {}
    moves::<ServerSession<MemoryStore>>();
    moves::<ClientSession>();
};

/// A store whose first upload gets the cookie 1, in which time stands still.
fn store() -> MemoryStore {
    MemoryStore::with_clock(SequentialCookies, Retention::Forever, Clock::default())
}

fn cookie() -> Cookie {
    Cookie::from_index(1)
}

/// A cookie that no file has.
fn unknown() -> Cookie {
    Cookie::from_index(999)
}

fn file(size: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..=255_u8).map(|i| i.wrapping_mul(7).wrapping_add(3)).collect();
    let mut file = period.repeat(size.div_ceil(period.len()));
    file.truncate(size);
    file
}

fn header() -> Header {
    Header::from_parts(Cost::DEFAULT, [1; 16], [2; 32])
}

/// The key that a password would give, without the time it takes. The files of these tests have
/// that of password 1.
fn key(password: u8) -> Key {
    Key::from_secrets(&[password; 32], &[password.wrapping_add(1); 32], &InsecureCrypto)
}

fn metadata() -> Metadata {
    Metadata::named("notes.txt")
}

fn upload(size: Option<usize>) -> Upload {
    let size = size.map(|size| size as u64);
    Upload {
        header: header(),
        key: key(1),
        metadata: metadata(),
        size,
        keep: None,
        downloads: None,
    }
}

fn download() -> Download {
    Download { cookie: cookie(), header: header(), key: key(1), earlier: None, chain: None }
}

/// A store with one file, of the recorded client.
fn stored(content: &[u8]) -> MemoryStore {
    let store = store();
    assert_eq!(Scenario::fast().upload(&store, content, Wire::default()).client, Ok(()));
    store
}

/// The bytes after the header of a stored file.
fn sealed_bytes(store: &MemoryStore) -> Vec<u8> {
    let mut file = store.open(&cookie()).expect("the store works").expect("it is there");
    let size = usize::try_from(file.file().size).expect("it is small");
    read(&mut *file, 0, size).expect("it can be read")
}

/// Puts any bytes into a store, after the header of a file, as a damaged disk or a hostile
/// server has them.
fn put(store: &MemoryStore, sealed: Vec<u8>) {
    let owner = Scenario::fast().client.identity().public_key().fingerprint();
    let file = NewFile::Sealed { upload: new_upload(), owner };
    let mut upload = store.create(&file).expect("the store works");
    upload.write(0, sealed.into()).expect("the store works");
    upload.commit().expect("the store works");
}

/// What a client asks for with [`upload`].
fn new_upload() -> NewUpload {
    NewUpload::new(header(), key(1).verifier().clone())
}

fn proof(password: u8, binding: &[u8; 32], cookie: &Cookie) -> Proof {
    Proof::new(key(password).verifier(), binding, cookie)
}

/// A client and a server with the recorded keys.
struct Scenario {
    server: ServerState,
    client: Config,
    seed: u64,
}

impl Scenario {
    /// The same with other limits of the server.
    fn with_limits(self, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self { server: self.server.with_limits(limits), ..self }
    }

    fn with(provider: &(impl CryptoProvider + Clone + 'static)) -> Self {
        let provider: Arc<dyn CryptoProvider> = Arc::new(provider.clone());
        let client = Config::new(Arc::clone(&provider), keys::client(&*provider));
        Self {
            server: keys::server_state(provider).with_decoys(Decoys::from_secret([9; 32])),
            client,
            seed: 1,
        }
    }

    fn fast() -> Self {
        Self::with(&InsecureCrypto)
    }

    /// The client is not the owner of the files.
    fn of_stranger() -> Self {
        Self { client: Config::new(Arc::new(InsecureCrypto), identity(1)), ..Self::fast() }
    }

    fn server<S: Store>(&self, store: S) -> ServerSession<S> {
        ServerSession::with_rng(store, &self.server, SeededRng(self.seed))
    }

    fn client(&self) -> ClientSession {
        ClientSession::new(self.client.clone())
            .continue_after_refusals()
            .with_random_numbers(SeededRng(self.seed + 1))
    }

    /// A client that does these operations, and then closes.
    fn scripted(&self, operations: Vec<Operation>) -> Scripted {
        Scripted { client: self.client(), operations: VecDeque::from(operations) }
    }

    fn run(
        &self,
        store: impl Store,
        operations: Vec<Operation>,
        source: &[u8],
        wire: Wire,
    ) -> Outcome<ClientEvent> {
        run(&mut self.server(store), &mut self.scripted(operations), source, wire)
    }

    fn upload(&self, store: impl Store, source: &[u8], wire: Wire) -> Outcome<ClientEvent> {
        self.run(store, vec![Operation::Upload(upload(Some(source.len())))], source, wire)
    }

    fn download(&self, store: impl Store, wire: Wire) -> Outcome<ClientEvent> {
        self.run(store, vec![Operation::Download(download())], &[], wire)
    }

    /// Our server, and a client that the test scripts.
    fn with_client_by_hand<S: Store>(&self, store: S) -> ScriptedPeer<'static, ServerSession<S>> {
        ScriptedPeer::as_client(self.server(store), self.client.clone())
    }

    /// Our client that has sent its first request, and a server that the test scripts.
    fn with_server_by_hand<'a>(
        &self,
        operation: Operation,
        source: &'a [u8],
    ) -> ScriptedPeer<'a, Scripted> {
        ScriptedPeer::as_server(
            self.scripted(vec![operation]),
            self.server.config().clone(),
            source,
        )
    }
}

/// The request with which a scripted client downloads the file.
fn download_by_hand<S: Store>(
    scripted: &ScriptedPeer<'_, ServerSession<S>>,
    password: u8,
    cookie: &Cookie,
) -> Request<'static> {
    Request::Download {
        cookie: cookie.clone(),
        proof: proof(password, scripted.binding(), cookie),
        offset: 0,
    }
}

/// Why a machine ended that was refused.
fn code(end: Result<(), Error>) -> Option<ErrorCode> {
    match end {
        Err(Error::PeerRefused(refused)) => refused.code,
        other => panic!("it was not refused: {other:?}"),
    }
}
