//! The bodies of the fuzz targets, here so that `cargo test` replays their corpora.
//!
//! Each takes any bytes, and panics only if the library breaks a promise.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fss::archive::{Error, Unpack, UnpackOptions};
use fss::client::legacy::FileRequest;
use fss::client::{ClientSession, Download, LegacyDownload, Operation, Resume, Upload, legacy};
use fss::crypto::legacy::FileKey;
use fss::sealed::{Cost, Header, Key, Metadata, Writer};
use fss::server::PasswordThrottle;
use fss::server::{Decoys, ServerState};
use fss::store::{NewFile, NewUpload, Retention, Store as _};
use fss::wire::error_frame::ErrorCode;
use fss::wire::frame::{self, Frame};
use fss::wire::hello::{Hello, Role};
use fss::wire::key_exchange;
use fss::wire::legacy_frame::{CHUNK, ClientFrame, ServerFrame};
use fss::wire::reply::{Reply, ReplyContext};
use fss::wire::request::Request;
use fss::{
    Config, Cookie, Machine, MemoryStore, Password, SequentialCookies, ServerSession, Step, Time,
};

use crate::clock::Clock;
use crate::insecure_crypto::{InsecureCrypto, message};
use crate::rng::SeededRng;
use crate::scripted_peer::ScriptedPeer;
use crate::sim_net::{Scripted, Served};

/// Frames of both sides: what parses is written back as it was, and base64 is canonical.
pub fn frame_parser(data: &[u8]) {
    let mut written = Vec::new();
    let mut chunk = [0; CHUNK];
    if let Ok(frame) = ClientFrame::parse(data) {
        frame.encode(&mut written).expect("a parsed frame can be written");
        assert!(written == data || (data == b"D\0OK" && written == b"D\0OK\0"));
        if let ClientFrame::Chunk(base64) = frame {
            let _ = base64.decode(&mut chunk);
        }
    }
    written.clear();
    if let Ok(frame) = ServerFrame::parse(data) {
        frame.encode(&mut written).expect("a parsed frame can be written");
        assert_eq!(written, data);
        if let ServerFrame::Chunk(base64) = frame {
            let _ = base64.decode(&mut chunk);
        }
    }
}

/// A stranger's directory, after a byte that selects how it is unpacked: nothing is written outside
/// it.
pub fn unpack(data: &[u8]) {
    let Some((&how, stream)) = data.split_first() else { return };
    let place = tempfile::tempdir().expect("there is room");
    let canary = place.path().join("canary");
    fs::write(&canary, "alive").expect("there is room");
    let mut stream = stream.to_vec();
    if how & MENDED != 0 {
        mend_checksums(&mut stream);
    }
    let options = UnpackOptions { replace: false, outward_links: how & OUTWARD_LINKS != 0 };
    let mut unpack = Unpack::new(&place.path().join("out"), None, options).expect("there is room");
    let taken = stream.chunks(1 + usize::from(how)).try_for_each(|piece| unpack.take(piece));
    let left = match taken.and_then(|()| unpack.finish()) {
        Ok(()) => ["canary", "out"].as_slice(),
        Err(Error::Damaged { .. }) => &["canary"],
        Err(error) => panic!("nothing but the archive can be wrong here: {error}"),
    };
    let entries = fs::read_dir(place.path()).expect("it is there");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("it is there").file_name()).collect();
    names.sort();
    assert_eq!(names, left);
    assert_eq!(fs::read(&canary).expect("it is there"), b"alive");
}

/// Bits of the first byte for [`unpack`].
const OUTWARD_LINKS: u8 = 1;
const MENDED: u8 = 2;

/// Corrects the checksum of what looks like a header, because no fuzzer guesses one.
fn mend_checksums(stream: &mut [u8]) {
    let (blocks, _) = stream.as_chunks_mut::<512>();
    for block in blocks.iter_mut().filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// What FSS/2 reads below its machines: frames, hellos, headers and metadata of sealed files.
pub fn fss2_parser(data: &[u8]) {
    if let Ok(Frame::Other(flag, arguments)) = Frame::parse(data) {
        let written = frame::write(flag, arguments.positional(), arguments.named())
            .expect("a parsed frame can be written");
        assert_eq!(written, data);
        for (name, _) in arguments.named() {
            let number = arguments.number(name).ok().flatten();
            assert!(
                number.is_none_or(
                    |number| arguments.value(name) == Some(number.to_string().as_bytes())
                )
            );
            if let Ok(Some(bytes)) = arguments.bytes::<64>(name) {
                assert_eq!(Some(frame::to_base64(&bytes).as_bytes()), arguments.value(name));
            }
        }
    }
    if let Ok(request) = Request::parse(data) {
        match (&request, Request::parse(&request.encode()).expect("what was read can be written")) {
            // Texts of others are not sent on.
            (Request::Refusal(refused), Request::Refusal(read)) => {
                assert_eq!(
                    (refused.code.or(Some(ErrorCode::Protocol)), refused.retry),
                    (read.code, read.retry)
                );
            }
            (request, read) => assert_eq!(*request, read),
        }
    }
    for awaited in [
        ReplyContext::Upload,
        ReplyContext::List,
        ReplyContext::Deletion,
        ReplyContext::Information,
        ReplyContext::Other,
    ] {
        if let Ok(reply) = Reply::parse(data, awaited) {
            match (
                &reply,
                Reply::parse(&reply.encode(), awaited).expect("what was read can be written"),
            ) {
                (Reply::Refusal(refused), Reply::Refusal(read)) => {
                    assert_eq!(refused.retry, read.retry);
                }
                (reply, read) => assert_eq!(*reply, read),
            }
        }
    }
    for speaker in [Role::Client, Role::Server] {
        if let Ok(hello) = Hello::parse(data, speaker) {
            assert_eq!(hello.encode(speaker).as_slice(), data);
        }
    }
    if let Ok(header) = Header::parse(data) {
        assert_eq!(header.to_bytes().as_slice(), data);
    }
    if let Ok((metadata, used)) = Metadata::decode(data) {
        assert_eq!(metadata.encode().as_deref(), Ok(&data[..used]));
    }
}

/// The key exchange: the answer does not depend on what comes after it, and no more than the limit
/// is read.
pub fn key_exchange(data: &[u8]) {
    match key_exchange::read(data) {
        Ok(Some((der, used))) => {
            assert!(used <= data.len().min(key_exchange::MAX_LENGTH));
            assert_eq!(key_exchange::read(&data[..used]), Ok(Some((der.clone(), used))));
            if let Ok(key) = fss::crypto::PublicKeyDer::parse(&der) {
                assert_eq!(key.as_bytes(), der);
                assert!((256..=512).contains(&key.block_length()));
            }
        }
        Ok(None) => assert!(data.len() < key_exchange::MAX_LENGTH),
        Err(error) => assert_eq!(key_exchange::read(&[data, b"more"].concat()), Err(error)),
    }
}

/// A whole server: the bytes are what a client sends after its key, in pieces whose lengths they
/// choose themselves.
pub fn server(data: &[u8]) {
    let mut server = ServerSession::with_rng(MemoryStore::new(), &legacy_state(), SeededRng(1));
    survive(&mut server, data, |_, _| ());
}

/// A whole client that uploads, or downloads if the first byte is odd: the rest is what a server
/// sends after its key.
pub fn client(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let password = Password::new("secret").expect("it is valid");
    let cookie = fss::OpaqueCookie::parse(b"7").expect("it is valid");
    let client = match kind % 4 {
        0 | 2 => legacy::LegacySession::upload(legacy_config(), &password),
        1 => legacy::LegacySession::download(legacy_config(), &cookie, &password, None),
        _ => legacy::LegacySession::download(legacy_config(), &cookie, &password, Some(1030)),
    };
    let mut supply = 3000_usize;
    survive(&mut client.with_random_numbers(SeededRng(1)), data, |client, request| match request {
        FileRequest::Supply => {
            let count = client.supply().len().min(supply);
            supply -= count;
            client.supplied(count);
        }
        FileRequest::Data => {
            let count = client.data().len();
            assert!(count > 0 && count <= 2 * CHUNK + 32, "what is handed out is bounded");
            client.consumed(count);
        }
    });
}

/// The header and the key of all sealed files of the fuzz targets.
pub fn sealed() -> (Header, Key) {
    (
        Header::from_parts(Cost::DEFAULT, [1; 16], [2; 32]),
        Key::from_secrets(&[3; 32], &[4; 32], &InsecureCrypto),
    )
}

/// A server of FSS/2 with a sealed file under the cookie 1 and one of FSS 1.0 under 2, and a client
/// that is scripted.
pub fn fss2_server_by_hand<'a>() -> ScriptedPeer<'a, ServerSession<MemoryStore>> {
    let store = MemoryStore::with_clock(SequentialCookies, Retention::Forever, Clock::default());
    let (header, key) = sealed();
    let upload = NewUpload::new(header.clone(), key.verifier().clone());
    let owner = crate::keys::client(&InsecureCrypto).public_key().fingerprint();
    let legacy = FileKey::derive(&Password::new("secret").expect("it is valid"));
    for (file, content) in [
        (NewFile::Sealed { upload, owner }, sealed_file(&header, &key)),
        (NewFile::Legacy { verifier: legacy.verifier() }, legacy.encrypt(&[5; 1030])),
    ] {
        let mut upload = store.create(&file).expect("there is room");
        upload.write(0, content.into()).expect("there is room");
        upload.commit().expect("there is room");
    }
    ScriptedPeer::as_client(
        ServerSession::with_rng(store, &server_state(), SeededRng(1)),
        client_config(),
    )
}

/// What is stored of a file of 70000 bytes: two chunks.
fn sealed_file(header: &Header, key: &Key) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), key, header, &Metadata::named("file"), SeededRng(2))
        .expect("it is short");
    writer.write_all(&vec![7; 70_000]).expect("memory has room");
    writer.finish().expect("memory has room").split_off(Header::LENGTH)
}

/// A whole server of FSS/2 after the hellos: each piece of the input is a record, or raw bytes if
/// it begins with 0xff.
pub fn fss2_server(data: &[u8]) {
    hear_all(fss2_server_by_hand(), data);
}

/// What a client does in [`fss2_client`], by the first byte of the input.
pub fn fss2_operation(kind: u8) -> Operation {
    let (header, key) = sealed();
    let cookie = Cookie::from_index(1);
    let upload = |size| Upload {
        header: header.clone(),
        key: sealed().1,
        metadata: Metadata::named("file"),
        size,
        keep: None,
        downloads: Some(2),
    };
    match kind % 8 {
        0 => Operation::Upload(upload(Some(3000))),
        1 => Operation::Upload(upload(None)),
        2 => Operation::Resume(Resume { upload: upload(Some(3000)), cookie, noted: Vec::new() }),
        3 => Operation::Download(Download { cookie, header, key, earlier: None, chain: None }),
        4 => Operation::LegacyDownload(LegacyDownload {
            cookie: Cookie::from_index(2),
            password: Password::new("secret").expect("it is valid"),
            size: None,
        }),
        5 => Operation::List { after: None },
        6 => Operation::Challenge { cookie },
        _ => Operation::Information,
    }
}

/// A whole client of FSS/2 after the hellos, which does what the first byte says: each piece of the
/// rest is a record.
pub fn fss2_client(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let client = ClientSession::new(client_config())
        .continue_after_refusals()
        .with_random_numbers(SeededRng(1));
    let client =
        Scripted { client, operations: [fss2_operation(kind), Operation::Information].into() };
    let source = [6; 3000];
    hear_all(ScriptedPeer::as_server(client, server_state().config().clone(), &source), data);
}

fn client_config() -> Config {
    Config::new(Arc::new(InsecureCrypto), crate::keys::client(&InsecureCrypto))
}

fn server_state() -> ServerState {
    // Time stands still, so that no delay depends on when the fuzzer runs.
    let throttle = Arc::new(PasswordThrottle::new(Clock::default()));
    crate::keys::server_state(Arc::new(InsecureCrypto))
        .with_decoys(Decoys::from_secret([9; 32]))
        .with_throttle(throttle)
}

/// Says all that the input has, and goes.
fn hear_all<M: Served>(mut scripted: ScriptedPeer<'_, M>, data: &[u8]) {
    let mut rest = data;
    while let [high, low, tail @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(tail.len());
        let (piece, tail) = tail.split_at(length);
        match piece {
            [0xff, raw @ ..] => scripted.say_raw(raw),
            // No sealed file is shorter.
            [] | [_] => {}
            frame => scripted.say(frame),
        }
        rest = tail;
    }
    let end = scripted.leave();
    assert_eq!(scripted.machine.poll(Time::ZERO).map(drop), end, "the last answer is for ever");
    assert!(scripted.machine.buffers().1.is_empty());
}

/// Wraps each piece of the input as a message, so that a fuzzer need not learn the block format;
/// pieces that begin with 0xff go in raw. The first two bytes of a piece are its length.
pub fn as_wire(data: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = data;
    while let [high, low, tail @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(tail.len());
        let (piece, tail) = tail.split_at(length);
        match piece {
            [0xff, raw @ ..] => wire.extend_from_slice(raw),
            piece => wire.extend(message(piece)),
        }
        rest = tail;
    }
    wire
}

/// The inverse of [`as_wire`] for plaintexts: for corpora.
///
/// # Panics
/// If a plaintext is longer than 65535 bytes.
pub fn from_plaintexts<'a>(plaintexts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut data = Vec::new();
    for plaintext in plaintexts {
        data.extend(u16::try_from(plaintext.len()).expect("a message is short").to_be_bytes());
        data.extend_from_slice(plaintext);
    }
    data
}

fn legacy_config() -> Config {
    legacy_state().config().clone()
}

fn legacy_state() -> ServerState {
    crate::keys::server_state(Arc::new(InsecureCrypto))
}

/// Feeds a machine and checks what holds for any input: it ends, its buffers are bounded, its last
/// result is final.
fn survive<M: Machine>(machine: &mut M, data: &[u8], mut serve: impl FnMut(&mut M, M::Request)) {
    let key = key_exchange::write(crate::keys::client(&InsecureCrypto).public_key().as_bytes());
    let wire = [key, as_wire(data)].concat();
    let mut rest = wire.as_slice();
    let mut now = Time::ZERO;
    for _ in 0..10_000 + wire.len() {
        let step = machine.poll(now);
        let (room, output) = machine.buffers();
        assert!(room.len() <= 4096 && output.len() <= 2 * 4096, "the buffers are bounded");
        match step {
            Ok(Step::Send) => {
                let count = output.len();
                machine.sent(count);
            }
            Ok(Step::Sleep(time)) => now = now + time,
            Ok(Step::Receive) => {
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                machine.received(count);
                now = now + Duration::from_millis(25);
            }
            Ok(Step::Request(request)) => serve(machine, request),
            Ok(Step::Event(_) | Step::Yield | Step::Shutdown) => {}
            Ok(Step::Close) | Err(_) => {
                let last = step.map(drop);
                assert_eq!(machine.poll(now).map(drop), last);
                assert!(machine.buffers().1.is_empty());
                return;
            }
        }
    }
    panic!("the machine does not end");
}
