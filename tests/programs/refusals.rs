//! Everything that goes wrong for a user of the client: each has its exit code, and says what
//! failed, why, and what to try.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use fss_test_support::harness::{Harness, NONE, Server, damage, fails, run, succeeds};

const NOBODY: &str = "123456789012345678901234567890123456789012345678";

#[test]
fn what_is_not_there_is_10() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"x");
    let refused = ["No such file, or the wrong password.", "try:  "];
    fails(&harness.client(&server, &["download", NOBODY]), 10, &refused);
    fails(&harness.client(&server, &["delete", NOBODY]), 10, &refused);
    assert!(!harness.path(NOBODY).exists());
    for command in ["download", "delete", "forget"] {
        fails(
            &harness.client(&server, &[command, "unknown"]),
            10,
            &["Record not found", "client list"],
        );
    }
}

#[test]
fn what_a_server_does_not_take_is_11() {
    let harness = Harness::new();
    let server = harness.serve(&["--largest-file", "4096"]);
    harness.upload(&server, "small", &[7; 3000]);
    harness.write("large", &[7; 5000]);
    fails(
        &harness.client(&server, &["upload", "large"]),
        11,
        &["cannot upload large", "larger than this server takes", "client info"],
    );
    let large = std::fs::File::open(harness.path("large")).expect("there");
    let piped = run(harness.client_command(&server).args(["upload", "-"]).stdin(large));
    fails(&piped, 11, &["larger than this server takes"]);
    assert_eq!(harness.does(&server, &["list", "--remote"]).lines().count(), 1);
}

#[test]
fn the_wrong_password_of_the_profile_is_12() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"x");
    for arguments in [
        ["upload", "file"].as_slice(),
        &["download", "file", "-o", "x"],
        &["info"],
        &["change-password"],
    ] {
        let output =
            run(harness.client_command(&server).env("FSS_PASSWORD", "wrong").args(arguments));
        fails(&output, 12, &["Wrong Password", "the password does not open", "try:  "]);
    }
    assert!(!harness.path("x").exists());
}

#[test]
fn a_used_up_quota_is_14() {
    let harness = Harness::new();
    let server = harness.serve(&["--members"]);
    let invite = succeeds(&harness.users(&["invite", "--quota", "20K"]));
    assert!(harness.signs_up(&server, "alice", &invite).contains("0 bytes of 20480 bytes"));
    harness.upload(&server, "small", &[7; 3000]);
    fails(
        &harness.client(&server, &["upload", "small"]),
        14,
        &["cannot upload small", "does not fit into your quota", "delete files"],
    );
    harness.does(&server, &["delete", "small"]);
    harness.upload(&server, "small", &[7; 3000]);
}

#[test]
fn a_damaged_file_is_15_and_leaves_nothing() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let cookie = harness.upload(&server, "file", &vec![7; 200_000]);
    damage(&harness.path(&format!("data/F-{cookie}/F")));
    fails(
        &harness.client(&server, &["download", "file", "-o", "x"]),
        15,
        &["cannot download file", "try:  "],
    );
    assert!(!harness.path("x").exists() && harness.parts().is_empty());
}

#[test]
fn guessing_is_16_for_strangers_and_not_for_the_owner() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let cookie = harness.upload(&server, "file", b"x");
    let guess = || run(&mut harness.stranger(&server, &["download", &cookie, "-o", "x"]));
    // How many guesses it takes depends on how fast they are; with each the delay doubles.
    let delayed = std::iter::repeat_with(guess)
        .take(10)
        .find(|guess| guess.status.code() != Some(10))
        .expect("a delay");
    fails(&delayed, 16, &["Too many attempts.", "It may be tried again in ", "wait that long"]);
    assert_eq!(harness.does(&server, &["download", "file", "-o", "-"]), "x");
}

#[test]
fn a_server_that_cannot_be_reached_is_75() {
    let harness = Harness::new();
    harness.write("file", b"x");
    let server = harness.serve(&NONE);
    let address = server.address.clone();
    server.stop();
    let gone = Server::nowhere(&address);
    fails(
        &harness.client(&gone, &["upload", "file"]),
        75,
        &["Server Connection Was Failed", "refused", "try:  "],
    );
    fails(&harness.client(&gone, &["info"]), 75, &["Server Connection Was Failed"]);
}

#[test]
fn what_makes_no_sense_is_2() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"x");
    fails(&harness.client(&server, &[]), 2, &["no command was given", "upload, download"]);
    for named in ["fss://there", "", ":954", "[::1", "[]:954", "a host:954"] {
        let output = harness.client(&server, &["--server", named, "upload", "file"]);
        fails(&output, 2, &["is not a server", "--server HOST:PORT"]);
    }
    fails(
        &harness.client(&server, &["upload", "file", "--name", &"n".repeat(256)]),
        2,
        &["--name", "more than 255 bytes"],
    );
    fails(&harness.client(&server, &["--protocol", "3", "list"]), 2, &["--protocol"]);
    fails(
        &harness.client(&server, &["--fingerprint", "SHA256:short", "upload", "file"]),
        2,
        &["--fingerprint"],
    );
    let key = harness.fingerprint();
    let promised =
        ["--protocol", "1.0", "--allow-downgrade", "--fingerprint", key.as_str(), "upload", "file"];
    fails(
        &harness.client(&server, &promised),
        2,
        &["--fingerprint cannot be used with --protocol 1.0"],
    );
}

/// No server, or one that disconnects: the user is told which, and no partial file stays.
#[test]
fn servers_that_are_none_are_told_apart() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"x");
    for (says, code, tells) in [
        (b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(), 1, "Invalid server response"),
        (b"", 75, "the connection ended during the key exchange"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let impostor = std::thread::spawn(move || {
            let (mut stream, _): (TcpStream, _) = listener.accept().expect("a connection");
            stream.write_all(says).expect("written");
            // Read what the client says, so that closing does not reset the connection.
            stream.shutdown(std::net::Shutdown::Write).expect("shut down");
            std::io::copy(&mut stream, &mut std::io::sink()).expect("read");
        });
        let output = harness.client(
            &Server::nowhere(&address),
            &["--server", &address, "download", "file", "-o", "x"],
        );
        fails(&output, code, &[tells]);
        impostor.join().expect("it ended");
        assert!(!harness.path("x").exists());
    }
}
