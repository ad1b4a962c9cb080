//! Every command of the client, and every error that a user can run into.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use super::world::{Server, World, client_program, fails};

const NONE: [&str; 0] = [];

#[test]
fn files_go_up_and_come_back() {
    let world = World::new();
    let server = world.serve(&NONE);
    for (name, size) in [("empty", 0), ("one", 1), ("chunk", 1024), ("odd", 50_001)] {
        let content: Vec<u8> = (0..251).cycle().take(size).collect();
        let cookie = world.upload(&server, name, &content);
        std::fs::remove_file(world.path(name)).expect("removed");
        assert!(world.client(&server, &["download", name]).status.success());
        assert_eq!(world.read(name), content);
        let output = world.client(&server, &["download", &cookie, "-o", "-"]);
        assert_eq!((output.status.code(), output.stdout), (Some(0), content));
    }
    let output = world.client(&server, &["list"]);
    let list = String::from_utf8(output.stdout).expect("text");
    let names: Vec<&str> = list.lines().filter_map(|line| line.rsplit("  ").next()).collect();
    assert_eq!(names, ["empty", "one", "chunk", "odd"]);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert_eq!(log.matches(" stored ").count(), 4, "{log}");
    assert_eq!(log.matches(" delivered ").count(), 8, "{log}");
    assert!(!log.contains("the password") && !log.contains("the code"));
}

#[test]
fn several_files_in_one_go_and_the_first_failure_counts() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.write("a", b"a");
    world.write("b", b"b");
    let output = world.client(&server, &["upload", "a", "missing", "b"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2, "the others are uploaded all the same");
    fails(&output, 1, &["error: cannot read missing", "why:  No such file", "try:  "]);
    let output = world.client(&server, &["upload", "--name", "x", "a", "b"]);
    fails(&output, 2, &["--name cannot be used"]);
}

#[test]
fn nothing_is_overwritten_without_force() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.upload(&server, "file", b"stored");
    world.write("file", b"local");
    fails(&world.client(&server, &["download", "file"]), 1, &["file is not overwritten", "--force"]);
    assert_eq!(world.read("file"), b"local");
    assert!(world.client(&server, &["download", "file", "--force"]).status.success());
    assert_eq!(world.read("file"), b"stored");
    fails(&world.client(&server, &["download", "file", "-o", "profile"]), 1, &["profile"]);
    let parts = std::fs::read_dir(world.directory.path())
        .expect("readable")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("fss-part")));
    assert_eq!(parts.count(), 0);
}

#[test]
fn names_are_labels_and_never_paths() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.write("file", b"x");
    for name in ["../outside", ".hidden", "/etc/passwd", "a\u{1b}[2Jb"] {
        assert!(world.client(&server, &["upload", "file", "--name", name]).status.success());
    }
    fails(&world.client(&server, &["download", ".hidden"]), 2, &["there is no place for the file", "-o PATH"]);
    fails(&world.client(&server, &["download", "a\u{1b}[2Jb"]), 2, &["-o PATH"]);
    assert!(world.client(&server, &["download", "../outside"]).status.success());
    assert!(world.path("outside").exists(), "only the last part of the name counts");
    let list = world.client(&server, &["list"]).stdout;
    assert!(!list.contains(&0x1b), "control characters do not reach the terminal");
}

#[test]
fn a_file_with_a_password_of_its_own_can_be_handed_on() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.write("gift", b"a gift\n");
    let upload =
        world.client_command(&server).args(["upload", "gift", "--own-password"]).env("FSS_FILE_PASSWORD", "theirs").output();
    let cookie = String::from_utf8(upload.expect("it runs").stdout).expect("text").trim_end().to_owned();
    let other = |password: &str, more: &[&str]| {
        let mut command = client_program();
        command.current_dir(world.directory.path()).env("FSS_PASSWORD", "another").env("FSS_FILE_PASSWORD", password);
        command.args(["--server", &server.address, "--profile", "other", "download", &cookie, "--own-password", "-o", "-"]);
        command.args(more).output().expect("it runs")
    };
    let output = other("theirs", &["--size", "7"]);
    assert_eq!(output.stdout, b"a gift\n", "{output:?}");
    let output = other("theirs", &[]);
    assert_eq!(output.stdout, b"a gift\n");
    fails(&output, 0, &["its end is a guess", "cannot tell a server from an impostor"]);
    fails(&other("wrong", &[]), 12, &["Wrong Password"]);
    fails(&other("theirs", &["--size", "700"]), 15, &["cannot hold a file of 700 bytes"]);
}

#[test]
fn errors_are_named_and_have_codes() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.upload(&server, "file", b"x");
    let nobody = "123456789012345678901234567890123456789012345678";
    fails(&world.client(&server, &["download", nobody]), 10, &["Failed to proceed with the selected operation", "no such file"]);
    fails(&world.client(&server, &["download", "unknown"]), 10, &["Record not found", "`list`"]);
    fails(&world.client(&server, &["forget", "unknown"]), 10, &["Record not found"]);
    fails(&world.client(&server, &["--protocol", "2", "list"]), 2, &["--protocol 2 cannot be used", "FSS 1.0 only"]);
    fails(&world.client(&server, &[]), 2, &["no command was given", "upload, download"]);
    fails(&world.client(&server, &["upload", "profile"]), 2, &["it is a directory"]);
    fails(&world.client(&server, &["--server", "nonsense", "upload", "file"]), 2, &["is no server", "--server HOST:PORT"]);
    let output = world.client_command(&server).env("FSS_PASSWORD", "wrong").args(["download", "file", "-o", "x"]).output();
    fails(&output.expect("it runs"), 12, &["Wrong Password", "the password does not open"]);
    assert!(!world.path("x").exists());
    let address = server.address.clone();
    server.stop();
    let mut gone = world.client_command(&Server::nowhere(&address));
    fails(&gone.args(["upload", "file"]).output().expect("it runs"), 75, &["Server Connection Was Failed", "refused"]);
}

/// A file is asked of the server that has it, whatever the environment names; the command line has the last word.
#[test]
fn a_download_goes_to_the_server_that_its_record_names() {
    let (world, other) = (World::new(), World::new());
    let server = world.serve(&["--cookies", "index"]);
    let elsewhere = other.serve(&["--cookies", "index"]);
    assert_eq!(world.upload(&server, "file", b"here"), "1");
    assert_eq!(other.upload(&elsewhere, "file", &[b'x'; 100]), "1");
    assert_eq!(world.client(&elsewhere, &["download", "file", "-o", "-"]).stdout, b"here");
    assert_eq!(world.client(&server, &["--server", &elsewhere.address, "download", "file", "-o", "-"]).status.code(), Some(15));
    // A second file with the same cookie cannot be listed, and its cookie must not get lost.
    let third_world = World::new();
    let third = third_world.serve(&["--cookies", "index"]);
    let upload = other.client(&third, &["upload", "file"]);
    assert_eq!(upload.stdout, b"1\n");
    fails(&upload, 1, &["on the server, but not on your list", "same cookie"]);
}

#[test]
fn standard_output_that_is_full_is_an_error() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.upload(&server, "file", b"x");
    for arguments in [["list"].as_slice(), &["upload", "file"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("there");
        let output = world.client_command(&server).args(arguments).stdout(full).output().expect("it runs");
        fails(&output, 1, &["cannot write to standard output"]);
    }
}

#[test]
fn a_name_that_fits_several_files_is_not_guessed() {
    let world = World::new();
    let server = world.serve(&NONE);
    let (first, second) = (world.upload(&server, "twice", b"1"), world.upload(&server, "twice", b"2"));
    fails(&world.client(&server, &["download", "twice", "-o", "x"]), 2, &["is not clear", &first, &second]);
    assert_eq!(world.client(&server, &["download", &first, "-o", "-"]).stdout, b"1");
}

#[test]
fn the_list_is_searched_shortened_and_emptied() {
    let world = World::new();
    let server = world.serve(&NONE);
    for name in ["notes.txt", "other.txt", "third.bin"] {
        world.upload(&server, name, b"x");
    }
    let found = |text: &str| String::from_utf8(world.client(&server, &["search", text]).stdout).expect("text").lines().count();
    assert_eq!((found("txt"), found("third"), found("none")), (2, 1, 0));
    assert!(world.client(&server, &["forget", "notes.txt"]).status.success());
    assert_eq!(found("txt"), 1);
    fails(&world.client(&server, &["change-password"]), 1, &["the password stays as it is", "(2)"]);
    fails(&world.client(&server, &["clean"]), 2, &["clean --yes"]);
    assert!(world.client(&server, &["clean", "--yes"]).status.success());
    assert_eq!(found("txt"), 0);
    let changed = world.client_command(&server).env("FSS_NEW_PASSWORD", "new").arg("change-password").output().expect("it runs");
    assert!(changed.status.success());
    fails(&world.client(&server, &["upload", "third.bin"]), 12, &["Wrong Password"]);
}

#[test]
fn passwords_come_from_files_and_commands_and_never_from_the_command_line() {
    let world = World::new();
    let server = world.serve(&NONE);
    world.upload(&server, "file", b"x");
    world.write("secret", b"the password\nand more\n");
    for (variable, value, code) in [
        ("FSS_PASSWORD_FILE", "secret", 0),
        ("FSS_PASSWORD_COMMAND", "head -n 1 secret", 0),
        ("FSS_PASSWORD_FILE", "missing", 2),
        ("FSS_PASSWORD_COMMAND", "exit 3", 2),
    ] {
        let mut command = world.client_command(&server);
        let output = command
            .env_remove("FSS_PASSWORD")
            .env(variable, value)
            .args(["download", "file", "-o", "-"])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{variable}={value} {output:?}");
    }
    let help = client_program().args(["upload", "--help"]).output().expect("it runs").stdout;
    assert!(!String::from_utf8_lossy(&help).contains("--password"));
}

#[test]
fn a_profile_of_2019_meets_a_server_directory_of_2019() {
    let world = World::new();
    world.copy_recorded("server-dir", "data");
    world.copy_recorded("client-dir", "profile");
    let mut command = world.server_command();
    command.env("FSS_CODE", "operation code 954").args(["--listen", "127.0.0.1:0", "--data", "data"]);
    let server = Server::start(command);
    for name in ["notes.txt", "block.bin", "one.bin", "empty.bin", "repeat.bin"] {
        let mut command = world.client_command(&server);
        command.env("FSS_PASSWORD", "correct horse battery staple").args(["download", name]);
        assert!(command.status().expect("it runs").success());
        let recorded = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/samples").join(name);
        assert_eq!(world.read(name), std::fs::read(recorded).expect("recorded"));
    }
    let (_, log) = server.stop();
    assert!(log.contains("--upgrade-key"), "{log}");
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
