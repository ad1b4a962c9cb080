//! P11: any flipped bit of a record, or of sealed content, is one clean error, and no byte of a bad
//! chunk is released.

use fss::Integrity;
use fss::sealed::{CHUNK, MAX_SEALED_CHUNK};
use fss::server::ServerEvent;
use rand_core::Rng as _;

use super::*;

/// Where the first record begins: after key and hello.
const RECORDS: usize = 450 + 512;

type Transfer<'a> = &'a dyn Fn(Wire) -> Outcome<ClientEvent>;

/// A bit of a record was flipped, perhaps in its length: then the rest of a record that is none
/// never comes.
fn is_clean(end: &Result<(), Error>) -> bool {
    matches!(end, Err(Error::RecordDoesNotOpen | Error::Disconnected(_) | Error::TimedOut(_)))
}

/// Less than all, and nothing else.
fn is_part<E: PartialEq>(part: &[E], all: &[E]) -> bool {
    part.len() < all.len() && all.starts_with(part)
}

/// Flips each bit of what the server sends from byte `from` on.
fn flip_to_client(transfer: Transfer<'_>, from: usize) {
    let clean = transfer(Wire::default());
    for bit in from * 8..clean.from_server.len() * 8 {
        let outcome = transfer(Wire { flipped_to_client: Some(bit), ..Wire::default() });
        assert!(is_clean(&outcome.client), "bit {bit}: {:?}", outcome.client);
        assert!(
            is_part(&outcome.client_events, &clean.client_events),
            "bit {bit}: {:?}",
            outcome.client_events
        );
        assert!(clean.file.starts_with(&outcome.file), "bit {bit}");
        let is_told = outcome
            .server_events
            .iter()
            .any(|event| matches!(event, ServerEvent::Delivered { .. }));
        assert!(!is_told, "bit {bit}: what did not arrive is not acknowledged");
    }
}

/// Flips each bit of what the client sends in records.
fn flip_to_server(transfer: Transfer<'_>) {
    let clean = transfer(Wire::default());
    for bit in RECORDS * 8..clean.from_client.len() * 8 {
        let outcome = transfer(Wire { flipped_to_server: Some(bit), ..Wire::default() });
        assert!(is_clean(&outcome.server), "bit {bit}: {:?}", outcome.server);
        assert!(
            is_part(&outcome.server_events, &clean.server_events),
            "bit {bit}: {:?}",
            outcome.server_events
        );
    }
}

fn information(scenario: &Scenario, wire: Wire) -> Outcome<ClientEvent> {
    scenario.run(store(), vec![Operation::Information], &[], wire)
}

fn tiny_upload(scenario: &Scenario, wire: Wire) -> Outcome<ClientEvent> {
    let store = store();
    let outcome = scenario.upload(&store, b"tiny", wire);
    let is_success = matches!(outcome.client_events.last(), Some(ClientEvent::Uploaded { .. }));
    assert!(store.len() == 1 || !is_success, "a client is told of no file that is not there");
    outcome
}

/// Where a server's records after `K` begin, which is the same on every connection.
fn behind_limits() -> usize {
    Scenario::fast().run(store(), vec![], &[], Wire::default()).from_server.len()
}

#[test]
fn p11_each_bit_of_what_a_server_says_of_itself() {
    let scenario = Scenario::fast();
    flip_to_client(&|wire| information(&scenario, wire), RECORDS);
}

#[test]
fn p11_each_bit_of_a_request() {
    let scenario = Scenario::fast();
    flip_to_server(&|wire| information(&scenario, wire));
}

#[test]
fn p11_each_bit_of_an_upload_to_the_server() {
    let scenario = Scenario::fast();
    flip_to_server(&|wire| tiny_upload(&scenario, wire));
}

#[test]
fn p11_each_bit_of_an_upload_to_the_client() {
    let scenario = Scenario::fast();
    flip_to_client(&|wire| tiny_upload(&scenario, wire), behind_limits());
}

#[test]
fn p11_each_bit_of_a_download_to_the_server() {
    let (scenario, store) = (Scenario::fast(), stored(b"tiny"));
    flip_to_server(&|wire| scenario.download(&store, wire));
}

#[test]
fn p11_each_bit_of_a_download_to_the_client() {
    let (scenario, store) = (Scenario::fast(), stored(b"tiny"));
    flip_to_client(&|wire| scenario.download(&store, wire), behind_limits());
}

/// A sealed file of two whole chunks and a short one, of which single bits are flipped in the
/// store.
struct Stored {
    scenario: Scenario,
    content: Vec<u8>,
    sealed: Vec<u8>,
}

impl Stored {
    fn new() -> Self {
        let content = file(2 * CHUNK + 40);
        let sealed = sealed_bytes(&stored(&content));
        Self { scenario: Scenario::fast(), content, sealed }
    }

    /// Downloads it with a bit flipped, from where files are kept until they are downloaded.
    fn download_flipped(&self, bit: usize) {
        let store = MemoryStore::with_clock(
            SequentialCookies,
            Retention::UntilDownloaded,
            Clock::default(),
        );
        let mut damaged = self.sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        put(&store, damaged);
        let outcome = self.scenario.download(&store, Wire::default());
        let index = bit / 8 / MAX_SEALED_CHUNK;
        assert_eq!(
            outcome.client,
            Err(Integrity::Chunk { index: index as u64 }.into()),
            "bit {bit}"
        );
        let released =
            (index * CHUNK).saturating_sub(metadata().encode().expect("it is short").len());
        assert!(
            outcome.file == self.content[..released],
            "bit {bit}: {} bytes released",
            outcome.file.len()
        );
        assert_eq!(store.len(), 1, "bit {bit}: the file stays");
    }

    /// Flips the bits of the first and the last `edge` bytes of a piece.
    fn flip_edges(&self, piece: usize, edge: usize) {
        let (start, end) =
            (piece * MAX_SEALED_CHUNK, self.sealed.len().min((piece + 1) * MAX_SEALED_CHUNK));
        let bits = (start * 8..(start + edge) * 8).chain((end - edge) * 8..end * 8);
        bits.for_each(|bit| self.download_flipped(bit));
    }
}

#[test]
fn p11_bits_at_the_edges_of_a_stored_first_chunk() {
    Stored::new().flip_edges(0, 64);
}

#[test]
fn p11_bits_at_the_edges_of_a_stored_second_chunk() {
    Stored::new().flip_edges(1, 64);
}

#[test]
fn p11_bits_of_a_stored_last_chunk_and_anywhere() {
    let (stored, mut rng) = (Stored::new(), SeededRng(11));
    stored.flip_edges(2, (stored.sealed.len() % MAX_SEALED_CHUNK).div_ceil(2));
    let bits = stored.sealed.len() as u64 * 8;
    let anywhere = (0..500).map(|_| usize::try_from(rng.next_u64() % bits).expect("it is small"));
    anywhere.for_each(|bit| stored.download_flipped(bit));
}
