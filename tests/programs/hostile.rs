//! Archives of strangers: what they packed is unpacked beneath its own directory, or nothing of it is.

use std::io::Write as _;

use bytes::Bytes;
use fss::crypto::{Fingerprint, default_provider};
use fss::sealed::{Cost, Header, Master, Metadata, Writer};
use fss::store::{EmbeddedStore, NewFile, NewUpload, Store as _};
use fss::{Password, SystemRng};

use super::world::{NONE, World, fails, run};

#[allow(dead_code, reason = "the tests of archives use all of it")]
#[path = "../archive/raw.rs"]
mod raw;

use raw::Raw;

/// Puts a file with this content into a server's store, sealed with the password `its own`.
fn put(world: &World, content: &[u8], metadata: &Metadata) -> String {
    let header = Header::new(Cost::USUAL, &mut SystemRng);
    let password = Password::new("its own").expect("valid");
    let key = Master::derive(&password, &header).expect("there is memory").key(&header, &*default_provider());
    let mut writer = Writer::new(Vec::new(), &key, &header, metadata, SystemRng).expect("it is short");
    writer.write_all(content).expect("there is memory");
    let sealed = writer.finish().expect("there is memory").split_off(Header::LENGTH);
    let verifier = key.verifier().clone();
    let upload = NewUpload { header, verifier, size: None, keep: None, downloads: None };
    let store = EmbeddedStore::in_directory(&world.path("data")).expect("it opens");
    let file = NewFile::Sealed { upload, owner: Fingerprint::from_bytes([1; 32]) };
    let mut upload = store.create(&file).expect("there is room");
    upload.write(0, Bytes::from(sealed)).expect("there is room");
    let cookie = upload.cookie().as_str().to_owned();
    upload.commit().expect("there is room");
    cookie
}

/// 10 GiB of zeros, as zstd would never write them: one frame of blocks that are a byte and how often it comes.
fn bomb() -> Vec<u8> {
    const BLOCK: u32 = 128 * 1024;
    const REPEATED: u32 = 1 << 1;
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let blocks = (1..=10 * 1024 * 8).map(|block| (BLOCK << 3) | REPEATED | u32::from(block == 10 * 1024 * 8));
    let blocks = blocks.flat_map(|header| [header.to_le_bytes()[0], header.to_le_bytes()[1], header.to_le_bytes()[2], 0]);
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
    let said = |kind, encoding| Metadata::named("gift").with("kind", kind).with("encoding", encoding);
    let world = World::new();
    let mut cookies: Vec<_> = plain
        .map(|(name, archive)| {
            let archive = archive.end();
            (name, put(&world, &archive, &said("directory", "identity").with("size", archive.len().to_string())))
        })
        .into();
    // They say that they have less than they have, or a reader would take them for what they are; or nothing of it.
    for (name, kind) in [("a bomb that is a directory", "directory"), ("a bomb", "file")] {
        cookies.push((name, put(&world, &bomb(), &said(kind, "zstd").with("size", "1048576"))));
    }
    cookies.push(("a bomb that says nothing", put(&world, &bomb(), &said("file", "zstd"))));
    let server = world.serve(&NONE);
    for (name, cookie) in cookies {
        let mut download = world.stranger(&server, &["download", &cookie, "--own-password", "-o", "gift"]);
        let told = fails(&run(download.env("FSS_FILE_PASSWORD", "its own")), 15, &["try:  "]);
        assert!(!told.contains('\x1b'), "{name}");
        let of_its_size = told.contains("another size than was announced") || told.contains("how large it becomes");
        assert_eq!(name.contains("bomb"), of_its_size, "{name}: {told}");
        let left: Vec<_> = std::fs::read_dir(world.directory.path())
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name())
            .filter(|name| !["data", "stranger"].iter().any(|known| name == known))
            .collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}
