//! What was packed comes back.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fss::archive::{Error, LeftOut, MAX_DEPTH, Omission, Pack, Unpack, UnpackOptions};
use proptest::prelude::*;

use crate::{Place, Thing, mark, noise, pack, tree, unpack, unpack_cut};

/// A directory in which there is one of everything.
pub(crate) fn variety(root: &Path) {
    let put = |name: &[u8], content: &[u8]| {
        fs::write(root.join(OsStr::from_bytes(name)), content).expect("it is new");
    };
    for directory in ["", "empty", "deep", "deep/er", "private", "a.b", "a"] {
        fs::create_dir_all(root.join(directory)).expect("it is new");
    }
    put(b"empty file", b"");
    for size in [1, 511, 512, 513, 100_000] {
        put(format!("deep/{size}").as_bytes(), &noise(size, size as u64));
    }
    put(b"a/x", b"");
    put(b"a.b/x", b"");
    put(b"deep/er/program", b"#!/bin/sh\n");
    put(b"private/key", b"secret");
    put(b"not \xff UTF-8 \xc3", b"1");
    put("größe\u{202e}".as_bytes(), b"2");
    put(b"\x1b[31mred\n", b"3");
    put(b"back\\slash", b"4");
    put(&[b'n'; 255], b"5");
    for length in 99..103 {
        put(&vec![b'm'; length], b"6");
    }
    let long: PathBuf = ["d"; 60].iter().collect::<PathBuf>().join("x".repeat(200));
    fs::create_dir_all(root.join(&long)).expect("it is new");
    fs::write(root.join(&long).join("far"), "away").expect("it is new");
    symlink("deep/1", root.join("link")).expect("it is new");
    symlink("../deep", root.join("empty/up")).expect("it is new");
    symlink("nowhere/at/all", root.join("dangling")).expect("it is new");
    symlink(OsStr::from_bytes(&[b't'; 300]), root.join("long link")).expect("it is new");
    mark(&root.join("deep/er/program"), 0o755, 1_700_000_000, 123_456_789);
    mark(&root.join("private/key"), 0o400, 1, 0);
    mark(&root.join("private"), 0o500, 1_600_000_000, 1);
    mark(&root.join("deep"), 0o2775, 1_500_000_000, 999_999_999);
    mark(&root.join("empty file"), 0o4711, 1_000_000_000, 5);
    mark(root, 0o750, 1_234_567_890, 42);
}

/// What becomes of a tree: all but the bits that give rights.
pub(crate) fn kept(root: &Path) -> BTreeMap<PathBuf, Thing> {
    let mut tree = tree(root);
    for thing in tree.values_mut() {
        thing.mode &= 0o777;
    }
    tree
}

#[test]
fn everything_comes_back_however_the_stream_is_cut() {
    crate::without_umask();
    let place = Place::new();
    let from = place.path("from");
    variety(&from);
    let stream = pack(&from);
    for cut in [1, 511, 512, 513, 10_240, usize::MAX] {
        let to = place.path(&format!("to {cut}"));
        unpack_cut(&stream, &to, UnpackOptions::default(), cut).unwrap();
        assert_eq!(tree(&to), kept(&from));
        assert!(pack(&to) == stream, "it is packed to the same");
    }
}

#[test]
fn an_empty_directory_and_a_thousand_files_come_back() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir(&from).unwrap();
    for count in [0_usize, 1000] {
        for number in 0..count {
            fs::create_dir_all(from.join(format!("{}", number % 7))).unwrap();
            fs::write(from.join(format!("{}/{number}", number % 7)), noise(number, 1)).unwrap();
        }
        let to = place.path(&count.to_string());
        unpack(&pack(&from), &to).unwrap();
        assert_eq!(tree(&to), tree(&from));
    }
}

#[test]
fn times_before_1970_come_back() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("old"), "").unwrap();
    let moment = std::time::UNIX_EPOCH - std::time::Duration::new(1, 250_000_000);
    fs::File::open(from.join("old")).unwrap().set_modified(moment).unwrap();
    unpack(&pack(&from), &place.path("to")).unwrap();
    assert_eq!(fs::metadata(place.path("to/old")).unwrap().modified().unwrap(), moment);
}

#[test]
fn as_deep_as_allowed_comes_back_and_deeper_is_not_packed() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir_all(from.join(["d"; MAX_DEPTH].iter().collect::<PathBuf>())).unwrap();
    unpack(&pack(&from), &place.path("to")).unwrap();
    assert_eq!(tree(&place.path("to")).len(), MAX_DEPTH + 1);
    fs::create_dir_all(from.join(["d"; MAX_DEPTH + 1].iter().collect::<PathBuf>())).unwrap();
    let survey = Pack::new(&from).unwrap();
    let [LeftOut { path, why: Omission::Unreadable(_) }] = survey.left_out() else {
        panic!("{:?}", survey.left_out())
    };
    assert_eq!(path.iter().count(), MAX_DEPTH + 1);
}

#[test]
fn what_has_the_name_stays_unless_it_is_to_be_replaced() {
    crate::without_umask();
    let place = Place::new();
    let from = place.path("from");
    variety(&from);
    let stream = pack(&from);
    let replace = UnpackOptions { replace: true, ..UnpackOptions::default() };
    let full = place.path("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("old"), "old").unwrap();
    let file = place.path("file");
    fs::write(&file, "old").unwrap();
    let link = place.path("link");
    symlink("canary", &link).unwrap();
    for there in [&full, &file, &link] {
        let error = unpack(&stream, there).unwrap_err();
        assert!(matches!(&error, Error::Local { path, .. } if path == there), "{error}");
    }
    // One that comes while the stream does.
    let late = place.path("late");
    let mut begun = Unpack::new(&late, None, UnpackOptions::default()).unwrap();
    begun.take(&stream).unwrap();
    fs::create_dir(&late).unwrap();
    assert!(matches!(begun.finish(), Err(Error::Local { .. })));
    place.has_only(&["from", "full", "file", "link", "late"]);
    assert_eq!(fs::read(full.join("old")).unwrap(), b"old");
    for there in [&full, &file, &link] {
        unpack_cut(&stream, there, replace, 65_536).unwrap();
        assert_eq!(tree(there), kept(&from));
    }
    place.has_only(&["from", "full", "file", "link", "late"]);
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let place = Place::new();
    let from = place.path("from");
    variety(&from);
    let mut unpack = Unpack::new(&place.path("to"), None, UnpackOptions::default()).unwrap();
    unpack.take(&pack(&from)).unwrap();
    drop(unpack);
    place.has_only(&["from"]);
}

#[test]
fn links_out_are_told_and_come_back_if_allowed() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir_all(from.join("a/b")).unwrap();
    let outward = [
        ("a/absolute", "/etc/passwd"),
        ("a/b/out", "../../../x"),
        ("around", "a/../a"),
        ("above", ".."),
    ];
    for (name, target) in outward {
        symlink(target, from.join(name)).unwrap();
    }
    symlink("../../a", from.join("a/b/in")).unwrap();
    let stream = pack(&from);
    let mut names: Vec<&Path> = outward.iter().map(|(name, _)| Path::new(*name)).collect();
    names.sort();
    assert_eq!(Pack::new(&from).unwrap().outward_links(), names);
    assert!(unpack(&stream, &place.path("to")).unwrap_err().is_integrity());
    let allowed = UnpackOptions { outward_links: true, ..UnpackOptions::default() };
    unpack_cut(&stream, &place.path("to"), allowed, 65_536).unwrap();
    assert_eq!(tree(&place.path("to")), tree(&from));
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no name has it", |byte| !matches!(byte, 0 | b'/'));
    proptest::collection::vec(byte, 1..40)
        .prop_filter("these are no names", |name| !matches!(&name[..], b"." | b".."))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_tree_comes_back(files in proptest::collection::vec(
        (proptest::collection::vec(component(), 1..6), 0_usize..2000, 0_u32..0o1000, any::<u32>()), 0..12,
    ), cut in 1_usize..3000) {
        crate::without_umask();
        let place = Place::new();
        let from = place.path("from");
        fs::create_dir(&from).unwrap();
        for (names, size, mode, seconds) in files {
            let path: PathBuf = names.iter().map(|name| OsStr::from_bytes(name)).collect();
            let path = from.join(path);
            // One may have the name of another's directory.
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && fs::write(&path, noise(size, 7)).is_ok() {
                mark(&path, mode | 0o600, seconds.into(), seconds % 1_000_000_000);
            }
        }
        unpack_cut(&pack(&from), &place.path("to"), UnpackOptions::default(), cut).unwrap();
        prop_assert_eq!(tree(&place.path("to")), tree(&from));
    }
}
