//! Compressed content comes back, and a small frame does not become a large file.

use std::io::{self, Cursor, Read, Write};

use fss::compress::{Damage, Decoder, Encoder, encoding_id, is_compressible, sample};
use proptest::prelude::*;

use crate::noise;

fn compress(content: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    Encoder::new(content)
        .and_then(|mut encoder| encoder.read_to_end(&mut compressed))
        .expect("it can be read");
    compressed
}

fn decompress(compressed: &[u8], size: Option<u64>, cut: usize) -> io::Result<Vec<u8>> {
    let mut decoder = Decoder::new(Vec::new(), size)?;
    compressed.chunks(cut).try_for_each(|piece| decoder.write_all(piece))?;
    decoder.finish()
}

fn damage<T>(result: io::Result<T>) -> Damage {
    let error = result.err().expect("it is damaged");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    *error.get_ref().and_then(|inner| inner.downcast_ref()).expect("it says how")
}

/// Text that compresses, and is nowhere the same.
fn text(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(|number| format!("line {number}\n").into_bytes()).take(length).collect()
}

/// Gives bytes in pieces of odd lengths.
struct Trickle<'b>(&'b [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 * 7 % 1009 + 1;
        let count = self.0.len().min(room.len()).min(self.1);
        room[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn sizes_around_the_pieces_come_back() {
    for size in [0, 1, 131_071, 131_072, 131_073, 262_144, 3_000_000] {
        for content in [noise(size, 1), text(size), vec![0; size]] {
            let compressed = compress(&content);
            let cut = compressed.len() / 3 + 1;
            assert!(
                decompress(&compressed, Some(size as u64), cut).unwrap() == content,
                "{size} bytes"
            );
            assert!(decompress(&compressed, None, 65_536).unwrap() == content, "{size} bytes");
        }
    }
}

#[test]
fn how_it_is_read_does_not_show() {
    for size in [0, 1000, 131_072, 500_000] {
        let content = text(size);
        let mut slow = Vec::new();
        let mut encoder = Encoder::new(Trickle(&content, 1)).unwrap();
        let mut room = [0; 77];
        loop {
            match encoder.read(&mut room).unwrap() {
                0 => break,
                count => slow.extend_from_slice(&room[..count]),
            }
        }
        assert!(slow == compress(&content), "{size} bytes");
    }
    assert!(encoding_id().starts_with("zstd-3-1."), "{}", encoding_id());
}

/// Ten GiB of zeros are stopped where they were said to end, in the memory of one piece.
/// It is what progress is shown of: never ahead of what was read, and all of it in the end.
#[test]
fn an_encoder_tells_how_much_it_has_taken() {
    let content = text(1_000_000);
    let mut encoder = Encoder::new(&content[..]).expect("there is memory");
    let (mut before, mut room) = (0, [0; 1000]);
    while encoder.read(&mut room).expect("it can be read") > 0 {
        assert!((before..=content.len() as u64).contains(&encoder.total_in()));
        before = encoder.total_in();
    }
    assert_eq!(before, content.len() as u64);
}

#[test]
fn a_bomb_is_stopped() {
    struct Counter(u64);
    impl Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // A frame of any length from a short one: its blocks can be repeated, as each says the same
    // zeros again.
    let (header, block, last) = bomb();
    let announced = 1_000_000;
    let mut counter = Counter(0);
    let mut decoder = Decoder::new(&mut counter, Some(announced)).unwrap();
    decoder.write_all(&header).unwrap();
    let mut blocks = std::iter::repeat_n(&block, 10 * 1024 * 8);
    let refused = blocks.find_map(|block| decoder.write_all(block).err()).expect("it is stopped");
    assert_eq!(damage(Err::<(), _>(refused)), Damage::Size);
    assert_eq!(damage(decoder.write(&last)), Damage::Size, "nothing is taken after that");
    assert_eq!(damage(decoder.finish()), Damage::Size);
    assert!(counter.0 <= announced);
}

/// The beginning of a frame, a block of 128 KiB of zeros in four bytes, and the same as the last
/// one.
fn bomb() -> ([u8; 6], [u8; 4], [u8; 4]) {
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]; // no content size, window of 2 MiB
    let block = |last: u32| {
        let [a, b, c, _] = (last | 1 << 1 | (128 * 1024) << 3).to_le_bytes(); // a byte to be repeated
        [a, b, c, 0]
    };
    (header, block(0), block(1))
}

#[test]
fn the_bomb_is_a_valid_frame() {
    let (header, block, last) = bomb();
    let frame = [&header[..], &block, &block, &last].concat();
    assert!(decompress(&frame, Some(3 * 128 * 1024), 1).unwrap() == vec![0; 3 * 128 * 1024]);
}

#[test]
fn a_larger_window_is_refused() {
    let window = |log: u8| {
        let (mut header, _, last) = bomb();
        header[5] = (log - 10) << 3;
        [&header[..], &last].concat()
    };
    assert!(decompress(&window(27), None, 100).is_ok());
    assert!(matches!(damage(decompress(&window(28), None, 100)), Damage::Frame(_)));
}

#[test]
fn the_size_must_be_the_one_that_was_said() {
    let compressed = compress(&text(100_000));
    assert_eq!(damage(decompress(&compressed, Some(99_999), 1000)), Damage::Size);
    assert_eq!(damage(decompress(&compressed, Some(100_001), 1000)), Damage::Size);
}

#[test]
fn every_cut_is_noticed() {
    let compressed = compress(&text(5_000));
    for length in 0..compressed.len() {
        assert_eq!(
            damage(decompress(&compressed[..length], None, 100)),
            Damage::Truncated,
            "{length} bytes"
        );
    }
}

#[test]
fn nothing_may_follow_nor_go_before() {
    let compressed = compress(b"content");
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x'];
    for behind in [&b"\0"[..], &compressed, &skippable] {
        let both = [&compressed, behind].concat();
        assert_eq!(damage(decompress(&both, None, 1)), Damage::TrailingData);
        assert_eq!(damage(decompress(&both, None, both.len())), Damage::TrailingData);
    }
    assert_eq!(
        damage(decompress(&[&skippable[..], &compressed].concat(), None, 5)),
        Damage::TrailingData
    );
}

#[test]
fn what_cannot_be_written_ends_it() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut decoder = Decoder::new(Full, None).unwrap();
    assert_eq!(
        decoder.write_all(&compress(b"content")).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    assert_eq!(damage(decoder.finish()), Damage::NotWritten);
}

#[test]
fn a_sample_tells_whether_it_is_worth_it() {
    let of = |content: &[u8]| is_compressible(&sample(&mut Cursor::new(content)).unwrap());
    for size in [10_000, 196_608, 196_609, 1_000_000] {
        assert!(of(&text(size)), "{size} bytes of text");
        assert!(!of(&noise(size, 1)), "{size} bytes of noise");
    }
    assert!(!of(b""));
    // Noise at the beginning, then text.
    assert!(of(&[noise(200_000, 1), text(1_800_000)].concat()));
    let mut long = Cursor::new(text(1_000_000));
    assert_eq!(sample(&mut long).unwrap().len(), 3 * 64 * 1024);
    assert_eq!(long.position(), 0);
    assert_eq!(sample(&mut Cursor::new(text(100_000))).unwrap(), text(100_000));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_nothing_worse(garbage in proptest::collection::vec(any::<u8>(), 0..2000), cut in 1_usize..500) {
        prop_assert!(decompress(&garbage, Some(1 << 20), cut).is_err());
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd][..], &garbage].concat();
        if let Ok(content) = decompress(&frame, Some(1 << 20), cut) {
            prop_assert_eq!(content.len(), 1 << 20);
        }
    }

    #[test]
    fn a_changed_frame_gives_no_more_than_was_said(at in 0_usize..1000, change in 1_u8.., size in 0_usize..50_000) {
        let mut compressed = compress(&text(size));
        let at = at % compressed.len();
        compressed[at] ^= change;
        if let Ok(content) = decompress(&compressed, Some(size as u64), 4096) {
            prop_assert_eq!(content.len(), size);
        }
    }
}
