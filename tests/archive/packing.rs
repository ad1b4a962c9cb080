//! The same bytes again, and what a directory that does not keep still does.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use fss::archive::{Error, LeftOut, MAX_DEPTH, Omission, Pack, Unpack, UnpackOptions};
use proptest::prelude::*;

use crate::round_trips::variety;
use crate::{Place, mark, noise, pack, tree, unpack};

fn changed(pack: &mut Pack) -> bool {
    let error = pack.read_to_end(&mut Vec::new()).expect_err("it was changed");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let changed = matches!(inner, Some(Error::Changed { .. }));
    // And it does not get well again.
    changed && pack.read_to_end(&mut Vec::new()).is_err()
}

#[test]
fn twice_gives_the_same_bytes() {
    let place = Place::new();
    let from = place.path("from");
    variety(&from);
    let manifest = Pack::new(&from).unwrap().manifest();
    let stream = pack(&from);
    assert_eq!(pack(&from), stream);
    assert_eq!(Pack::new(&from).unwrap().manifest(), manifest, "reading changes nothing");
    assert_eq!(manifest.to_string().len(), 64);
}

#[test]
fn skipping_gives_the_bytes_behind() {
    let place = Place::new();
    let from = place.path("from");
    variety(&from);
    let stream = pack(&from);
    let end = stream.len();
    proptest!(ProptestConfig::with_cases(100), |(first in 0..=end, second in 0..=end, between in 0..1000_usize)| {
        let (first, second) = (first.min(second), first.max(second));
        let mut pack = Pack::new(&from).unwrap();
        pack.skip(first as u64).unwrap();
        let mut read = vec![0; between.min(second - first)];
        pack.read_exact(&mut read).unwrap();
        prop_assert_eq!(&read, &stream[first..first + read.len()]);
        pack.skip((second - first - read.len()) as u64).unwrap();
        let mut rest = Vec::new();
        pack.read_to_end(&mut rest).unwrap();
        prop_assert_eq!(&rest, &stream[second..]);
    });
    let mut pack = Pack::new(&from).unwrap();
    pack.skip(end as u64).unwrap();
    assert!(matches!(pack.skip(1), Err(Error::Changed { .. })));
}

#[test]
fn what_is_skipped_is_not_read() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("a"), noise(5000, 1)).unwrap();
    let mut pack = Pack::new(&from).unwrap();
    // Something else of the same size, as only reading would show.
    fs::remove_file(from.join("a")).unwrap();
    fs::write(from.join("a"), noise(5000, 2)).unwrap();
    pack.skip(pack.total_size()).unwrap();
    assert!(pack.changed().is_empty());
}

#[test]
fn every_change_changes_the_manifest() {
    let place = Place::new();
    let from = place.path("from");
    variety(&from);
    let mut seen = vec![Pack::new(&from).unwrap().manifest()];
    let mut is_new = |what: &str| {
        let manifest = Pack::new(&from).unwrap().manifest();
        assert!(!seen.contains(&manifest), "{what}");
        seen.push(manifest);
    };
    OpenOptions::new().append(true).open(from.join("deep/1")).unwrap().write_all(b"x").unwrap();
    is_new("content");
    mark(&from.join("deep/1"), 0o644, 5, 5);
    is_new("time");
    mark(&from.join("deep/1"), 0o600, 5, 5);
    is_new("mode");
    fs::rename(from.join("deep/1"), from.join("deep/one")).unwrap();
    is_new("name");
    fs::write(from.join("deep/copy"), fs::read(from.join("deep/one")).unwrap()).unwrap();
    is_new("a new file");
    fs::rename(from.join("deep/copy"), from.join("deep/one")).unwrap();
    is_new("another inode");
    fs::remove_file(from.join("link")).unwrap();
    is_new("a link that is gone");
}

#[test]
fn sockets_are_left_out_and_told() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir_all(from.join("run")).unwrap();
    let _socket = UnixListener::bind(from.join("run/socket")).unwrap();
    fs::write(from.join("run/file"), "").unwrap();
    let survey = Pack::new(&from).unwrap();
    let [LeftOut { path, why: Omission::Kind }] = survey.left_out() else {
        panic!("{:?}", survey.left_out())
    };
    assert_eq!(path, Path::new("run/socket"));
    unpack(&pack(&from), &place.path("to")).unwrap();
    assert_eq!(tree(&place.path("to")).len(), 3);
}

#[test]
fn what_is_not_a_directory_is_not_packed() {
    let place = Place::new();
    for path in [place.path("canary/secret"), place.path("nothing")] {
        let error = Pack::new(&path).unwrap_err();
        assert!(matches!(&error, Error::Local { path: named, .. } if *named == path), "{error}");
    }
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("a"), noise(5000, 1)).unwrap();
    let mut pack = Pack::new(&from).unwrap();
    pack.read_exact(&mut vec![0; 3000]).unwrap();
    File::options().write(true).open(from.join("a")).unwrap().set_len(100).unwrap();
    assert!(changed(&mut pack));
}

#[test]
fn a_file_that_grows_is_cut_and_told() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("a"), noise(5000, 1)).unwrap();
    fs::write(from.join("b"), noise(5000, 2)).unwrap();
    let mut pack = Pack::new(&from).unwrap();
    let mut stream = vec![0; 3000];
    pack.read_exact(&mut stream).unwrap();
    OpenOptions::new().append(true).open(from.join("a")).unwrap().write_all(b"more").unwrap();
    pack.read_to_end(&mut stream).unwrap();
    assert_eq!(pack.changed(), [Path::new("a")]);
    unpack(&stream, &place.path("to")).unwrap();
    assert_eq!(fs::read(place.path("to/a")).unwrap(), noise(5000, 1));
    assert_eq!(fs::read(place.path("to/b")).unwrap(), noise(5000, 2));
}

#[test]
fn what_comes_and_goes_after_the_size_is_told_is_an_error() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir(&from).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(from.join(name), name).unwrap();
    }
    let mut pack = Pack::new(&from).unwrap();
    fs::write(from.join("d"), "").unwrap();
    assert!(changed(&mut pack), "one more");
    let mut pack = Pack::new(&from).unwrap();
    fs::remove_file(from.join("d")).unwrap();
    assert!(changed(&mut pack), "one less");
    let mut pack = Pack::new(&from).unwrap();
    pack.read_exact(&mut [0; 512]).unwrap();
    fs::remove_file(from.join("b")).unwrap();
    assert!(pack.read_to_end(&mut Vec::new()).is_err(), "one that was listed");
    assert!(pack.read_to_end(&mut Vec::new()).is_err(), "and no end follows");
}

#[test]
fn a_link_that_takes_the_place_of_a_directory_is_not_followed() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir_all(from.join("a/b")).unwrap();
    fs::write(from.join("a/b/secret"), "harmless.").unwrap();
    let mut pack = Pack::new(&from).unwrap();
    fs::remove_dir_all(from.join("a/b")).unwrap();
    std::os::unix::fs::symlink(place.path("canary"), from.join("a/b")).unwrap();
    let mut stream = Vec::new();
    assert!(pack.read_to_end(&mut stream).is_err());
    assert!(!stream.windows(9).any(|bytes| bytes == b"untouched"));
}

#[test]
fn more_than_eight_gib_can_be_told() {
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir(&from).unwrap();
    let size = 9 * 1024 * 1024 * 1024;
    File::create(from.join("huge")).unwrap().set_len(size).unwrap();
    fs::write(from.join("last"), "last").unwrap();
    let mut pack = Pack::new(&from).unwrap();
    assert!(pack.total_size() > size);
    // Its headers, then far into it, and the rest of the archive.
    let mut head = vec![0; 4096];
    pack.read_exact(&mut head).unwrap();
    pack.skip(size - 4096).unwrap();
    let mut rest = Vec::new();
    pack.read_to_end(&mut rest).unwrap();
    assert_eq!(4096 + (size - 4096) + rest.len() as u64, pack.total_size());
    assert!(rest.windows(4).any(|bytes| bytes == b"last"));
    // A reader understands the size: it does not take so much, or waits for it.
    let begin = |limit| Unpack::new(&place.path("to"), limit, UnpackOptions::default()).unwrap();
    assert!(begin(Some(size)).take(&head).unwrap_err().is_integrity());
    begin(None).take(&head).unwrap();
}

/// A name that no archive takes is as good as a file that cannot be read, and shows the same to
/// every user.
#[test]
fn what_cannot_be_packed_does_not_keep_the_rest_from_it() {
    let place = Place::new();
    let from = place.path("from");
    let deep = from.join("d/".repeat(MAX_DEPTH - 1));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("last"), "x").unwrap();
    fs::create_dir(deep.join("beyond")).unwrap();
    fs::write(deep.join("beyond/it"), "x").unwrap();
    fs::create_dir(from.join("changes")).unwrap();
    fs::write(from.join("changes/always"), "x").unwrap();
    let survey = Pack::without(&from, &from.join("changes")).unwrap();
    let [changes, beyond] = survey.left_out() else { panic!("{:?}", survey.left_out()) };
    assert!(
        changes.path == Path::new("changes") && matches!(changes.why, Omission::Excluded),
        "{changes:?}"
    );
    assert!(
        beyond.path.ends_with("beyond/it") && matches!(beyond.why, Omission::Unreadable(_)),
        "{beyond:?}"
    );
    let mut archive = Vec::new();
    Pack::without(&from, &from.join("changes")).unwrap().read_to_end(&mut archive).unwrap();
    unpack(&archive, &place.path("to")).unwrap();
    assert_eq!(
        tree(&place.path("to")).len(),
        MAX_DEPTH + 2,
        "the root, the directories and a file"
    );
}
