//! Sealed content (`docs/protocol.md` §21): what was sealed comes back, and nothing else does.

use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, LazyLock};

use fss::crypto::aws_lc::AwsLc;
use fss::crypto::rustcrypto::RustCrypto;
use fss::crypto::{CryptoProvider, default_provider};
use fss::sealed::{
    CHUNK, ChunkOpener, Cost, Header, Key, MAX_SEALED_CHUNK, MasterKey, Metadata, Reader, Writer,
};
use fss::sealed::{content_length, stored_length};
use fss::{Integrity, Password};
use fss_test_support::rng::SeededRng;
use proptest::prelude::*;

static HEADER: LazyLock<Header> = LazyLock::new(|| Header::new(Cost::DEFAULT, &mut SeededRng(1)));
static MASTER: LazyLock<MasterKey> = LazyLock::new(|| {
    let password = Password::new("correct horse battery staple").expect("it is valid");
    MasterKey::derive(&password, &HEADER).expect("there is memory")
});

fn key(provider: &dyn CryptoProvider) -> Key {
    MASTER.key(&HEADER, provider)
}

fn file(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i % 251).expect("it is below 256")).collect()
}

fn seal(key: &Key, file: &[u8], cut: usize) -> Vec<u8> {
    let mut writer =
        Writer::new(Vec::new(), key, &HEADER, &Metadata::named("a file"), SeededRng(2))
            .expect("a Vec takes all");
    file.chunks(cut.max(1)).for_each(|piece| writer.write_all(piece).expect("a Vec takes all"));
    writer.finish().expect("a Vec takes all")
}

fn open(key: &Key, sealed: &[u8]) -> io::Result<Vec<u8>> {
    let mut file = Vec::new();
    Reader::new(&sealed[Header::LENGTH..], key, &HEADER)?.read_to_end(&mut file)?;
    Ok(file)
}

/// The file whose plaintext, metadata included, fills chunks to the byte.
fn filling(chunks: usize) -> Vec<u8> {
    let metadata = Metadata::named("a file").encode().expect("it is valid").len();
    file(chunks * CHUNK - metadata)
}

#[test]
fn every_size_around_a_chunk_comes_back_with_either_provider() {
    let providers: [Arc<dyn CryptoProvider>; 2] = [Arc::new(RustCrypto), Arc::new(AwsLc)];
    let keys = providers.each_ref().map(|provider| key(&**provider));
    assert_eq!(keys[0].verifier(), keys[1].verifier());
    let whole = filling(2);
    for size in [
        0,
        1,
        16,
        1024,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        whole.len() - 1,
        whole.len(),
        whole.len() + 1,
        3 * CHUNK,
    ] {
        let file = file(size);
        let sealed = seal(&keys[0], &file, 10_000);
        assert_eq!(
            sealed,
            seal(&keys[1], &file, 65_537),
            "the bytes depend neither on the provider nor on the cuts"
        );
        for key in &keys {
            assert_eq!(open(key, &sealed).expect("it opens"), file, "{size} bytes");
        }
        let stored = (sealed.len() - Header::LENGTH) as u64;
        let plaintext = content_length(stored).expect("it is a length that sealing gives");
        assert_eq!(stored_length(plaintext), stored);
    }
}

/// P11: each bit of a sealed file of three chunks.
#[test]
fn no_flipped_bit_is_accepted() {
    let provider = default_provider();
    let key = key(&*provider);
    let sealed = seal(&key, &file(2 * CHUNK + 100), CHUNK);
    let pieces: Vec<&[u8]> = sealed[Header::LENGTH..].chunks(MAX_SEALED_CHUNK).collect();
    assert_eq!(pieces.len(), 3);
    let opener = ChunkOpener::new(&HEADER);
    let mut scratch = vec![0; MAX_SEALED_CHUNK];
    for (index, piece) in pieces.iter().enumerate() {
        let scratch = &mut scratch[..piece.len()];
        for bit in 0..piece.len() * 8 {
            scratch.copy_from_slice(piece);
            scratch[bit / 8] ^= 1 << (bit % 8);
            let result = opener.open(&key, scratch, index as u64, index == 2);
            assert_eq!(
                result,
                Err(Integrity::Chunk { index: index as u64 }),
                "bit {bit} of chunk {index}"
            );
        }
        assert_eq!(
            &scratch[12..],
            vec![0; scratch.len() - 12],
            "nothing of a bad chunk is left to be released"
        );
    }
    for bit in 0..Header::LENGTH * 8 {
        let mut header = HEADER.to_bytes();
        header[bit / 8] ^= 1 << (bit % 8);
        let Ok(header) = Header::parse(&header) else { continue };
        let result =
            ChunkOpener::new(&header).open(&key, &mut pieces[0].to_vec(), 0, false).map(drop);
        assert_eq!(result, Err(Integrity::Chunk { index: 0 }), "bit {bit} of the header");
    }
}

/// Chunks that are swapped, dropped or doubled, files that are cut off or have more, the chunks of
/// another file.
#[test]
fn chunks_open_only_in_their_place() {
    let provider = default_provider();
    let key = key(&*provider);
    let sealed = seal(&key, &file(3 * CHUNK), CHUNK);
    let (header, content) = sealed.split_at(Header::LENGTH);
    let pieces: Vec<&[u8]> = content.chunks(MAX_SEALED_CHUNK).collect();
    let with = |order: &[usize]| {
        let content: Vec<&[u8]> = order.iter().map(|&index| pieces[index]).collect();
        [header, &content.concat()].concat()
    };
    assert!(open(&key, &with(&[0, 1, 2, 3])).is_ok());
    for order in [
        vec![1, 0, 2, 3],
        vec![0, 2, 3],
        vec![0, 1, 1, 2, 3],
        vec![0, 1, 2],
        vec![0, 1, 2, 3, 3],
        vec![3],
        vec![],
    ] {
        let error = open(&key, &with(&order)).expect_err("it is another file");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{order:?}");
    }
    for end in [
        Header::LENGTH,
        sealed.len() - 1,
        Header::LENGTH + MAX_SEALED_CHUNK,
        Header::LENGTH + MAX_SEALED_CHUNK + 1,
    ] {
        assert!(open(&key, &sealed[..end]).is_err(), "cut off after {end} bytes");
    }
    assert!(open(&key, &[sealed.as_slice(), b"x"].concat()).is_err());
    let other = Header::with_salt(Cost::DEFAULT, *HEADER.salt(), &mut SeededRng(3));
    let other_key = MASTER.key(&other, &*provider);
    assert_ne!(other_key.verifier(), key.verifier());
    assert!(Reader::new(content, &other_key, &other).is_err(), "the header of another file");
    assert!(Reader::new(content, &key, &other).is_err());
}

/// A caller that reads on after an error must not get an end, which would look like a whole file.
#[test]
fn an_error_of_a_reader_stays() {
    let provider = default_provider();
    let key = key(&*provider);
    let mut sealed = seal(&key, &file(2 * CHUNK), CHUNK);
    *sealed.last_mut().expect("it has bytes") ^= 1;
    let mut reader =
        Reader::new(&sealed[Header::LENGTH..], &key, &HEADER).expect("the first chunk is whole");
    let mut room = [0; 4096];
    let mut errors = 0;
    for _ in 0..100 {
        match reader.read(&mut room) {
            Ok(count) => assert!(count > 0 && errors == 0),
            Err(_) => errors += 1,
        }
    }
    assert!(errors > 0);
}

#[test]
fn hostile_metadata_is_refused() {
    for (bytes, what) in [
        (b"\0\0\0".as_slice(), "a length cut off"),
        (b"\0\0\0\x05a=b\0", "longer than the chunk"),
        (b"\xff\xff\xff\xff", "a hostile length"),
        (b"\0\0\x80\x01", "more than 32 KiB"),
        (b"\0\0\0\x03a=b", "no NUL at the end"),
        (b"\0\0\0\x08a=b\0a=c\0", "a name twice"),
        (b"\0\0\0\x04A=b\0", "a name with a capital"),
        (b"\0\0\0\x03=b\0", "no name"),
        (b"\0\0\0\x02a\0", "no value"),
        (b"\0\0\0\x04a=\xff\0", "not UTF-8"),
    ] {
        assert!(Metadata::decode(bytes).is_err(), "{what}");
    }
    assert!(Metadata::named("a\0b").encode().is_err());
    assert!(Metadata::named(&"x".repeat(40_000)).encode().is_err());
    let odd = Metadata::with_name_bytes(b"100%\xff.txt");
    assert_eq!((odd.name(), odd.get("name-encoding")), (Some("100%25%ff.txt"), Some("percent")));
}

proptest! {
    #[test]
    fn headers_are_read_back(memory in 0_u8..32, passes in 0_u8..16, lanes in 0_u8..8, salt: [u8; 16], file_id: [u8; 32]) {
        if let Ok(cost) = Cost::new(memory, passes, lanes) {
            let header = Header::from_parts(cost, salt, file_id);
            prop_assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        } else {
            prop_assert!(!(16..=18).contains(&memory) || !(3..=10).contains(&passes) || !(1..=4).contains(&lanes));
        }
    }

    #[test]
    fn metadata_is_read_back(name in "[^\0]{0,300}", size: u64, rest: Vec<u8>) {
        let metadata = Metadata::named(&name).with("size", size.to_string());
        let bytes = metadata.encode().expect("it is valid");
        let length = bytes.len();
        let (read, used) = Metadata::decode(&[bytes, rest].concat()).expect("it was written so");
        prop_assert_eq!((read, used), (metadata, length));
    }

    #[test]
    fn any_metadata_is_read_without_panic(bytes: Vec<u8>) {
        if let Ok((metadata, used)) = Metadata::decode(&bytes) {
            prop_assert_eq!(&metadata.encode().expect("what was read can be written"), &bytes[..used]);
        }
    }
}
