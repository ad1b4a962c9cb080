//! Who stands between, sends back what he gets, or has listened and gets the RSA keys later.

use fss::crypto::PublicKeyDer;
use fss::wire::aes_channel::{Direction, PREFIX};
use fss::wire::hello::{Hello, Speaker};
use fss::wire::key_schedule::{Keys, Said};
use fss_test_support::hand::open_message;
use rand_core::Rng as _;

use super::*;

/// Length of a key in PEM.
const KEY: usize = 450;

/// What comes of a client that is to upload and expects the recorded server, if a server has this key.
fn meet(client: ClientSession, server: &PublicKeyDer) -> Hand<'static, Scripted> {
    let operations = VecDeque::from([Operation::Upload(upload(Some(4)))]);
    let scenario = Scenario::fast();
    let mut hand = Hand::new(Scripted { client, operations }, scenario.server, b"tiny");
    hand.exchange_key_for(server.as_bytes());
    hand
}

fn expecting_the_server() -> ClientSession {
    let scenario = Scenario::fast();
    scenario.client().expecting(scenario.server.identity().public_key().fingerprint())
}

/// A client sends its own key, and to an impostor nothing else: the hello is the first secret (§13.4).
#[test]
fn a_server_with_another_key_than_the_pinned_one_gets_nothing_but_the_clients_key() {
    let (expected, impostor) = (Scenario::fast().server.identity().public_key().clone(), identity(1));
    let mut hand = meet(expecting_the_server(), impostor.public_key());
    let (expected, got) = (expected.fingerprint(), impostor.public_key().fingerprint());
    assert_eq!(hand.leave(), Err(Error::ServerKeyChanged { expected, got }));
    assert_eq!(hand.hear_raw(), b"", "nothing behind the key");
    assert_eq!(hand.events, []);
}

#[test]
fn the_pinned_server_gets_the_hello() {
    let mut hand = meet(expecting_the_server(), Scenario::fast().server.identity().public_key());
    assert!(Hello::parse(&hand.hear_message(), Speaker::Client).is_ok());
}

#[test]
fn a_mirror_gets_nothing_but_the_key_that_it_sends_back() {
    let scenario = Scenario::fast();
    let mut hand = meet(scenario.client(), scenario.client.identity().public_key());
    assert_eq!(hand.leave(), Err(Error::OwnKey));
    assert_eq!((hand.hear_raw(), hand.events), (vec![], vec![]));
}

/// A key that can be written in two ways would have two fingerprints (§13.1).
#[test]
fn a_server_whose_key_is_not_in_its_one_form_gets_nothing_but_the_clients_key() {
    for der in versions::keys_of_other_forms(Scenario::fast().server.identity().public_key()) {
        let mut hand = meet(Scenario::fast().client(), &PublicKeyDer::parse(&der).expect("FSS 1.0 takes it"));
        assert_eq!(hand.leave(), Err(Refusal::KeyForm.into()));
        assert_eq!((hand.hear_raw(), hand.events), (vec![], vec![]));
    }
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
        let client = open_message(scenario.server.identity(), &outcome.from_client[KEY..]);
        let server = open_message(scenario.client.identity(), &outcome.from_server[KEY..]);
        let records = [(&outcome.from_client, client.1), (&outcome.from_server, server.1)];
        let records = records.map(|(sent, used)| first_record(&sent[KEY + used..]));
        Self { scenario, hellos: [client.0, server.0], records }
    }

    /// Whether the first record of each side opens for who has this half of the client's share.
    fn opens_with(&self, private: [u8; 32]) -> [bool; 2] {
        let [client, server] = [&self.hellos[0], &self.hellos[1]];
        let client_hello = Hello::parse(client, Speaker::Client).expect("it is one");
        let server_hello = Hello::parse(server, Speaker::Server).expect("it is one");
        let provider = self.scenario.client.provider();
        let [client_key, server_key] =
            [&self.scenario.client, &self.scenario.server].map(|config| config.identity().public_key());
        let client = Said { key: client_key, plaintext: client, hello: &client_hello };
        let server = Said { key: server_key, plaintext: server, hello: &server_hello };
        let keys = Keys::derive(provider.share(&private), &server_hello, client, server).expect("the share is sound");
        [(keys.client, &self.records[0]), (keys.server, &self.records[1])]
            .map(|(key, record)| Direction::new(Arc::clone(provider), key).open(&mut record.clone()).is_ok())
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

/// What an impostor learns is worth nothing on another connection: proofs are bound to theirs (§16.2).
#[test]
fn a_proof_is_worth_nothing_on_another_connection() {
    let (store, scenario) = (stored(b"secret"), Scenario::of_stranger());
    let mut first = scenario.with_client_by_hand(&store);
    let proof = download_by_hand(&first, 1, &cookie());
    let mut second =
        Hand::as_client(ServerSession::with_rng(&store, scenario.server.clone(), SeededRng(5)), scenario.client.clone());
    second.say(&proof.encode());
    assert_eq!(second.hear_refusal().code, Some(RefusalCode::Refused));
    assert!(first.ask(&proof).starts_with(b"S\0Approved\0"), "on its own it is good");
}

/// A client's key is sent in clear, so anybody can send it: without the private half nothing can be said or read.
#[test]
fn who_sends_the_key_of_somebody_else_cannot_say_a_word() {
    let scenario = Scenario::with(&fss::crypto::rustcrypto::RustCrypto);
    let mut hand = Hand::new(scenario.server(store()), scenario.server.clone(), &[]);
    hand.exchange_key_for(scenario.client.identity().public_key().as_bytes());
    let share = scenario.client.provider().share(&[3; 32]);
    hand.say_message(&Hello { share: share.public(), secret: [4; 32].into() }.encode(Speaker::Client));
    // The server's secret is sealed to the key that was sent, so its records cannot be made.
    hand.say_raw(&[0, 0, 0, 18]);
    hand.say_raw(&[7; 18]);
    assert_eq!(hand.leave(), Err(Error::RecordDoesNotOpen));
    assert!(matches!(hand.events[..], [fss::server::ServerEvent::ClientKey(_)]), "nobody is proved");
}
