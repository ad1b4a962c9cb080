//! Starting, serving and stopping a server, and what keeps it from starting.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::{Signal, kill_process};

use fss_test_support::harness::{
    Harness, NONE, Server, cookie, copy, damage, fails, quickstart_program, run, succeeds, until,
};

#[test]
fn a_key_is_made_once_and_kept() {
    let harness = Harness::new();
    let fingerprint = |code: &str| {
        run(harness.server_command().env("FSS_CODE", code).args(["--data", "data", "fingerprint"]))
    };
    fails(&fingerprint("the code"), 1, &["there is no key file"]);
    harness.serve(&NONE).stop();
    let shown = fingerprint("the code");
    assert!(shown.stdout.starts_with(b"SHA256:"));
    fails(
        &fingerprint("wrong"),
        12,
        &["Wrong Password", "the operation code does not open", "try:  "],
    );
    let (_, log) = harness.serve(&NONE).stop();
    assert!(
        log.contains(String::from_utf8_lossy(&shown.stdout).trim_end()),
        "the key is the same after a restart"
    );
    assert!(!harness.path("data/.shc").exists());
}

#[test]
fn the_code_can_be_changed_and_a_key_of_2019_upgraded() {
    let harness = Harness::new();
    harness.serve(&["--key-form", "1.0"]).stop();
    assert!(harness.path("data/.shc").exists());
    succeeds(&run(harness.server_command().env("FSS_NEW_CODE", "new").args([
        "--data",
        "data",
        "change-code",
    ])));
    assert!(harness.path("data/.shc").exists(), "the form stays");
    let mut upgrade = harness.server_command();
    upgrade.env("FSS_CODE", "new").args([
        "--data",
        "data",
        "--listen",
        "127.0.0.1:0",
        "--upgrade-key",
    ]);
    Server::start(upgrade).stop();
    assert!(!harness.path("data/.shc").exists());
    assert!(harness.read("data/.pk").starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
}

#[test]
fn what_keeps_a_server_from_starting_is_told() {
    let harness = Harness::new();
    let start = |arguments: &[&str]| run(harness.server_command().args(arguments));
    let running = harness.serve(&NONE);
    fails(
        &start(&["--data", "other", "--listen", &running.address]),
        1,
        &["address in use", "another program is listening"],
    );
    fails(&start(&["--data", "data", "--listen", "127.0.0.1:0"]), 1, &["another process is using"]);
    fails(
        &start(&["--data", "other", "--listen", "192.0.2.1:9540"]),
        1,
        &["this machine has no such address"],
    );
    fails(&start(&["--protocol", "3"]), 2, &["--protocol"]);
    fails(&start(&["--keep", "soon"]), 2, &["30d"]);
    harness.write("file", b"");
    fails(&start(&["--data", "file"]), 1, &["cannot create file"]);
    std::fs::create_dir(harness.path("foreign")).expect("created");
    harness.write("foreign/fssGlobal.db", &[b'x'; 4096]);
    fails(
        &start(&["--data", "foreign", "--listen", "127.0.0.1:0"]),
        1,
        &["cannot use the stored data", "fssGlobal.db"],
    );
    assert!(!harness.path("foreign/.pk").exists(), "a foreign directory gets no key");
    std::fs::create_dir(harness.path("broken")).expect("created");
    harness.write("broken/.pk", b"-----BEGIN ENCRYPTED PRIVATE KEY-----");
    fails(&start(&["--data", "broken", "--listen", "127.0.0.1:0"]), 1, &["is damaged"]);
    let nobody = harness
        .server_command()
        .env_remove("FSS_CODE")
        .args(["--data", "new", "--listen", "127.0.0.1:0"])
        .output();
    // Where there is a terminal it would be asked for there.
    if std::fs::File::open("/dev/tty").is_err() {
        fails(&nobody.expect("it runs"), 2, &["no operation code", "FSS_CODE"]);
    }
}

#[test]
fn retention_and_cookies_are_choices() {
    let harness = Harness::new();
    let server = harness.serve(&["--keep", "until-downloaded", "--cookies", "index"]);
    assert_eq!(harness.upload(&server, "file", b"once"), "1");
    assert_eq!(harness.upload(&server, "more", b"once"), "2");
    for cookie in ["1", "2"] {
        assert_eq!(harness.does(&server, &["download", cookie, "-o", "-"]), "once");
        fails(&harness.client(&server, &["download", cookie, "-o", "-"]), 10, &["No such file"]);
    }
}

#[test]
fn a_server_keeps_no_file_longer_than_it_wants_to() {
    let harness = Harness::new();
    let server = harness.serve(&["--keep", "1s"]);
    harness.write("file", b"x");
    let cookie = cookie(&harness.client(&server, &["upload", "file", "--keep", "30d"]));
    until("the file expires", || harness.does(&server, &["list", "--remote"]).is_empty());
    fails(&harness.client(&server, &["download", &cookie, "-o", "-"]), 10, &["No such file"]);
}

#[test]
fn files_outlive_the_server() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let (address, cookie) = (server.address.clone(), harness.upload(&server, "file", b"kept"));
    drop(server); // killed, not stopped
    let server = harness.serve_at(&address);
    assert_eq!(harness.does(&server, &["download", &cookie, "-o", "-"]), "kept");
}

/// Clients beyond the connection limit are told to retry; a retry succeeds.
#[test]
fn more_clients_than_connections_are_told_to_come_again() {
    for harness in [Harness::new(), Harness::of_async_server()] {
        let server = harness.serve(&["--connections", "2", "--handshake", "5m"]);
        harness.upload(&server, "first", b"makes the profile");
        let held: Vec<_> =
            (0..2).map(|_| TcpStream::connect(&server.address).expect("there is room")).collect();
        until("both have a place", || harness.client(&server, &["info"]).status.code() == Some(11));
        fails(
            &harness.client(&server, &["upload", "first"]),
            11,
            &["The server is busy.", "again in 5 s", "the same command then"],
        );
        drop(held);
        until("a place is free", || harness.client(&server, &["upload", "first"]).status.success());
        let (code, log) = server.stop();
        assert_eq!(code, Some(0));
        assert_eq!(log.matches(" stored ").count(), 2, "{log}");
    }
}

#[test]
fn the_server_on_tokio_is_the_same_server() {
    let harness = Harness::of_async_server();
    let server = harness.serve(&["--keep", "1d"]);
    let cookie = harness.upload(&server, "file", &vec![7; 100_000]);
    assert_eq!(harness.does(&server, &["download", &cookie, "-o", "-"]).len(), 100_000);
    harness.does(&server, &["delete", &cookie]);
    fails(&harness.client(&server, &["download", &cookie]), 10, &["No such file"]);
    let legacy =
        run(harness.stranger(&server, &["upload", "file"]).env("FSS_CLIENT_PROTOCOL", "1.0"));
    self::cookie(&legacy);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    for line in [" stored ", " delivered ", ": deleted"] {
        assert!(log.contains(line), "{line} is not in {log}");
    }
    assert_eq!(
        succeeds(&run(harness.server_command().args(["--data", "data", "verify"]))),
        "1 whole, 0 without a recorded digest, 0 damaged\n"
    );
}

#[test]
fn limits_come_from_a_file_and_are_read_again_on_sighup() {
    for harness in [Harness::new(), Harness::of_async_server()] {
        harness.write("limits", b"# what this server takes\nlargest-file = 1000\nidle 30s\n");
        let server = harness.serve(&["--options", "limits"]);
        harness.write("file", &[7; 2000]);
        fails(
            &harness.client(&server, &["upload", "file"]),
            11,
            &["larger than this server takes"],
        );
        harness.write("limits", b"largest-file 1M");
        kill_process(server.process(), Signal::HUP).expect("it runs");
        until("the limits are read", || {
            harness.client(&server, &["upload", "file"]).status.success()
        });
        harness.write("limits", b"largest-file much");
        kill_process(server.process(), Signal::HUP).expect("it runs");
        harness.does(&server, &["upload", "file"]);
        let (code, log) = server.stop();
        assert_eq!(code, Some(0));
        assert!(log.contains("limits are read again") && log.contains("the limits stay"), "{log}");
    }
    let harness = Harness::new();
    harness.write("limits", b"unknown 1");
    fails(
        &run(harness.server_command().args(["--options", "limits"])),
        2,
        &["cannot use the options in limits", "--unknown"],
    );
}

#[test]
fn metrics_are_there_for_prometheus() {
    let harness = Harness::of_async_server();
    let metrics = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").to_string()
    };
    let server = harness.serve(&["--metrics", &metrics]);
    let cookie = harness.upload(&server, "file", &[7; 1000]);
    harness.does(&server, &["download", &cookie, "-o", "-"]);
    run(&mut harness.stranger(&server, &["download", &cookie, "-o", "-"]));
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(&metrics).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        answer
    };
    let shown = ask("/metrics");
    assert!(shown.starts_with("HTTP/1.1 200 OK\r\n"), "{shown}");
    for line in [
        "fss_operations_total{operation=\"upload\"} 1",
        "fss_operations_total{operation=\"download\"} 1",
        "fss_refusals_total{code=\"refused\"} 1",
        "fss_operation_seconds_count{operation=\"upload\"} 1",
        "fss_connections ",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    assert!(!shown.contains(&cookie));
    assert!(ask("/").starts_with("HTTP/1.1 404"));
}

#[test]
fn the_log_can_be_json() {
    let harness = Harness::new();
    let server = harness.serve(&["--log-format", "json"]);
    harness.upload(&server, "file", b"x");
    let (_, log) = server.stop();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let stored = lines.iter().find(|line| line["message"] == "stored").expect("it is told");
    assert!(stored["bytes"].is_u64() && stored["milliseconds"].is_u64(), "{stored}");
    let [connection, upload] = &stored["spans"].as_array().expect("spans")[..] else {
        panic!("{stored}")
    };
    assert!(
        connection["peer"].is_string()
            && connection["key"].is_string()
            && upload["cookie"].is_string(),
        "{stored}"
    );
}

#[test]
fn quickstart_runs() {
    let output = run(&mut quickstart_program());
    assert!(succeeds(&output).contains("It is the same file."), "{output:?}");
}

#[test]
fn verify_tells_which_files_are_damaged() {
    let (old, new) = (Harness::of_fss1(), Harness::new());
    let verify = || run(new.server_command().args(["--data", "data", "verify"]));
    fails(&verify(), 1, &["cannot be verified", "there is no such directory"]);
    let server = new.serve(&NONE);
    let cookies =
        [new.upload(&server, "sealed", &[7; 5000]), old.upload(&server, "of FSS 1.0", &[7; 5000])];
    assert_eq!(
        succeeds(&verify()),
        "2 whole, 0 without a recorded digest, 0 damaged\n",
        "beside the server"
    );
    server.stop();
    assert_eq!(succeeds(&verify()), "2 whole, 0 without a recorded digest, 0 damaged\n");
    for (cookie, tells) in cookies.iter().zip(["a file is damaged", "2 files are damaged"]) {
        damage(&new.path(&format!("data/F-{cookie}/F")));
        let damaged = verify();
        fails(&damaged, 15, &[tells, "restore from a backup"]);
        assert!(
            String::from_utf8_lossy(&damaged.stdout)
                .contains(&format!("damaged: F-{cookie} has other bytes"))
        );
    }
}

/// A database that was lost, or is older or newer than the files.
#[test]
fn verify_tells_which_files_have_no_record() {
    let harness = Harness::new();
    let verify = || run(harness.server_command().args(["--data", "data", "verify"]));
    let server = harness.serve(&NONE);
    let cookie = harness.upload(&server, "file", &[7; 5000]);
    server.stop();
    std::fs::create_dir(harness.path("data/F-something else")).expect("created");
    assert_eq!(
        succeeds(&verify()),
        "1 whole, 0 without a recorded digest, 0 damaged\n",
        "what cannot be a file is none"
    );
    for name in ["fssGlobal.db", "fssGlobal.db-wal", "fssGlobal.db-shm"] {
        // The last two may not be there.
        let _ = std::fs::remove_file(harness.path("data").join(name));
    }
    harness.serve(&NONE).stop();
    let verified = verify();
    fails(&verified, 15, &["a file is without a record", "restore the database"]);
    let told = format!(
        "without a record: F-{cookie}\n0 whole, 0 without a recorded digest, 0 damaged, 1 without a record\n"
    );
    assert_eq!(String::from_utf8_lossy(&verified.stdout), told);
}

/// Takes the right to write from all of a directory.
fn make_read_only(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let is_directory = path.is_dir();
    if is_directory {
        std::fs::read_dir(path)
            .expect("readable")
            .for_each(|entry| make_read_only(&entry.expect("readable").path()));
    }
    let mode = if is_directory { 0o555 } else { 0o444 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
}

/// A snapshot of a running server's directory, by a process that can write nothing there; what it
/// may not read it says.
#[test]
fn verify_works_on_a_snapshot_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let cookie = harness.upload(&server, "file", &[7; 5000]);
    harness.upload(&server, "more", &[8; 5000]);
    copy(&harness.path("data"), &harness.path("running"));
    assert!(!harness.read("running/fssGlobal.db-wal").is_empty(), "its records are in the log");
    std::fs::remove_file(harness.path("running/fssGlobal.db-shm")).expect("removed");
    server.stop();
    run(harness.server_command().args(["--data", "data", "users", "list"]));
    copy(&harness.path("data"), &harness.path("stopped"));
    let open = |name: &str| {
        std::fs::set_permissions(harness.path(name), std::fs::Permissions::from_mode(0o755))
            .expect("changed");
    };
    open("");
    let verify = |data: &str| {
        let mut command = harness.server_command();
        command.args(["--data", data, "verify"]);
        if rustix::process::getuid().is_root() {
            // No permission stops a user with all capabilities.
            command.uid(65_534).gid(65_534);
        }
        run(&mut command)
    };
    for snapshot in ["running", "stopped"] {
        make_read_only(&harness.path(snapshot));
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(harness.path(snapshot))
                .expect("readable")
                .map(|entry| entry.expect("readable").file_name())
                .collect();
            names.sort();
            names
        };
        let before = names();
        assert_eq!(
            succeeds(&verify(snapshot)),
            "2 whole, 0 without a recorded digest, 0 damaged\n",
            "{snapshot}"
        );
        assert_eq!(names(), before);
        let hide = |name: &str, mode| {
            let path = harness.path(snapshot).join(name);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
        };
        hide(&format!("F-{cookie}"), 0o000);
        let verified = verify(snapshot);
        fails(&verified, 1, &["a file is unreadable", "a permission is missing"]);
        let told = String::from_utf8_lossy(&verified.stdout);
        assert!(told.contains("unreadable: ") && told.contains("Permission denied"), "{told}");
        assert!(
            told.ends_with("1 whole, 0 without a recorded digest, 0 damaged, 1 unreadable\n"),
            "{told}"
        );
        hide("fssGlobal.db", 0o000);
        fails(
            &verify(snapshot),
            1,
            &["cannot use the stored data", "Permission denied", "as the user"],
        );
        // What is removed at the end must be writable.
        hide(&format!("F-{cookie}"), 0o755);
        for directory in ["", ".incoming"] {
            hide(directory, 0o755);
        }
        for entry in std::fs::read_dir(harness.path(snapshot)).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
                    .expect("changed");
            }
        }
    }
}

/// A file that the disk lost is reported, and its owner can delete it to free the quota.
#[test]
fn a_file_that_is_lost_can_be_deleted_by_its_owner() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let cookie = harness.upload(&server, "file", &[7; 5000]);
    for lost in ["F", ""] {
        let cookie = if lost.is_empty() {
            harness.upload(&server, "file", &[7; 5000])
        } else {
            cookie.clone()
        };
        let blob = harness.path(&format!("data/F-{cookie}"));
        if lost.is_empty() {
            std::fs::remove_dir_all(&blob).expect("removed");
        } else {
            std::fs::remove_file(blob.join(lost)).expect("removed");
        }
        assert!(!harness.client(&server, &["download", &cookie, "-o", "-"]).status.success());
        let stranger = run(harness
            .stranger(&server, &["delete", &cookie, "--own-password"])
            .env("FSS_FILE_PASSWORD", "x"));
        assert!(!stranger.status.success(), "it is its owner's");
        harness.does(&server, &["delete", &cookie]);
        assert_eq!(harness.does(&server, &["list", "--remote"]), "");
        assert!(!blob.exists());
    }
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("is missing"), "{log}");
}

/// The terminal that it was started from may be gone.
#[test]
fn a_server_whose_log_cannot_be_written_goes_on_and_can_be_stopped() {
    for harness in [Harness::new(), Harness::of_async_server()] {
        let mut server = harness.serve(&NONE);
        server.close_log();
        kill_process(server.process(), Signal::HUP).expect("it runs");
        let cookie = harness.upload(&server, "file", b"x");
        assert_eq!(harness.does(&server, &["download", &cookie, "-o", "-"]), "x");
        assert_eq!(server.stop().0, Some(0));
    }
}
