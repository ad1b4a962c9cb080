//! Everything that goes wrong for a user of the client: each has its exit code, and says what failed, why, and what to try.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use fss_test_support::harness::{NONE, Server, World, damage, fails, run, succeeds};

const NOBODY: &str = "123456789012345678901234567890123456789012345678";

#[test]
fn what_is_not_there_is_10() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.upload(&server, "file", b"x");
    let refused = ["No such file, or the wrong password.", "try:  "];
    fails(&world.client(&server, &["download", NOBODY]), 10, &refused);
    fails(&world.client(&server, &["delete", NOBODY]), 10, &refused);
    assert!(!world.path(NOBODY).exists());
    for command in ["download", "delete", "forget"] {
        fails(&world.client(&server, &[command, "unknown"]), 10, &["Record not found", "client list"]);
    }
}

#[test]
fn what_a_server_does_not_take_is_11() {
    let world = World::new();
    let server = world.serve(&["--largest-file", "4096"]);
    world.upload(&server, "small", &[7; 3000]);
    world.write("large", &[7; 5000]);
    fails(
        &world.client(&server, &["upload", "large"]),
        11,
        &["cannot upload large", "larger than this server takes", "client info"],
    );
    let large = std::fs::File::open(world.path("large")).expect("there");
    let piped = run(world.client_command(&server).args(["upload", "-"]).stdin(large));
    fails(&piped, 11, &["larger than this server takes"]);
    assert_eq!(world.does(&server, &["list", "--remote"]).lines().count(), 1);
}

#[test]
fn the_wrong_password_of_the_profile_is_12() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.upload(&server, "file", b"x");
    for arguments in [["upload", "file"].as_slice(), &["download", "file", "-o", "x"], &["info"], &["change-password"]] {
        let output = run(world.client_command(&server).env("FSS_PASSWORD", "wrong").args(arguments));
        fails(&output, 12, &["Wrong Password", "the password does not open", "try:  "]);
    }
    assert!(!world.path("x").exists());
}

#[test]
fn a_used_up_quota_is_14() {
    let world = World::new();
    let server = world.serve(&["--members"]);
    let invite = succeeds(&world.users(&["invite", "--quota", "20K"]));
    assert!(world.signs_up(&server, "alice", &invite).contains("0 bytes of 20480 bytes"));
    world.upload(&server, "small", &[7; 3000]);
    fails(
        &world.client(&server, &["upload", "small"]),
        14,
        &["cannot upload small", "does not fit into your quota", "delete files"],
    );
    world.does(&server, &["delete", "small"]);
    world.upload(&server, "small", &[7; 3000]);
}

#[test]
fn a_damaged_file_is_15_and_leaves_nothing() {
    let world = World::new();
    let server = world.serve(&NONE);
    let cookie = world.upload(&server, "file", &vec![7; 200_000]);
    damage(&world.path(&format!("data/F-{cookie}/F")));
    fails(&world.client(&server, &["download", "file", "-o", "x"]), 15, &["cannot download file", "try:  "]);
    assert!(!world.path("x").exists() && world.parts().is_empty());
}

#[test]
fn guessing_is_16_for_strangers_and_not_for_the_owner() {
    let world = World::new();
    let server = world.serve(&NONE);
    let cookie = world.upload(&server, "file", b"x");
    let guess = || run(&mut world.stranger(&server, &["download", &cookie, "-o", "x"]));
    // How many guesses it takes depends on how fast they are; with each the delay doubles.
    let delayed = std::iter::repeat_with(guess).take(10).find(|guess| guess.status.code() != Some(10)).expect("a delay");
    fails(&delayed, 16, &["Too many attempts.", "It may be tried again in ", "wait that long"]);
    assert_eq!(world.does(&server, &["download", "file", "-o", "-"]), "x");
}

#[test]
fn a_server_that_cannot_be_reached_is_75() {
    let world = World::new();
    world.write("file", b"x");
    let server = world.serve(&NONE);
    let address = server.address.clone();
    server.stop();
    let gone = Server::nowhere(&address);
    fails(&world.client(&gone, &["upload", "file"]), 75, &["Server Connection Was Failed", "refused", "try:  "]);
    fails(&world.client(&gone, &["info"]), 75, &["Server Connection Was Failed"]);
}

#[test]
fn what_makes_no_sense_is_2() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.upload(&server, "file", b"x");
    fails(&world.client(&server, &[]), 2, &["no command was given", "upload, download"]);
    for named in ["fss://there", "", ":954", "[::1", "[]:954", "a host:954"] {
        let output = world.client(&server, &["--server", named, "upload", "file"]);
        fails(&output, 2, &["is no server", "--server HOST:PORT"]);
    }
    fails(&world.client(&server, &["upload", "file", "--name", &"n".repeat(256)]), 2, &["--name", "more than 255 bytes"]);
    fails(&world.client(&server, &["--protocol", "3", "list"]), 2, &["--protocol"]);
    fails(&world.client(&server, &["--fingerprint", "SHA256:short", "upload", "file"]), 2, &["--fingerprint"]);
    let key = world.fingerprint();
    let promised = ["--protocol", "1.0", "--allow-downgrade", "--fingerprint", key.as_str(), "upload", "file"];
    fails(&world.client(&server, &promised), 2, &["--fingerprint cannot be used with --protocol 1.0"]);
}

/// A server that is none, or goes away: the user hears which, and no half file stays.
#[test]
fn servers_that_are_none_are_told_apart() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.upload(&server, "file", b"x");
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
        let output = world.client(&Server::nowhere(&address), &["--server", &address, "download", "file", "-o", "x"]);
        fails(&output, code, &[tells]);
        impostor.join().expect("it ended");
        assert!(!world.path("x").exists());
    }
}
