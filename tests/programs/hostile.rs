//! Archives of strangers: what they packed is unpacked beneath its own directory, or nothing of it is.

use std::io::Write as _;

use bytes::Bytes;
use fss::compress::Encoder;
use fss::crypto::{Fingerprint, default_provider};
use fss::sealed::{Cost, Header, Master, Metadata, Writer};
use fss::store::{EmbeddedStore, NewFile, NewUpload, Store as _};
use fss::{Password, SystemRng};

use super::world::{NONE, World, fails, run};

#[allow(dead_code, reason = "the tests of archives use all of it")]
#[path = "../archive/raw.rs"]
mod raw;

use raw::Raw;

/// Puts a directory that is this archive into a server's store, sealed with the password `its own`.
fn put(world: &World, archive: &[u8], encoding: &str) -> String {
    let header = Header::new(Cost::USUAL, &mut SystemRng);
    let password = Password::new("its own").expect("valid");
    let key = Master::derive(&password, &header).expect("there is memory").key(&header, &*default_provider());
    let metadata =
        Metadata::named("gift").with("kind", "directory").with("encoding", encoding).with("size", archive.len().to_string());
    let mut writer = Writer::new(Vec::new(), &key, &header, &metadata, SystemRng).expect("it is short");
    writer.write_all(archive).expect("there is memory");
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

#[test]
fn a_hostile_archive_writes_nothing_and_is_15() {
    let mut bomb = Vec::new();
    let zeros = Raw::default().file(b"zeros", &vec![0; 8 * 1024 * 1024]).end();
    std::io::copy(&mut Encoder::new(&zeros[..]).expect("there is memory"), &mut bomb).expect("written");
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
    let plain = plain.map(|(name, archive)| (name, archive.end(), "identity"));
    // It says that it has less than it has, or a reader would take it for what it is.
    let archives = plain.into_iter().chain([("a bomb", bomb, "zstd")]);
    let world = World::new();
    let put = |(name, archive, encoding): (&'static str, Vec<u8>, &str)| (name, put(&world, &archive, encoding));
    let cookies: Vec<_> = archives.map(put).collect();
    let server = world.serve(&NONE);
    for (name, cookie) in cookies {
        let mut download = world.stranger(&server, &["download", &cookie, "--own-password", "-o", "gift"]);
        let told = fails(&run(download.env("FSS_FILE_PASSWORD", "its own")), 15, &["nothing of it was kept"]);
        assert!(!told.contains('\x1b'), "{name}");
        let left: Vec<_> = std::fs::read_dir(world.directory.path())
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name())
            .filter(|name| !["data", "stranger"].iter().any(|known| name == known))
            .collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}
