//! Archives that others have made to do harm, and damaged ones: nothing gets out, nothing is left,
//! and the error says why.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fss::archive::{Damage, Error, MAX_DEPTH, MAX_PATH, Unpack, UnpackOptions};
use proptest::prelude::*;

use crate::{Place, tree, unpack, unpack_cut};
use fss_test_support::raw_archive::{Raw, header, sum};

/// Why an archive is refused, which has left nothing.
fn refused(stream: &[u8]) -> (String, Damage) {
    let place = Place::new();
    // Accepting all links accepts nothing else, and nothing is written through them.
    let careless = UnpackOptions { replace: true, outward_links: true };
    for (options, cut) in [(UnpackOptions::default(), 100), (careless, usize::MAX)] {
        let _ = unpack_cut(stream, &place.path("out"), options, cut);
        if place.path("out").exists() {
            assert!(options.outward_links);
            fs::remove_dir_all(place.path("out")).expect("it is ours");
        }
        place.has_only(&[]);
    }
    match unpack(stream, &place.path("out")) {
        Err(Error::Damaged { at, why }) => (at.to_string_lossy().into_owned(), why),
        other => panic!("{other:?}"),
    }
}

/// That the last entry is rejected, after others.
fn refuses(archive: Raw, at: &str, why: Damage) {
    let before = Raw::default().directory(b"./").file(b"first", b"content").0;
    let stream = [before, archive.end()].concat();
    assert_eq!(refused(&stream), (at.to_owned(), why));
}

fn raw() -> Raw {
    Raw::default()
}

#[test]
fn names_that_lead_out() {
    for name in [
        "../x",
        "..",
        "a/../../x",
        "a/..",
        "a/../x",
        "/x",
        "//x",
        "/../x",
        "./../x",
        "../canary/secret",
        "a/b/../../../x",
    ] {
        refuses(raw().file(name.as_bytes(), b"bad"), name, Damage::Name);
        refuses(raw().directory(name.as_bytes()), name, Damage::Name);
        refuses(raw().link(name.as_bytes(), b"first"), name, Damage::Name);
        refuses(
            raw().extended(&[("path", name.as_bytes())]).file(b"harmless", b"bad"),
            name,
            Damage::Name,
        );
        refuses(raw().long_name(name.as_bytes()).file(b"harmless", b"bad"), name, Damage::Name);
    }
    // With the prefix that ustar has for long names.
    let prefixed = raw().changed(b'0', b"x", |block| block[345..349].copy_from_slice(b"a/..")).0;
    refuses(Raw(prefixed), "a/../x", Damage::Name);
}

#[test]
fn names_that_are_none() {
    refuses(raw().file(b"", b""), "", Damage::Name);
    refuses(raw().file(b".", b""), ".", Damage::Name);
    refuses(raw().link(b"./", b"first"), "./", Damage::Name);
    refuses(raw().extended(&[("path", b"a\0b")]).file(b"x", b""), "a\0b", Damage::Name);
    refuses(raw().extended(&[("path", b"")]).file(b"x", b""), "", Damage::Name);
    refuses(raw().extended(&[("linkpath", b"a\0b")]).link(b"x", b"a"), "x", Damage::Name);
    refuses(raw().link(b"x", b""), "x", Damage::Name);
}

#[test]
fn names_that_are_too_long() {
    let long = |name: &str| raw().extended(&[("path", name.as_bytes())]).file(b"x", b"");
    let component = "n".repeat(256);
    refuses(long(&component), &component, Damage::NameTooLong);
    let path = "abcdefg/".repeat(MAX_PATH / 8) + "12345678";
    assert_eq!(path.len(), 4096);
    refuses(long(&path), &path[..MAX_PATH], Damage::NameTooLong);
    let deep = "d/".repeat(MAX_DEPTH) + "x";
    refuses(long(&deep), &deep, Damage::NameTooLong);
    let target = "t".repeat(MAX_PATH + 1);
    refuses(
        raw().extended(&[("linkpath", target.as_bytes())]).link(b"x", b""),
        "x",
        Damage::NameTooLong,
    );
}

#[test]
fn links_that_lead_out() {
    for target in [
        "/",
        "/etc/passwd",
        "..",
        "../canary",
        "./..",
        "a/..",
        "a/../..",
        "x/../../canary",
        "a/b/../c",
    ] {
        refuses(raw().link(b"x", target.as_bytes()), "x", Damage::EscapesRoot);
    }
    refuses(raw().link(b"a/b/x", b"../../../canary"), "a/b/x", Damage::EscapesRoot);
    // Each of two is harmless by its looks, and the second leads out by the first.
    refuses(
        raw().link(b"a/b/c", b"../..").link(b"x", b"a/b/c/../canary"),
        "x",
        Damage::EscapesRoot,
    );
}

#[test]
fn nothing_goes_through_a_link() {
    for target in [&b"canary"[..], b"first", b".", b"d"] {
        let link = || raw().directory(b"d").link(b"x", target);
        refuses(link().file(b"x/secret", b"bad"), "x/secret", Damage::NotADirectory);
        refuses(link().directory(b"x/new"), "x/new", Damage::NotADirectory);
        refuses(link().link(b"x/new", b"first"), "x/new", Damage::NotADirectory);
        refuses(link().directory(b"x"), "x", Damage::NotADirectory);
        refuses(link().file(b"x", b"bad"), "x", Damage::Duplicate);
    }
}

/// Also not where links may lead out: the mode and time of what they lead to do not change either.
#[test]
fn nothing_goes_through_a_link_that_is_allowed_to_lead_out() {
    for behind in [
        raw().file(b"x/secret", b"bad"),
        raw().directory(b"x"),
        raw().file(b"x", b"bad"),
        raw().directory(b"x/y"),
    ] {
        let place = Place::new();
        let before = tree(&place.path("canary"));
        let target = place.path("canary").into_os_string().into_encoded_bytes();
        let stream =
            [raw().extended(&[("linkpath", &target)]).link(b"x", b"").0, behind.end()].concat();
        let careless = UnpackOptions { replace: true, outward_links: true };
        assert!(unpack_cut(&stream, &place.path("out"), careless, 512).unwrap_err().is_integrity());
        place.has_only(&[]);
        assert_eq!(tree(&place.path("canary")), before);
    }
}

#[test]
fn what_is_there_is_not_replaced() {
    refuses(raw().file(b"first", b"again"), "first", Damage::Duplicate);
    refuses(raw().file(b"./first", b"again"), "./first", Damage::Duplicate);
    refuses(raw().link(b"first", b"x"), "first", Damage::Duplicate);
    refuses(raw().directory(b"first"), "first", Damage::NotADirectory);
    refuses(raw().file(b"first/x", b""), "first/x", Damage::NotADirectory);
    refuses(raw().directory(b"d").file(b"d", b""), "d", Damage::Duplicate);
    refuses(raw().directory(b"d").link(b"d", b"first"), "d", Damage::Duplicate);
    refuses(raw().file(b"d/e", b"").link(b"d", b"first").file(b"d/x", b""), "d", Damage::Duplicate);
    refuses(raw().link(b"x", b"first").link(b"x", b"first"), "x", Damage::Duplicate);
}

#[test]
fn what_is_neither_file_nor_directory_nor_link() {
    refuses(raw().entry(b'1', b"x", b"first", b""), "x", Damage::HardLink);
    refuses(raw().entry(b'1', b"x", b"/etc/passwd", b""), "x", Damage::HardLink);
    refuses(raw().entry(b'S', b"x", b"", b""), "x", Damage::Sparse);
    refuses(raw().extended(&[("GNU.sparse.major", b"1")]).file(b"x", b""), "first", Damage::Sparse);
    for kind in *b"346DMNVX\xff" {
        refuses(raw().entry(kind, b"x", b"", b""), "x", Damage::Kind(kind));
    }
    refuses(raw().entry(b'5', b"x", b"", b"content"), "x", Damage::Content);
    refuses(raw().entry(b'2', b"x", b"first", b"content"), "x", Damage::Content);
}

#[test]
fn bits_that_give_rights_are_dropped() {
    crate::without_umask();
    let place = Place::new();
    let mode = |block: &mut [u8; 512]| block[100..107].copy_from_slice(b"0007777");
    let stream = raw().changed(b'5', b"d", mode).changed(b'0', b"d/f", mode).end();
    unpack(&stream, &place.path("out")).unwrap();
    for name in ["out/d", "out/d/f"] {
        assert_eq!(fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o7777, 0o777);
    }
}

#[test]
fn odd_names_are_made_as_they_are_and_shown_escaped() {
    let place = Place::new();
    let name = b"\x1b]0;title\x07\n\r\xff\xe2\x80\xae";
    unpack(&raw().file(name, b"content").end(), &place.path("out")).unwrap();
    assert_eq!(tree(&place.path("out")).len(), 2);
    let error = unpack(&raw().file(name, b"").file(name, b"").end(), &place.path("again"))
        .unwrap_err()
        .to_string();
    assert!(error.is_ascii() && !error.contains(char::is_control), "{error}");
    place.has_only(&["out"]);
}

#[test]
fn sizes_that_cannot_be() {
    let sized = |size: &'static [u8]| {
        raw().changed(b'0', b"x", move |block| block[124..124 + size.len()].copy_from_slice(size))
    };
    refuses(sized(b"77777777777"), "x", Damage::TooLarge);
    refuses(sized(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), "x", Damage::TooLarge);
    refuses(sized(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), "x", Damage::TooLarge);
    for number in [
        &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x80\0\0\x01\0\0\0\0\0\0\0\0",
        b"-0000000001",
        b"0000000008",
        b"\0",
    ] {
        refuses(sized(number), "first", Damage::Number);
    }
    for size in ["18446744073709551615", "9223372036854775807", "100000"] {
        refuses(
            raw().extended(&[("size", size.as_bytes())]).file(b"x", b""),
            "x",
            Damage::TooLarge,
        );
    }
    for size in ["18446744073709551616", "-1", "+1", "1e3", "0x10", "", " 1"] {
        refuses(
            raw().extended(&[("size", size.as_bytes())]).file(b"x", b""),
            "first",
            Damage::Number,
        );
    }
    for time in ["", "x", "1.2.3", "99999999999999999999"] {
        refuses(
            raw().extended(&[("mtime", time.as_bytes())]).file(b"x", b""),
            "first",
            Damage::Number,
        );
    }
}

#[test]
fn extended_headers_that_are_none() {
    let records = |records: &[u8]| raw().entry(b'x', b"x", b"", records).file(b"y", b"");
    let malformed: [&[u8]; 12] = [
        b"5 a=b\n",
        b"7 a=b\n",
        b"0 a=b\n",
        b"1 \n",
        b"2 \n",
        b"99999999999999999999999999 a=b\n",
        b"18446744073709551615 a=b\n",
        b"-6 a=b\n",
        b"+6 a=b\n",
        b"6 a=bx",
        b"6 a-b\n",
        b"path",
    ];
    for malformed in malformed {
        refuses(records(malformed), "first", Damage::ExtendedHeader);
    }
    refuses(records(&vec![0; 65_537]), "first", Damage::ExtendedHeader);
    let huge = |kind| raw().block(&header(kind, b"x", b"", 1 << 32));
    for kind in *b"xgLK" {
        refuses(huge(kind), "first", Damage::ExtendedHeader);
    }
    refuses(raw().entry(b'g', b"x", b"", b"8 path=\n"), "first", Damage::ExtendedHeader);
    refuses(raw().extended(&[("path", b"x")]), "first", Damage::ExtendedHeader);
    // What git archive writes.
    let place = Place::new();
    unpack(
        &raw().entry(b'g', b"x", b"", b"12 comment=\n").file(b"y", b"").end(),
        &place.path("out"),
    )
    .unwrap();
}

#[test]
fn checksums_that_are_wrong() {
    let place = Place::new();
    // The last byte of the checksum is after its end.
    for at in (0..512).filter(|&at| at != 155) {
        let mut block = header(b'0', b"x", b"", 0);
        block[at] ^= 1;
        let error =
            unpack(&raw().directory(b"d").block(&block).end(), &place.path("out")).unwrap_err();
        assert!(
            matches!(error, Error::Damaged { why: Damage::NotAHeader, .. }),
            "byte {at}: {error}"
        );
    }
    place.has_only(&[]);
    let mut block = header(b'0', b"x", b"", 0);
    block[148..156].fill(0xff);
    refuses(raw().block(&block), "first", Damage::NotAHeader);
    sum(&mut block);
    assert_eq!(block, header(b'0', b"x", b"", 0));
}

#[test]
fn a_bomb_is_stopped() {
    let place = Place::new();
    let stream = raw().file(b"x", &vec![0; 100_000]).end();
    // The files, or the stream, are larger than was said.
    for limit in [0, 511, 512, 50_000, 100_000, stream.len() as u64 - 1] {
        let mut unpack =
            Unpack::new(&place.path("out"), Some(limit), UnpackOptions::default()).unwrap();
        let error = unpack.take(&stream).unwrap_err();
        assert!(matches!(error, Error::Damaged { why: Damage::TooLarge, .. }), "{error}");
        drop(unpack);
        place.has_only(&[]);
    }
}

#[test]
fn nothing_is_taken_after_an_error() {
    let place = Place::new();
    let mut unpack = Unpack::new(&place.path("out"), None, UnpackOptions::default()).unwrap();
    let bad = raw().file(b"../x", b"").0;
    let first = unpack.take(&bad).unwrap_err().to_string();
    assert_eq!(unpack.take(&raw().file(b"good", b"").end()).unwrap_err().to_string(), first);
    assert_eq!(unpack.finish().unwrap_err().to_string(), first);
    place.has_only(&[]);
}

#[test]
fn what_is_cut_off_is_no_archive() {
    let place = Place::new();
    let name = "long/".repeat(30);
    let start = raw()
        .directory(b"./")
        .file(b"a", &[b'a'; 1500])
        .directory(b"d")
        .link(b"d/l", b"../a")
        .file(b"empty", b"");
    let stream = start
        .extended(&[("path", name.as_bytes())])
        .directory(b"x")
        .long_name(b"d/last")
        .file(b"x", b"z")
        .end();
    for end in (0..stream.len()).step_by(512).flat_map(|block| [block, block + 1, block + 511]) {
        let mut unpack = Unpack::new(&place.path("out"), None, UnpackOptions::default()).unwrap();
        unpack.take(&stream[..end]).unwrap();
        let error = unpack.finish().unwrap_err();
        assert!(matches!(error, Error::Damaged { why: Damage::Truncated, .. }), "{end}: {error}");
    }
    place.has_only(&[]);
    for zeros in [1, 512, 9216] {
        unpack(&[&stream[..], &vec![0; zeros]].concat(), &place.path(&format!("out{zeros}")))
            .unwrap();
    }
    for behind in [&b"x"[..], &[0; 512], &stream] {
        if behind.iter().any(|&byte| byte != 0) {
            let error =
                unpack(&[&stream[..], &[0; 100], behind].concat(), &place.path("out")).unwrap_err();
            assert!(matches!(error, Error::Damaged { why: Damage::TrailingData, .. }), "{error}");
        }
    }
    place.has_only(&["out1", "out512", "out9216"]);
}

/// A directory is closed when the archive leaves it; one that comes back later opens it again, and
/// its time stays.
#[test]
fn an_archive_may_come_back_to_a_directory() {
    let place = Place::new();
    let closed = |block: &mut [u8; 512]| {
        block[100..107].copy_from_slice(b"0000500");
        block[136..147].copy_from_slice(b"00000000777");
    };
    let stream = raw()
        .changed(b'5', b"d", closed)
        .file(b"d/a", b"")
        .file(b"x", b"")
        .file(b"d/b", b"")
        .directory(b"e/f")
        .end();
    unpack(&stream, &place.path("out")).unwrap();
    let out = tree(&place.path("out"));
    let d = &out[Path::new("d")];
    assert_eq!((d.mode, d.mtime), (0o500, (0o777, 0)));
    assert_eq!(out.len(), 7);
}

/// Pieces of archives, put together in any way.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "a/b",
        "a/b/c",
        "..",
        "../canary/secret",
        "/tmp/x",
        "./",
        "a/../b",
        "a/./b",
        "",
    ]);
    let target = prop::sample::select(vec![
        "a",
        "..",
        "../canary",
        "/",
        "a/b",
        ".",
        "../../canary",
        "b/..",
        "",
    ]);
    let kind = prop::sample::select(b"0000001222225555xLKgS37\0".to_vec());
    let entry = (kind, name, target, 0_usize..600).prop_map(|(kind, name, target, size)| {
        let content = match kind {
            b'0' | b'x' | b'7' => vec![b'x'; size],
            b'L' | b'K' => [target.as_bytes(), b"\0"].concat(),
            _ => Vec::new(),
        };
        Raw::default().entry(kind, name.as_bytes(), target.as_bytes(), &content).0
    });
    prop_oneof![
        10 => entry,
        2 => target_record(),
        1 => proptest::collection::vec(any::<u8>(), 0..600),
        1 => Just(vec![0; 512]),
    ]
}

fn target_record() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec!["path", "linkpath", "size", "mtime"]);
    let value =
        prop::sample::select(vec!["a", "a/b", "../canary/secret", "../canary", "0", "100", "-1.5"]);
    (key, value).prop_map(|(key, value)| Raw::default().extended(&[(key, value.as_bytes())]).0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_comes_stays_inside(
        pieces in proptest::collection::vec(piece(), 0..12), cut in 1_usize..1500, outward_links: bool, complete: bool,
    ) {
        let place = Place::new();
        let mut stream = pieces.concat();
        if complete {
            stream.resize(stream.len().next_multiple_of(512) + 1024, 0);
        }
        let options = UnpackOptions { replace: false, outward_links };
        match unpack_cut(&stream, &place.path("out"), options, cut) {
            Ok(()) => place.has_only(&["out"]),
            Err(Error::Damaged { .. }) => place.has_only(&[]),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_changed_byte_stays_inside(at: prop::sample::Index, change in 1_u8.., mend: bool) {
        let place = Place::new();
        let start = raw().directory(b"d").file(b"d/a", &[b'x'; 700]).link(b"d/l", b"a");
        let mut stream = start.extended(&[("path", b"d/long"), ("mtime", b"1.5")]).file(b"x", b"content").end();
        let at = at.index(stream.len());
        stream[at] ^= change;
        if mend {
            // So that the change gets behind the checksum.
            let block: &mut [u8; 512] = (&mut stream[at / 512 * 512..][..512]).try_into().unwrap();
            sum(block);
        }
        match unpack(&stream, &place.path("out")) {
            Ok(()) => place.has_only(&["out"]),
            Err(error) => {
                prop_assert!(error.is_integrity(), "{}", error);
                place.has_only(&[]);
            }
        }
    }
}
