//! The blocking client: what it returns is whole, and what is not becomes an error.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fss::remote::{Client, Error, Get, MemoryServerKeys, Put, Retry, Trust};
use fss::store::{Store as _, UserName};
use fss::wire::error_frame::ErrorCode;
use fss::{Config, Cookie, Password};

use crate::{Server, code, noise, password};

#[test]
fn files_of_any_size_come_back() {
    let server = Server::start();
    let client = server.client();
    for size in [0, 1, 65_519, 65_520, 70_001, 3_000_000] {
        let content = noise(size);
        for put in [
            Put::default(),
            Put::named("file"),
            Put::named("file").size(size as u64),
            Put::named("file").size(size as u64).compressed(),
        ] {
            let stored = client.put(&*content, &password(), &put).expect("it is stored");
            let mut file = Vec::new();
            let fetched = client.get(&stored, &password(), &mut file).expect("it comes back");
            assert!(file == content, "{size}");
            assert!(matches!(fetched.metadata.name(), None | Some("file")));
            let mut file = Vec::new();
            client.get(&stored.cookie, &password(), &mut file).expect("the cookie is enough");
            assert!(file == content, "{size}");
        }
    }
    let listed = client.list().expect("they are listed");
    assert_eq!(listed.len(), 24);
    client.delete(&listed[0].cookie).expect("it is deleted");
    client.delete(&listed[0].cookie).expect("the answer might have been lost");
    assert_eq!(client.list().expect("they are listed").len(), 23);
}

/// A list of more files than one answer has.
#[test]
fn a_long_list_is_asked_for_until_its_end() {
    let server = Server::start();
    let client = server.client();
    for _ in 0..260 {
        client.put(io::empty(), &password(), &Put::named("empty").size(0)).expect("it is stored");
    }
    assert_eq!(client.list().expect("they are listed").len(), 260);
}

#[test]
fn every_refusal_is_an_error() {
    let server = Server::start();
    let client = server.client();
    let stored = client.put(&b"x"[..], &password(), &Put::named("file")).expect("it is stored");
    let wrong = Password::new("wrong").expect("it can be one");
    let unknown: Cookie = "7".parse().expect("a cookie");
    let mut sink = Vec::new();
    assert_eq!(
        code(&client.get(&stored, &wrong, &mut sink).expect_err("it is not the password")),
        Some(ErrorCode::Refused)
    );
    assert_eq!(
        code(&client.get(&unknown, &wrong, &mut sink).expect_err("there is none")),
        Some(ErrorCode::Refused)
    );
    assert!(sink.is_empty());
    let stranger = server.client();
    assert_eq!(
        code(&stranger.delete(&stored.cookie).expect_err("it is another's")),
        Some(ErrorCode::Refused)
    );
    let name = UserName::parse(b"anna").expect("a name");
    assert_eq!(
        client.sign_up(&name, None).expect("it is open").map(|account| account.name),
        Some(name.clone())
    );
    assert_eq!(
        code(&stranger.sign_up(&name, None).expect_err("it is taken")),
        Some(ErrorCode::NameTaken)
    );
    assert!(client.information().expect("it answers").1.is_some_and(|account| account.used > 0));
}

/// Nothing is sent to a server with another key, pinned or remembered.
#[test]
fn only_the_known_server_is_spoken_to() {
    let (server, other) = (Server::start(), Server::start());
    let known = Arc::new(MemoryServerKeys::default());
    let config = || Config::generate().expect("there are random numbers");
    let pinned = Client::new(config(), &*other.address, server.trust());
    let remembering = Client::new(config(), &*server.address, Trust::OnFirstUse(known.clone()));
    remembering.put(&b"x"[..], &password(), &Put::named("file")).expect("it is new");
    remembering.put(&b"x"[..], &password(), &Put::named("file")).expect("it is known");
    let changed = Arc::new(MemoryServerKeys::default());
    let key = server.config.identity().public_key().fingerprint();
    fss::remote::ServerKeys::remember(&*changed, &other.address, key).expect("it is kept");
    let changed = Client::new(config(), &*other.address, Trust::OnFirstUse(changed));
    for client in [pinned, changed] {
        let refused = client
            .put(&b"secret"[..], &password(), &Put::named("file"))
            .expect_err("it is another server");
        assert!(
            matches!(refused, Error::Session(fss::Error::ServerKeyChanged { .. })),
            "{refused:?}"
        );
        assert!(other.store.is_empty());
    }
    let nowhere = Client::new(config(), "127.0.0.1:1", server.trust()).with_retry(Retry::never());
    assert!(matches!(nowhere.list(), Err(Error::Connect { .. })));
}

/// Gives some bytes, or takes them, and then fails.
struct Breaks(usize);

impl Read for Breaks {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = room.len().min(self.0);
        self.0 -= count;
        if count == 0 { Err(io::Error::other("as the test wants it")) } else { Ok(count) }
    }
}

impl Write for Breaks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        if count == 0 { Err(io::Error::other("as the test wants it")) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::Error::other("as the test wants it"))
    }
}

#[test]
fn what_fails_here_is_neither_stored_nor_delivered() {
    let server = Server::start();
    let client = server.client();
    let broken = client
        .put(Breaks(100_000), &password(), &Put::named("file"))
        .expect_err("it cannot be read");
    assert!(matches!(broken, Error::Source(_)), "{broken:?}");
    assert!(server.store.is_empty());
    let once = client
        .put(&*noise(300_000), &password(), &Put::named("file").downloads(1))
        .expect("it is stored");
    assert_eq!(once.downloads, Some(1));
    for bytes in [100_000, 1_000_000] {
        let broken = client
            .get(&once, &password(), Breaks(bytes))
            .expect_err("it cannot be written or flushed");
        assert!(matches!(broken, Error::Sink(_)), "{broken:?}");
    }
    client.get(&once, &password(), io::sink()).expect("it was not delivered yet");
    assert_eq!(
        code(&client.get(&once, &password(), io::sink()).expect_err("it was")),
        Some(ErrorCode::Refused)
    );
}

/// A few bytes can become as many as there is memory for.
#[test]
fn what_does_not_say_how_large_it_becomes_is_not_unpacked() {
    let server = Server::start();
    let client = server.client();
    let endless = client
        .put(&*vec![0; 1_000_000], &password(), &Put::named("file").compressed())
        .expect("it is stored");
    assert!(matches!(client.get(&endless, &password(), io::sink()), Err(Error::Unbounded)));
    let liar = client
        .put(&*vec![0; 1_000_000], &password(), &Put::named("file").size(10).compressed())
        .expect("it is stored");
    let mut sink = Vec::new();
    assert!(matches!(client.get(&liar, &password(), &mut sink), Err(Error::Content(_))));
    assert!(sink.len() <= 10);
}

/// A file of FSS 1.0 is recognised before its password is proved to any server.
#[test]
fn a_file_of_fss1_is_none_of_these() {
    let server = Server::start();
    let verifier = fss::crypto::legacy::FileKey::derive(&password()).verifier();
    let upload =
        server.store.create(&fss::store::NewFile::Legacy { verifier }).expect("the store works");
    let cookie = upload.cookie().clone();
    upload.commit().expect("it is stored");
    let client = server.client();
    assert!(matches!(client.get(&cookie, &password(), io::sink()), Err(Error::NotSealed)));
    // Nor is the password proved after it has been used for sealed files.
    let legacy = Get::legacy(&cookie, Some(0));
    let refused = client.get(legacy.clone(), &password(), io::sink());
    assert!(matches!(refused, Err(Error::PasswordSealsFiles)));
    let client = server.client();
    let fetched = client.get(legacy, &password(), io::sink()).expect("it was asked for");
    assert_eq!(fetched.size, 0);
    let refused = client.put(&b"x"[..], &password(), &Put::default());
    assert!(matches!(refused, Err(Error::PasswordWasSent)));
}

#[test]
fn a_file_comes_back_to_a_path_whole_or_not_at_all() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let client = server.client();
    let content = noise(300_000);
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("file"), &content).expect("written");
    let stored = client
        .put_path(&path("file"), &password(), &Put::default().downloads(2))
        .expect("it is stored");
    let fetched = client.get_path(&stored, &password(), &path("back")).expect("it comes back");
    assert_eq!((fetched.metadata.name(), fetched.metadata.size()), (Some("file"), Some(300_000)));
    assert!(std::fs::read(path("back")).expect("it is there") == content);
    let there =
        client.get_path(&stored, &password(), &path("file")).expect_err("something is there");
    assert!(
        matches!(&there, Error::Sink(error) if error.kind() == io::ErrorKind::AlreadyExists),
        "{there:?}"
    );
    let wrong = Password::new("wrong").expect("it can be one");
    assert!(client.get_path(&stored, &wrong, &path("other")).is_err());
    assert!(matches!(
        client.put_path(Path::new("/dev/null"), &password(), &Put::default()),
        Err(Error::Source(_))
    ));
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("readable").count(),
        2,
        "nothing else is left"
    );
}

/// The list of servers of a profile is that of this client too.
#[test]
fn a_profile_remembers_servers() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let profile = fss::profile::Profile::open(directory.path()).expect("it opens");
    let trust = Trust::OnFirstUse(Arc::new(profile.known_servers()));
    let client =
        Client::new(Config::generate().expect("there are random numbers"), &*server.address, trust);
    client.information().expect("it is new");
    let known =
        profile.known_servers().get(&server.address).expect("readable").expect("it is remembered");
    assert_eq!(known.fingerprint, server.config.identity().public_key().fingerprint());
}

#[test]
fn progress_ends_with_the_size() {
    let server = Server::start();
    let client = server.client();
    let content = noise(500_000);
    for compressed in [false, true] {
        let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (sending, receiving) = (Arc::clone(&sent), Arc::clone(&received));
        let put = Put::named("file").size(500_000).on_progress(move |progress| {
            assert_eq!(progress.total, Some(500_000));
            assert!(progress.bytes >= sending.swap(progress.bytes, Ordering::Relaxed));
        });
        let put = if compressed { put.compressed() } else { put };
        let stored = client.put(&*content, &password(), &put).expect("it is stored");
        let get = Get::from(&stored).on_progress(move |progress| {
            assert_eq!(progress.total, Some(500_000));
            assert!(progress.bytes >= receiving.swap(progress.bytes, Ordering::Relaxed));
        });
        let fetched = client.get(get, &password(), io::sink()).expect("it comes back");
        assert_eq!(fetched.size, 500_000);
        assert_eq!(sent.load(Ordering::Relaxed), 500_000);
        assert_eq!(received.load(Ordering::Relaxed), 500_000);
    }
}

/// Before anything is written, where the size is known.
#[test]
fn a_limit_of_the_size_holds_for_what_it_becomes() {
    let server = Server::start();
    let client = server.client();
    for put in [
        Put::named("file"),
        Put::named("file").size(300_000),
        Put::named("file").size(300_000).compressed(),
    ] {
        let stored = client.put(&*vec![7; 300_000], &password(), &put).expect("it is stored");
        let mut sink = Vec::new();
        let refused = client.get(Get::from(&stored).at_most(299_999), &password(), &mut sink);
        assert!(matches!(refused, Err(Error::TooLarge { size: 300_000, limit: 299_999 })));
        assert!(sink.is_empty());
        client.get(Get::from(&stored).at_most(300_000), &password(), &mut sink).expect("it fits");
    }
}

#[test]
fn the_password_is_enough_to_delete_a_file_of_another() {
    let server = Server::start();
    let (owner, other) = (server.client(), server.client());
    for is_known in [false, true] {
        let stored = owner.put(&b"x"[..], &password(), &Put::named("file")).expect("it is stored");
        let get = || if is_known { Get::from(&stored) } else { Get::from(&stored.cookie) };
        let wrong = Password::new("wrong").expect("it can be one");
        let refused = other.delete_with_password(get(), &wrong).expect_err("it is wrong");
        assert_eq!(code(&refused), Some(ErrorCode::Refused));
        other.delete_with_password(get(), &password()).expect("it is right");
        assert!(owner.list().expect("it is listed").is_empty());
    }
}

#[test]
fn a_directory_comes_back() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let client = server.client();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(path("tree/within")).expect("made");
    std::fs::write(path("tree/file"), noise(100_000)).expect("written");
    std::fs::write(path("tree/within/empty"), b"").expect("written");
    for put in [Put::default(), Put::default().compressed()] {
        let stored = client.put_path(&path("tree"), &password(), &put).expect("it is stored");
        let fetched = client.get_path(&stored, &password(), &path("back")).expect("it comes back");
        assert_eq!(fetched.metadata.name(), Some("tree"));
        assert_eq!(std::fs::read(path("back/file")).expect("it is there"), noise(100_000));
        assert!(path("back/within/empty").is_file());
        let again = client.get_path(&stored, &password(), &path("back"));
        assert!(matches!(again, Err(Error::Sink(_))), "nothing is replaced");
        std::fs::remove_dir_all(path("back")).expect("removed");
    }
}

#[test]
fn fss1_is_spoken_where_nothing_better_is_known() {
    let server = Server::start();
    let pinned = server.client();
    assert!(matches!(pinned.legacy(), Err(Error::Downgrade)));
    let known = Arc::new(MemoryServerKeys::default());
    let config = Config::generate().expect("there are random numbers");
    let client = Client::new(config, &*server.address, Trust::OnFirstUse(known));
    let (content, size) = (noise(3000), 3000);
    let legacy = client.legacy().expect("nothing is known of it");
    let (cookie, stored) = legacy.put(&*content, &password()).expect("it is stored");
    assert_eq!(stored, size);
    for (known, guessed) in [(Some(size), false), (None, true)] {
        let mut file = Vec::new();
        let fetched = legacy.get(&cookie, &password(), known, &mut file).expect("it comes back");
        assert_eq!((file, fetched.size, fetched.guessed), (content.clone(), size, guessed));
    }
    assert!(matches!(
        client.put(&b"x"[..], &password(), &Put::default()),
        Err(Error::PasswordWasSent)
    ));
    client.list().expect("it speaks FSS/2");
    assert!(matches!(client.legacy(), Err(Error::Downgrade)));
    client.downgraded().get(&cookie, &password(), None, io::sink()).expect("it was insisted on");
}
