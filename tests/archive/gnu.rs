//! GNU tar reads what we pack, and we unpack what it packs.

use std::fs;
use std::path::Path;
use std::process::Command;

use fss::archive::UnpackOptions;

use crate::round_trips::{kept, variety};
use crate::{Place, pack, tree, unpack, unpack_cut};

fn gnu_tar() -> bool {
    let version = Command::new("tar").arg("--version").output();
    let there = version.is_ok_and(|output| output.stdout.starts_with(b"tar (GNU tar)"));
    if !there {
        eprintln!("SKIPPED: there is no GNU tar here");
    }
    there
}

fn tar(arguments: &[&str], directory: &Path) -> Vec<u8> {
    let output = Command::new("tar")
        .args(arguments)
        .current_dir(directory)
        .env("LC_ALL", "C")
        .output()
        .expect("it is there");
    assert!(
        output.status.success(),
        "tar {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stderr
}

#[test]
fn it_reads_what_we_pack() {
    if !gnu_tar() {
        return;
    }
    let place = Place::new();
    let from = place.path("from");
    variety(&from);
    fs::write(place.path("packed.tar"), pack(&from)).unwrap();
    fs::create_dir(place.path("to")).unwrap();
    let complaints = tar(&["-xpf", "../packed.tar"], &place.path("to"));
    assert_eq!(String::from_utf8_lossy(&complaints), "");
    assert_eq!(tree(&place.path("to")), kept(&from));
}

#[test]
fn we_unpack_what_it_packs() {
    crate::without_umask();
    if !gnu_tar() {
        return;
    }
    let place = Place::new();
    let from = place.path("from");
    variety(&from);
    for format in ["gnu", "posix", "oldgnu"] {
        tar(&["-cf", "../packed.tar", "--format", format, "."], &from);
        unpack(&fs::read(place.path("packed.tar")).unwrap(), &place.path(format)).unwrap();
        let (mut there, mut expected) = (tree(&place.path(format)), kept(&from));
        if format != "posix" {
            // The others know whole seconds only.
            for thing in there.values_mut().chain(expected.values_mut()) {
                thing.mtime.1 = 0;
            }
        }
        assert_eq!(there, expected, "{format}");
    }
}

#[test]
fn old_formats_and_archives_without_their_directories_are_unpacked() {
    if !gnu_tar() {
        return;
    }
    let place = Place::new();
    let from = place.path("from");
    fs::create_dir_all(from.join("a/b")).unwrap();
    fs::write(from.join("a/b/file"), "content").unwrap();
    for format in ["v7", "ustar"] {
        for what in ["a/b/file", "a", "./a"] {
            tar(&["-cf", "../packed.tar", "--format", format, what], &from);
            let stream = fs::read(place.path("packed.tar")).unwrap();
            unpack_cut(
                &stream,
                &place.path("to"),
                UnpackOptions { replace: true, ..UnpackOptions::default() },
                700,
            )
            .unwrap();
            assert_eq!(fs::read(place.path("to/a/b/file")).unwrap(), b"content", "{format} {what}");
        }
    }
}
