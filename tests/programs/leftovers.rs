//! What an interrupted client leaves behind: what a later command resumes from, and
//! nothing else.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use fss_test_support::rng::SeededRng;
use rand_core::Rng as _;
use rustix::process::{Pid, Signal, kill_process};

use fss_test_support::harness::{Harness, NONE, Server, cookie, fails, run, until};
use fss_test_support::stalling_proxy::StallingProxy;

const MIB: usize = 1024 * 1024;

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    SeededRng(size as u64).fill_bytes(&mut content);
    content
}

/// A harness with a file, a directory and a file to be compressed on its server, and a line to
/// that.
fn stocked() -> (Harness, Server, StallingProxy) {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("plain", &noise(3 * MIB));
    fs::create_dir_all(harness.path("tree/deep")).expect("made");
    for number in 0..40 {
        harness.write(&format!("tree/deep/{number}"), &noise(100_000));
    }
    let compressible: Vec<u8> = noise(3 * MIB).into_iter().flat_map(|byte| [byte, 0]).collect();
    harness.write("text", &compressible);
    for arguments in [
        ["upload", "plain"].as_slice(),
        &["upload", "tree"],
        &["upload", "text", "--compress", "always"],
    ] {
        cookie(&harness.client(&server, arguments));
    }
    let line = StallingProxy::to(&server);
    (harness, server, line)
}

/// Starts a download, and stops it with a signal once some of it has come.
fn stop(
    harness: &Harness,
    line: &StallingProxy,
    arguments: &[&str],
    signal: Signal,
) -> std::process::Output {
    let mut client = harness.client_at(&line.address);
    let client = client
        .args(arguments)
        .args(["--server", &line.address])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let client = client.spawn().expect("it starts");
    let _held = line.wait();
    until("it is written", || !left(harness).is_empty());
    end(client, signal)
}

fn end(mut client: Child, signal: Signal) -> std::process::Output {
    // One that was quick has ended by itself.
    if client.try_wait().expect("it is ours").is_none() {
        kill_process(Pid::from_child(&client), signal).expect("it was not waited for");
    }
    client.wait_with_output().expect("it ends")
}

/// Everything hidden: parts of files and of directories, and whatever else should not be there.
fn left(harness: &Harness) -> Vec<PathBuf> {
    let entries = fs::read_dir(harness.directory.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").path());
    entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
        .collect()
}

/// The first checkpoint is at 16 MiB; the part file of a client killed before that is
/// useless.
#[test]
fn what_a_killed_download_has_left_is_removed_by_the_next_command() {
    let (harness, server, line) = stocked();
    for name in ["plain", "tree", "text"] {
        line.hold_down_after(&server, MIB as u64);
        stop(&harness, &line, &["download", name, "-o", "back"], Signal::KILL);
        assert_eq!(left(&harness).len(), 1, "{name}: {:?}", left(&harness));
        line.mend(&server);
        harness.does(&server, &["list"]);
        assert_eq!(left(&harness), Vec::<PathBuf>::new(), "{name}");
        harness.does(&server, &["download", name, "-o", "back", "--force"]);
        assert!(harness.path("back").exists() && left(&harness).is_empty());
        let _ = fs::remove_file(harness.path("back"))
            .or_else(|_| fs::remove_dir_all(harness.path("back")));
    }
}

#[test]
fn a_part_that_is_being_written_is_no_leftover() {
    let (harness, server, line) = stocked();
    line.hold_down_after(&server, MIB as u64);
    let mut client = harness.client_at(&line.address);
    client.args(["--server", &line.address, "download", "tree", "-o", "back"]);
    let client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let _held = line.wait();
    until("it is written", || !left(&harness).is_empty());
    harness.does(&server, &["list"]);
    assert_eq!(left(&harness).len(), 1);
    end(client, Signal::KILL);
}

#[test]
fn an_interrupted_download_leaves_nothing_and_says_so() {
    let (harness, server, line) = stocked();
    for name in ["plain", "tree", "text"] {
        line.hold_down_after(&server, MIB as u64);
        let output = stop(&harness, &line, &["download", name, "-o", "back"], Signal::INT);
        fails(&output, 130, &["nothing of it is kept"]);
        assert_eq!(left(&harness), Vec::<PathBuf>::new(), "{name}");
        assert!(!harness.path("back").exists());
    }
}

/// The signal comes while files are made: the removal must not race with the one who makes them.
#[test]
fn an_interrupted_directory_leaves_nothing_whenever_the_signal_comes() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    fs::create_dir(harness.path("tree")).expect("made");
    for number in 0..3000 {
        harness.write(&format!("tree/{number}"), b"x");
    }
    harness.does(&server, &["upload", "tree"]);
    for round in 0..6 {
        let mut client = harness.client_command(&server);
        let client = client
            .args(["download", "tree", "-o", "back"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut client = client.spawn().expect("it starts");
        until("it is written", || {
            !left(&harness).is_empty() || client.try_wait().expect("it is ours").is_some()
        });
        end(client, Signal::INT);
        assert_eq!(left(&harness), Vec::<PathBuf>::new(), "{round}");
        let _ = fs::remove_dir_all(harness.path("back"));
    }
}

/// Without a destination the file gets the name that its uploader suggests; the same command again
/// means the same.
#[test]
fn a_file_of_another_user_resumes_without_a_name() {
    const SIZE: usize = 36 * MIB;
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let content = noise(SIZE);
    harness.write("gift", &content);
    let mut upload = harness.client_command(&server);
    let cookie = cookie(&run(upload.env("FSS_FILE_PASSWORD", "its own").args([
        "upload",
        "gift",
        "--own-password",
    ])));
    fs::remove_file(harness.path("gift")).expect("removed");
    let line = StallingProxy::to(&server);
    let download = || {
        let mut client = harness.client_at(&line.address);
        client
            .env("FSS_PASSWORD", "another password")
            .env("FSS_PROFILE", "stranger")
            .env("FSS_FILE_PASSWORD", "its own");
        client
            .args(["download", &cookie, "--own-password"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        client
    };
    line.hold_down_after(&server, 28 * MIB as u64);
    let client = download().spawn().expect("it starts");
    let held = line.wait();
    fails(
        &end(client, Signal::INT),
        130,
        &["what was received is kept: the same command again resumes"],
    );
    drop(held);
    assert_eq!(left(&harness).len(), 1);
    line.mend(&server);
    fails(
        &run(&mut download()),
        0,
        &["the download resumes after ", &format!("gift ({SIZE} bytes)")],
    );
    assert!(harness.read("gift") == content && left(&harness).is_empty());
}
