//! The corpora of the fuzz targets: every file goes through the body of its target, and the seeds
//! are what the machines themselves say to each other.
//!
//! After a change of what the machines say, `FSS_WRITE_CORPUS=1 cargo test --test corpora seeds`
//! writes the seeds anew. It removes nothing: a file that is no longer made is still worth
//! replaying.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fss::chain::SEALED_CHUNK_LEN;
use fss::client::legacy::LegacySession;
use fss::crypto::PrivateKey;
use fss::crypto::legacy::{FileKey, Verifier};
use fss::crypto::proof::Proof;
use fss::sealed::{Cost, Header, Metadata};
use fss::server::ServerState;
use fss::store::NewUpload;
use fss::store::{Retention, UserName};
use fss::wire::error_frame::{ErrorCode, ErrorFrame};
use fss::wire::frame::Frame;
use fss::wire::key_exchange;
use fss::wire::request::Request;
use fss::{Config, Cookie, MemoryStore, OpaqueCookie, Password, SequentialCookies, ServerSession};
use fss_test_support::insecure_crypto::{BLOCK, InsecureCrypto};
use fss_test_support::raw_archive::Raw;
use fss_test_support::sim_net::{Outcome, Wire, run};
use fss_test_support::{fuzz, keys, rng::SeededRng};
use serde_json::Value;

/// What a target runs.
type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 8] = [
    ("frame_parser", fuzz::frame_parser),
    ("fss2_client", fuzz::fss2_client),
    ("fss2_parser", fuzz::fss2_parser),
    ("fss2_server", fuzz::fss2_server),
    ("key_exchange", fuzz::key_exchange),
    ("server_machine", fuzz::server),
    ("client_machine", fuzz::client),
    ("unpack", fuzz::unpack),
];

/// Sizes around the borders that matter to a machine: nothing, a cipher block, a chunk, several
/// chunks.
const SIZES: [usize; 8] = [0, 1, 16, 1023, 1024, 1025, 2048, 3000];

/// The password of the fuzz targets.
const PASSWORD: &str = "secret";

/// What the client's target does with the rest of its input, by the first byte.
const UPLOAD: u8 = 0;
const DOWNLOAD: u8 = 1;
const DOWNLOAD_OF_1030: u8 = 3;

#[test]
fn every_input_of_the_corpora_is_survived() {
    for (target, body) in TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "the corpus of {target} is empty");
        for input in inputs {
            // The name is shown only if the test fails.
            println!("{}", input.display());
            body(&read(&input));
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_is_replayed() {
    let replayed: BTreeSet<String> =
        TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(names(&fuzz_directory().join("corpus")), replayed);
    let targets = names(&fuzz_directory().join("fuzz_targets"));
    assert_eq!(targets, replayed.iter().map(|target| format!("{target}.rs")).collect());
}

#[test]
fn the_seeds_are_what_the_machines_say() {
    let write = std::env::var_os("FSS_WRITE_CORPUS").is_some_and(|value| value == "1");
    for (target, _) in TARGETS {
        let corpus = fuzz_directory().join("corpus").join(target);
        if write {
            fs::create_dir_all(&corpus).expect("the corpus can be made");
        }
        for (name, seed) in seeds(target) {
            let path = corpus.join(&name);
            if write {
                fs::write(&path, seed).expect("a seed can be written");
            } else {
                let committed = fs::read(&path).unwrap_or_default();
                assert!(
                    path.exists() && committed == seed,
                    "{target}/{name} is out of date: run with FSS_WRITE_CORPUS=1"
                );
            }
        }
    }
}

type Seeds = BTreeMap<String, Vec<u8>>;

fn seeds(target: &str) -> Seeds {
    match target {
        "frame_parser" => frames(),
        "fss2_client" => what_servers_of_fss2_say(),
        "fss2_parser" => what_fss2_parses(),
        "fss2_server" => what_clients_of_fss2_say()
            .into_iter()
            .map(|(name, frames)| (name, pieces(&frames)))
            .collect(),
        "key_exchange" => key_exchanges(),
        "server_machine" => what_clients_say(),
        "client_machine" => what_servers_say(),
        "unpack" => archives(),
        other => panic!("no seeds are made for {other}"),
    }
}

/// Every frame of the protocol, each once, and frames that are slightly wrong.
fn frames() -> Seeds {
    let mut seeds = Seeds::new();
    for (name, exchange) in exchanges() {
        for (side, sent) in [("client", &exchange.from_client), ("server", &exchange.from_server)] {
            for (number, plaintext) in plaintexts(sent).into_iter().enumerate() {
                if !seeds.values().any(|seed| *seed == plaintext) {
                    seeds.insert(format!("{name}-{side}-{number}"), plaintext);
                }
            }
        }
    }
    let malformed: [(&str, &[u8]); 13] = [
        ("acknowledgement-of-2019", b"D\0OK"),
        ("download-without-password", b"D\x001\0"),
        ("illegal-user-state", b"E\0illegal user state\0"),
        ("malformed-argument-unterminated", b"U\0secret"),
        ("malformed-argument-missing", b"U\0"),
        ("malformed-argument-extra", b"U\0secret\0secret\0"),
        ("malformed-three-arguments", b"D\x001\0secret\0secret\0"),
        ("malformed-flag-unknown", b"Q\0x\0"),
        ("malformed-flag-long", b"Up\0x\0"),
        ("malformed-base64-not-canonical", b"F\0QR==\0"),
        ("malformed-base64-unpadded", b"F\0QQ\0"),
        ("malformed-word-unknown", b"S\0Denied\0"),
        ("malformed-empty", b""),
    ];
    seeds.extend(malformed.map(|(name, plaintext)| (name.to_owned(), plaintext.to_vec())));
    let chunk_of_1026 = [b"F\0".as_slice(), &b"QUFB".repeat(342), b"\0"].concat();
    seeds.insert("malformed-base64-of-1026-bytes".to_owned(), chunk_of_1026);
    seeds
}

/// The vectors of FSS/2, and frames of the kinds that they do not have.
fn what_fss2_parses() -> Seeds {
    let cases = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v2").join(file);
        let vectors: Value = serde_json::from_slice(&read(&path)).expect("the vectors are JSON");
        vectors["cases"].as_array().expect("a list").clone()
    };
    let mut seeds = Seeds::new();
    for case in cases("negative.json") {
        let field = |name: &str| case[name].as_str().expect("a text").to_owned();
        if matches!(field("what").as_str(), "frame" | "hello" | "header") {
            seeds.insert(field("name").replace('_', "-"), from_hex(&field("bytes")));
        }
    }
    for (file, field) in [
        ("key_schedule.json", "client_hello"),
        ("key_schedule.json", "server_hello"),
        ("sealed.json", "header"),
    ] {
        seeds.insert(
            field.replace('_', "-"),
            from_hex(cases(file)[0][field].as_str().expect("a text")),
        );
    }
    let header = Header::from_parts(Cost::DEFAULT, [1; 16], [2; 32]);
    let (cookie, proof) = (Cookie::from_index(7), Proof::from_bytes([3; 48]));
    let verifier = Verifier::from_bytes([4; 48]);
    let upload = NewUpload::new(header.clone(), verifier)
        .with_size(Some(9))
        .with_keep(Some(8))
        .with_downloads(Some(7));
    let requests = [
        ("upload", Request::Upload(upload)),
        (
            "resume",
            Request::Resume {
                header,
                cookie: cookie.clone(),
                proof: proof.clone(),
                offset: 65_564,
            },
        ),
        ("download", Request::Download { cookie: cookie.clone(), proof, offset: 65_564 }),
        ("taken", Request::Taken { offset: 65_564 }),
        ("list", Request::List { after: Some(cookie) }),
        ("data", Request::Data(b"bytes")),
        ("refusal", Request::Refusal(ErrorFrame::new(ErrorCode::TooManyAttempts, Some(30)))),
    ];
    seeds.extend(requests.map(|(name, request)| (format!("request-{name}"), request.encode())));
    let replies: [(&str, &[u8]); 6] = [
        ("accepted", b"R\x007\0offset=0\0window=8388608\0expires=99\0"),
        ("received", b"R\0OK\0offset=65564\0"),
        ("approved", b"S\0Approved\0size=65564\0format=1.0\0"),
        ("entry", b"R\x007\0size=1\0stored=2\0downloads=3\0"),
        ("end", b"R\0END\0more=1\0"),
        ("information", b"R\0OK\0largest-file=1\0window=2\0name=a\0quota=3\0used=4\0"),
    ];
    seeds.extend(replies.map(|(name, reply)| (format!("reply-{name}"), reply.to_vec())));
    let metadata =
        fss::sealed::Metadata::named("a file").with("size", "7").encode().expect("it is valid");
    seeds.insert("metadata".to_owned(), metadata);
    seeds
}

/// Archives with each kind of entry, and with escaping ones, after a byte that lets checksums be
/// wrong.
fn archives() -> Seeds {
    let tree = Raw::default().directory(b"d").file(b"d/a", b"content").link(b"d/l", b"a");
    let outward = Raw::default().link(b"l", b"..").file(b"l/canary", b"dead");
    let archives = [
        ("tree", 2, tree.end()),
        (
            "extended",
            2,
            Raw::default()
                .extended(&[("path", b"long/name"), ("mtime", b"1.5")])
                .file(b"x", b"")
                .end(),
        ),
        ("long-name-of-gnu", 2, Raw::default().long_name(&[b'n'; 120]).file(b"x", b"").end()),
        ("up", 2, Raw::default().file(b"a/../../canary", b"dead").end()),
        ("hard-link", 2, Raw::default().entry(b'1', b"canary", b"../canary", b"").end()),
        ("link-out", 2, outward.clone().end()),
        ("link-out-that-is-allowed", 3, outward.end()),
    ];
    archives.map(|(name, how, archive)| (name.to_owned(), [vec![how], archive].concat())).into()
}

fn from_hex(digits: &str) -> Vec<u8> {
    let digits = digits.as_bytes().chunks(2);
    digits
        .map(|sim_net| {
            u8::from_str_radix(std::str::from_utf8(sim_net).expect("ASCII"), 16).expect("hex")
        })
        .collect()
}

/// Both recorded keys as they are sent, and what is no key, or not one that is taken.
fn key_exchanges() -> Seeds {
    let client = keys::client(&InsecureCrypto).public_key().as_bytes().to_vec();
    let server = keys::server(&InsecureCrypto).public_key().as_bytes().to_vec();
    let pem = key_exchange::write(&client);
    let body = String::from_utf8_lossy(&pem).replace('\n', "\r\n").into_bytes();
    let [first, last] = ["-----BEGIN PUBLIC KEY-----\n", "-----END PUBLIC KEY-----"];
    // The last five bytes of the key are its exponent, 02 03 01 00 01.
    let even_exponent = [&client[..client.len() - 1], &[0]].concat();
    let mut wrong_algorithm = client.clone();
    // Byte 14 lies in the object identifier of rsaEncryption.
    wrong_algorithm[14] ^= 1;
    [
        ("key-of-the-client", pem.clone()),
        ("key-of-the-server", key_exchange::write(&server)),
        ("key-then-newline", [pem.as_slice(), b"\n"].concat()),
        ("key-then-block", [pem.as_slice(), &[0x2a; 64]].concat()),
        ("key-twice", [pem.as_slice(), &pem].concat()),
        ("key-in-lines-of-dos", body),
        ("key-cut-off", pem[..300].to_vec()),
        ("key-without-last-dash", pem[..pem.len() - 1].to_vec()),
        ("key-with-byte-of-modulus-changed", key_exchange::write(&changed(&client, 100))),
        ("key-with-even-exponent", key_exchange::write(&even_exponent)),
        ("key-of-another-algorithm", key_exchange::write(&wrong_algorithm)),
        ("key-der-cut-off", key_exchange::write(&client[..200])),
        ("key-der-then-more", key_exchange::write(&[client.as_slice(), b"more"].concat())),
        ("no-der", key_exchange::write(b"not a key")),
        ("no-base64", [first, "*\n", last].concat().into_bytes()),
        ("no-content", [first, last].concat().into_bytes()),
        ("no-key-http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("no-key-certificate", b"-----BEGIN CERTIFICATE-----\n".to_vec()),
        ("nothing", Vec::new()),
    ]
    .map(|(name, seed)| (name.to_owned(), seed))
    .into()
}

/// Input of the server's target: whole exchanges, and those that a server must refuse.
fn what_clients_say() -> Seeds {
    let mut seeds: Seeds = exchanges()
        .into_iter()
        .map(|(name, exchange)| {
            (name, fuzz::from_plaintexts(slices(&plaintexts(&exchange.from_client))))
        })
        .collect();
    let chunk: &[u8] = b"F\0QQ==\0";
    let refused: [(&str, &[&[u8]]); 10] = [
        ("refused-cookie-is-a-path", &[b"D\0../../etc\0secret\0"]),
        ("refused-no-password", &[b"D\x001\0"]),
        ("refused-no-request", &[b"Q\0x\0"]),
        ("refused-chunk-for-a-request", &[chunk]),
        ("refused-empty-message", &[b""]),
        ("refused-chunk-after-a-short-one", &[b"U\0secret\0", chunk, chunk]),
        ("refused-base64", &[b"U\0secret\0", b"F\0Q\0"]),
        ("refused-acknowledgement-in-an-upload", &[b"U\0secret\0", b"D\0OK"]),
        ("refused-raw-bytes-for-a-block", &[b"U\0secret\0", &[0xff; 260]]),
        ("given-up-by-the-client", &[b"U\0secret\0", b"E\0no more\0"]),
    ];
    seeds.extend(refused.map(|(name, plaintexts)| {
        (name.to_owned(), fuzz::from_plaintexts(plaintexts.iter().copied()))
    }));
    seeds
}

/// Input of the client's target. It uploads 3000 bytes, and downloads any input.
fn what_servers_say() -> Seeds {
    let mut seeds = Seeds::new();
    let mut add = |name: &str, kind: u8, plaintexts: &[Vec<u8>]| {
        seeds.insert(
            name.to_owned(),
            [vec![kind], fuzz::from_plaintexts(slices(plaintexts))].concat(),
        );
    };
    for (name, exchange) in exchanges() {
        let said = plaintexts(&exchange.from_server);
        match name.as_str() {
            "upload-3000" => {
                add(&name, UPLOAD, &said);
                add("cut-off-upload-3000", UPLOAD, &said[..2]);
            }
            "download-1025" => {
                add(&name, DOWNLOAD, &said);
                // 1030 bytes are stored as 1040, as 1025 are, so this is also a file with other
                // padding than it should have.
                add("download-1030-of-known-size", DOWNLOAD_OF_1030, &said);
                add("cut-off-download-1025", DOWNLOAD, &said[..2]);
            }
            _ if name.starts_with("download") => add(&name, DOWNLOAD, &said),
            _ if name.starts_with("refused") => add(&name, DOWNLOAD, &said),
            _ => {}
        }
    }
    // The first byte makes it go out as it is, not as a message.
    let in_clear = b"\xffE\0illegal user state\0".to_vec();
    let text = |text: &[u8]| text.to_vec();
    add("refused-in-clear", UPLOAD, &[in_clear]);
    add("refused-upload", UPLOAD, &[text(b"R\x001\0"), text(b"E\0cannot upload the file\0")]);
    add("wrong-approval-of-an-upload", UPLOAD, &[text(b"S\0Approved\0")]);
    add("wrong-chunk-not-of-whole-blocks", DOWNLOAD, &[text(b"S\0Approved\0"), text(b"F\0QQ==\0")]);
    add("wrong-size", DOWNLOAD_OF_1030, &[text(b"S\0Approved\0"), text(b"F\0FIN\0")]);
    add("wrong-control-characters", DOWNLOAD, &[text(b"E\0\x1b[2Jgone\r\n\0")]);
    seeds
}

/// Exchanges of our client and our server, with names for their seeds.
fn exchanges() -> Vec<(String, Outcome)> {
    let mut exchanges = Vec::new();
    for size in SIZES {
        let store = MemoryStore::with(SequentialCookies, Retention::Forever);
        let upload = exchange(
            &store,
            LegacySession::upload(config(&client_key()), &password(PASSWORD)),
            &file(size),
        );
        assert_eq!((&upload.client, &upload.server), (&Ok(()), &Ok(())));
        exchanges.push((format!("upload-{size}"), upload));
        let download = exchange(&store, download(1, PASSWORD), &[]);
        assert_eq!((&download.client, &download.server), (&Ok(()), &Ok(())));
        exchanges.push((format!("download-{size}"), download));
        if size == 0 {
            exchanges.push((
                "refused-wrong-password".to_owned(),
                exchange(&store, self::download(1, "wrong"), &[]),
            ));
            exchanges.push((
                "refused-unknown-cookie".to_owned(),
                exchange(&store, self::download(9, PASSWORD), &[]),
            ));
        }
    }
    exchanges
}

fn exchange(store: &MemoryStore, client: LegacySession, source: &[u8]) -> Outcome {
    let state = ServerState::new(config(&keys::server(&InsecureCrypto)));
    let mut server = ServerSession::with_rng(store, &state, SeededRng(1));
    run(&mut server, &mut client.with_random_numbers(SeededRng(2)), source, Wire::default())
}

fn download(cookie: u64, with: &str) -> LegacySession {
    let cookie: OpaqueCookie = Cookie::from_index(cookie).into();
    LegacySession::download(config(&client_key()), &cookie, &password(with), None)
}

fn client_key() -> Arc<dyn PrivateKey> {
    keys::client(&InsecureCrypto)
}

fn config(key: &Arc<dyn PrivateKey>) -> Config {
    Config::new(Arc::new(InsecureCrypto), Arc::clone(key))
}

fn password(text: &str) -> Password {
    Password::new(text).expect("valid")
}

fn file(size: usize) -> Vec<u8> {
    (0_u8..=255).cycle().map(|byte| byte.wrapping_mul(7).wrapping_add(3)).take(size).collect()
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// The messages that one side sent after its key, taken out of the blocks of the provider without
/// security.
fn plaintexts(sent: &[u8]) -> Vec<Vec<u8>> {
    let (_, used) =
        key_exchange::read(sent).expect("it begins with a key").expect("the key is whole");
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    for block in sent[used..].chunks(BLOCK) {
        match usize::from(block[1]) {
            0 => messages.push(std::mem::take(&mut message)),
            length => message.extend_from_slice(&block[2..2 + length]),
        }
    }
    assert!(message.is_empty(), "the last message is whole");
    messages
}

fn slices(plaintexts: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    plaintexts.iter().map(Vec::as_slice)
}

fn fuzz_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a corpus, in an order that does not change.
fn inputs(target: &str) -> Vec<PathBuf> {
    let corpus = fuzz_directory().join("corpus").join(target);
    names(&corpus).into_iter().map(|name| corpus.join(name)).collect()
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| {
            entry.expect("a directory can be listed").file_name().to_string_lossy().into_owned()
        })
        .collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pieces(frames: &[Vec<u8>]) -> Vec<u8> {
    fuzz::from_plaintexts(frames.iter().map(Vec::as_slice))
}

/// Whole operations, frame by frame. What is proved is right, for the keys of that connection are
/// always the same.
fn what_clients_of_fss2_say() -> BTreeMap<String, Vec<Vec<u8>>> {
    let scripted = fuzz::fss2_server_by_hand();
    let (header, key) = fuzz::sealed();
    let sealed = Cookie::from_index(1);
    let proof = Proof::new(key.verifier(), scripted.binding(), &sealed);
    let legacy = FileKey::derive(&Password::new(PASSWORD).expect("valid")).verifier();
    let legacy_cookie = Cookie::from_index(2);
    let legacy_proof = Proof::new(&legacy, scripted.binding(), &legacy_cookie);
    let upload = NewUpload::new(header.clone(), key.verifier().clone())
        .with_keep(Some(60))
        .with_downloads(Some(2));
    let size = upload.clone().with_size(Some(100));
    let download = |cookie: &Cookie, proof: &Proof, offset| Request::Download {
        cookie: cookie.clone(),
        proof: proof.clone(),
        offset,
    };
    let stored = fss::sealed::stored_length(
        70_000 + Metadata::named("file").encode().expect("short").len() as u64,
    );
    let scripts: [(&str, Vec<Request<'_>>); 9] = [
        (
            "upload",
            vec![
                Request::Upload(upload),
                Request::Data(b"bytes of a file"),
                Request::Data(b""),
                Request::Information,
            ],
        ),
        (
            "upload-of-a-size",
            vec![Request::Upload(size), Request::Data(&[1; 100]), Request::Data(b"")],
        ),
        (
            "resume",
            vec![
                Request::Resume { header, cookie: sealed.clone(), proof: proof.clone(), offset: 0 },
                Request::Data(b""),
            ],
        ),
        (
            "challenge",
            vec![
                Request::Challenge { cookie: sealed.clone() },
                Request::Challenge { cookie: legacy_cookie.clone() },
            ],
        ),
        (
            "download",
            vec![
                download(&sealed, &proof, 0),
                Request::Taken { offset: SEALED_CHUNK_LEN },
                Request::Taken { offset: stored },
            ],
        ),
        (
            "download-of-1.0",
            vec![download(&legacy_cookie, &legacy_proof, 0), Request::Taken { offset: 1040 }],
        ),
        (
            "list",
            vec![Request::List { after: None }, Request::List { after: Some(sealed.clone()) }],
        ),
        (
            "delete",
            vec![
                Request::Delete { cookie: sealed, proof: None },
                Request::Delete { cookie: legacy_cookie, proof: Some(legacy_proof) },
            ],
        ),
        (
            "sign-up",
            vec![
                Request::SignUp { name: UserName::parse(b"jonas").expect("valid"), invite: None },
                Request::Information,
            ],
        ),
    ];
    scripts
        .map(|(name, requests)| (name.to_owned(), requests.iter().map(Request::encode).collect()))
        .into()
}

/// What our server answers to these, after the byte that selects the client's request.
fn what_servers_of_fss2_say() -> Seeds {
    let kinds = [
        ("upload", 1),
        ("upload-of-a-size", 0),
        ("resume", 2),
        ("download", 3),
        ("download-of-1.0", 4),
        ("list", 5),
        ("challenge", 6),
        ("sign-up", 7),
    ];
    let scripts = what_clients_of_fss2_say();
    let seeds = kinds.map(|(name, kind)| {
        let mut scripted = fuzz::fss2_server_by_hand();
        let mut replies = Vec::new();
        for frame in &scripts[name] {
            scripted.say(frame);
            replies.extend(std::iter::from_fn(|| scripted.hear_if_any()));
        }
        // Pieces are short, and a server may cut a file as it likes.
        let replies: Vec<Vec<u8>> = replies
            .into_iter()
            .flat_map(|reply| match reply.strip_prefix(Frame::DATA_PREFIX) {
                Some(data) if data.len() > 60_000 => {
                    data.chunks(60_000).map(|cut| [Frame::DATA_PREFIX, cut].concat()).collect()
                }
                _ => vec![reply],
            })
            .collect();
        (name.to_owned(), [vec![kind], pieces(&replies)].concat())
    });
    seeds.into()
}
