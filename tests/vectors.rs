//! The recordings of 2019 peers (`tests/vectors/v1`), replayed: our server and our client in place
//! of theirs, to the byte where the bytes are not random.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fss::client::legacy::{FileRequest, LegacyEvent, LegacySession};
use fss::crypto::legacy::{FileKey, Verifier};
use fss::crypto::{CryptoProvider, PrivateKey, aws_lc::AwsLc, rustcrypto::RustCrypto};
use fss::format::legacy_content::Decryptor;
use fss::key_file::{KeyDirectory, KeyEncoding, KeyFile, KeyRole};
use fss::server::{ServerEvent, ServerState};
use fss::store::conformance::{get, read};
use fss::store::{EmbeddedStore, OpenOptions, Store};
use fss::wire::key_exchange;
use fss::wire::rsa_message::{Opened, Receiver};
use fss::{
    Config, Cookie, Error, Machine, OpaqueCookie, Password, ServerSession, SystemRng, WallClock,
};
use fss_test_support::keys;
use fss_test_support::replay::replay;
use serde_json::Value;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1")
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(vectors().join(name)).expect("the vectors are there"))
        .expect("they are JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = text(value).as_bytes();
    digits
        .chunks(2)
        .map(|sim_net| {
            u8::from_str_radix(std::str::from_utf8(sim_net).expect("ASCII"), 16).expect("hex")
        })
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn password(text: &str) -> Password {
    Password::new(text).expect("valid")
}

fn providers() -> [Arc<dyn CryptoProvider>; 2] {
    [Arc::new(RustCrypto), Arc::new(AwsLc)]
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// The bytes by the rule of the content vectors.
fn by_rule(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((7 * i + 3) % 256).expect("below 256")).collect()
}

#[test]
fn passwords_give_the_recorded_keys_and_verifiers() {
    for vector in list(&json("primitives.json")["passwords"]) {
        let password = password(text(&vector["password"]));
        let key = FileKey::derive(&password);
        assert_eq!(key.verifier().as_bytes().as_slice(), hex(&vector["hash_file_H"]));
        assert_eq!(
            Verifier::of_code(&password).as_bytes().as_slice(),
            hex(&vector["operation_code_hash_shc_or_vh"])
        );
        // Key and iv are not public; one encrypted block depends on both.
        let expected = cbc_block(&hex(&vector["file_key"]), &hex(&vector["file_iv"]));
        assert_eq!(key.encrypt(&[7; 16]), expected);
    }
}

fn cbc_block(key: &[u8], iv: &[u8]) -> Vec<u8> {
    use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
    let mut block: Vec<u8> = iv.iter().map(|byte| byte ^ 7).collect();
    let cipher = aes::Aes256::new_from_slice(key).expect("32 bytes");
    cipher.encrypt_block(block.as_mut_slice().try_into().expect("16 bytes"));
    block
}

#[test]
fn random_bytes_give_the_recorded_cookies() {
    for vector in list(&json("primitives.json")["cookies"]) {
        let bytes: [u8; 16] = hex(&vector["random"]).try_into().expect("16 bytes");
        assert_eq!(Cookie::from_random(bytes).as_str(), text(&vector["cookie"]));
    }
}

#[test]
fn content_encrypts_as_recorded_and_decrypts_again() {
    use sha2::Digest as _;
    for vector in list(&json("primitives.json")["content"]) {
        let length = vector["plaintext_len"].as_u64().expect("a number");
        let plaintext = by_rule(usize::try_from(length).expect("small"));
        let key = FileKey::derive(&password(text(&vector["password"])));
        let stored: Vec<u8> = plaintext.chunks(1024).flat_map(|chunk| key.encrypt(chunk)).collect();
        assert_eq!(Some(stored.len() as u64), vector["ciphertext_len"].as_u64());
        assert_eq!(
            sha2::Sha256::digest(&stored).as_slice(),
            hex(&vector["ciphertext_sha256"]),
            "{length}"
        );
        assert!(stored.ends_with(&hex(&vector["ciphertext_tail"])));
        let (mut decryptor, mut back) = (Decryptor::new(key, Some(length)), Vec::new());
        stored
            .chunks(1024)
            .try_for_each(|chunk| decryptor.chunk(chunk, &mut back))
            .expect("whole chunks");
        decryptor.finish(&mut back).expect("the right length");
        assert_eq!(back, plaintext);
    }
}

#[test]
fn recorded_keys_unlock_and_lock_again_with_both_providers() {
    let keys = &json("primitives.json")["keys"];
    for (name, owner) in [("server", KeyRole::Server), ("client", KeyRole::Client)] {
        let code = password(text(&keys[name]["locked_with"]));
        for provider in providers() {
            let directory = tempfile::tempdir().expect("a directory");
            fs::write(directory.path().join(".pk"), hex(&keys[name]["pk_file"])).expect("written");
            let locked = KeyDirectory::new(directory.path(), owner);
            let key = locked.open(&code, &*provider).expect("it opens");
            let in_memory = KeyFile::parse(&hex(&keys[name]["pk_file"])).expect("it has a length");
            let opened = in_memory.open(&code, &*provider).expect("it opens");
            assert_eq!(opened.public_key(), key.public_key());
            assert_eq!(
                key_exchange::write(key.public_key().as_bytes()),
                text(&keys[name]["public_pem"]).as_bytes()
            );
            // Locking is without random numbers in this form, so the file is the recorded one
            // again.
            let other = tempfile::tempdir().expect("a directory");
            let again = KeyDirectory::new(other.path(), owner);
            again.create(KeyEncoding::Legacy, &*key, &code, &mut SystemRng).expect("it locks");
            assert_eq!(
                fs::read(other.path().join(".pk")).expect("written"),
                hex(&keys[name]["pk_file"])
            );
            let sealed = KeyFile::seal(&*key, &code, KeyEncoding::Legacy, &mut SystemRng);
            assert_eq!(sealed.expect("it locks").as_bytes(), hex(&keys[name]["pk_file"]));
        }
    }
}

/// Opens all messages of recorded bytes.
fn open_all(key: Arc<dyn PrivateKey>, mut wire: &[u8]) -> Vec<Vec<u8>> {
    let mut receiver = Receiver::new(key);
    let mut messages = Vec::new();
    loop {
        let (used, opened) =
            receiver.open_block(wire, &mut SystemRng).expect("recorded blocks open");
        wire = &wire[used..];
        match opened {
            Opened::Incomplete => break,
            Opened::Block => {}
            Opened::Message => messages.push(receiver.take_message().to_vec()),
        }
    }
    assert!(wire.is_empty() && !receiver.in_message());
    messages
}

#[test]
fn every_recorded_message_opens_with_both_providers() {
    let transcripts = json("transcripts.json");
    for provider in providers() {
        let (server, client) = (keys::server(&*provider), keys::client(&*provider));
        for transcript in
            list(&transcripts["uploads"]).iter().chain(list(&transcripts["downloads"]))
        {
            for event in list(transcript) {
                if let Some(plaintexts) = event.get("plaintexts") {
                    let key = if text(&event["from"]) == "client" { &server } else { &client };
                    let expected: Vec<Vec<u8>> = list(plaintexts).iter().map(hex).collect();
                    assert_eq!(open_all(Arc::clone(key), &hex(&event["wire"])), expected);
                }
            }
        }
    }
}

/// What one side sent in a recording.
struct Recording {
    /// All its bytes, key included.
    wire: Vec<u8>,
    /// The plaintexts of its messages.
    plaintexts: Vec<Vec<u8>>,
}

fn recording(transcript: &Value, side: &str) -> Recording {
    let events = || list(transcript).iter().filter(|event| text(&event["from"]) == side);
    let plaintexts =
        events().filter_map(|event| event.get("plaintexts")).flat_map(list).map(hex).collect();
    Recording { wire: events().flat_map(|event| hex(&event["wire"])).collect(), plaintexts }
}

/// The recorded cookies, names and sizes, in the order of the uploads.
fn samples() -> Vec<(Cookie, Vec<u8>)> {
    let transcripts = json("transcripts.json");
    let names = ["notes.txt", "block.bin", "one.bin", "empty.bin", "repeat.bin"];
    let files = names
        .map(|name| fs::read(vectors().join("samples").join(name)).expect("the samples are there"));
    let cookies = list(&transcripts["uploads"]).iter().map(|upload| {
        let accepted = &recording(upload, "server").plaintexts[0];
        Cookie::parse(&accepted[2..accepted.len() - 1]).expect("a cookie")
    });
    cookies.zip(files).collect()
}

/// Plays the recorded bytes of one side to a machine, and opens what it answers with the recorded
/// peer's key.
fn answer<M: Machine>(
    machine: &mut M,
    recorded: &[u8],
    peer: Arc<dyn PrivateKey>,
    serve: impl FnMut(&mut M, M::Request),
    report: impl FnMut(M::Event),
) -> (Result<(), Error>, Vec<u8>, Vec<Vec<u8>>) {
    let played = replay(machine, recorded, serve, report);
    let (key, messages) = played.said.split_at(450);
    assert!(
        key_exchange::read(key).is_ok_and(|key| key.is_some()),
        "the first thing said is a key, without a newline"
    );
    let plaintexts =
        if messages.len() % 256 == 0 { open_all(peer, messages) } else { vec![messages.to_vec()] };
    (played.end, messages.to_vec(), plaintexts)
}

/// 2026-11-23, as in the recordings; midday, so that no time zone changes the date by much.
struct RecordedDate;

impl WallClock for RecordedDate {
    fn unix_seconds(&self) -> u64 {
        1_795_435_200
    }
}

/// A store whose cookies are the recorded ones.
fn recorded_store(directory: &Path) -> EmbeddedStore {
    let cookies: Vec<Cookie> = samples().into_iter().map(|(cookie, _)| cookie).collect();
    let source = move |number: u64| cookies[usize::try_from(number).expect("small") - 1].clone();
    OpenOptions::default()
        .cookies(source)
        .clock(RecordedDate)
        .open(directory)
        .expect("the store opens")
}

/// A server to which the recorded messages are sealed: their key is our transport key, and our
/// identity another one.
fn recorded_server(provider: &Arc<dyn CryptoProvider>, key: Arc<dyn PrivateKey>) -> ServerState {
    keys::with_transport_key(Config::new(Arc::clone(provider), keys::transport(&**provider)), key)
}

#[test]
fn our_server_answers_the_recorded_clients_as_theirs_did() {
    let transcripts = json("transcripts.json");
    for provider in providers() {
        let server = recorded_server(&provider, keys::server(&*provider));
        let client = keys::client(&*provider);
        let directory = tempfile::tempdir().expect("a directory");
        let store = recorded_store(directory.path());
        for (upload, (cookie, sample)) in list(&transcripts["uploads"]).iter().zip(samples()) {
            let mut session = ServerSession::with_state(&store, &server);
            let mut stored = None;
            let wire = recording(upload, "client").wire;
            let (end, _, said) = answer(
                &mut session,
                &wire,
                Arc::clone(&client),
                |_, request| match request {},
                |event| stored = Some(event),
            );
            assert_eq!(end, Ok(()));
            assert_eq!(said, recording(upload, "server").plaintexts);
            let bytes = sample.len().next_multiple_of(16) as u64;
            assert_eq!(
                stored,
                Some(ServerEvent::Stored { cookie: cookie.clone(), bytes, received: bytes })
            );
            // What is stored is what 2019 stored, but for the stray block that it appends.
            let theirs =
                fs::read(vectors().join(format!("server-dir/F-{cookie}/F"))).expect("recorded");
            let ours = fs::read(directory.path().join(format!("F-{cookie}/F"))).expect("stored");
            assert_eq!(ours, theirs[..theirs.len() - 16]);
            let verifier =
                |root: &Path| fs::read(root.join(format!("F-{cookie}/H"))).expect("there");
            assert_eq!(verifier(directory.path()), verifier(&vectors().join("server-dir")));
        }
        let date =
            rusqlite::Connection::open(directory.path().join("fssGlobal.db")).expect("a database");
        let rows: Vec<(String, String, String)> = date
            .prepare("SELECT * FROM stored ORDER BY rowid")
            .and_then(|mut rows| {
                rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
            })
            .expect("the 2019 table, and only its columns");
        let cookies: Vec<String> = samples().iter().map(|(cookie, _)| cookie.to_string()).collect();
        assert_eq!(rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>(), cookies);
        assert!(rows.iter().all(|row| row.1 == format!("F-{}", row.0) && row.2 == "2026-11-23"));
    }
}

#[test]
fn our_server_serves_a_directory_of_2019_in_place() {
    let transcripts = json("transcripts.json");
    let provider: Arc<dyn CryptoProvider> = Arc::new(AwsLc);
    let directory = tempfile::tempdir().expect("a directory");
    copy_directory(&vectors().join("server-dir"), directory.path());
    let code = password("operation code 954");
    let key = KeyDirectory::new(directory.path(), KeyRole::Server)
        .open(&code, &*provider)
        .expect("the recorded key opens");
    let server = recorded_server(&provider, key);
    let client = keys::client(&*provider);
    {
        let store = EmbeddedStore::in_directory(directory.path()).expect("it opens");
        assert_eq!(store.count(), Ok(5));
        for download in list(&transcripts["downloads"]) {
            let mut session = ServerSession::with_state(&store, &server);
            let wire = recording(download, "client").wire;
            let (end, _, said) = answer(
                &mut session,
                &wire,
                Arc::clone(&client),
                |_, request| match request {},
                drop,
            );
            assert_eq!(end, Ok(()));
            assert_eq!(said, recording(download, "server").plaintexts);
        }
        for refusal in list(&json("errors.json")) {
            let key = key_exchange::write(client.public_key().as_bytes());
            let wire = [key, hex(&refusal["client_wire"])].concat();
            // One of the recorded refusals is that of a hello, which such a server does not know.
            let legacy = server.clone().with_versions(fss::Versions::Legacy);
            let mut session = ServerSession::with_state(&store, &legacy);
            let (end, bytes, said) = answer(
                &mut session,
                &wire,
                Arc::clone(&client),
                |_, request| match request {},
                drop,
            );
            assert!(end.is_err(), "{}", refusal["name"]);
            assert_eq!(said.concat(), hex(&refusal["server_plaintext"]), "{}", refusal["name"]);
            if refusal["encrypted"] == false {
                assert_eq!(bytes, hex(&refusal["server_wire"]), "{}", refusal["name"]);
            }
        }
        // New files join the old ones.
        assert!(
            store
                .create(&fss::store::NewFile::Legacy { verifier: Verifier::of_code(&code) })
                .and_then(fss::store::FileWriter::commit)
                .is_ok()
        );
    }
    let database =
        rusqlite::Connection::open(directory.path().join("fssGlobal.db")).expect("a database");
    let schema: String = database
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'stored'", [], |row| row.get(0))
        .expect("there");
    let recorded = rusqlite::Connection::open_with_flags(
        format!("file:{}?immutable=1", vectors().join("server-dir/fssGlobal.db").display()),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI,
    )
    .expect("a database");
    let theirs: String = recorded
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'stored'", [], |row| row.get(0))
        .expect("there");
    assert_eq!(schema, theirs, "the 2019 table is never altered");
    // What 2019 code does: it inserts without naming columns.
    database
        .execute("INSERT INTO stored VALUES ('1', 'F-1', '2019-01-01')", [])
        .expect("the old insert works");
}

#[test]
fn our_client_takes_the_recorded_servers_for_theirs() {
    let transcripts = json("transcripts.json");
    for provider in providers() {
        let config = Config::new(Arc::clone(&provider), keys::client(&*provider));
        let server = keys::server(&*provider);
        let secret = password(text(&transcripts["password"]));
        for (upload, (cookie, sample)) in list(&transcripts["uploads"]).iter().zip(samples()) {
            let mut session = LegacySession::upload(config.clone(), &secret);
            let (mut rest, mut last) = (sample.as_slice(), None);
            let supply = |session: &mut LegacySession, _| {
                let count = session.supply().len().min(rest.len());
                session.supply()[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                session.supplied(count);
            };
            let wire = recording(upload, "server").wire;
            let (end, _, said) =
                answer(&mut session, &wire, Arc::clone(&server), supply, |event| {
                    last = Some(event);
                });
            assert_eq!(end, Ok(()));
            assert_eq!(said, recording(upload, "client").plaintexts);
            assert_eq!(
                last,
                Some(LegacyEvent::Uploaded { cookie: cookie.into(), size: sample.len() as u64 })
            );
        }
        for known in [true, false] {
            for (download, (cookie, sample)) in
                list(&transcripts["downloads"]).iter().zip(samples())
            {
                let size = known.then_some(sample.len() as u64);
                let mut session = LegacySession::download(
                    config.clone(),
                    &OpaqueCookie::from(cookie),
                    &secret,
                    size,
                );
                let mut file = Vec::new();
                let take = |session: &mut LegacySession, request| {
                    assert_eq!(request, FileRequest::Data);
                    file.extend_from_slice(session.data());
                    let count = session.data().len();
                    session.consumed(count);
                };
                let wire = recording(download, "server").wire;
                let (end, _, said) = answer(&mut session, &wire, Arc::clone(&server), take, drop);
                assert_eq!(end, Ok(()));
                assert_eq!(file, sample, "the stray block of 2019 is cut off");
                let theirs = recording(download, "client").plaintexts;
                assert_eq!(said.len(), theirs.len());
                for (ours, theirs) in said.iter().zip(theirs) {
                    // Theirs lacks the last NUL of an acknowledgement.
                    assert!(*ours == theirs || *ours == [theirs.as_slice(), b"\0"].concat());
                }
            }
        }
    }
}

#[test]
fn the_recorded_files_are_read_through_the_store() {
    let directory = tempfile::tempdir().expect("a directory");
    copy_directory(&vectors().join("server-dir"), directory.path());
    let store = EmbeddedStore::in_directory(directory.path()).expect("it opens");
    for (cookie, _) in samples() {
        let mut file = store.open(&cookie).expect("readable").expect("there");
        let size = usize::try_from(file.file().size).expect("small");
        let recorded =
            fs::read(vectors().join(format!("server-dir/F-{cookie}/F"))).expect("recorded");
        assert_eq!(read(&mut *file, 0, size).expect("readable"), recorded);
    }
    let unknown = get(&store, &Cookie::from_index(7));
    assert_eq!(unknown, Ok(None));
}
