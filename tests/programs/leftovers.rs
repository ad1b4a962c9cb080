//! What a client leaves that is stopped in the middle: what a later command goes on with, and nothing else.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use fss_test_support::rng::SeededRng;
use rand_core::Rng as _;
use rustix::process::{Pid, Signal, kill_process};

use fss_test_support::harness::{NONE, Server, World, cookie, fails, run, until};
use fss_test_support::stalling_proxy::StallingProxy;

const MIB: usize = 1024 * 1024;

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    SeededRng(size as u64).fill_bytes(&mut content);
    content
}

/// A world with a file, a directory and a file to be compressed on its server, and a line to that.
fn stocked() -> (World, Server, StallingProxy) {
    let world = World::new();
    let server = world.serve(&NONE);
    world.write("plain", &noise(3 * MIB));
    fs::create_dir_all(world.path("tree/deep")).expect("made");
    for number in 0..40 {
        world.write(&format!("tree/deep/{number}"), &noise(100_000));
    }
    let compressible: Vec<u8> = noise(3 * MIB).into_iter().flat_map(|byte| [byte, 0]).collect();
    world.write("text", &compressible);
    for arguments in [["upload", "plain"].as_slice(), &["upload", "tree"], &["upload", "text", "--compress", "always"]] {
        cookie(&world.client(&server, arguments));
    }
    let line = StallingProxy::to(&server);
    (world, server, line)
}

/// Starts a download, and stops it with a signal once some of it has come.
fn stop(world: &World, line: &StallingProxy, arguments: &[&str], signal: Signal) -> std::process::Output {
    let mut client = world.client_at(&line.address);
    let client = client.args(arguments).args(["--server", &line.address]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let client = client.spawn().expect("it starts");
    let _held = line.wait();
    until("it is written", || !left(world).is_empty());
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
fn left(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.directory.path()).expect("readable").map(|entry| entry.expect("readable").path());
    entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))).collect()
}

/// The first notes to go on with come after 16 MiB; what was killed before that is of no use to anybody.
#[test]
fn what_a_killed_download_has_left_is_removed_by_the_next_command() {
    let (world, server, line) = stocked();
    for name in ["plain", "tree", "text"] {
        line.hold_down_after(&server, MIB as u64);
        stop(&world, &line, &["download", name, "-o", "back"], Signal::KILL);
        assert_eq!(left(&world).len(), 1, "{name}: {:?}", left(&world));
        line.mend(&server);
        world.does(&server, &["list"]);
        assert_eq!(left(&world), Vec::<PathBuf>::new(), "{name}");
        world.does(&server, &["download", name, "-o", "back", "--force"]);
        assert!(world.path("back").exists() && left(&world).is_empty());
        let _ = fs::remove_file(world.path("back")).or_else(|_| fs::remove_dir_all(world.path("back")));
    }
}

#[test]
fn a_part_that_is_being_written_is_no_leftover() {
    let (world, server, line) = stocked();
    line.hold_down_after(&server, MIB as u64);
    let mut client = world.client_at(&line.address);
    client.args(["--server", &line.address, "download", "tree", "-o", "back"]);
    let client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let _held = line.wait();
    until("it is written", || !left(&world).is_empty());
    world.does(&server, &["list"]);
    assert_eq!(left(&world).len(), 1);
    end(client, Signal::KILL);
}

#[test]
fn an_interrupted_download_leaves_nothing_and_says_so() {
    let (world, server, line) = stocked();
    for name in ["plain", "tree", "text"] {
        line.hold_down_after(&server, MIB as u64);
        let output = stop(&world, &line, &["download", name, "-o", "back"], Signal::INT);
        fails(&output, 130, &["nothing of it is kept"]);
        assert_eq!(left(&world), Vec::<PathBuf>::new(), "{name}");
        assert!(!world.path("back").exists());
    }
}

/// The signal comes while files are made: the removal must not race with the one who makes them.
#[test]
fn an_interrupted_directory_leaves_nothing_whenever_the_signal_comes() {
    let world = World::new();
    let server = world.serve(&NONE);
    fs::create_dir(world.path("tree")).expect("made");
    for number in 0..3000 {
        world.write(&format!("tree/{number}"), b"x");
    }
    world.does(&server, &["upload", "tree"]);
    for round in 0..6 {
        let mut client = world.client_command(&server);
        let client = client.args(["download", "tree", "-o", "back"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().expect("it starts");
        until("it is written", || !left(&world).is_empty() || client.try_wait().expect("it is ours").is_some());
        end(client, Signal::INT);
        assert_eq!(left(&world), Vec::<PathBuf>::new(), "{round}");
        let _ = fs::remove_dir_all(world.path("back"));
    }
}

/// Nobody has said where it goes, so it goes where its uploader suggests; the same command again means the same.
#[test]
fn somebody_elses_file_goes_on_without_a_name() {
    const SIZE: usize = 36 * MIB;
    let world = World::new();
    let server = world.serve(&NONE);
    let content = noise(SIZE);
    world.write("gift", &content);
    let mut upload = world.client_command(&server);
    let cookie = cookie(&run(upload.env("FSS_FILE_PASSWORD", "its own").args(["upload", "gift", "--own-password"])));
    fs::remove_file(world.path("gift")).expect("removed");
    let line = StallingProxy::to(&server);
    let download = || {
        let mut client = world.client_at(&line.address);
        client.env("FSS_PASSWORD", "another password").env("FSS_PROFILE", "stranger").env("FSS_FILE_PASSWORD", "its own");
        client.args(["download", &cookie, "--own-password"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        client
    };
    line.hold_down_after(&server, 28 * MIB as u64);
    let client = download().spawn().expect("it starts");
    let held = line.wait();
    fails(&end(client, Signal::INT), 130, &["what has come is kept: the same command again goes on with it"]);
    drop(held);
    assert_eq!(left(&world).len(), 1);
    line.mend(&server);
    fails(&run(&mut download()), 0, &["the download goes on after ", &format!("gift ({SIZE} bytes)")]);
    assert!(world.read("gift") == content && left(&world).is_empty());
}
