//! FSS 1.0: clients that speak it, profiles and server directories of 2019, and both versions side
//! by side.

use std::path::{Path, PathBuf};

use fss_test_support::harness::{Harness, NONE, Server, cookie, fails, run, succeeds};

const OF_2019: &str = "correct horse battery staple";
const RECORDED: [&str; 5] = ["notes.txt", "block.bin", "one.bin", "empty.bin", "repeat.bin"];

#[test]
fn files_of_fss1_go_up_and_come_back() {
    let harness = Harness::of_fss1();
    let server = harness.serve(&NONE);
    for (name, size) in [("empty", 0), ("one", 1), ("chunk", 1024), ("odd", 50_001)] {
        let content: Vec<u8> = (0..251).cycle().take(size).collect();
        let cookie = harness.upload(&server, name, &content);
        assert_eq!(harness.client(&server, &["download", name, "-o", "-"]).stdout, content);
        assert_eq!(harness.client(&server, &["download", &cookie, "-o", "-"]).stdout, content);
    }
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert_eq!(log.matches(" stored ").count(), 4, "{log}");
    assert_eq!(log.matches(" delivered ").count(), 8, "{log}");
    assert!(!log.contains("the password"));
}

#[test]
fn a_size_that_fss1_does_not_tell_is_guessed_and_said_to_be() {
    let harness = Harness::of_fss1();
    let server = harness.serve(&NONE);
    harness.write("gift", b"a gift\n");
    let mut upload = harness.client_command(&server);
    let cookie = cookie(&run(upload
        .args(["upload", "gift", "--own-password"])
        .env("FSS_FILE_PASSWORD", "theirs")));
    let other = |password: &str, more: &[&str]| {
        let download = ["download", &cookie, "--own-password", "-o", "-"];
        run(harness.stranger(&server, &download).args(more).env("FSS_FILE_PASSWORD", password))
    };
    let sure = other("theirs", &["--size", "7"]);
    assert_eq!(
        (sure.stdout.as_slice(), fails(&sure, 0, &[]).contains("guess")),
        (b"a gift\n".as_slice(), false)
    );
    let guessed = other("theirs", &[]);
    assert_eq!(guessed.stdout, b"a gift\n");
    fails(&guessed, 0, &["its end is a guess"]);
    fails(&other("wrong", &[]), 12, &["Wrong Password"]);
    fails(&other("theirs", &["--size", "700"]), 15, &["cannot hold a file of 700 bytes"]);
}

#[test]
fn what_fss1_cannot_do_is_said() {
    let harness = Harness::of_fss1();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"x");
    for arguments in
        [["list", "--remote"].as_slice(), &["delete", "file"], &["info"], &["sign-up", "alice"]]
    {
        fails(
            &harness.client(&server, arguments),
            2,
            &["FSS 1.0 has no such operation", "no --protocol 1.0"],
        );
    }
    for limit in [["--keep", "1d"], ["--downloads", "1"]] {
        fails(
            &harness.client(&server, &[&["upload", "file"], &limit[..]].concat()),
            2,
            &["FSS 1.0 does not know them"],
        );
    }
}

/// Each password of a profile is either sent in FSS 1.0, or seals files.
#[test]
fn a_password_that_was_sent_seals_nothing_and_one_that_seals_is_not_sent() {
    let (old, new) = (Harness::of_fss1(), Harness::new());
    let (old_server, new_server) = (old.serve(&NONE), new.serve(&NONE));
    old.upload(&old_server, "file", b"x");
    let with_2 = |arguments: &[&str]| {
        run(old.client_command(&old_server).env("FSS_CLIENT_PROTOCOL", "2").args(arguments))
    };
    fails(
        &with_2(&["upload", "file"]),
        1,
        &["a server of FSS 1.0 may know that password", "change-password", "--own-password"],
    );
    assert_eq!(
        succeeds(&with_2(&["download", "file", "-o", "-"])),
        "x",
        "its owner knows it to be a file of FSS 1.0"
    );
    new.upload(&new_server, "file", b"x");
    let with_1 = |arguments: &[&str]| {
        run(new
            .client_command(&new_server)
            .args(["--protocol", "1.0", "--allow-downgrade"])
            .args(arguments))
    };
    fails(
        &with_1(&["upload", "file"]),
        1,
        &["the profile's password is not sent in FSS 1.0", "--own-password"],
    );
    fails(&with_1(&["download", "file", "-o", "-"]), 2, &["it is sealed", "no --protocol 1.0"]);
}

#[test]
fn a_server_of_fss2_is_not_spoken_to_in_fss1_unless_the_user_insists() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let info = harness.does(&server, &["info"]);
    harness.write("file", b"x");
    let upload = |more: &[&str]| {
        let mut command = harness.client_command(&server);
        command.args(["--protocol", "1.0", "upload", "file", "--own-password"]).args(more);
        run(command.env("FSS_FILE_PASSWORD", "its own"))
    };
    fails(&upload(&[]), 2, &["this server has spoken FSS/2 before", "--allow-downgrade"]);
    let cookie = cookie(&upload(&["--allow-downgrade"]));
    assert!(harness.does(&server, &["list"]).contains(&cookie));
    assert_eq!(harness.does(&server, &["info"]), info, "the server is known as before");
}

#[test]
fn clients_of_both_versions_share_a_server_that_takes_both() {
    let (old, new) = (Harness::of_fss1(), Harness::new());
    let server = new.serve(&["--protocol", "any"]);
    let legacy = old.upload(&server, "file", b"of FSS 1.0");
    let sealed = new.upload(&server, "file", b"of FSS/2");
    assert_eq!(old.does(&server, &["download", &legacy, "-o", "-"]), "of FSS 1.0");
    assert_eq!(new.does(&server, &["download", &sealed, "-o", "-"]), "of FSS/2");
    // To FSS 1.0 a sealed file does not exist; in FSS/2 a file of 1.0 is not proved for without its
    // owner's word.
    fails(
        &old.client(&server, &["download", &sealed, "-o", "-"]),
        10,
        &["Failed to proceed with the selected operation"],
    );
    fails(
        &new.client(&server, &["download", &legacy, "-o", "-"]),
        2,
        &["it is a file of FSS 1.0", "--protocol 1.0"],
    );
    fails(&new.client(&server, &["delete", &legacy]), 2, &["it is a file of FSS 1.0"]);
    let (_, log) = server.stop();
    assert_eq!(log.matches(" stored ").count(), 2, "{log}");
}

#[test]
fn a_server_of_one_version_turns_the_other_away() {
    let (old, new) = (Harness::of_fss1(), Harness::new());
    old.write("file", b"x");
    new.write("file", b"x");
    let of_fss2 = new.serve(&["--protocol", "2"]);
    fails(
        &old.client(&of_fss2, &["upload", "file"]),
        1,
        &["perhaps it does not take FSS 1.0", "no --protocol 1.0"],
    );
    new.upload(&of_fss2, "file", b"x");
    let of_fss1 = old.serve(&["--protocol", "1.0"]);
    fails(
        &new.client(&of_fss1, &["upload", "file"]),
        1,
        &["perhaps it speaks only FSS 1.0", "--protocol 1.0"],
    );
    old.upload(&of_fss1, "file", b"x");
}

#[test]
fn a_profile_of_2019_meets_a_server_directory_of_2019() {
    let harness = Harness::of_fss1();
    let server = serve_2019(&harness);
    for name in RECORDED {
        succeeds(&client_2019(&harness, &server, OF_2019, &["download", name]));
        assert!(harness.read(name) == recorded(name), "{name}");
    }
    let (_, log) = server.stop();
    assert!(log.contains("--upgrade-key"), "{log}");
}

/// Its password was sent to servers, so it seals nothing. Once it has another, the old files still
/// have the old one.
#[test]
fn a_profile_of_2019_is_taken_over_to_fss2_with_its_files() {
    let harness = Harness::new();
    let server = serve_2019(&harness);
    harness.write("file", b"new");
    let client =
        |password: &str, arguments: &[&str]| client_2019(&harness, &server, password, arguments);
    fails(
        &client(OF_2019, &["upload", "file"]),
        1,
        &["may know that password", "change-password (--modern", "--own-password"],
    );
    fails(
        &client(OF_2019, &["change-password"]),
        1,
        &["the password stays as it is", "change-password --modern"],
    );
    succeeds(&client(OF_2019, &["change-password", "--modern"]));
    fails(&client(OF_2019, &["download", "notes.txt"]), 12, &["Wrong Password"]);
    cookie(&client("the new password", &["upload", "file"]));
    for name in RECORDED {
        succeeds(&client("the new password", &["download", name]));
        assert!(harness.read(name) == recorded(name), "{name}");
    }
    assert_eq!(succeeds(&client("the new password", &["download", "file", "-o", "-"])), "new");
    succeeds(&client("the new password", &["delete", "notes.txt"]));
    fails(
        &client("the new password", &["download", "notes.txt", "--force"]),
        10,
        &["Record not found"],
    );
}

#[test]
fn a_profile_of_2019_seals_files_with_passwords_of_their_own() {
    let harness = Harness::new();
    let server = serve_2019(&harness);
    harness.write("file", b"new");
    let own = |arguments: &[&str]| {
        let mut command = harness.client_command(&server);
        run(command
            .env("FSS_PASSWORD", OF_2019)
            .env("FSS_FILE_PASSWORD", "its own")
            .args(arguments))
    };
    cookie(&own(&["upload", "file", "--own-password"]));
    assert_eq!(succeeds(&own(&["download", "file", "-o", "-"])), "new");
    assert!(harness.path("profile/fssLocal.db").exists());
}

/// A server with the recorded directory, and the recorded profile.
fn serve_2019(harness: &Harness) -> Server {
    harness.copy_recorded("server-dir", "data");
    harness.copy_recorded("client-dir", "profile");
    let mut command = harness.server_command();
    command.env("FSS_CODE", "operation code 954").args([
        "--listen",
        "127.0.0.1:0",
        "--data",
        "data",
    ]);
    Server::start(command)
}

fn client_2019(
    harness: &Harness,
    server: &Server,
    password: &str,
    arguments: &[&str],
) -> std::process::Output {
    let mut command = harness.client_command(server);
    run(command
        .env("FSS_PASSWORD", password)
        .env("FSS_NEW_PASSWORD", "the new password")
        .args(arguments))
}

fn recorded(name: &str) -> Vec<u8> {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/samples").join(name);
    std::fs::read(path).expect("recorded")
}
