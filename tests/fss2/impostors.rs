//! Who stands between, sends back what he gets, or has listened and gets the RSA keys later.

use fss::Secret;
use fss::crypto::{CryptoFailure, PrivateKey, PublicKeyDer};
use fss::wire::hello::{Hello, Role};
use fss::wire::key_schedule::{HelloTranscript, Keys};
use fss::wire::record::{Direction, PREFIX};
use fss::wire::reply::{Reply, Welcome};
use fss::{Machine as _, Step, Time};
use fss_test_support::scripted_peer::{LIMITS, open_message};
use rand_core::{CryptoRng, Rng as _};

use super::*;

/// Length of a key in PEM.
const KEY: usize = 450;

/// A client that is to upload, and has heard this as the server's key.
fn meet(client: ClientSession, transport: &PublicKeyDer) -> ScriptedPeer<'static, Scripted> {
    let mut scripted = hand(client);
    scripted.exchange_key_for(transport.as_bytes());
    scripted
}

/// A server that a test scripts, with the recorded identity, and a client that is to upload to
/// it.
fn hand(client: ClientSession) -> ScriptedPeer<'static, Scripted> {
    let operations = VecDeque::from([Operation::Upload(upload(Some(4)))]);
    ScriptedPeer::new_server(
        Scripted { client, operations },
        Scenario::fast().server.config().clone(),
        b"tiny",
    )
}

fn expecting_the_server() -> ClientSession {
    let scenario = Scenario::fast();
    scenario.client().expecting(scenario.server.config().identity().public_key().fingerprint())
}

/// The error of a client that receives this first record. It must send and report nothing.
fn ends_silently(mut scripted: ScriptedPeer<'_, Scripted>, welcome: Welcome) -> Result<(), Error> {
    scripted.hear_raw();
    scripted.say(&Reply::Welcome(welcome).encode());
    let end = scripted.leave();
    assert_eq!(
        (scripted.hear_raw(), &scripted.events),
        (vec![], &vec![]),
        "not a record, and nothing to store"
    );
    assert_eq!(scripted.machine.client.server_key(), None);
    end
}

/// An identity that differs from the pinned one gets no record, though it has signed (§13.9).
#[test]
fn a_server_with_another_identity_than_the_pinned_one_gets_no_record() {
    let (expected, impostor) =
        (Scenario::fast().server.config().identity().public_key().fingerprint(), identity(9));
    let mut scripted = hand(expecting_the_server()).greeted();
    let signed = scripted.know(impostor.public_key());
    let signature = impostor.sign(&signed, &mut SeededRng(1)).expect("it signs");
    let identity = impostor.public_key().as_bytes().to_vec();
    let end = ends_silently(scripted, Welcome { identity, signature, limits: LIMITS });
    assert_eq!(
        end,
        Err(Error::ServerKeyChanged { expected, got: impostor.public_key().fingerprint() })
    );
}

/// A man in the middle has a transport key of his own, and the true server's identity without its
/// private half.
#[test]
fn an_identity_that_has_not_signed_for_this_connection_gets_no_record() {
    let scenario = Scenario::fast();
    let of_another_connection = hand(scenario.client()).greeted().welcome();
    let client = scenario.client.identity();
    let transport = keys::transport(&InsecureCrypto);
    for pinned in [true, false] {
        let greeted = || {
            hand(if pinned { expecting_the_server() } else { Scenario::fast().client() }).greeted()
        };
        let honest = greeted().welcome();
        // Another client hello would do; here another transport key.
        let mut elsewhere = hand(Scenario { seed: 50, ..Scenario::fast() }.client()).greeted();
        let elsewhere = elsewhere.welcome();
        let signed = greeted().know(scenario.server.config().identity().public_key());
        let [by_client, by_transport] =
            [client, &transport].map(|key| key.sign(&signed, &mut SeededRng(1)).expect("it signs"));
        let mut flipped = honest.signature.clone();
        flipped[40] ^= 1;
        for signature in
            [elsewhere.signature, by_client, by_transport, flipped, vec![], vec![0; 256]]
        {
            let end = ends_silently(greeted(), Welcome { signature, ..honest.clone() });
            assert_eq!(end, Err(Error::ServerNotProved));
        }
        let mut scripted = greeted();
        scripted.say(&Reply::Welcome(honest).encode());
        assert!(
            matches!(scripted.events[..], [ClientEvent::ServerKey(_), ClientEvent::Connected(_)]),
            "the true one is taken"
        );
    }
    assert_eq!(of_another_connection.limits, LIMITS);
}

/// The keys that open may not be the one that signs (§13.9), and there is one form of an identity.
#[test]
fn the_identity_is_neither_the_transport_key_nor_the_clients_and_has_its_one_form() {
    let scenario = Scenario::fast();
    for key in [keys::transport(&InsecureCrypto), Arc::clone(scenario.client.identity())] {
        let mut scripted = hand(scenario.client()).greeted();
        let signed = scripted.know(key.public_key());
        let signature = key.sign(&signed, &mut SeededRng(1)).expect("it signs");
        let identity = key.public_key().as_bytes().to_vec();
        assert_eq!(
            ends_silently(scripted, Welcome { identity, signature, limits: LIMITS }),
            Err(Error::ServerNotProved)
        );
    }
    for identity in versions::keys_of_other_forms(scenario.server.config().identity().public_key())
    {
        let key = PublicKeyDer::parse(&identity).expect("FSS 1.0 takes it");
        let mut scripted = hand(scenario.client()).greeted();
        let signed = scripted.know(&key);
        let mut signature = [key.fingerprint().as_bytes(), signed.as_slice()].concat();
        signature.resize(256, 0);
        assert_eq!(
            ends_silently(scripted, Welcome { identity, signature, limits: LIMITS }),
            Err(Error::ServerNotProved)
        );
    }
    for identity in [vec![], vec![7; 294]] {
        let mut scripted = hand(scenario.client()).greeted();
        let welcome = Welcome { identity, ..scripted.welcome() };
        assert_eq!(ends_silently(scripted, welcome), Err(Error::ServerNotProved));
    }
}

/// A caller that does not accept the key does not poll again, and nothing was sent.
#[test]
fn the_identity_is_reported_before_the_first_record_goes_out() {
    let mut scripted = hand(Scenario::fast().client()).greeted();
    let welcome = scripted.welcome();
    scripted.hear_raw();
    let record = scripted.sealed(&Reply::Welcome(welcome).encode());
    let client = &mut scripted.machine;
    client.buffers().0[..record.len()].copy_from_slice(&record);
    client.received(record.len());
    let expected = Scenario::fast().server.config().identity().public_key().fingerprint();
    assert_eq!(client.poll(Time::ZERO), Ok(Step::Event(ClientEvent::ServerKey(expected))));
    assert!(client.buffers().1.is_empty());
}

#[test]
fn the_hello_goes_out_before_anybody_is_known() {
    let mut scripted = meet(expecting_the_server(), keys::transport(&InsecureCrypto).public_key());
    assert!(Hello::parse(&scripted.hear_message(), Role::Client).is_ok());
}

#[test]
fn a_mirror_gets_nothing_but_the_key_that_it_sends_back() {
    let scenario = Scenario::fast();
    let mut scripted = meet(scenario.client(), scenario.client.identity().public_key());
    assert_eq!(scripted.leave(), Err(Error::OwnKey));
    assert_eq!((scripted.hear_raw(), scripted.events), (vec![], vec![]));
}

/// A transport key may have any exponent, but there is one encoding of it (§13.1).
#[test]
fn a_transport_key_that_is_not_in_its_one_form_gets_nothing_but_the_clients_key() {
    let [other_exponent, no_parameters] =
        versions::keys_of_other_forms(keys::transport(&InsecureCrypto).public_key());
    let mut scripted = meet(
        Scenario::fast().client(),
        &PublicKeyDer::parse(&no_parameters).expect("FSS 1.0 takes it"),
    );
    assert_eq!(scripted.leave(), Err(Refusal::KeyNotCanonical.into()));
    assert_eq!((scripted.hear_raw(), scripted.events), (vec![], vec![]));
    let mut scripted = meet(
        Scenario::fast().client(),
        &PublicKeyDer::parse(&other_exponent).expect("FSS 1.0 takes it"),
    );
    assert!(Hello::parse(&scripted.hear_message(), Role::Client).is_ok());
}

/// Both hellos and whose they are, of a recorded connection.
struct Recording {
    scenario: Scenario,
    hellos: [Vec<u8>; 2],
    /// The first records, of the client and of the server.
    records: [Vec<u8>; 2],
}

impl Recording {
    fn new() -> Self {
        let scenario = Scenario::fast();
        let outcome = scenario.upload(store(), b"tiny", Wire::default());
        assert_eq!(outcome.client, Ok(()));
        // With both private RSA keys the hellos are read.
        let client = open_message(&keys::transport(&InsecureCrypto), &outcome.from_client[KEY..]);
        let server = open_message(scenario.client.identity(), &outcome.from_server[KEY..]);
        let records = [(&outcome.from_client, client.1), (&outcome.from_server, server.1)];
        let records = records.map(|(sent, used)| first_record(&sent[KEY + used..]));
        Self { scenario, hellos: [client.0, server.0], records }
    }

    /// Whether the private half of the client's share decrypts the first record of each side.
    fn opens_with(&self, private: [u8; 32]) -> [bool; 2] {
        let [client, server] = [&self.hellos[0], &self.hellos[1]];
        let client_hello = Hello::parse(client, Role::Client).expect("it is one");
        let server_hello = Hello::parse(server, Role::Server).expect("it is one");
        let provider = self.scenario.client.provider();
        let (client_key, server_key) =
            (self.scenario.client.identity(), keys::transport(&InsecureCrypto));
        let client = HelloTranscript {
            key: client_key.public_key(),
            plaintext: client,
            hello: &client_hello,
        };
        let server = HelloTranscript {
            key: server_key.public_key(),
            plaintext: server,
            hello: &server_hello,
        };
        let keys = Keys::derive(provider.share(&private), &server_hello, client, server)
            .expect("the share is sound");
        [(keys.client, &self.records[0]), (keys.server, &self.records[1])].map(|(key, record)| {
            Direction::new(Arc::clone(provider), key).open(&mut record.clone()).is_ok()
        })
    }
}

fn first_record(sent: &[u8]) -> Vec<u8> {
    let length = u32::from_be_bytes(*sent.first_chunk().expect("there is a record"));
    sent[..PREFIX + usize::try_from(length).expect("it is short")].to_vec()
}

/// Forward secrecy: the recording, both RSA keys and so both secrets of the hellos are not enough.
#[test]
fn a_recorded_connection_stays_closed_for_who_gets_both_rsa_keys() {
    let recording = Recording::new();
    let mut share = [0; 32];
    SeededRng(recording.scenario.seed + 1).fill_bytes(&mut share);
    assert_eq!(recording.opens_with(share), [true, true], "with a private share it would open");
    for guess in [[0; 32], [1; 32], [0xff; 32]] {
        assert_eq!(recording.opens_with(guess), [false, false]);
    }
}

/// What an impostor learns is worth nothing on another connection: proofs are bound to theirs
/// (§16.2).
#[test]
fn a_proof_is_worth_nothing_on_another_connection() {
    let (store, scenario) = (stored(b"secret"), Scenario::of_stranger());
    let mut first = scenario.with_client_by_hand(&store);
    let proof = download_by_hand(&first, 1, &cookie());
    let mut second = ScriptedPeer::as_client(
        ServerSession::with_rng(&store, &scenario.server, SeededRng(5)),
        scenario.client.clone(),
    );
    second.say(&proof.encode());
    assert_eq!(second.hear_refusal().code, Some(ErrorCode::Refused));
    assert!(first.ask(&proof).starts_with(b"S\0Approved\0"), "on its own it is good");
}

/// A client's key is sent in clear, so anyone can send it: without the private half nothing can be
/// said or read.
#[test]
fn who_sends_the_key_of_somebody_else_cannot_say_a_word() {
    let scenario = Scenario::with(&fss::crypto::rustcrypto::RustCrypto);
    let mut scripted =
        ScriptedPeer::new(scenario.server(store()), scenario.server.config().clone(), &[]);
    scripted.exchange_key_for(scenario.client.identity().public_key().as_bytes());
    let share = scenario.client.provider().share(&[3; 32]);
    scripted
        .say_message(&Hello { share: share.public(), secret: [4; 32].into() }.encode(Role::Client));
    // The server's secret is sealed to the key that was sent, so its records cannot be made.
    scripted.say_raw(&[0, 0, 0, 18]);
    scripted.say_raw(&[7; 18]);
    assert_eq!(scripted.leave(), Err(Error::RecordDoesNotOpen));
    assert!(
        matches!(scripted.events[..], [fss::server::ServerEvent::ClientKey(_)]),
        "nobody is proved"
    );
}

/// A key in a device: it signs, and nothing else.
#[derive(Debug)]
struct InDevice(Arc<dyn PrivateKey>);

impl PrivateKey for InDevice {
    fn block_length(&self) -> usize {
        self.0.block_length()
    }

    fn public_key(&self) -> &PublicKeyDer {
        self.0.public_key()
    }

    fn open(&self, _: &[u8], _: &mut dyn CryptoRng, _: &mut Vec<u8>) -> Result<(), CryptoFailure> {
        Err(CryptoFailure)
    }

    fn sign(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoFailure> {
        self.0.sign(message, rng)
    }

    fn to_pkcs8_der(&self) -> Result<Secret, CryptoFailure> {
        Err(CryptoFailure)
    }
}

/// And with transport keys as a server makes them, of a real provider.
#[test]
fn an_identity_that_only_signs_is_enough_for_a_server() {
    let provider = fss::crypto::aws_lc::AwsLc;
    let identity = Arc::new(InDevice(keys::server(&provider)));
    let server = ServerState::new(Config::new(Arc::new(provider), identity))
        .with_decoys(Decoys::from_secret([9; 32]));
    let scenario = Scenario { server, ..Scenario::with(&provider) };
    let client =
        scenario.client().expecting(scenario.server.config().identity().public_key().fingerprint());
    let operations = [Operation::Upload(upload(Some(4))), Operation::Download(download())].into();
    let outcome = run(
        &mut scenario.server(store()),
        &mut Scripted { client, operations },
        b"tiny",
        Wire::default(),
    );
    assert_eq!((outcome.client, outcome.server, outcome.file), (Ok(()), Ok(()), b"tiny".to_vec()));
}
