//! Peers that send anything at all: a declared error, the text of FSS 1.0, the connection closed,
//! nothing stored.

use fss::client::legacy::LegacySession;
use fss::crypto::rustcrypto::RustCrypto;
use fss::crypto::{CryptoProvider as _, KeyRejected};
use fss::server::ServerState;
use fss::store::{Store as _, StoreErrorKind};
use fss::wire::frame::to_base64;
use fss::wire::frame_kind::FrameKind;
use fss::wire::key_exchange::{self, InvalidKeyExchange};
use fss::wire::legacy_frame::{CHUNK, InvalidLegacyFrame, ServerFrame};
use fss::{
    Config, Error, Integrity, Machine, MemoryStore, Phase, Refusal, ServerSession, Step, Time,
};
use fss_test_support::fault_store::FaultStore;
use fss_test_support::insecure_crypto::{BLOCK, InsecureCrypto, block, message};
use fss_test_support::replay::replay;
use fss_test_support::{fuzz, keys};
use proptest::prelude::*;
use std::time::Duration;

use super::{Scenario, cookie, password, store};

/// Length of a recorded key in PEM.
const KEY: usize = 450;

/// What a server said and how it ended, for a client that sends these bytes and goes.
struct Answer {
    end: Result<(), Error>,
    /// All that it sent after its key.
    said: Vec<u8>,
    store: MemoryStore,
}

fn server_hears(wire: &[u8]) -> Answer {
    let store = store();
    let mut server = ServerSession::with_state(store.clone(), &Scenario::fast().server);
    let (end, said) = hear(&mut server, wire, |_, request| match request {});
    Answer { end, said, store }
}

/// Plays bytes to a machine. What it said first, its key, is left out.
fn hear<M: Machine>(
    machine: &mut M,
    wire: &[u8],
    serve: impl FnMut(&mut M, M::Request),
) -> (Result<(), Error>, Vec<u8>) {
    let mut played = replay(machine, wire, serve, drop);
    (played.end, played.said.split_off(KEY))
}

fn client_key() -> Vec<u8> {
    key_exchange::write(keys::client(&InsecureCrypto).public_key().as_bytes())
}

fn server_key() -> Vec<u8> {
    key_exchange::write(keys::server(&InsecureCrypto).public_key().as_bytes())
}

fn messages(plaintexts: &[&[u8]]) -> Vec<u8> {
    plaintexts.iter().flat_map(|plaintext| message(plaintext)).collect()
}

/// The last message that was said, which these tests know to be sealed to a single block.
fn last_text(said: &[u8]) -> String {
    let start = said.len() - 2 * BLOCK;
    let length = usize::from(said[start + 1]);
    String::from_utf8_lossy(&said[start + 2..start + 2 + length]).replace('\0', "|")
}

#[test]
fn requests_that_are_refused_hear_the_text_of_the_protocol() {
    let long = [b"U\0".as_slice(), &[b'a'; 1025], b"\0"].concat();
    for (request, error, text) in [
        (
            b"D\x00999\0pw\0".as_slice(),
            Error::Refused(Refusal::UnknownCookie),
            "Failed to proceed with the selected operation",
        ),
        (b"D\0../../etc\0pw\0", Error::Refused(Refusal::InvalidCookie), "Invalid cookie"),
        (b"D\0F-12\0pw\0", Error::Refused(Refusal::InvalidCookie), "Invalid cookie"),
        (b"D\0\0pw\0", Error::Refused(Refusal::InvalidCookie), "Invalid cookie"),
        (
            b"D\x001234567890123456789012345678901234567890123456789\0pw\0",
            Error::Refused(Refusal::InvalidCookie),
            "Invalid cookie",
        ),
        (b"D\x001\0", Error::Refused(Refusal::WrongPassword), "Invalid password"),
        (b"D\x001\0\0", Error::Refused(Refusal::WrongPassword), "Invalid password"),
        (
            b"U\0\0",
            Error::Refused(Refusal::InvalidPassword),
            "Failed to proceed with the selected operation",
        ),
        (
            &long,
            Error::Refused(Refusal::InvalidPassword),
            "Failed to proceed with the selected operation",
        ),
        (
            b"U\0a\0b\0",
            Error::InvalidLegacyFrame(InvalidLegacyFrame::ExtraArgument),
            "Failed to proceed with the selected operation",
        ),
        (
            b"U\0",
            Error::InvalidLegacyFrame(InvalidLegacyFrame::MissingArgument),
            "Failed to proceed with the selected operation",
        ),
        (
            b"U\0a",
            Error::InvalidLegacyFrame(InvalidLegacyFrame::Unterminated),
            "Failed to proceed with the selected operation",
        ),
        (
            b"D\x001\0b\0c\0",
            Error::InvalidLegacyFrame(InvalidLegacyFrame::ExtraArgument),
            "Failed to proceed with the selected operation",
        ),
        (
            b"",
            Error::InvalidLegacyFrame(InvalidLegacyFrame::Empty),
            "Failed to proceed with the selected operation",
        ),
        (b"D\0OK\0", Error::Refused(Refusal::InvalidCookie), "Invalid cookie"),
    ] {
        let answer = server_hears(&[client_key(), message(request)].concat());
        assert_eq!(answer.end, Err(error), "{request:?}");
        assert_eq!(last_text(&answer.said), format!("E|{text}|"), "{request:?}");
        assert!(answer.store.is_empty());
    }
}

#[test]
fn a_request_that_is_none_is_refused_in_clear() {
    for request in [b"Q\0x\0".as_slice(), b"F\0FIN\0", b"F\0QQ==\0", b"hello"] {
        let answer = server_hears(&[client_key(), message(request)].concat());
        assert!(answer.end.is_err());
        assert_eq!(answer.said, b"E\0illegal user state\0", "{request:?}");
    }
}

#[test]
fn uploads_that_go_wrong_store_nothing() {
    let long_chunk = [b"F\0".as_slice(), "QUFB".repeat(342).as_bytes(), b"\0"].concat();
    for (frames, error) in [
        (vec![b"F\0Q\0".as_slice()], Error::InvalidLegacyFrame(InvalidLegacyFrame::Base64)),
        (vec![b"F\0QQ==\0", b"F\0QQ==\0"], Error::Refused(Refusal::ChunkAfterShortChunk)),
        (vec![&long_chunk], Error::InvalidLegacyFrame(InvalidLegacyFrame::Base64)),
        (vec![b"D\0OK\0"], unexpected(FrameKind::Acknowledgement, FrameKind::Data)),
        (vec![b"U\0again\0"], unexpected(FrameKind::Request, FrameKind::Data)),
        (vec![b"Q\0x\0"], Error::InvalidLegacyFrame(InvalidLegacyFrame::UnknownFlag)),
    ] {
        let frames = [vec![b"U\0secret\0".as_slice()], frames].concat();
        let answer = server_hears(&[client_key(), messages(&frames)].concat());
        assert_eq!(answer.end, Err(error), "{frames:?}");
        assert_eq!(last_text(&answer.said), "E|cannot upload the file|");
        assert!(answer.store.is_empty());
        assert_eq!(answer.store.remove(&fss::Cookie::from_index(1)), Ok(false));
    }
    let answer =
        server_hears(&[client_key(), messages(&[b"U\0secret\0", b"E\0no\x1bmore\0"])].concat());
    assert_eq!(
        answer.end.map_err(|error| error.to_string()),
        Err("the peer answered: no\u{fffd}more".into())
    );
    assert_eq!(last_text(&answer.said), "R|1|", "who gave up is not told so");
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let mut limits = fss::Limits::default();
    limits.largest_file = 2048;
    let mut scenario = Scenario::fast();
    scenario.server = scenario.server.with_limits(limits);
    for (size, fits) in [(2048, true), (2049, false)] {
        let outcome = scenario.upload(
            store(),
            &super::file(size),
            fss_test_support::sim_net::Wire::default(),
        );
        assert_eq!(outcome.server.is_ok(), fits);
        assert_eq!(
            outcome.client.map_err(|error| error.to_string()),
            if fits { Ok(()) } else { Err("the peer answered: cannot upload the file".into()) }
        );
    }
}

/// Takes all that a machine has to send.
fn take_all(machine: &mut impl Machine) {
    let count = machine.buffers().1.len();
    machine.sent(count);
}

/// Gives a machine as much as it has room for, and no more than `most`. Returns the rest.
fn give<'a>(machine: &mut impl Machine, bytes: &'a [u8], most: usize) -> &'a [u8] {
    let room = machine.buffers().0;
    let count = room.len().min(bytes.len()).min(most);
    room[..count].copy_from_slice(&bytes[..count]);
    machine.received(count);
    &bytes[count..]
}

/// A store whose time is not the peer's: `poll` returns when it has answered, so that the next one
/// knows what time it is.
#[test]
fn slow_storage_is_not_charged_to_the_peer() {
    let scenario = Scenario::fast();
    let mut server = ServerSession::with_state(store(), &scenario.server);
    let wire = [client_key(), messages(&[b"U\0secret\0", b"F\0QQ==\0", b"F\0FIN\0"])].concat();
    let (mut rest, mut now, mut slow) = (wire.as_slice(), Time::ZERO, 0);
    let end = loop {
        match server.poll(now) {
            Err(error) => break Err(error),
            Ok(Step::Close) => break Ok(()),
            Ok(Step::Send) => take_all(&mut server),
            Ok(Step::Receive) => rest = give(&mut server, rest, usize::MAX),
            // After each answer of storage; a private operation yields too, and may as well have
            // been slow.
            Ok(Step::Yield) if server.deadline().is_none() => {
                slow += 1;
                now = now + Duration::from_secs(1000);
            }
            Ok(Step::Sleep(time)) => now = now + time,
            Ok(_) => {}
        }
    };
    assert_eq!((end, slow), (Ok(()), 3));
}

/// A connection of FSS 1.0 keeps its key in memory, and with it those of all others of its modulus:
/// a stranger must not hold them indefinitely.
#[test]
fn an_upload_that_goes_on_for_ever_ends() {
    let scenario = Scenario::fast();
    let mut limits = fss::Limits::default();
    limits.legacy_connection = Duration::from_secs(600);
    let state = scenario.server.clone().with_limits(limits);
    let mut server = ServerSession::with_state(store(), &state);
    let chunk = format!("F\0{}\0", to_base64(&[7; 1024]));
    let wire = [
        client_key(),
        message(b"U\0secret\0"),
        (0..300).flat_map(|_| message(chunk.as_bytes())).collect(),
    ]
    .concat();
    let (mut rest, mut now) = (wire.as_slice(), Time::ZERO);
    let end = loop {
        match server.poll(now) {
            Err(error) => break Err(error),
            Ok(Step::Close) => break Ok(()),
            Ok(Step::Send) => take_all(&mut server),
            Ok(Step::Receive) => {
                rest = give(&mut server, rest, 2048);
                now = now + Duration::from_secs(5);
            }
            Ok(Step::Sleep(time)) => now = now + time,
            Ok(_) => {}
        }
    };
    assert_eq!(end, Err(Error::TimedOut(Phase::Transfer)));
    assert!(
        now >= Time::ZERO + Duration::from_secs(600) && now < Time::ZERO + Duration::from_secs(700),
        "{now:?}"
    );
}

/// After the end nothing that the caller does changes the answer.
#[test]
fn the_end_is_for_ever_whatever_the_caller_does() {
    for mut client in [upload(), download(None)] {
        let played = replay(&mut client, b"", |_, _| (), drop);
        assert_eq!(played.end, Err(Error::Disconnected(Phase::KeyExchange)));
        client.supplied(0);
        client.consumed(0);
        client.received(0);
        assert_eq!(client.poll(Time::ZERO), Err(Error::Disconnected(Phase::KeyExchange)));
        assert!(client.buffers().1.is_empty());
    }
}

/// A peer that does not read has the time of lingering, and no more, to take the last words.
#[test]
fn last_words_do_not_wait_for_the_idle_time() {
    let scenario = Scenario::fast();
    let failing = FaultStore::failing_at(store(), 0);
    let mut server = ServerSession::with_state(&failing, &scenario.server);
    let wire = [client_key(), message(b"U\0secret\0")].concat();
    let (mut rest, mut now, mut asked) = (wire.as_slice(), Time::ZERO, false);
    loop {
        match server.poll(now) {
            Err(error) => break assert!(matches!(error, Error::Store(_))),
            Ok(Step::Send | Step::Receive) if asked => now = now + Duration::from_millis(100),
            Ok(Step::Send) => {
                let count = server.buffers().1.len();
                server.sent(count);
            }
            Ok(Step::Receive) => {
                let room = server.buffers().0;
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                server.received(count);
                asked = rest.is_empty();
            }
            Ok(_) => {}
        }
    }
    assert!(now.saturating_since(Time::ZERO) < Duration::from_secs(5), "{now:?}");
}

/// A full disk at any step: the client is told, nothing is stored, and what was stored before is
/// still served.
#[test]
fn a_store_that_fails_is_told_and_stores_nothing() {
    let scenario = Scenario::fast();
    for step in 0..4 {
        let memory = store();
        let failing = FaultStore::failing_at(memory.clone(), step);
        let outcome = scenario.upload(
            &failing,
            &super::file(2000),
            fss_test_support::sim_net::Wire::default(),
        );
        assert!(
            matches!(&outcome.server, Err(Error::Store(error)) if error.kind() == StoreErrorKind::Full),
            "{:?}",
            outcome.server
        );
        assert_eq!(
            outcome.client.map_err(|error| error.to_string()),
            Err("the peer answered: cannot upload the file".into())
        );
        assert!(memory.is_empty());
    }
    let memory = store();
    assert!(
        scenario.upload(&memory, b"x", fss_test_support::sim_net::Wire::default()).client.is_ok()
    );
    let failing = FaultStore::failing_at(memory, 0);
    let outcome = scenario.download(&failing, None, fss_test_support::sim_net::Wire::default());
    assert_eq!(
        outcome.client.map_err(|error| error.to_string()),
        Err("the peer answered: Failed to proceed with the selected operation".into())
    );
}

#[test]
fn messages_that_never_end_and_blocks_that_do_not_open() {
    let endless = [
        client_key(),
        messages(&[b"U\0secret\0"]),
        (0..40).flat_map(|_| block(&[b'x'; 200])).collect(),
    ]
    .concat();
    assert_eq!(server_hears(&endless).end, Err(Error::MessageTooLong { limit: 16 }));
    let garbage = [client_key(), vec![0xee; 600]].concat();
    let answer = server_hears(&garbage);
    assert_eq!(answer.end, Err(Error::BlockDoesNotOpen));
    assert_eq!(last_text(&answer.said), "E|Failed to proceed with the selected operation|");
    let inside = [client_key(), messages(&[b"U\0secret\0"]), vec![0xee; 256]].concat();
    assert_eq!(server_hears(&inside).end, Err(Error::BlockDoesNotOpen));
}

#[test]
fn key_exchanges_that_are_none() {
    let pem = |der: &[u8]| key_exchange::write(der);
    let small = der_of_bits(1024, 65_537);
    let large = der_of_bits(8192, 65_537);
    for (wire, error) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Error::InvalidKeyExchange(InvalidKeyExchange::NoKey)),
        (
            b"-----BEGIN CERTIFICATE-----".to_vec(),
            Error::InvalidKeyExchange(InvalidKeyExchange::NoKey),
        ),
        (client_key()[..200].to_vec(), Error::Disconnected(Phase::KeyExchange)),
        (vec![], Error::Disconnected(Phase::KeyExchange)),
        (
            [client_key()[..100].to_vec(), vec![b'A'; 5000]].concat(),
            Error::InvalidKeyExchange(InvalidKeyExchange::TooLong),
        ),
        (pem(b"not a key"), Error::KeyRejected(KeyRejected::NotRsa)),
        (pem(&ED25519), Error::KeyRejected(KeyRejected::NotRsa)),
        (pem(&small), Error::KeyRejected(KeyRejected::Size { bits: 1024 })),
        (pem(&large), Error::KeyRejected(KeyRejected::Size { bits: 8192 })),
        (pem(&der_of_bits(2048, 1)), Error::KeyRejected(KeyRejected::Exponent)),
        (pem(&der_of_bits(2048, 65_536)), Error::KeyRejected(KeyRejected::Exponent)),
        (pem(&der_of_bits(2048, (1 << 33) + 1)), Error::KeyRejected(KeyRejected::Exponent)),
    ] {
        let answer = server_hears(&wire);
        assert_eq!(answer.end, Err(error));
        assert_eq!(answer.said, b"", "there is no key to say anything to");
    }
}

/// An Ed25519 key in SPKI.
const ED25519: [u8; 44] = {
    let mut der = [0x55; 44];
    let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let mut i = 0;
    while i < head.len() {
        der[i] = head[i];
        i += 1;
    }
    der
};

/// An RSA key in SPKI, with a modulus of so many bits that is just odd.
fn der_of_bits(bits: usize, exponent: u64) -> Vec<u8> {
    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&[tag, 0x82], length.as_slice(), content].concat()
    }
    fn minimal(tag: u8, content: &[u8]) -> Vec<u8> {
        match content.len() {
            0..128 => [&[tag, u8::try_from(content.len()).expect("short")], content].concat(),
            128..256 => {
                [&[tag, 0x81, u8::try_from(content.len()).expect("short")], content].concat()
            }
            _ => tlv(tag, content),
        }
    }
    let modulus = [vec![0], vec![0xff; bits / 8]].concat();
    let exponent: Vec<u8> = std::iter::once(0).chain(exponent.to_be_bytes()).collect();
    let first = exponent.iter().position(|&byte| byte != 0).expect("not zero");
    let first = if exponent[first] >= 0x80 { first - 1 } else { first };
    let key = minimal(0x30, &[minimal(2, &modulus), minimal(2, &exponent[first..])].concat());
    let algorithm =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    minimal(0x30, &[algorithm.to_vec(), minimal(3, &[vec![0], key].concat())].concat())
}

#[test]
fn silent_peers_are_let_go_at_their_deadlines() {
    let limits = fss::Limits::default();
    for (wire, patience, moment) in [
        (vec![], limits.handshake, Phase::KeyExchange),
        (client_key(), limits.handshake, Phase::Request),
        (
            [client_key(), message(b"U\0secret\0")[..256].to_vec()].concat(),
            limits.handshake,
            Phase::Request,
        ),
        ([client_key(), message(b"U\0secret\0")].concat(), limits.idle, Phase::Transfer),
    ] {
        let mut server = ServerSession::with_state(store(), &Scenario::fast().server);
        let (mut now, mut rest) = (Time::ZERO, wire.as_slice());
        let error = loop {
            match server.poll(now) {
                Err(error) => break error,
                Ok(Step::Send) => {
                    let count = server.buffers().1.len();
                    server.sent(count);
                }
                Ok(Step::Receive) if !rest.is_empty() => {
                    let room = server.buffers().0;
                    let count = room.len().min(rest.len());
                    room[..count].copy_from_slice(&rest[..count]);
                    rest = &rest[count..];
                    server.received(count);
                }
                Ok(Step::Receive) => {
                    now = server.deadline().expect("every wait for a peer has a deadline");
                }
                Ok(Step::Sleep(time)) => now = now + time,
                Ok(_) => {}
            }
        };
        assert_eq!(error, Error::TimedOut(moment));
        let waited = now.saturating_since(Time::ZERO);
        assert!(
            waited >= patience && waited <= patience + limits.linger + limits.linger,
            "{waited:?}"
        );
    }
}

/// A peer that sends a byte now and then is no better off than a silent one.
#[test]
fn dribbling_does_not_prolong_a_deadline() {
    let mut server = ServerSession::with_state(store(), &Scenario::fast().server);
    let wire = [client_key(), message(b"U\0secret\0"), vec![0; 200]].concat();
    let (mut now, mut sent) = (Time::ZERO, 0);
    loop {
        match server.poll(now) {
            Err(error) => {
                assert!(matches!(error, Error::TimedOut(Phase::Transfer)));
                break;
            }
            Ok(Step::Send) => {
                let count = server.buffers().1.len();
                server.sent(count);
            }
            Ok(Step::Receive) => {
                let count = if sent < 962 { 962 } else { 1 };
                if sent < wire.len() {
                    server.buffers().0[..count].copy_from_slice(&wire[sent..sent + count]);
                    server.received(count);
                    sent += count;
                }
                now = now
                    + if sent > 962 { Duration::from_secs(5) } else { Duration::from_millis(1) };
            }
            Ok(Step::Sleep(time)) => now = now + time,
            Ok(_) => {}
        }
        assert!(now.saturating_since(Time::ZERO) < Duration::from_secs(80));
    }
    assert!(sent < 962 + 20);
}

/// What a client makes of a server that sends these messages after its key.
fn client_hears(mut client: LegacySession, wire: &[u8]) -> (Result<(), Error>, Vec<u8>) {
    hear(&mut client, wire, |client, request| match request {
        fss::client::legacy::FileRequest::Supply => client.supplied(0),
        fss::client::legacy::FileRequest::Data => {
            let count = client.data().len();
            client.consumed(count);
        }
    })
}

fn upload() -> LegacySession {
    LegacySession::upload(Scenario::fast().client, &password())
}

fn download(size: Option<u64>) -> LegacySession {
    LegacySession::download(Scenario::fast().client, &cookie(), &password(), size)
}

fn chunk(length: usize) -> Vec<u8> {
    let (mut text, mut plaintext) = (String::new(), Vec::new());
    let base64 =
        fss::wire::legacy_frame::Base64::encode(&vec![7; length], &mut text).expect("short");
    ServerFrame::Chunk(base64).encode(&mut plaintext).expect("no NUL");
    plaintext
}

#[test]
fn a_client_names_what_a_server_did_wrong() {
    let approved: &[u8] = b"S\0Approved\0";
    let (short, long) = (chunk(32), chunk(CHUNK));
    for (client, frames, error) in vec![
        (upload(), vec![approved], unexpected(FrameKind::Approval, FrameKind::Cookie)),
        (upload(), vec![b"R\0OK\0"], unexpected(FrameKind::Acknowledgement, FrameKind::Cookie)),
        (
            upload(),
            vec![b"R\x001\0", b"R\x002\0"],
            unexpected(FrameKind::Cookie, FrameKind::Acknowledgement),
        ),
        (upload(), vec![b"R\0\x1b[2J\0"], Error::Refused(Refusal::InvalidCookie)),
        // A recorded chunk that was sealed to this client, between a flag and a NUL of a man in the
        // middle.
        (upload(), vec![b"R\0QUFBQUFBQUFBQUFB\0"], Error::Refused(Refusal::InvalidCookie)),
        (
            download(None),
            vec![b"R\0OK\0"],
            unexpected(FrameKind::Acknowledgement, FrameKind::Approval),
        ),
        (
            download(None),
            vec![b"S\0Denied\0"],
            Error::InvalidLegacyFrame(InvalidLegacyFrame::UnknownWord),
        ),
        (
            download(None),
            vec![approved, b"F\0QQ==\0"],
            Error::Integrity(Integrity::ChunkLength { length: 1 }),
        ),
        (
            download(None),
            vec![approved, &short, &short],
            Error::Integrity(Integrity::ChunkLength { length: 32 }),
        ),
        (
            download(Some(5000)),
            vec![approved, &short, b"F\0FIN\0"],
            Error::Integrity(Integrity::StoredLength { stored: 32, size: 5000 }),
        ),
        (
            download(Some(3)),
            vec![approved, &long],
            Error::Integrity(Integrity::StoredLength { stored: 1024, size: 3 }),
        ),
    ] {
        let (end, said) = client_hears(client, &[server_key(), messages(&frames)].concat());
        assert_eq!(end, Err(error), "{frames:?}");
        assert_eq!(last_text(&said), "E|Invalid server response|");
    }
}

#[test]
fn a_client_reports_what_a_server_says() {
    for (wire, text) in [
        (message(b"E\0Invalid password\0"), "the peer answered: Invalid password"),
        (b"E\0illegal user state\0".to_vec(), "the peer answered: illegal user state"),
    ] {
        let (end, said) = client_hears(download(None), &[server_key(), wire].concat());
        assert_eq!(end.map_err(|error| error.to_string()), Err(text.into()));
        assert!(
            said.is_empty() || last_text(&said).starts_with("D|"),
            "who was refused says nothing more"
        );
    }
}

/// The server's last word comes although it has gone on writing into a closed connection.
#[test]
fn a_refusal_is_heard_even_if_sending_fails() {
    let mut client = upload();
    let wire = [server_key(), messages(&[b"R\x001\0", b"E\0cannot upload the file\0"])].concat();
    let (mut rest, mut now, mut supplied) = (wire.as_slice(), Time::ZERO, false);
    let error = loop {
        match client.poll(now) {
            Err(error) => break error,
            Ok(Step::Send) if supplied => client.send_failed(),
            Ok(Step::Send) => {
                let count = client.buffers().1.len();
                client.sent(count);
            }
            Ok(Step::Receive) => {
                let room = client.buffers().0;
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                client.received(count);
                now = now + Duration::from_millis(10);
            }
            Ok(Step::Request(_)) => {
                supplied = true;
                let count = client.supply().len();
                client.supplied(count);
            }
            Ok(Step::Sleep(time)) => now = now + time,
            Ok(_) => {}
        }
    };
    assert_eq!(error.to_string(), "the peer answered: cannot upload the file");
}

#[test]
fn misuse_is_an_error_and_not_a_panic() {
    let mut client = download(None);
    client.supplied(3);
    client.consumed(3);
    let error =
        (0..10).find_map(|seconds| client.poll(Time::ZERO + Duration::from_secs(seconds)).err());
    assert!(matches!(error, Some(Error::Misuse(_))), "{error:?}");
}

/// Real keys: a block that was sealed to another key does not open, with both providers alike.
#[test]
fn a_block_for_another_key_does_not_open() {
    let provider = RustCrypto;
    let config = Config::new(std::sync::Arc::new(provider), keys::server(&provider));
    let state = ServerState::new(config);
    let other = provider.load_public_key(keys::client(&provider).public_key()).expect("valid");
    let mut wire = client_key();
    fss::wire::rsa_message::seal_message(&*other, b"U\0a\0", &mut fss::SystemRng, &mut wire)
        .expect("short");
    let mut server = ServerSession::with_state(store(), &state);
    assert_eq!(
        replay(&mut server, &wire, |_, request| match request {}, drop).end,
        Err(Error::BlockDoesNotOpen)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// P3, P5, P7, P8: arbitrary bytes, at every layer. The bodies of the fuzz targets check what
    /// must hold.
    #[test]
    fn p3_p5_p7_p8_arbitrary_bytes(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::frame_parser(&data);
        fuzz::key_exchange(&data);
        fuzz::server(&data);
        fuzz::client(&data);
    }

    /// The same with frames that are nearly right, so that more of them get far.
    #[test]
    fn p3_arbitrary_frames(frames in prop::collection::vec(frame(), 0..8), kind in any::<u8>()) {
        let data = fuzz::from_plaintexts(frames.iter().map(Vec::as_slice));
        fuzz::server(&data);
        fuzz::client(&[vec![kind], data].concat());
    }

    /// P4: codecs round-trip both ways.
    #[test]
    fn p4_frames_round_trip(frame in frame(), chunk in prop::collection::vec(any::<u8>(), 0..=CHUNK)) {
        fuzz::frame_parser(&frame);
        let mut text = String::new();
        let base64 = fss::wire::legacy_frame::Base64::encode(&chunk, &mut text).expect("short enough");
        let mut decoded = [0; CHUNK];
        let length = base64.decode(&mut decoded).expect("it is base64");
        prop_assert_eq!(&decoded[..length], &chunk[..]);
    }
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let flag = prop::sample::select(b"UDFERSHQ".to_vec());
    let word = prop_oneof![
        prop::sample::select(vec![
            b"OK".to_vec(),
            b"FIN".to_vec(),
            b"Approved".to_vec(),
            b"1".to_vec(),
            b"secret".to_vec(),
            b"QQ==".to_vec()
        ]),
        prop::collection::vec(1_u8.., 0..40),
        Just(chunk(CHUNK)[2..1370].to_vec()),
        Just(chunk(32)[2..46].to_vec()),
    ];
    (flag, prop::collection::vec(word, 0..4), any::<bool>()).prop_map(|(flag, words, ended)| {
        let mut frame = vec![flag, 0];
        frame.extend(words.join(&0));
        if ended {
            frame.push(0);
        }
        frame
    })
}

fn unexpected(got: FrameKind, expected: FrameKind) -> Error {
    fss::PeerMisbehaved::UnexpectedFrame { got, expected }.into()
}
