//! What a server bears, on a small scale: the load tool itself, and those of its bounds that no
//! machine's speed decides.

use std::process::Command;

use fss_test_support::harness::{async_server_program, load_program, run};

/// Runs the load tool against a server on tokio, and gives what it tells.
fn load(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command: Command = load_program();
    command
        .arg("--program")
        .arg(async_server_program().get_program())
        .arg("--in")
        .arg(directory.path())
        .args(arguments);
    let output = run(&mut command);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !told.contains("NOT HELD"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}

/// The number after this text.
#[track_caller]
fn number(told: &str, what: &str) -> u64 {
    let line = told
        .lines()
        .find_map(|line| line.strip_prefix(what))
        .unwrap_or_else(|| panic!("{what} is not in:\n{told}"));
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn connections_at_rest_are_small() {
    assert_eq!(number(&load(&["idle", "--connections", "400"]), "idle connections"), 400);
}

#[test]
fn a_server_that_is_killed_loses_nothing_that_it_acknowledged() {
    let told = load(&["kill", "--rounds", "8"]);
    assert_eq!(number(&told, "times that the server was killed"), 8);
    assert_eq!(number(&told, "  of which lost"), 0);
}

#[test]
fn many_small_uploads_at_once_are_all_there() {
    let told = load(&["uploads", "--clients", "60", "--seconds", "2"]);
    assert!(number(&told, "uploads of 1 KiB, 60 at once") > 0);
}

#[test]
fn garbage_keeps_nobody_out() {
    assert_eq!(number(&load(&["garbage", "--clients", "100"]), "clients that send garbage"), 100);
}
