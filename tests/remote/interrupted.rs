//! Connections that break: what was on its way is resumed, and comes once.

use std::io::{self, Cursor, Read as _};
use std::sync::Arc;
use std::time::Duration;

use fss::profile::Profile;
use fss::remote::{Client, Error, Get, Journal, MemoryJournal, Put, Retry};
use fss::wire::error_frame::ErrorCode;
use fss::{Config, Cookie};

use crate::{BreakingLine, Server, code, noise, password};

const MIB: usize = 1 << 20;

/// Larger than two checkpoints.
const LARGE: usize = 40 * MIB;

/// Fast, so that a test need not wait.
fn retry() -> Retry {
    Retry::default().pauses(Duration::from_millis(1), Duration::from_millis(5))
}

fn client(server: &Server, line: &BreakingLine) -> Client {
    let config = Config::generate().expect("there are random numbers");
    Client::new(config, &*line.address, server.trust()).with_retry(retry())
}

#[test]
fn an_upload_is_resumed_from_what_the_server_has() {
    let server = Server::start();
    let content = noise(LARGE);
    for put in
        [Put::named("file").size(LARGE as u64), Put::named("file").size(LARGE as u64).compressed()]
    {
        // The first connection passes one checkpoint, the second another one; the third says the
        // last word, and its answer is lost.
        let line = BreakingLine::to(
            &server,
            &[(20 * MIB, usize::MAX), (20 * MIB, usize::MAX), (usize::MAX, 3000)],
        );
        let client = client(&server, &line);
        let stored =
            client.put_seekable(Cursor::new(&content), &password(), &put).expect("it is stored");
        assert!(line.connections() >= 3, "{}", line.connections());
        assert_eq!(client.list().expect("it is listed").len(), 1, "it is there once");
        let mut file = Vec::new();
        client.get(&stored, &password(), &mut file).expect("it comes back");
        assert!(file == content);
        client.delete(&stored.cookie).expect("it is deleted");
    }
}

#[test]
fn a_download_is_resumed_from_what_its_sink_has() {
    let server = Server::start();
    let content = noise(LARGE);
    let size = LARGE as u64;
    for put in [Put::named("file").size(size), Put::named("file").size(size).compressed()] {
        let stored = server.client().put(&*content, &password(), &put).expect("it is stored");
        let breaks = [5 * MIB, 20 * MIB, 20 * MIB].map(|down| (usize::MAX, down));
        for get in [Get::from(&stored), Get::from(&stored.cookie)] {
            let line = BreakingLine::to(&server, &breaks);
            let mut file = Vec::new();
            let fetched =
                client(&server, &line).get(get, &password(), &mut file).expect("it comes back");
            assert!(file == content);
            assert_eq!((fetched.size, line.connections()), (size, 4));
        }
    }
}

#[test]
fn paths_are_resumed_too() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("tree")).expect("made");
    std::fs::write(path("tree/file"), noise(LARGE)).expect("written");
    for source in ["tree", "tree/file"] {
        for put in [Put::default(), Put::default().compressed()] {
            let line = BreakingLine::to(&server, &[(20 * MIB, usize::MAX)]);
            let stored = client(&server, &line)
                .put_path(&path(source), &password(), &put)
                .expect("it is stored");
            assert_eq!(line.connections(), 2);
            let line = BreakingLine::to(&server, &[(usize::MAX, 20 * MIB)]);
            client(&server, &line)
                .get_path(&stored, &password(), &path("back"))
                .expect("it comes back");
            assert_eq!(line.connections(), 2);
            let back = if source == "tree" { path("back/file") } else { path("back") };
            assert!(std::fs::read(&back).expect("it is there") == noise(LARGE));
            std::fs::remove_file(&back).expect("removed");
            let _ = std::fs::remove_dir(path("back"));
        }
    }
}

/// The process that began is gone: another one has its journal.
#[test]
fn what_another_process_has_begun_is_resumed() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let path = |name: &str| directory.path().join(name);
    let profile = Profile::open(&path("profile")).expect("a profile");
    let journals: [Arc<dyn Journal>; 2] =
        [Arc::new(MemoryJournal::default()), Arc::new(profile.transfers().expect("its journal"))];
    std::fs::create_dir(path("tree")).expect("made");
    std::fs::write(path("tree/file"), noise(LARGE)).expect("written");
    for (journal, source) in journals.iter().zip(["tree/file", "tree"]) {
        for is_compressed in [false, true] {
            let put = if is_compressed { Put::default().compressed() } else { Put::default() };
            let config = Config::generate().expect("there are random numbers");
            let line = BreakingLine::to(&server, &[(20 * MIB, usize::MAX)]);
            let process = || {
                Client::new(config.clone(), &*line.address, server.trust())
                    .with_retry(Retry::never())
                    .with_journal(Arc::clone(journal))
            };
            let lost = process().put_path(&path(source), &password(), &put);
            assert!(lost.expect_err("the line breaks").is_transient());
            let stored =
                process().put_path(&path(source), &password(), &put).expect("it is stored");
            assert!(line.carried() < LARGE + 8 * MIB, "{} bytes", line.carried());
            assert_eq!(process().list().expect("it answers").len(), 1, "it is there once");

            let line = BreakingLine::to(&server, &[(usize::MAX, 20 * MIB)]);
            let process = || {
                Client::new(config.clone(), &*line.address, server.trust())
                    .with_retry(Retry::never())
                    .with_journal(Arc::clone(journal))
            };
            let get = |client: Client| client.get_path(&stored, &password(), &path("back"));
            assert!(get(process()).expect_err("the line breaks").is_transient());
            assert!(!path("back").exists());
            get(process()).expect("it comes back");
            // What is unpacked or decompressed begins anew.
            if source == "tree/file" && !is_compressed {
                assert!(line.carried() < LARGE + 8 * MIB, "{} bytes", line.carried());
            }
            let back = if source == "tree" { path("back/file") } else { path("back") };
            assert!(std::fs::read(&back).expect("it is there") == noise(LARGE));
            std::fs::remove_file(&back).expect("removed");
            let _ = std::fs::remove_dir(path("back"));
            let left = std::fs::read_dir(directory.path()).expect("read");
            assert_eq!(left.count(), 2, "the profile and the tree");
        }
    }
}

/// A part that is not what was noted is not continued, and none of it is in the file.
#[test]
fn a_part_that_was_changed_is_not_used() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("file");
    let stored = server
        .client()
        .put(&*noise(LARGE), &password(), &Put::named("file"))
        .expect("it is stored");
    let line = BreakingLine::to(&server, &[(usize::MAX, 20 * MIB)]);
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let client = client(&server, &line).with_retry(Retry::never()).with_journal(journal);
    client.get_path(&stored, &password(), &path).expect_err("the line breaks");
    let parts: Vec<_> = std::fs::read_dir(directory.path()).expect("read").collect();
    assert_eq!(parts.len(), 1);
    let part = parts[0].as_ref().expect("read").path();
    let mut content = std::fs::read(&part).expect("read");
    content[1_000_000] ^= 1;
    std::fs::write(&part, content).expect("written");
    client.get_path(&stored, &password(), &path).expect("it comes back");
    assert!(std::fs::read(&path).expect("it is there") == noise(LARGE));
    assert_eq!(std::fs::read_dir(directory.path()).expect("read").count(), 1, "no part is left");
}

/// An answer that is lost is asked for again.
#[test]
fn what_has_no_file_is_tried_again() {
    let server = Server::start();
    let stored =
        server.client().put(&b"x"[..], &password(), &Put::named("file")).expect("it is stored");
    let breaks = [(0, usize::MAX), (500, usize::MAX), (usize::MAX, 0), (usize::MAX, 2000)];
    let line = BreakingLine::to(&server, &breaks);
    let client = client(&server, &line);
    assert_eq!(client.list().expect("it answers").len(), 0, "it is another's");
    client.delete_with_password(&stored, &password()).expect("it is deleted");
    assert!(line.connections() > 4);
}

/// What was read of a pipe is gone. Before that the connection may break as often as it likes.
#[test]
fn a_source_that_cannot_be_read_again_is_not() {
    let server = Server::start();
    let line = BreakingLine::to(&server, &[(0, 0), (500, 500), (3 * MIB, usize::MAX)]);
    let client = client(&server, &line);
    let lost = client
        .put(io::repeat(7).take(8 << 20), &password(), &Put::named("file"))
        .expect_err("it broke in the middle");
    assert!(lost.is_transient(), "{lost:?}");
    assert_eq!(line.connections(), 3);
    assert!(client.list().expect("it answers").is_empty());
}

#[test]
fn attempts_come_to_an_end() {
    let server = Server::start();
    let line = BreakingLine::to(&server, &[(0, 0); 100]);
    let lost = client(&server, &line).list().expect_err("it breaks for ever");
    assert!(lost.is_transient(), "{lost:?}");
    assert_eq!(line.connections(), 5);
}

#[test]
fn a_refusal_is_not_tried_again() {
    let server = Server::start();
    let line = BreakingLine::to(&server, &[]);
    let unknown: Cookie = "7".parse().expect("a cookie");
    let refused = client(&server, &line).get(&unknown, &password(), io::sink());
    assert_eq!(code(&refused.expect_err("there is none")), Some(ErrorCode::Refused));
    assert_eq!(line.connections(), 1);
}

/// What the server has of it is not continued with other bytes.
#[test]
fn a_file_that_is_changed_while_it_is_uploaded_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    std::fs::write(&path, noise(LARGE)).expect("written");
    let server = Server::start();
    let line = BreakingLine::to(&server, &[(20 * MIB, usize::MAX)]);
    let client = client(&server, &line);
    let changing = path.clone();
    let put = Put::default().on_progress(move |progress| {
        if (10 << 20..11 << 20).contains(&progress.bytes) {
            std::fs::write(&changing, noise(100)).expect("written");
        }
    });
    let refused = client.put_path(&path, &password(), &put).expect_err("it was changed");
    assert!(matches!(refused, Error::SourceChanged), "{refused:?}");
    assert!(client.list().expect("it answers").is_empty());
}
