//! Archives of strangers: what they packed is unpacked beneath its own directory, or nothing of it
//! is.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use bytes::Bytes;
use fss::crypto::{Fingerprint, default_provider};
use fss::sealed::{Cost, Header, MasterKey, Metadata, Writer};
use fss::store::{EmbeddedStore, NewFile, NewUpload, Store as _};
use fss::{Password, SystemRng};

use fss_test_support::harness::{Harness, NONE, Server, fails, run};

use fss_test_support::raw_archive::Raw;

/// Puts a file with this content into a server's store, sealed with the password `its own`.
fn put(harness: &Harness, content: &[u8], metadata: &Metadata) -> String {
    let header = Header::new(Cost::DEFAULT, &mut SystemRng);
    let password = Password::new("its own").expect("valid");
    let key = MasterKey::derive(&password, &header)
        .expect("there is memory")
        .key(&header, &*default_provider());
    let mut writer =
        Writer::new(Vec::new(), &key, &header, metadata, SystemRng).expect("it is short");
    writer.write_all(content).expect("there is memory");
    let sealed = writer.finish().expect("there is memory").split_off(Header::LENGTH);
    let verifier = key.verifier().clone();
    let upload = NewUpload::new(header, verifier);
    let store = EmbeddedStore::in_directory(&harness.path("data")).expect("it opens");
    let file = NewFile::Sealed { upload, owner: Fingerprint::from_bytes([1; 32]) };
    let mut upload = store.create(&file).expect("there is room");
    upload.write(0, Bytes::from(sealed)).expect("there is room");
    let cookie = upload.cookie().as_str().to_owned();
    upload.commit().expect("there is room");
    cookie
}

/// 10 GiB of zeros, as zstd would never write them: one frame of blocks that are a byte and how
/// often it comes.
fn bomb() -> Vec<u8> {
    const BLOCK: u32 = 128 * 1024;
    const REPEATED: u32 = 1 << 1;
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let blocks = (1..=10 * 1024 * 8)
        .map(|block| (BLOCK << 3) | REPEATED | u32::from(block == 10 * 1024 * 8));
    let blocks = blocks.flat_map(|header| {
        [header.to_le_bytes()[0], header.to_le_bytes()[1], header.to_le_bytes()[2], 0]
    });
    frame.into_iter().chain(blocks).collect()
}

#[test]
fn a_hostile_archive_writes_nothing_and_is_15() {
    let archive = || Raw::default();
    let plain = [
        ("up", archive().file(b"../canary", b"x")),
        ("up in the middle", archive().file(b"a/../../canary", b"x")),
        ("absolute", archive().file(b"/tmp/canary", b"x")),
        ("a link out", archive().link(b"link", b"..").file(b"link/canary", b"x")),
        ("through a link", archive().link(b"link", b".").file(b"link/canary", b"x")),
        ("a hard link", archive().entry(b'1', b"passwd", b"/etc/passwd", b"")),
        ("a device", archive().entry(b'4', b"disk", b"", b"")),
        ("escape sequences", archive().file(b"\x1b[2J/../canary", b"x")),
    ];
    let said =
        |kind, encoding| Metadata::named("gift").with("kind", kind).with("encoding", encoding);
    let harness = Harness::new();
    let mut cookies: Vec<_> = plain
        .map(|(name, archive)| {
            let archive = archive.end();
            (
                name,
                put(
                    &harness,
                    &archive,
                    &said("directory", "identity").with("size", archive.len().to_string()),
                ),
            )
        })
        .into();
    // They say that they have less than they have, or a reader would take them for what they are;
    // or nothing of it.
    for (name, kind) in [("a bomb that is a directory", "directory"), ("a bomb", "file")] {
        cookies.push((name, put(&harness, &bomb(), &said(kind, "zstd").with("size", "1048576"))));
    }
    cookies.push(("a bomb that says nothing", put(&harness, &bomb(), &said("file", "zstd"))));
    let server = harness.serve(&NONE);
    for (name, cookie) in cookies {
        let mut download =
            harness.stranger(&server, &["download", &cookie, "--own-password", "-o", "gift"]);
        let told = fails(&run(download.env("FSS_FILE_PASSWORD", "its own")), 15, &["try:  "]);
        assert!(!told.contains('\x1b'), "{name}");
        let of_its_size = told.contains("another size than was announced")
            || told.contains("its decompressed size");
        assert_eq!(name.contains("bomb"), of_its_size, "{name}: {told}");
        let left: Vec<_> = std::fs::read_dir(harness.directory.path())
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name())
            .filter(|name| !["data", "stranger"].iter().any(|known| name == known))
            .collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

fn download(harness: &Harness, server: &Server, cookie: &str, arguments: &[&str]) -> Output {
    let mut download =
        harness.stranger(server, &[&["download", cookie, "--own-password"], arguments].concat());
    run(download.env("FSS_FILE_PASSWORD", "its own"))
}

/// What is in the harness besides the server and the profile.
fn files(harness: &Harness) -> Vec<OsString> {
    let entries = std::fs::read_dir(harness.directory.path()).expect("readable");
    let names = entries.map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<_> =
        names.filter(|name| !["data", "stranger"].iter().any(|known| name == known)).collect();
    names.sort();
    names
}

/// The uploader's name is a suggestion: it is no option, hides nothing, and replaces nothing.
#[test]
fn a_name_of_a_stranger_decides_nothing() {
    let long = "l".repeat(400) + ".txt";
    let cut = "l".repeat(236) + ".txt";
    let names: [(&[u8], &[u8]); 14] = [
        (b"-", b"_"),
        (b"-rf", b"_rf"),
        (b"--force", b"_-force"),
        (b".bashrc", b"_bashrc"),
        (b"/etc/passwd", b"passwd"),
        (b"../../up", b"up"),
        (b"up/.", b""),
        (b"..", b""),
        ("a\u{202e}fdp.exe".as_bytes(), b"a_fdp.exe"),
        (b"\x1b[2J", b"_[2J"),
        ("a\u{3164}b\u{34f}c\u{e0100}d".as_bytes(), b"a_b_c_d"),
        ("\u{2764}\u{fe0f}".as_bytes(), "\u{2764}\u{fe0f}".as_bytes()),
        (b"caf\xe9", b"caf\xe9"),
        (long.as_bytes(), cut.as_bytes()),
    ];
    let harness = Harness::new();
    let cookies = names.map(|(name, _)| put(&harness, b"a gift", &Metadata::with_name_bytes(name)));
    let server = harness.serve(&NONE);
    for ((name, written), cookie) in names.into_iter().zip(cookies) {
        let output = download(&harness, &server, &cookie, &["--force"]);
        let told = fails(&output, 0, &["(6 bytes)"]);
        assert_eq!(output.stdout, b"", "{name:?}");
        assert!(!told.contains('\x1b') && !told.contains('\u{202e}'), "{told}");
        let written = if written.is_empty() { cookie.as_bytes() } else { written };
        assert_eq!(files(&harness), [OsStr::from_bytes(written)], "{name:?}");
        std::fs::remove_file(harness.directory.path().join(OsStr::from_bytes(written)))
            .expect("it is there");
    }
}

/// `--force` is for names that the user has given.
#[test]
fn a_name_of_a_stranger_replaces_nothing() {
    let harness = Harness::new();
    let gift = put(&harness, b"all: ; rm -rf /", &Metadata::named("Makefile"));
    let server = harness.serve(&NONE);
    harness.write("Makefile", b"mine");
    for (arguments, name) in [([].as_slice(), "Makefile.1"), (&["--force"], "Makefile.2")] {
        let told = [
            &*format!(
                "Makefile is there already, and only its uploader calls it so: it becomes {name}"
            ),
            name,
        ];
        fails(&download(&harness, &server, &gift, arguments), 0, &told);
        assert_eq!(harness.read("Makefile"), b"mine");
        assert_eq!(harness.read(name), b"all: ; rm -rf /");
    }
    fails(&download(&harness, &server, &gift, &["-o", "Makefile"]), 1, &["is not overwritten"]);
    fails(
        &download(&harness, &server, &gift, &["-o", "Makefile", "--force"]),
        0,
        &["Makefile (15 bytes)"],
    );
    assert_eq!(harness.read("Makefile"), b"all: ; rm -rf /");
}

#[test]
fn the_umask_holds_whatever_mode_a_stranger_gives() {
    let harness = Harness::new();
    let file = put(&harness, b"#!/bin/sh", &Metadata::named("tool").with("mode", "6777"));
    let archive = [(b'0', b"tool"), (b'5', b"dirs")]
        .into_iter()
        .fold(Raw::default(), |archive, (kind, name)| {
            archive.changed(kind, name, |block| block[100..107].copy_from_slice(b"0006777"))
        })
        .end();
    let said =
        Metadata::named("tree").with("kind", "directory").with("size", archive.len().to_string());
    let tree = put(&harness, &archive, &said);
    let server = harness.serve(&NONE);
    for (umask, mode) in [("027", 0o750), ("077", 0o700), ("000", 0o777)] {
        for cookie in [&file, &tree] {
            let mut client = harness.stranger(&server, &[]);
            client.args(["download", cookie, "--own-password", "-o", cookie]);
            let mut masked = Command::new("sh");
            masked
                .args(["-c", "umask \"$0\" && exec \"$@\"", umask])
                .arg(client.get_program())
                .args(client.get_args());
            masked.current_dir(harness.directory.path()).env("FSS_FILE_PASSWORD", "its own");
            masked.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
            fails(&run(&mut masked), 0, &[]);
        }
        let of = |path: &str| {
            std::fs::metadata(harness.path(path)).expect("there").permissions().mode() & 0o7777
        };
        assert_eq!(of(&file), mode, "{umask}");
        assert_eq!(
            (of(&format!("{tree}/tool")), of(&format!("{tree}/dirs"))),
            (mode, mode),
            "{umask}"
        );
        std::fs::remove_file(harness.path(&file)).expect("removed");
        std::fs::remove_dir_all(harness.path(&tree)).expect("removed");
    }
}

/// Its declared size is true. The user has to confirm it, and the disk must have the space.
#[test]
fn what_becomes_far_more_is_asked_about_before_anything_is_written() {
    let harness = Harness::new();
    let said =
        |size: u64| Metadata::named("gift").with("encoding", "zstd").with("size", size.to_string());
    let large = 10 << 30;
    let [suspicious, endless] = [large, 1 << 62].map(|size| put(&harness, &bomb(), &said(size)));
    // Of 200 MiB, as many directories as take 1.6 GiB.
    let directories = put(&harness, &bomb(), &said(200 << 20).with("kind", "directory"));
    let server = harness.serve(&NONE);
    let told = fails(
        &download(&harness, &server, &suspicious, &[]),
        15,
        &["are to become 10737418240", "--size 10737418240"],
    );
    assert!(told.contains("cannot download"), "{told}");
    fails(
        &download(&harness, &server, &directories, &[]),
        15,
        &["are to become 209715200", "--size 209715200"],
    );
    fails(
        &download(&harness, &server, &endless, &[]),
        14,
        &["4611686018427387904 bytes", "are free there"],
    );
    fails(
        &download(&harness, &server, &endless, &["--size", "4611686018427387904"]),
        14,
        &["make room"],
    );
    assert_eq!(files(&harness), Vec::<OsString>::new());
}
