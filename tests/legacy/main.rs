//! Two machines, a simulated wire, virtual time: the properties that hold for every exchange.
//!
//! The numbers P1, P2, … are those of `docs/design.md`.

mod bad_peers;
mod guessing;
mod properties;
mod replay;

use std::sync::Arc;

use fss::client::legacy::LegacySession;
use fss::crypto::CryptoProvider;
use fss::server::ServerState;
use fss::store::Store;
use fss::{Config, Cookie, MemoryStore, OpaqueCookie, Password, ServerSession};
use fss_test_support::insecure_crypto::InsecureCrypto;
use fss_test_support::sim_net::{Outcome, Wire, run};
use fss_test_support::{keys, rng::SeededRng};

/// Sizes around every border of the protocol, and a few in between.
const SIZES: [usize; 25] = [
    0, 1, 2, 15, 16, 17, 31, 32, 33, 213, 214, 215, 1007, 1008, 1009, 1023, 1024, 1025, 2047, 2048,
    2049, 3000, 65_535, 65_536, 65_537,
];

/// Machines move between threads, and live as long as their owner likes.
const _: () = {
    const fn moves<T: Send + 'static>() {}
    moves::<ServerSession<MemoryStore>>();
    moves::<fss::server::ServerEngine>();
    moves::<LegacySession>();
};

fn password() -> Password {
    Password::new("correct horse battery staple").expect("valid")
}

fn file(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from((7 * i + 3) % 256).expect("below 256")).collect()
}

/// A store whose first file gets the cookie 1, the second 2.
fn store() -> MemoryStore {
    MemoryStore::with(fss::SequentialCookies, fss::store::Retention::Forever)
}

fn cookie() -> OpaqueCookie {
    Cookie::from_index(1).into()
}

/// A client and a server with the recorded keys.
struct Scenario {
    server: ServerState,
    client: Config,
    seed: u64,
}

impl Scenario {
    fn with(provider: &(impl CryptoProvider + Clone + 'static)) -> Self {
        let provider: Arc<dyn CryptoProvider> = Arc::new(provider.clone());
        let client = Config::new(Arc::clone(&provider), keys::client(&*provider));
        Self { server: keys::server_state(provider), client, seed: 1 }
    }

    fn fast() -> Self {
        Self::with(&InsecureCrypto)
    }

    fn upload(&self, store: impl Store, source: &[u8], wire: Wire) -> Outcome {
        let mut server = ServerSession::with_rng(store, &self.server, SeededRng(self.seed));
        let mut client = LegacySession::upload(self.client.clone(), &password())
            .with_random_numbers(SeededRng(self.seed + 1));
        run(&mut server, &mut client, source, wire)
    }

    fn download(&self, store: impl Store, size: Option<u64>, wire: Wire) -> Outcome {
        let mut server = ServerSession::with_rng(store, &self.server, SeededRng(self.seed));
        let client = LegacySession::download(self.client.clone(), &cookie(), &password(), size);
        run(&mut server, &mut client.with_random_numbers(SeededRng(self.seed + 1)), &[], wire)
    }
}
