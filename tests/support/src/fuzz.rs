//! The bodies of the fuzz targets, here so that `cargo test` replays their corpora.
//!
//! Each takes any bytes, and panics only if the library breaks a promise.

use std::sync::Arc;
use std::time::Duration;

use fss::client::legacy::{ClientSession, FileNeed};
use fss::sealed::{Header, Metadata};
use fss::wire::frame::{self, Frame};
use fss::wire::hello::{Hello, Speaker};
use fss::wire::legacy_frame::{CHUNK, ClientFrame, ServerFrame};
use fss::wire::prelude;
use fss::wire::refusal::RefusalCode;
use fss::wire::reply::{Awaited, Reply};
use fss::wire::request::Request;
use fss::{Config, Machine, MemoryStore, Password, ServerSession, Step, Time};

use crate::no_security::{NoSecurity, message};
use crate::rng::SeededRng;

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

/// What FSS/2 reads below its machines: frames, hellos, headers and metadata of sealed files.
pub fn fss2_parser(data: &[u8]) {
    if let Ok(Frame::Other(flag, arguments)) = Frame::parse(data) {
        let written = frame::write(flag, arguments.positional(), arguments.named()).expect("a parsed frame can be written");
        assert_eq!(written, data);
        for (name, _) in arguments.named() {
            let number = arguments.number(name).ok().flatten();
            assert!(number.is_none_or(|number| arguments.value(name) == Some(number.to_string().as_bytes())));
            if let Ok(Some(bytes)) = arguments.bytes::<64>(name) {
                assert_eq!(Some(frame::to_base64(&bytes).as_bytes()), arguments.value(name));
            }
        }
    }
    if let Ok(request) = Request::parse(data) {
        match (&request, Request::parse(&request.encode()).expect("what was read can be written")) {
            // Texts of others are not sent on.
            (Request::Refusal(refused), Request::Refusal(read)) => {
                assert_eq!((refused.code.or(Some(RefusalCode::Protocol)), refused.retry), (read.code, read.retry));
            }
            (request, read) => assert_eq!(*request, read),
        }
    }
    for awaited in [Awaited::Upload, Awaited::List, Awaited::Deletion, Awaited::Information, Awaited::Other] {
        if let Ok(reply) = Reply::parse(data, awaited) {
            match (&reply, Reply::parse(&reply.encode(), awaited).expect("what was read can be written")) {
                (Reply::Refusal(refused), Reply::Refusal(read)) => assert_eq!(refused.retry, read.retry),
                (reply, read) => assert_eq!(*reply, read),
            }
        }
    }
    for speaker in [Speaker::Client, Speaker::Server] {
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

/// The key exchange: the answer does not depend on what comes after it, and no more than the limit is read.
pub fn key_exchange(data: &[u8]) {
    match prelude::read(data) {
        Ok(Some((der, used))) => {
            assert!(used <= data.len().min(prelude::MAX_LENGTH));
            assert_eq!(prelude::read(&data[..used]), Ok(Some((der.clone(), used))));
            if let Ok(key) = fss::crypto::PublicKeyDer::parse(&der) {
                assert_eq!(key.as_bytes(), der);
                assert!((256..=512).contains(&key.block_length()));
            }
        }
        Ok(None) => assert!(data.len() < prelude::MAX_LENGTH),
        Err(error) => assert_eq!(prelude::read(&[data, b"more"].concat()), Err(error)),
    }
}

/// A whole server: the bytes are what a client sends after its key, in pieces whose lengths they choose themselves.
pub fn server(data: &[u8]) {
    let config = config();
    let mut server = ServerSession::with_rng(MemoryStore::new(), config, SeededRng(1));
    survive(&mut server, data, |_, _| ());
}

/// A whole client that uploads, or downloads if the first byte is odd: the rest is what a server sends after its key.
pub fn client(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let password = Password::new("secret").expect("it is valid");
    let cookie = fss::OpaqueCookie::parse(b"7").expect("it is valid");
    let client = match kind % 4 {
        0 | 2 => ClientSession::upload(config(), &password),
        1 => ClientSession::download(config(), &cookie, &password, None),
        _ => ClientSession::download(config(), &cookie, &password, Some(1030)),
    };
    let mut supply = 3000_usize;
    survive(&mut client.with_random_numbers(SeededRng(1)), data, |client, need| match need {
        FileNeed::Supply => {
            let count = client.supply().len().min(supply);
            supply -= count;
            client.supplied(count);
        }
        FileNeed::Data => {
            let count = client.data().len();
            assert!(count > 0 && count <= 2 * CHUNK + 32, "what is handed out is bounded");
            client.consumed(count);
        }
    });
}

/// Wraps each piece of the input as a message, so that a fuzzer need not learn the block format; pieces that begin with
/// 0xff go in raw. The first two bytes of a piece are its length.
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

fn config() -> Config {
    Config::new(Arc::new(NoSecurity), crate::keys::server(&NoSecurity))
}

/// Feeds a machine and checks what holds whatever comes: it ends, its buffers are bounded, its last answer is for ever.
fn survive<M: Machine>(machine: &mut M, data: &[u8], mut serve: impl FnMut(&mut M, M::Need)) {
    let key = prelude::write(crate::keys::client(&NoSecurity).public_key().as_bytes());
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
            Ok(Step::Wait(time)) => now = now + time,
            Ok(Step::Receive) => {
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                machine.received(count);
                now = now + Duration::from_millis(25);
            }
            Ok(Step::Need(need)) => serve(machine, need),
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
