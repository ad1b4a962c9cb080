//! Whole transfers of FSS 1.0 in memory, for the benchmarks: two machines, their buffers joined, in
//! virtual time.
//!
//! It is `fss_test_support::sim_net` without its checks and recordings, so that what is measured is
//! the library.

use std::convert::Infallible;
use std::sync::Arc;

use fss::client::legacy::{FileRequest, LegacyEvent, LegacySession};
use fss::crypto::CryptoProvider;
use fss::crypto::aws_lc::AwsLc;
use fss::crypto::rustcrypto::RustCrypto;
use fss::server::{ServerEvent, ServerState};
use fss::store::Retention;
use fss::{
    Config, Cookie, Error, Machine, MemoryStore, Password, SequentialCookies, ServerSession, Step,
    SystemRng, Time,
};
use fss_test_support::keys;

/// The providers that are compared.
pub fn providers() -> [Arc<dyn CryptoProvider>; 2] {
    [Arc::new(AwsLc), Arc::new(RustCrypto)]
}

/// The two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Upload,
    /// From the server to the client.
    Download,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Upload, Self::Download];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

/// A server and a client with the recorded keys, and a file.
pub struct Transfer {
    server: ServerState,
    client: Config,
    password: Password,
    file: Vec<u8>,
    /// Holds the file under the first cookie.
    stored: MemoryStore,
}

impl Transfer {
    /// Prepares transfers of a file of `size` bytes with the keys of a provider.
    ///
    /// # Panics
    /// If the provider does not take the recorded keys.
    pub fn new(provider: &Arc<dyn CryptoProvider>, size: usize) -> Self {
        let config = |key| Config::new(Arc::clone(provider), key);
        let mut transfer = Self {
            server: ServerState::new(config(keys::server(&**provider))),
            client: config(keys::client(&**provider)),
            password: Password::new("correct horse battery staple").expect("it is short"),
            file: (0_u8..=250).cycle().take(size).collect(),
            stored: new_store(),
        };
        let store = new_store();
        transfer.upload_to(&store);
        transfer.stored = store;
        transfer
    }

    /// Carries the file over one connection, key exchange included.
    ///
    /// # Panics
    /// If it does not arrive.
    pub fn run(&self, direction: Direction) {
        match direction {
            Direction::Upload => self.upload_to(&new_store()),
            Direction::Download => self.download(),
        }
    }

    fn upload_to(&self, store: &MemoryStore) {
        let mut server = ServerSession::with_rng(store, &self.server, SystemRng);
        let mut client = LegacySession::upload(self.client.clone(), &self.password);
        let mut rest = self.file.as_slice();
        let uploaded = join(&mut server, &mut client, |client, request| match request {
            FileRequest::Supply => {
                let room = client.supply();
                let (next, later) = rest.split_at(room.len().min(rest.len()));
                room[..next.len()].copy_from_slice(next);
                rest = later;
                client.supplied(next.len());
            }
            FileRequest::Data => unreachable!("an upload delivers nothing"),
        });
        assert_eq!(uploaded, Ok(self.file.len() as u64));
    }

    fn download(&self) {
        let mut server = ServerSession::with_rng(&self.stored, &self.server, SystemRng);
        let cookie = Cookie::from_index(1).into();
        let mut client = LegacySession::download(
            self.client.clone(),
            &cookie,
            &self.password,
            Some(self.file.len() as u64),
        );
        let downloaded = join(&mut server, &mut client, |client, request| match request {
            FileRequest::Data => {
                let count = std::hint::black_box(client.data()).len();
                client.consumed(count);
            }
            FileRequest::Supply => unreachable!("a download takes nothing"),
        });
        assert_eq!(downloaded, Ok(self.file.len() as u64));
    }
}

/// An empty store that will give its first file the cookie 1.
fn new_store() -> MemoryStore {
    MemoryStore::with(SequentialCookies, Retention::Forever)
}

/// Lets both speak until both have closed, and gives the size that the client reports.
fn join<S>(
    server: &mut S,
    client: &mut LegacySession,
    mut serve: impl FnMut(&mut LegacySession, FileRequest),
) -> Result<u64, Error>
where
    S: Machine<Event = ServerEvent, Request = Infallible>,
{
    let (mut server_side, mut client_side) = (Side::default(), Side::default());
    let mut now = Time::ZERO;
    let mut size = 0;
    while !(server_side.closed && client_side.closed) {
        let mut idle = true;
        if !server_side.closed {
            match server.poll(now)? {
                Step::Request(request) => match request {},
                Step::Event(_) => idle = false,
                step => idle &= !server_side.take(&step, server, client, &client_side),
            }
        }
        if !client_side.closed {
            match client.poll(now)? {
                Step::Request(request) => {
                    serve(client, request);
                    idle = false;
                }
                Step::Event(
                    LegacyEvent::Uploaded { size: reported, .. }
                    | LegacyEvent::Downloaded { size: reported, .. },
                ) => {
                    size = reported;
                    idle = false;
                }
                Step::Event(_) => idle = false,
                step => idle &= !client_side.take(&step, client, server, &server_side),
            }
        }
        if idle {
            // Neither side has work before the next deadline, so the clock jumps: pauses take no
            // time here.
            let lives = [
                (!server_side.closed).then(|| server.deadline()),
                (!client_side.closed).then(|| client.deadline()),
            ];
            now = lives
                .into_iter()
                .flatten()
                .flatten()
                .min()
                .expect("somebody waits for a moment to come");
        }
    }
    Ok(size)
}

/// How far one side is with ending.
#[derive(Default)]
struct Side {
    /// It sends no more.
    shut_down: bool,
    /// It has been told that the other sends no more.
    heard_end: bool,
    closed: bool,
}

impl Side {
    /// Does what a step says, and says whether that changed anything.
    fn take<E, N>(
        &mut self,
        step: &Step<E, N>,
        machine: &mut impl Machine,
        peer: &mut impl Machine,
        peer_side: &Self,
    ) -> bool {
        match step {
            Step::Send if peer_side.closed => {
                machine.send_failed();
                true
            }
            Step::Send => {
                let (output, room) = (machine.buffers().1, peer.buffers().0);
                let count = output.len().min(room.len());
                room[..count].copy_from_slice(&output[..count]);
                if count > 0 {
                    peer.received(count);
                    machine.sent(count);
                }
                count > 0
            }
            Step::Receive if peer_side.shut_down && !self.heard_end => {
                self.heard_end = true;
                machine.received(0);
                true
            }
            Step::Shutdown => {
                self.shut_down = true;
                true
            }
            Step::Close => {
                self.shut_down = true;
                self.closed = true;
                true
            }
            Step::Yield => true,
            Step::Receive | Step::Sleep(_) | Step::Request(_) | Step::Event(_) => false,
        }
    }
}
