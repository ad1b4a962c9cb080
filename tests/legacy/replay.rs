//! An attacker who has recorded connections of FSS 1.0 and replays them, or parts of them, to the
//! server in connections of his own (`docs/protocol.md` §12.10).
//!
//! With real RSA: the provider without security opens everything.

use std::sync::Arc;
use std::time::Duration;

use fss::crypto::aws_lc::AwsLc;
use fss::crypto::{CryptoProvider as _, PrivateKey, PublicKeyDer};
use fss::server::{ServerEvent, ServerState, TransportKeys};
use fss::store::{Retention, Store as _};
use fss::wire::key_exchange;
use fss::wire::rsa_message::seal_message;
use fss::{
    Config, Cookie, Error, Machine, MemoryStore, MonotonicClock, SequentialCookies, ServerSession,
    Step, SystemRng, Time,
};
use fss_test_support::keys;
use fss_test_support::sim_net::{Outcome, Wire};

use super::{Scenario, file};

/// Length of a block and of a key in PEM.
const BLOCK: usize = 256;
const KEY: usize = 450;

/// A server as it is by default, with transport keys of its own.
fn scenario() -> Scenario {
    let server = ServerState::new(Config::new(Arc::new(AwsLc), keys::server(&AwsLc)));
    Scenario { server, ..Scenario::with(&AwsLc) }
}

fn attacker() -> Arc<dyn PrivateKey> {
    keys::transport(&AwsLc)
}

/// What came of a connection of the attacker's.
struct Attack {
    end: Result<(), Error>,
    events: Vec<ServerEvent>,
    said: Vec<u8>,
}

/// Connects with the attacker's own key. `say` makes what he sends from the server's key for this
/// connection.
fn attack(
    server: &mut ServerSession<&MemoryStore>,
    say: impl FnOnce(&PublicKeyDer) -> Vec<u8>,
) -> Attack {
    let (mut said, mut events, mut now) = (Vec::new(), Vec::new(), Time::ZERO);
    let (mut say, mut wire) = (Some(say), Vec::new());
    for _ in 0..100_000 {
        match server.poll(now) {
            Ok(Step::Send) => {
                said.extend_from_slice(server.buffers().1);
                let count = server.buffers().1.len();
                server.sent(count);
            }
            Ok(Step::Receive) => {
                if let Some(say) = say.take() {
                    let (der, _) = key_exchange::read(&said).expect("a key").expect("it is whole");
                    let own = key_exchange::write(attacker().public_key().as_bytes());
                    wire = [own, say(&PublicKeyDer::parse(&der).expect("a key"))].concat();
                }
                let room = server.buffers().0;
                let count = room.len().min(wire.len());
                room[..count].copy_from_slice(&wire[..count]);
                wire.drain(..count);
                server.received(count);
            }
            Ok(Step::Sleep(time)) => now = now + time,
            Ok(Step::Event(event)) => events.push(event),
            Ok(Step::Close) => return Attack { end: Ok(()), events, said },
            Ok(_) => {}
            Err(error) => return Attack { end: Err(error), events, said },
        }
    }
    panic!("the server does not end");
}

fn own_message(key: &PublicKeyDer, plaintext: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::new();
    let key = AwsLc.load_public_key(key).expect("a key");
    seal_message(&*key, plaintext, &mut SystemRng, &mut blocks).expect("it is short");
    blocks
}

/// The blocks of his own that a message begins with, without its end mark.
fn own_blocks(key: &PublicKeyDer, plaintext: &[u8]) -> Vec<u8> {
    let mut blocks = own_message(key, plaintext);
    blocks.truncate(blocks.len() - BLOCK);
    blocks
}

fn recorded_upload(scenario: &Scenario, store: &MemoryStore) -> Vec<u8> {
    let outcome = scenario.upload(store, &file(3000), Wire::default());
    assert_eq!((outcome.client, outcome.server), (Ok(()), Ok(())));
    outcome.from_client[KEY..].to_vec()
}

/// Makes what the attacker sends from the server's key for his connection.
type Say = Box<dyn FnOnce(&PublicKeyDer) -> Vec<u8>>;

/// All that an attacker can make of recorded blocks: as they are, in another order, and after
/// blocks of his own.
fn attacks(recorded: &[u8]) -> Vec<(&'static str, Say)> {
    let all = recorded.to_vec();
    let backwards: Vec<u8> = recorded.rchunks(BLOCK).flatten().copied().collect();
    let mut list: Vec<(&'static str, Say)> = Vec::new();
    for (name, before) in [
        ("as it is", ""),
        ("after a line end", "\n"),
        ("after CR LF", "\r\n"),
        ("after spaces", " \t "),
    ] {
        let all = all.clone();
        list.push((name, Box::new(move |_| [before.as_bytes(), &all].concat())));
    }
    list.push(("backwards", Box::new(move |_| backwards)));
    // The request's two blocks are left out.
    let chunks = all[2 * BLOCK..].to_vec();
    let after = chunks.clone();
    list.push((
        "chunks after his own request",
        Box::new(move |key| [own_message(key, b"U\0mine\0"), after].concat()),
    ));
    let inner = chunks.get(BLOCK..2 * BLOCK).unwrap_or(&all[..BLOCK]).to_vec();
    list.push((
        "a block within a chunk of his own",
        Box::new(move |key| {
            [
                own_message(key, b"U\0mine\0"),
                own_blocks(key, b"F\0"),
                inner,
                own_message(key, b"\0"),
            ]
            .concat()
        }),
    ));
    let password = all[..BLOCK].to_vec();
    list.push((
        "a request's block as a password",
        Box::new(move |key| [own_blocks(key, b"U\0"), password, own_message(key, b"\0")].concat()),
    ));
    let mark = all[BLOCK..2 * BLOCK].to_vec();
    list.push(("an end mark", Box::new(move |key| [own_blocks(key, b"U\0mine\0"), mark].concat())));
    list
}

/// No block opens: nothing is stored, no cookie is given out, the connection ends as after any
/// garbage.
fn assert_worthless(name: &str, attack: &Attack, store: &MemoryStore, stored: usize) {
    assert_eq!(attack.end, Err(Error::BlockDoesNotOpen), "{name}");
    assert!(
        !attack.events.iter().any(|event| matches!(event, ServerEvent::Stored { .. })),
        "{name}"
    );
    assert!(
        !attack.events.iter().any(|event| matches!(event, ServerEvent::DownloadStarted { .. })),
        "{name}"
    );
    assert_eq!(store.len(), stored, "{name}");
}

#[test]
fn a_recorded_upload_opens_on_no_other_connection() {
    let (scenario, store) = (scenario(), super::store());
    let recorded = recorded_upload(&scenario, &store);
    for (name, say) in attacks(&recorded) {
        let mut server = ServerSession::with_state(&store, &scenario.server);
        assert_worthless(name, &attack(&mut server, say), &store, 1);
    }
}

/// Connections that were open when it was recorded, and those of a modulus after it.
#[test]
fn a_recording_opens_neither_in_parallel_nor_after_the_modulus_is_renewed() {
    let clock = Hands::default();
    let mut scenario = scenario();
    scenario.server =
        scenario.server.with_transport_keys(Arc::new(TransportKeys::new(clock.clone())));
    let store = super::store();
    let mut parallel = ServerSession::with_state(&store, &scenario.server);
    let recorded = recorded_upload(&scenario, &store);
    let mut attacks = attacks(&recorded).into_iter();
    let (name, say) = attacks.next().expect("there are some");
    assert_worthless(name, &attack(&mut parallel, say), &store, 1);
    clock.advance(15 * 60);
    for (name, say) in attacks {
        let mut server = ServerSession::with_state(&store, &scenario.server);
        assert_worthless(name, &attack(&mut server, say), &store, 1);
    }
    // Another process with the same identity.
    let other = self::scenario();
    let mut server = ServerSession::with_state(&store, &other.server);
    assert_worthless("elsewhere", &attack(&mut server, move |_| recorded), &store, 1);
}

/// Messages that no server opened, since it was busy or the line broke: they have no connection to
/// open on any more.
#[test]
fn what_was_never_opened_opens_on_no_other_connection_either() {
    let (scenario, store) = (scenario(), super::store());
    for request in [b"U\0secret\0".as_slice(), b"D\x001\0secret\0"] {
        let mut left = ServerSession::with_state(&store, &scenario.server);
        assert_eq!(left.poll(Time::ZERO), Ok(Step::Send));
        let (der, _) = key_exchange::read(left.buffers().1).expect("a key").expect("it is whole");
        let unopened = own_message(&PublicKeyDer::parse(&der).expect("a key"), request);
        drop(left);
        let mut server = ServerSession::with_state(&store, &scenario.server);
        assert_worthless("a request", &attack(&mut server, move |_| unopened), &store, 0);
    }
}

/// On a server that keeps files until they are downloaded, a replayed download would delete them.
#[test]
fn a_recorded_download_gets_no_bytes_and_deletes_nothing() {
    let scenario = scenario();
    let store = MemoryStore::with(SequentialCookies, Retention::UntilDownloaded);
    assert_eq!(scenario.upload(&store, b"secret", Wire::default()).server, Ok(()));
    // The client's line is cut before it can acknowledge.
    let wire = Wire { to_client: Some(KEY + 3 * BLOCK), ..Wire::default() };
    let broken: Outcome = scenario.download(&store, None, wire);
    assert!(broken.client.is_err());
    let recorded = broken.from_client[KEY..].to_vec();
    assert!(recorded.len() >= 2 * BLOCK, "the request is there");
    for (name, say) in
        attacks(&recorded).into_iter().filter(|(name, _)| *name != "chunks after his own request")
    {
        let mut server = ServerSession::with_state(&store, &scenario.server);
        let attack = attack(&mut server, say);
        assert_worthless(name, &attack, &store, 1);
        assert!(attack.said.len() <= KEY + 4 * BLOCK, "no more than a refusal");
    }
    assert!(store.open(&Cookie::from_index(1)).expect("it works").is_some());
}

/// Forward secrecy: with the identity, which is all that is kept, no recorded block opens.
#[test]
fn the_identity_opens_nothing_that_was_recorded() {
    let (scenario, store) = (scenario(), super::store());
    let recorded = recorded_upload(&scenario, &store);
    let identity = scenario.server.config().identity();
    for block in recorded.chunks(BLOCK) {
        assert!(identity.open(block, &mut SystemRng, &mut Vec::new()).is_err());
    }
}

/// Each connection has its own key, as long as 2019 peers expect it, and none of them is the
/// identity.
#[test]
fn no_two_connections_have_the_same_key() {
    let (scenario, store) = (scenario(), super::store());
    let mut seen = vec![scenario.server.config().identity().public_key().as_bytes().to_vec()];
    for _ in 0..50 {
        let mut server = ServerSession::with_state(&store, &scenario.server);
        assert_eq!(server.poll(Time::ZERO), Ok(Step::Send));
        let pem = server.buffers().1.to_vec();
        assert_eq!(pem.len(), KEY);
        let (der, _) = key_exchange::read(&pem).expect("a key").expect("it is whole");
        assert!(PublicKeyDer::parse(&der).expect("a key").is_canonical());
        assert!(!seen.contains(&der));
        seen.push(der);
    }
}

/// A monotonic clock that the test advances.
#[derive(Clone, Default)]
struct Hands(fss_test_support::clock::Clock);

impl Hands {
    fn advance(&self, seconds: u64) {
        self.0.advance(seconds);
    }
}

impl MonotonicClock for Hands {
    fn now(&self) -> Time {
        Time::ZERO + Duration::from_secs(fss::WallClock::unix_seconds(&self.0))
    }
}

fn modulus(server: &ServerState) -> Vec<u8> {
    let mut session = ServerSession::with_state(MemoryStore::new(), server);
    assert_eq!(session.poll(Time::ZERO), Ok(Step::Send));
    let (der, _) = key_exchange::read(session.buffers().1).expect("a key").expect("it is whole");
    // Without the exponent's three bytes.
    der[..der.len() - 3].to_vec()
}

#[test]
fn a_modulus_is_renewed_by_time_by_count_and_by_the_driver() {
    let clock = Hands::default();
    let mut limits = fss::Limits::default();
    limits.transport_keys = 4;
    let keys = Arc::new(TransportKeys::new(clock.clone()));
    let server = scenario().server.with_limits(limits).with_transport_keys(keys);
    let first = modulus(&server);
    assert!((0..3).all(|_| modulus(&server) == first));
    let second = modulus(&server);
    assert_ne!(second, first, "by count");
    clock.advance(15 * 60);
    let third = modulus(&server);
    assert_ne!(third, second, "by time");
    server.renew_transport_keys().expect("it can be made");
    assert_eq!(modulus(&server), third, "nothing is due");
    clock.advance(8 * 60);
    server.renew_transport_keys().expect("it can be made");
    assert_ne!(modulus(&server), third, "by the driver, before a connection has to wait");
}
