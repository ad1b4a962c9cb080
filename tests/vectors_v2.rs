//! The vectors of FSS/2 (`tests/vectors/v2`), made by an independent implementation from the
//! document alone.

use std::convert::Infallible;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use fss::chain::Chain;
use fss::crypto::legacy::Verifier;
use fss::crypto::proof::Proof;
use fss::crypto::{CryptoProvider, PublicKeyDer, aws_lc::AwsLc, rustcrypto::RustCrypto};
use fss::sealed::{
    CHUNK_OVERHEAD, ChunkSealer, Cost, Header, Key, MAX_SEALED_CHUNK, MasterKey, Reader,
    stored_length,
};
use fss::server::Decoys;
use fss::wire::frame::{Frame, InvalidFrame};
use fss::wire::hello::{Hello, InvalidHello, Role};
use fss::wire::key_schedule::{HelloTranscript, Keys, Traffic};
use fss::wire::record::{Direction, PREFIX, sealed_length};
use fss::{Cookie, Password, Secret};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

fn json(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v2").join(name);
    serde_json::from_slice(&fs::read(path).expect("the vectors are there")).expect("they are JSON")
}

fn cases(name: &str) -> Vec<Value> {
    json(name)["cases"].as_array().expect("a list").clone()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} is a text in {case}"))
}

fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap_or_else(|| panic!("{field} is a number in {case}"))
}

fn hex(case: &Value, field: &str) -> Vec<u8> {
    from_hex(text(case, field))
}

fn from_hex(digits: &str) -> Vec<u8> {
    let digits = digits.as_bytes().chunks(2);
    digits
        .map(|sim_net| {
            u8::from_str_radix(std::str::from_utf8(sim_net).expect("ASCII"), 16).expect("hex")
        })
        .collect()
}

fn array<const N: usize>(case: &Value, field: &str) -> [u8; N] {
    hex(case, field).try_into().unwrap_or_else(|_| panic!("{field} has {N} bytes"))
}

fn providers() -> [Arc<dyn CryptoProvider>; 2] {
    [Arc::new(RustCrypto), Arc::new(AwsLc)]
}

/// Content by the rule of the vectors.
fn content(size: u64) -> Vec<u8> {
    (0..size).map(|i| u8::try_from((7 * i + i / 251) % 256).expect("below 256")).collect()
}

/// "Random" bytes that are given.
struct Given(Vec<u8>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only bytes are asked for")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only bytes are asked for")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0.drain(..bytes.len()).collect::<Vec<_>>());
        Ok(())
    }
}

impl TryCryptoRng for Given {}

#[test]
fn the_key_schedule() {
    for case in cases("key_schedule.json") {
        let [client_key, transport_key, identity] =
            ["client_key_der", "transport_key_der", "identity_der"]
                .map(|field| PublicKeyDer::parse(&hex(&case, field)).expect("a key"));
        for provider in providers() {
            let [client_share, server_share] = ["client_share_private", "server_share_private"]
                .map(|field| provider.share(&array(&case, field)));
            assert_eq!(client_share.public(), array(&case, "client_share"));
            assert_eq!(server_share.public(), array(&case, "server_share"));
            let hello = |share: [u8; 32], secret| Hello {
                share,
                secret: Zeroizing::new(array(&case, secret)),
            };
            let client = hello(client_share.public(), "client_secret");
            let server = hello(server_share.public(), "server_secret");
            let (h, r) = (client.encode(Role::Client), server.encode(Role::Server));
            assert_eq!(
                (h.to_vec(), r.to_vec()),
                (hex(&case, "client_hello"), hex(&case, "server_hello"))
            );
            for (bytes, speaker, hello) in
                [(&h, Role::Client, &client), (&r, Role::Server, &server)]
            {
                let read = Hello::parse(bytes, speaker).expect("a hello");
                assert_eq!((read.share, &*read.secret), (hello.share, &*hello.secret));
            }
            let said = (
                HelloTranscript { key: &client_key, plaintext: &h, hello: &client },
                HelloTranscript { key: &transport_key, plaintext: &r, hello: &server },
            );
            for (share, peer) in [(client_share, &server), (server_share, &client)] {
                let keys = Keys::derive(share, peer, said.0, said.1).expect("sound shares");
                assert_eq!(
                    keys.client[..],
                    [hex(&case, "client_key"), hex(&case, "client_iv")].concat()
                );
                assert_eq!(
                    keys.server[..],
                    [hex(&case, "server_key"), hex(&case, "server_iv")].concat()
                );
                let transcript = keys.handshake.with_identity(&identity).expect("a key");
                assert_eq!(transcript.to_be_signed(), hex(&case, "signed"));
                assert_eq!(transcript.to_be_signed()[22..], hex(&case, "th"));
                assert_eq!(transcript.binding[..], hex(&case, "binding"));
                let identity = provider.load_public_key(&identity).expect("a key");
                assert_eq!(
                    identity.verify(&transcript.to_be_signed(), &hex(&case, "signature")),
                    Ok(())
                );
            }
        }
    }
}

fn traffic(case: &Value) -> Traffic {
    Zeroizing::new([hex(case, "key"), hex(case, "iv")].concat().try_into().expect("44 bytes"))
}

#[test]
fn records() {
    for case in cases("records.json") {
        for provider in providers() {
            let direction = || {
                Direction::with_ratchet(
                    Arc::clone(&provider),
                    traffic(&case),
                    number(&case, "ratchet_interval"),
                )
            };
            let (mut sender, mut receiver) = (direction(), direction());
            for record in case["records"].as_array().expect("a list") {
                let (plaintext, wire) = (hex(record, "plaintext"), hex(record, "wire"));
                let mut sealed = [&[0; PREFIX], plaintext.as_slice(), &[0; 16]].concat();
                sender.seal(&mut sealed).expect("it seals");
                assert_eq!(sealed, wire);
                assert_eq!(receiver.open(&mut sealed).expect("it opens"), plaintext);
            }
        }
    }
}

#[test]
fn proofs_and_decoys() {
    let cookie = |case: &Value| text(case, "cookie").parse::<Cookie>().expect("a cookie");
    for case in cases("proof.json") {
        let proof = Proof::new(
            &Verifier::from_bytes(array(&case, "verifier")),
            &array(&case, "binding"),
            &cookie(&case),
        );
        assert_eq!(proof.as_bytes(), &array(&case, "proof"));
        assert!(proof == Proof::from_bytes(array(&case, "proof")));
    }
    for case in json("proof.json")["decoys"].as_array().expect("a list") {
        let mut made = vec![Decoys::from_secret(array(case, "decoy_secret"))];
        for provider in providers() {
            let key = provider
                .load_private_key(&Secret::new(hex(case, "server_key_pkcs8")))
                .expect("a key");
            made.push(Decoys::of_server(&*key).expect("the key can leave its provider"));
        }
        for decoys in made {
            let header = decoys.header(&cookie(case));
            assert_eq!(header.to_bytes(), array(case, "header"));
            assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
            assert_eq!(decoys.verifier(&cookie(case)).as_bytes(), &array(case, "verifier"));
        }
    }
}

#[test]
fn sealed_files() {
    for case in cases("sealed.json") {
        let cost = |field: &str| u8::try_from(number(&case, field)).expect("a small number");
        let cost =
            Cost::new(cost("memory_log2"), cost("passes"), cost("lanes")).expect("within bounds");
        let header = Header::parse(&hex(&case, "header")).expect("a header");
        let salt = array(&case, "salt");
        assert_eq!((header.cost(), *header.salt()), (cost, salt));
        let master =
            MasterKey::derive(&Password::new(text(&case, "password")).expect("valid"), &header)
                .expect("memory");
        let plaintext = [metadata_with_length(&case), content(number(&case, "size"))].concat();
        assert_eq!(plaintext.len() as u64, number(&case, "plaintext_size"));
        for provider in providers() {
            let key = master.key(&header, &*provider);
            assert_eq!(key.verifier().as_bytes(), &array(&case, "verifier"));
            let nonces = case["nonces"].as_array().expect("a list");
            let nonces =
                nonces.iter().flat_map(|nonce| from_hex(nonce.as_str().expect("a text"))).collect();
            let (mut rng, mut chunks, mut sealed) =
                (Given(nonces), ChunkSealer::new(&header, 0), Vec::new());
            let pieces = case["pieces"].as_array().expect("a list");
            for (index, (chunk, expected)) in
                plaintext.chunks(MAX_SEALED_CHUNK - CHUNK_OVERHEAD).zip(pieces).enumerate()
            {
                let mut piece = [&[0; 12], chunk, &[0; 16]].concat();
                chunks
                    .seal(&key, &mut piece, index + 1 == pieces.len(), &mut rng)
                    .expect("it seals");
                assert_eq!(
                    Sha256::digest(&piece).to_vec(),
                    hex(expected, "sha256"),
                    "piece {index}"
                );
                sealed.extend(piece);
            }
            assert_eq!(sealed.len() as u64, number(&case, "stored_size"));
            assert_eq!(stored_length(plaintext.len() as u64), number(&case, "stored_size"));
            let mut chain = Chain::new(&header.to_bytes());
            chain.update(&sealed);
            assert_eq!(chain.digest().to_string(), text(&case, "chain"));
            let mut file = Vec::new();
            Reader::new(sealed.as_slice(), &key, &header)
                .and_then(|mut reader| reader.read_to_end(&mut file))
                .expect("it opens");
            assert_eq!(file, content(number(&case, "size")));
        }
    }
}

/// The vectors give the metadata without the length before it, or with it.
fn metadata_with_length(case: &Value) -> Vec<u8> {
    let metadata = hex(case, "metadata");
    let length = number(case, "plaintext_size") - number(case, "size");
    if metadata.len() as u64 == length {
        return metadata;
    }
    [u32::try_from(metadata.len()).expect("short").to_be_bytes().as_slice(), &metadata].concat()
}

#[test]
fn chains_however_the_bytes_are_cut() {
    for case in cases("chain.json") {
        let content = content(number(&case, "size"));
        for cut in [1000, 65_563, 65_564, 65_565, usize::MAX] {
            let mut chain = Chain::new(&hex(&case, "header"));
            content.chunks(cut).for_each(|piece| chain.update(piece));
            assert_eq!(
                chain.digest().to_string(),
                text(&case, "chain"),
                "{} cut at {cut}",
                text(&case, "name")
            );
        }
        let (before, after) = content.split_at(content.len() / 65_564 * 65_564);
        let mut chain = Chain::new(&hex(&case, "header"));
        chain.update(before);
        let mut resumed = Chain::resume(before.len() as u64, chain.digest());
        resumed.update(after);
        assert_eq!(resumed.digest().to_string(), text(&case, "chain"), "resumed");
    }
}

#[test]
fn negative_vectors_are_refused() {
    for case in cases("negative.json") {
        let (name, bytes) = (text(&case, "name"), hex(&case, "bytes"));
        match text(&case, "what") {
            "header" => assert!(Header::parse(&bytes).is_err(), "{name}"),
            "hello" => {
                let refused = Hello::parse(&bytes, Role::Client).expect_err(name);
                let version = case["code"].as_str() == Some("version");
                assert_eq!(refused == InvalidHello::Version, version, "{name}");
            }
            "share" => {
                for provider in providers() {
                    let share: [u8; 32] = bytes.clone().try_into().expect("32 bytes");
                    assert!(
                        provider.share(&array(&case, "private")).agree(&share).is_err(),
                        "{name}"
                    );
                }
            }
            "signature" => {
                let signed = [b"fss/2 server identity\0", hex(&case, "th").as_slice()].concat();
                let identity = PublicKeyDer::parse(&hex(&case, "identity")).expect("a key");
                for provider in providers() {
                    let identity = provider.load_public_key(&identity).expect("a key");
                    assert!(
                        identity.verify(&signed, &bytes).is_err(),
                        "{name} {}",
                        provider.name()
                    );
                }
            }
            "frame" => match (Frame::parse(&bytes), case["number"].as_str()) {
                (Ok(Frame::Other(_, arguments)), Some(argument)) => {
                    assert_eq!(arguments.number(argument), Err(InvalidFrame::Number), "{name}");
                }
                (parsed, _) => assert!(parsed.is_err(), "{name}"),
            },
            "record" => {
                for provider in providers() {
                    assert_eq!(
                        records_opened(&case, provider, &bytes),
                        number(&case, "opened"),
                        "{name}"
                    );
                }
            }
            "sealed" => {
                let header = Header::parse(&hex(&case, "header")).expect("a header");
                for provider in providers() {
                    let key = Key::from_secrets(&array(&case, "content_key"), &[0; 32], &*provider);
                    let mut file = Vec::new();
                    let opened = Reader::new(bytes.as_slice(), &key, &header)
                        .and_then(|mut reader| reader.read_to_end(&mut file));
                    assert_eq!(
                        opened.expect_err(name).kind(),
                        std::io::ErrorKind::InvalidData,
                        "{name}"
                    );
                }
            }
            other => panic!("{name}: nobody knows what {other} is"),
        }
    }
}

/// How many records of a stream open before one does not, or cannot be a record.
fn records_opened(case: &Value, provider: Arc<dyn CryptoProvider>, mut stream: &[u8]) -> u64 {
    let mut direction =
        Direction::with_ratchet(provider, traffic(case), number(case, "ratchet_interval"));
    for opened in 0.. {
        let Some(prefix) = stream.first_chunk::<PREFIX>() else { panic!("every record opened") };
        let Some(length) = sealed_length(*prefix) else { return opened };
        let Some((record, rest)) = stream.split_at_checked(PREFIX + length) else { return opened };
        if direction.open(&mut record.to_vec()).is_err() {
            return opened;
        }
        stream = rest;
    }
    0
}
