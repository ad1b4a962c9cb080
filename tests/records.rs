//! Hello, key schedule and records of FSS/2 (`docs/protocol.md` §13, §14), below the machines.

use std::sync::Arc;

use fss::crypto::CryptoProvider;
use fss::crypto::aws_lc::AwsLc;
use fss::crypto::rustcrypto::RustCrypto;
use fss::wire::hello::{Hello, InvalidHello, Role};
use fss::wire::key_schedule::{HelloTranscript, Keys, Traffic};
use fss::wire::record::{Direction, MAX_PLAINTEXT, PREFIX, sealed_length};
use fss_test_support::keys;
use proptest::prelude::*;
use zeroize::Zeroizing;

fn providers() -> [Arc<dyn CryptoProvider>; 2] {
    [Arc::new(RustCrypto), Arc::new(AwsLc)]
}

fn traffic(byte: u8) -> Traffic {
    Zeroizing::new([byte; 44])
}

fn seal(direction: &mut Direction, plaintext: &[u8]) -> Vec<u8> {
    let mut record = [&[0; PREFIX], plaintext, &[0; 16]].concat();
    direction.seal(&mut record).expect("it can be sealed");
    record
}

/// Both ends of a connection, each with a provider of its own, and what would be needed to listen
/// in.
fn connect(client: &Arc<dyn CryptoProvider>, server: &Arc<dyn CryptoProvider>) -> [Keys; 3] {
    let keys = [keys::client(&**client), keys::server(&**server)];
    let [client_key, server_key] = keys.each_ref().map(|key| key.public_key());
    let shares = [client.share(&[1; 32]), server.share(&[2; 32])];
    let [client_hello, server_hello] = [0, 1].map(|side| Hello {
        share: shares[side].public(),
        secret: Zeroizing::new([3 + u8::try_from(side).unwrap_or(0); 32]),
    });
    let (h, r) = (client_hello.encode(Role::Client), server_hello.encode(Role::Server));
    let said = [
        HelloTranscript { key: client_key, plaintext: &h, hello: &client_hello },
        HelloTranscript { key: server_key, plaintext: &r, hello: &server_hello },
    ];
    let [client_share, server_share] = shares;
    // An attacker who records the session and later gets both RSA keys has both hellos, but neither
    // private share.
    let listener = client.share(&[9; 32]);
    [
        Keys::derive(client_share, &server_hello, said[0], said[1]).expect("the share is sound"),
        Keys::derive(server_share, &client_hello, said[0], said[1]).expect("the share is sound"),
        Keys::derive(listener, &server_hello, said[0], said[1]).expect("the share is sound"),
    ]
}

#[test]
fn both_ends_derive_the_same_keys_with_any_two_providers_and_a_listener_with_both_rsa_keys_does_not()
 {
    for client in &providers() {
        for server in &providers() {
            let [client, server, listener] = connect(client, server);
            assert_eq!((&client.client, &client.server), (&server.client, &server.server));
            assert_ne!(client.client[..], client.server[..]);
            assert_ne!(client.client[..], listener.client[..]);
            assert_ne!(client.server[..], listener.server[..]);
        }
    }
}

#[test]
fn a_share_that_forces_a_known_secret_is_refused() {
    for provider in &providers() {
        assert!(provider.share(&[1; 32]).agree(&[0; 32]).is_err(), "{}", provider.name());
        let mut order_one = [0; 32];
        order_one[0] = 1;
        assert!(provider.share(&[1; 32]).agree(&order_one).is_err(), "{}", provider.name());
    }
}

#[test]
fn a_hello_has_one_form() {
    let hello = Hello { share: [7; 32], secret: Zeroizing::new([8; 32]) };
    let text = hello.encode(Role::Client);
    assert_eq!(text.len(), 111);
    assert!(Hello::is_hello(&text) && Hello::parse(&text, Role::Client).is_ok());
    assert_eq!(Hello::parse(&text, Role::Server).map(drop), Err(InvalidHello::Form));
    let text = String::from_utf8(text.to_vec()).expect("it is ASCII");
    let other = |from: &str, to: &str| {
        Hello::parse(text.replace(from, to).as_bytes(), Role::Client).map(drop)
    };
    assert_eq!(other("FSS/2", "FSS/3"), Err(InvalidHello::Version));
    assert_eq!(other("share=", "Share="), Err(InvalidHello::Form));
    assert_eq!(other("share=", "more="), Err(InvalidHello::Form));
    assert!(other("=\0", "\0").is_err(), "base64 without padding");
    assert!(other("secret", "x=\0secret").is_err());
    assert!(Hello::parse(&text.as_bytes()[..text.len() - 1], Role::Client).is_err());
    assert!(Hello::parse([text.as_bytes(), b"x=y\0"].concat().as_slice(), Role::Client).is_err());
}

/// P11: each bit of the records of a short session; and records that are replayed, reordered or
/// reflected.
#[test]
fn no_record_opens_but_the_next_one_unchanged() {
    for provider in providers() {
        let plaintexts: [&[u8]; 4] = [b"I\0", b"R\0OK\0largest-file=1\0", b"F\0some bytes", b"F\0"];
        let mut sender = Direction::new(Arc::clone(&provider), traffic(1));
        let records = plaintexts.map(|plaintext| seal(&mut sender, plaintext));
        let receiver_at = |number: usize| {
            let mut receiver = Direction::new(Arc::clone(&provider), traffic(1));
            for (record, plaintext) in records[..number].iter().zip(plaintexts) {
                assert_eq!(receiver.open(&mut record.clone()).expect("it is the next"), plaintext);
            }
            receiver
        };
        for (number, record) in records.iter().enumerate() {
            for bit in 0..record.len() * 8 {
                let mut record = record.clone();
                record[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    receiver_at(number).open(&mut record).is_err(),
                    "bit {bit} of record {number}"
                );
            }
            for end in 0..record.len() {
                assert!(receiver_at(number).open(&mut record[..end].to_vec()).is_err(), "cut off");
            }
            for (other, record) in records.iter().enumerate() {
                assert_eq!(
                    receiver_at(number).open(&mut record.clone()).is_ok(),
                    other == number,
                    "replayed or reordered"
                );
            }
            let mut reflected = Direction::new(Arc::clone(&provider), traffic(2));
            assert!(reflected.open(&mut record.clone()).is_err(), "reflected");
        }
    }
}

#[test]
fn lengths_are_bounded_before_anything_is_buffered() {
    let length =
        |length: usize| sealed_length(u32::try_from(length).expect("it is small").to_be_bytes());
    for (wanted, bad) in [(18, 17), (MAX_PLAINTEXT + 16, MAX_PLAINTEXT + 17)] {
        assert_eq!((length(wanted), length(bad)), (Some(wanted), None));
    }
    assert_eq!(sealed_length([0xff; 4]), None);
    let mut direction = Direction::new(Arc::new(RustCrypto), traffic(1));
    for size in [0, 1, MAX_PLAINTEXT + 1] {
        assert!(direction.seal(&mut vec![0; PREFIX + size + 16]).is_err(), "{size} bytes");
    }
    assert_eq!(direction.number(), 0, "no number is used up");
}

/// The key changes after a number of records, in both ends at the same one; the nonce counts on.
#[test]
fn the_ratchet_moves_both_ends() {
    let [rustcrypto, aws_lc] = providers();
    let mut sender = Direction::with_ratchet(rustcrypto, traffic(1), 3);
    let mut receiver = Direction::with_ratchet(Arc::clone(&aws_lc), traffic(1), 3);
    let mut still = Direction::new(aws_lc, traffic(1));
    for number in 0..10_u8 {
        let record = seal(&mut sender, &[b'F', 0, number]);
        assert_eq!(
            still.open(&mut record.clone()).is_ok(),
            number < 3,
            "an end that keeps its key is left behind"
        );
        assert_eq!(receiver.open(&mut record.clone()).expect("it is the next"), [b'F', 0, number]);
    }
}

proptest! {
    #[test]
    fn records_are_read_back_across_providers(plaintexts in prop::collection::vec(prop::collection::vec(any::<u8>(), 2..300), 1..20), ratchet in 1_u64..5) {
        let [rustcrypto, aws_lc] = providers();
        let mut sender = Direction::with_ratchet(aws_lc, traffic(1), ratchet);
        let mut receiver = Direction::with_ratchet(rustcrypto, traffic(1), ratchet);
        for plaintext in plaintexts {
            let mut record = seal(&mut sender, &plaintext);
            prop_assert_eq!(receiver.open(&mut record).expect("it is the next"), plaintext);
        }
    }
}
