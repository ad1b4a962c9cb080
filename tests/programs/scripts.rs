//! What scripts rely on: objects on standard output, one connection for all.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use fss_test_support::harness::{Harness, NONE, client_program, copy, fails, run, succeeds};

fn objects(output: &std::process::Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
        .collect()
}

#[test]
fn json_is_an_object_a_line_and_a_summary_last() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("a", b"one");
    harness.write("b", b"three");
    let output = harness.client(&server, &["--json", "upload", "a", "missing", "b"]);
    assert_eq!(output.status.code(), Some(1));
    let said = objects(&output);
    assert_eq!(
        said.iter().map(|object| object["event"].as_str()).collect::<Vec<_>>(),
        [Some("uploaded"), Some("error"), Some("uploaded"), Some("summary")]
    );
    assert_eq!(
        (&said[0]["path"], &said[0]["size"], &said[2]["size"]),
        (&"a".into(), &3.into(), &5.into())
    );
    assert_eq!((&said[1]["what"], &said[1]["code"]), (&"cannot read missing".into(), &1.into()));
    assert_eq!((&said[3]["done"], &said[3]["failed"]), (&2.into(), &1.into()));
    assert!(output.stderr.is_empty(), "{output:?}");

    let cookie = said[0]["cookie"].as_str().expect("a cookie");
    for arguments in
        [&["--json", "list"][..], &["--json", "list", "--remote"], &["--json", "search", "a"]]
    {
        let listed = objects(&harness.client(&server, arguments));
        assert!(
            listed.iter().any(|file| file["event"] == "file"
                && file["cookie"] == cookie
                && file["name"] == "a"),
            "{listed:?}"
        );
    }
    let downloaded =
        objects(&harness.client(&server, &["--json", "download", cookie, "-o", "back"]));
    assert_eq!(
        (&downloaded[0]["event"], &downloaded[0]["size"]),
        (&"downloaded".into(), &3.into())
    );
    let account = objects(&harness.client(&server, &["--json", "info"]));
    assert!(
        account[0]["key"].as_str().is_some_and(|key| key.starts_with("SHA256:")),
        "{account:?}"
    );
    let wrong = objects(&harness.client(&server, &["--json", "download", "nothing"]));
    assert_eq!((&wrong[0]["event"], &wrong[0]["code"]), (&"error".into(), &10.into()));
}

/// A failed upload does not prevent the others on the connection.
#[test]
fn several_files_go_over_one_connection() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let names: Vec<String> = (0..5).map(|number| format!("file-{number}")).collect();
    for name in &names {
        harness.write(name, name.as_bytes());
    }
    let mut arguments = vec!["upload", "missing"];
    arguments.extend(names.iter().map(String::as_str));
    let output = harness.client(&server, &arguments);
    fails(&output, 1, &["cannot read missing"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).lines().count(),
        names.len(),
        "a cookie a line"
    );
    for name in &names {
        assert_eq!(harness.client(&server, &["download", name, "-o", "-"]).stdout, name.as_bytes());
    }
    let (_, log) = server.stop();
    let peers: HashSet<&str> = log
        .lines()
        .filter(|line| line.contains(" stored "))
        .filter_map(|line| line.split("peer=").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(peers.len(), 1, "{log}");
}

/// A server that is not there is not asked again for each file.
#[test]
fn without_a_server_the_rest_is_not_tried() {
    let harness = Harness::new();
    let mut nowhere = client_program();
    nowhere
        .current_dir(harness.directory.path())
        .env("FSS_PASSWORD", "the password")
        .env("FSS_PROFILE", "profile");
    for name in ["a", "b", "c"] {
        harness.write(name, b"x");
    }
    let output = run(nowhere.args(["--server", "127.0.0.1:1", "upload", "a", "b", "c"]));
    let told = fails(&output, 75, &["2 more were not tried"]);
    assert_eq!(told.matches("error:").count(), 1, "{told}");
}

/// A stranger knows cookie and password; what the file is called and when it was written is sealed
/// with it.
#[test]
fn a_file_comes_back_with_its_name_mode_and_time() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("tool.sh", b"#!/bin/sh\n");
    let path = harness.path("tool.sh");
    let written = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options().write(true).open(&path).expect("there");
    file.set_modified(written).expect("set");
    file.set_permissions(std::fs::Permissions::from_mode(0o4750)).expect("set");
    let cookie = succeeds(&run(harness
        .client_command(&server)
        .env("FSS_FILE_PASSWORD", "its own")
        .args(["upload", "tool.sh", "--own-password"])));
    std::fs::remove_file(&path).expect("removed");
    succeeds(&run(harness
        .stranger(&server, &["download", cookie.trim_end(), "--own-password"])
        .env("FSS_FILE_PASSWORD", "its own")));
    assert_eq!(harness.read("tool.sh"), b"#!/bin/sh\n");
    let metadata = std::fs::metadata(&path).expect("there");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o750, "but no user becomes another by it");
    assert_eq!(metadata.modified().ok(), Some::<SystemTime>(written));
}

/// What a backup needs is the profile's directory, and its password.
#[test]
fn a_copy_of_the_profile_is_the_same_client_on_another_machine() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"content");
    harness.does(&server, &["sign-up", "anna"]);
    copy(&harness.path("profile"), &harness.path("other-machine"));
    std::fs::remove_dir_all(harness.path("profile")).expect("removed");
    let there = |arguments: &[&str]| {
        succeeds(&run(harness
            .client_command(&server)
            .env("FSS_PROFILE", "other-machine")
            .args(arguments)))
    };
    assert_eq!(there(&["download", "file", "-o", "-"]), "content");
    assert!(there(&["info"]).contains("user          anna"));
    there(&["delete", "file"]);
}
