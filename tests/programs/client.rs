//! Every command of the client.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use fss_test_support::harness::{
    Harness, NONE, client_program, cookie, fails, run, run_to_its_end, succeeds, until,
};

/// Sizes at which something begins: nothing, a chunk, more than one record.
const SIZES: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 300_000];

#[test]
fn files_go_up_and_come_back() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    for size in SIZES {
        let (name, content) = (format!("file-{size}"), content(size));
        let cookie = harness.upload(&server, &name, &content);
        std::fs::remove_file(harness.path(&name)).expect("removed");
        harness.does(&server, &["download", &name]);
        assert!(harness.read(&name) == content, "{size}");
        assert!(
            harness.client(&server, &["download", &cookie, "-o", "-"]).stdout == content,
            "{size}"
        );
    }
    let listed = harness.does(&server, &["list"]);
    let names: Vec<&str> = listed.lines().filter_map(|line| line.rsplit("  ").next()).collect();
    assert_eq!(names, SIZES.map(|size| format!("file-{size}")));
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert_eq!(log.matches(" stored ").count(), SIZES.len(), "{log}");
    assert_eq!(log.matches(" delivered ").count(), 2 * SIZES.len(), "{log}");
    assert!(!log.contains("the password") && !log.contains("the code"));
}

#[test]
fn standard_input_goes_up_whatever_its_size() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    for size in SIZES {
        let content = content(size);
        harness.write("source", &content);
        let input = std::fs::File::open(harness.path("source")).expect("there");
        let mut reader = std::process::Command::new("cat")
            .stdin(input)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let pipe = reader.stdout.take().expect("it is a pipe");
        let name = format!("input-{size}");
        cookie(&run(harness
            .client_command(&server)
            .args(["upload", "-", "--name", &name])
            .stdin(pipe)));
        assert!(reader.wait().expect("it ends").success());
        assert!(
            harness.client(&server, &["download", &name, "-o", "-"]).stdout == content,
            "{size}"
        );
    }
    cookie(&harness.client(&server, &["upload", "-"]));
    assert!(harness.does(&server, &["list"]).ends_with("  stdin\n"));
}

#[test]
fn only_the_cookies_go_to_standard_output() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("a", b"a");
    harness.write("b", b"b");
    let first = harness.client(&server, &["upload", "a", "b"]);
    let told = fails(
        &first,
        0,
        &["This is a new profile", "is new here; its key SHA256:", "is remembered"],
    );
    assert_eq!(told.lines().count(), 2, "{told}");
    let cookies = succeeds(&first);
    assert_eq!(cookies.lines().count(), 2);
    let listed = harness.does(&server, &["list"]);
    assert!(cookies.lines().all(|cookie| listed.contains(cookie)), "{listed}");
    let again = harness.client(&server, &["upload", "a"]);
    cookie(&again);
    assert_eq!(fails(&again, 0, &[]), "");
}

#[test]
fn quiet_clients_tell_errors_only() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("a", b"a");
    for arguments in
        [["--quiet", "upload", "a"].as_slice(), &["--quiet", "download", "a", "--force"]]
    {
        assert_eq!(fails(&harness.client(&server, arguments), 0, &[]), "");
    }
    fails(&harness.client(&server, &["--quiet", "download", "b"]), 10, &["Record not found"]);
}

#[test]
fn several_files_in_one_go_and_the_first_failure_counts() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("a", b"a");
    harness.write("b", b"b");
    let output = harness.client(&server, &["upload", "a", "missing", "b"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).lines().count(),
        2,
        "the others are uploaded all the same"
    );
    fails(&output, 1, &["error: cannot read missing", "why:  No such file", "try:  "]);
    let output = harness.client(&server, &["upload", "--name", "x", "a", "b"]);
    fails(&output, 2, &["--name cannot be used"]);
}

#[test]
fn nothing_is_overwritten_without_force() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"stored");
    harness.write("file", b"local");
    fails(
        &harness.client(&server, &["download", "file"]),
        1,
        &["file is not overwritten", "--force"],
    );
    assert_eq!(harness.read("file"), b"local");
    harness.does(&server, &["download", "file", "--force"]);
    assert_eq!(harness.read("file"), b"stored");
    fails(&harness.client(&server, &["download", "file", "-o", "profile"]), 1, &["profile"]);
    assert!(harness.parts().is_empty());
}

/// A device or a pipe is no file that could be replaced.
#[test]
fn what_is_no_file_is_not_replaced_by_force() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"stored");
    let pipe = harness.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("made");
    let refused = harness.client(&server, &["download", "file", "-o", "pipe", "--force"]);
    fails(&refused, 1, &["pipe is not overwritten", "not a file", "-o - and a redirection"]);
    assert!(!pipe.is_file());
}

#[test]
fn names_are_labels_and_never_paths() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("file", b"x");
    for name in ["../outside", ".hidden", "/etc/passwd", "a\u{1b}[2Jb", "\u{202e}txt.exe"] {
        harness.does(&server, &["upload", "file", "--name", name]);
    }
    fails(
        &harness.client(&server, &["download", ".hidden"]),
        2,
        &["there is no place for the file", "-o PATH"],
    );
    fails(&harness.client(&server, &["download", "a\u{1b}[2Jb"]), 2, &["-o PATH"]);
    harness.does(&server, &["download", "../outside"]);
    assert!(harness.path("outside").exists(), "only the last part of the name counts");
    // What changes how other characters look does not reach the terminal.
    let listed = harness.does(&server, &["list"]);
    assert!(
        !listed.contains('\u{1b}')
            && !listed.contains('\u{202e}')
            && listed.contains(r"\u{202e}txt.exe"),
        "{listed}"
    );
    let deleted = harness.client(&server, &["delete", "a\u{1b}[2Jb"]);
    assert!(!fails(&deleted, 0, &["is deleted"]).contains('\u{1b}'));
}

#[test]
fn a_file_with_a_password_of_its_own_can_be_handed_on() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("gift", b"a gift\n");
    let mut upload = harness.client_command(&server);
    let cookie = cookie(&run(upload
        .args(["upload", "gift", "--own-password"])
        .env("FSS_FILE_PASSWORD", "theirs")));
    let other = |arguments: &[&str], password: &str| {
        run(harness.stranger(&server, arguments).env("FSS_FILE_PASSWORD", password))
    };
    let download = ["download", &cookie, "--own-password", "-o", "-"];
    assert_eq!(succeeds(&other(&download, "theirs")), "a gift\n");
    fails(&other(&download, "wrong"), 10, &["No such file, or the wrong password", "try:  "]);
    fails(&other(&["download", &cookie, "-o", "-"], "theirs"), 10, &["--own-password"]);
    fails(
        &other(&["delete", &cookie, "--own-password"], "wrong"),
        10,
        &["No such file, or the wrong password"],
    );
    // Anyone who knows the password may delete it.
    succeeds(&other(&["delete", &cookie, "--own-password"], "theirs"));
    fails(&other(&download, "theirs"), 10, &["No such file, or the wrong password"]);
    // Its owner knows that it has a password of its own.
    assert!(harness.does(&server, &["list"]).ends_with("gift (own password)\n"));
}

#[test]
fn a_file_of_ones_own_is_deleted_and_no_longer_listed() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let cookies =
        ["by name", "by cookie", "forgotten"].map(|name| harness.upload(&server, name, b"x"));
    fails(
        &run(&mut harness.stranger(&server, &["delete", &cookies[1]])),
        10,
        &["No such file, or the wrong password"],
    );
    harness.does(&server, &["forget", "forgotten"]);
    for (file, cookie) in ["by name", &cookies[1], &cookies[2]].into_iter().zip(&cookies) {
        assert!(harness.path(&format!("data/F-{cookie}")).exists());
        assert_eq!(harness.does(&server, &["delete", file]), "");
        assert!(!harness.path(&format!("data/F-{cookie}")).exists());
        // The answer may have been lost: to ask again does no harm. A name is no longer listed.
        let again = harness.client(&server, &["delete", file]);
        if file == "by name" {
            drop(fails(&again, 10, &["try:  "]));
        } else {
            drop(succeeds(&again));
        }
    }
    assert_eq!(
        (harness.does(&server, &["list"]), harness.does(&server, &["list", "--remote"])),
        Default::default()
    );
}

/// It is the key that owns a file, and the server asks an owner for nothing else.
#[test]
fn an_owner_deletes_a_forgotten_file_whatever_its_password() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("file", b"x");
    let mut upload = harness.client_command(&server);
    let cookie = cookie(&run(upload
        .args(["upload", "file", "--own-password"])
        .env("FSS_FILE_PASSWORD", "its own")));
    harness.does(&server, &["forget", &cookie]);
    assert!(harness.does(&server, &["list", "--remote"]).contains(&cookie));
    harness.does(&server, &["delete", &cookie]);
    assert_eq!(harness.does(&server, &["list", "--remote"]), "");
}

#[test]
fn a_server_lists_the_files_of_a_key_and_of_no_other() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let kept = harness.upload(&server, "kept", b"x");
    let limited = cookie(&harness.client(
        &server,
        &["upload", "kept", "--name", "limited", "--downloads", "2", "--keep", "30d"],
    ));
    let forgotten = harness.upload(&server, "forgotten", b"x");
    harness.does(&server, &["forget", "forgotten"]);
    assert_eq!(succeeds(&run(&mut harness.stranger(&server, &["list", "--remote"]))), "");
    let listed = harness.does(&server, &["list", "--remote"]);
    let [first, second, third] = listed.lines().collect::<Vec<_>>()[..] else { panic!("{listed}") };
    assert!(first.contains(&kept) && first.ends_with("  kept"), "{first}");
    assert!(
        second.contains(&limited) && second.contains("  limited (2 downloads left) (until 2"),
        "{second}"
    );
    assert!(third.contains(&forgotten) && third.ends_with("  ?"), "{third}");
}

#[test]
fn a_server_keeps_a_file_as_long_as_was_asked() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("file", b"x");
    let once =
        cookie(&harness.client(&server, &["upload", "file", "--name", "once", "--downloads", "1"]));
    assert_eq!(harness.does(&server, &["download", "once", "-o", "-"]), "x");
    fails(&harness.client(&server, &["download", &once, "-o", "-"]), 10, &["No such file"]);
    let short =
        cookie(&harness.client(&server, &["upload", "file", "--name", "short", "--keep", "1s"]));
    until("the file expires", || harness.does(&server, &["list", "--remote"]).is_empty());
    fails(&harness.client(&server, &["download", &short, "-o", "-"]), 10, &["No such file"]);
    for wrong in [["--keep", "0s"], ["--keep", "soon"], ["--downloads", "0"]] {
        fails(
            &harness.client(&server, &[&["upload", "file"], &wrong[..]].concat()),
            2,
            &[wrong[0]],
        );
    }
}

#[test]
fn a_server_that_keeps_a_file_for_less_than_was_asked_is_told_of() {
    let less = ["keeps file only"];
    for (keeps, arguments, told, listed) in [
        ("1h", [].as_slice(), " only until 2", " (until 2"),
        (
            "1h",
            &["--keep", "2h", "--downloads", "3"],
            " only until 2",
            " (for 3 downloads) (until 2",
        ),
        ("1h", &["--keep", "30m"], "", " (until 2"),
        ("until-downloaded", &["--downloads", "3"], " only for 1 download", " (for 1 download)"),
        ("until-downloaded", &["--downloads", "1"], "", " (for 1 download)"),
        ("forever", &["--downloads", "3"], "", " (for 3 downloads)"),
    ] {
        let harness = Harness::new();
        let server = harness.serve(&["--keep", keeps]);
        harness.write("file", b"x");
        let output = harness.client(&server, &[&["upload", "file"], arguments].concat());
        let warned = fails(&output, 0, if told.is_empty() { &[] } else { &less });
        assert!(
            warned.contains(told) && warned.contains(less[0]) != told.is_empty(),
            "{keeps} {arguments:?}: {warned}"
        );
        let list = harness.does(&server, &["list"]);
        assert!(list.contains(listed), "{keeps} {arguments:?}: {list}");
    }
}

#[test]
fn a_client_signs_up_and_is_told_who_it_is() {
    let harness = Harness::new();
    let server = harness.serve(&["--largest-file", "1000000"]);
    let before = harness.does(&server, &["info"]);
    let own_key = before
        .lines()
        .find_map(|line| line.strip_prefix("your key      "))
        .expect("it tells the key");
    assert!(own_key.starts_with("SHA256:"));
    assert!(
        before.contains("largest file  1000000 bytes") && before.contains("you have not signed up"),
        "{before}"
    );
    let signed_up = harness.does(&server, &["sign-up", "alice"]);
    assert!(signed_up.contains("user          alice\n"), "{signed_up}");
    harness.upload(&server, "file", &[7; 5000]);
    let after = harness.does(&server, &["info"]);
    assert!(
        after.contains(own_key) && after.contains("user          alice\nused          21"),
        "5000 bytes, and what a file costs: {after}"
    );
    fails(
        &run(&mut harness.stranger(&server, &["sign-up", "alice"])),
        1,
        &["cannot sign up as alice", "not available", "another name"],
    );
    fails(
        &run(&mut harness.stranger(&server, &["sign-up", "not a name"])),
        2,
        &["cannot be the name of a user"],
    );
    let mut short = harness.client_command(&server);
    fails(&run(short.args(["sign-up", "bob"]).env("FSS_INVITE", "short")), 2, &["44 characters"]);
    fails(
        &harness.client(&server, &["sign-up", "bob", "--invite", "argument"]),
        2,
        &["unexpected argument"],
    );
}

#[test]
fn a_change_of_the_password_strands_no_file() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "older", b"before");
    assert_eq!(
        succeeds(&run(harness
            .client_command(&server)
            .env("FSS_NEW_PASSWORD", "new")
            .arg("change-password"))),
        "The password is changed.\n"
    );
    fails(&harness.client(&server, &["download", "older", "-o", "-"]), 12, &["Wrong Password"]);
    let with_new = |arguments: &[&str]| {
        succeeds(&run(harness.client_command(&server).env("FSS_PASSWORD", "new").args(arguments)))
    };
    harness.write("newer", b"after");
    with_new(&["upload", "newer"]);
    assert_eq!(with_new(&["download", "older", "-o", "-"]), "before");
    assert_eq!(with_new(&["download", "newer", "-o", "-"]), "after");
    assert_eq!(with_new(&["delete", "older"]), "");
}

/// A file is asked of the server that has it, whatever the environment names; the command line has
/// the last word.
#[test]
fn a_download_goes_to_the_server_that_its_record_names() {
    let (harness, other) = (Harness::new(), Harness::new());
    let server = harness.serve(&["--cookies", "index"]);
    let elsewhere = other.serve(&["--cookies", "index"]);
    assert_eq!(harness.upload(&server, "file", b"here"), "1");
    assert_eq!(other.upload(&elsewhere, "file", &[b'x'; 100]), "1");
    assert_eq!(harness.does(&elsewhere, &["download", "file", "-o", "-"]), "here");
    fails(
        &harness.client(&server, &["--server", &elsewhere.address, "download", "file", "-o", "-"]),
        10,
        &["No such file"],
    );
    // A second file with the same cookie cannot be listed, and its cookie must not get lost.
    let third_world = Harness::new();
    let third = third_world.serve(&["--cookies", "index"]);
    let upload = other.client(&third, &["upload", "file"]);
    assert_eq!(upload.stdout, b"1\n");
    fails(&upload, 1, &["on the server, but not on your list", "same cookie"]);
}

#[test]
fn standard_output_that_is_full_is_an_error() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"x");
    for arguments in [["list"].as_slice(), &["upload", "file"], &["info"], &["list", "--remote"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("there");
        fails(
            &run(harness.client_command(&server).args(arguments).stdout(full)),
            14,
            &["cannot write to standard output"],
        );
    }
}

#[test]
fn a_name_that_fits_several_files_is_not_guessed() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let (first, second) =
        (harness.upload(&server, "twice", b"1"), harness.upload(&server, "twice", b"2"));
    for command in ["download", "delete", "forget"] {
        fails(&harness.client(&server, &[command, "twice"]), 2, &["is not clear", &first, &second]);
    }
    assert_eq!(harness.does(&server, &["download", &first, "-o", "-"]), "1");
}

#[test]
fn the_list_is_searched_shortened_and_emptied() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    for name in ["notes.txt", "other.txt", "third.bin"] {
        harness.upload(&server, name, b"x");
    }
    let found = |text: &str| harness.does(&server, &["search", text]).lines().count();
    assert_eq!((found("txt"), found("third"), found("none")), (2, 1, 0));
    harness.does(&server, &["forget", "notes.txt"]);
    assert_eq!(found("txt"), 1);
    fails(&harness.client(&server, &["clean"]), 2, &["clean --yes"]);
    assert_eq!(harness.does(&server, &["clean", "--yes"]), "2 files are off the list.\n");
    assert_eq!(found(""), 0);
    assert_eq!(
        harness.does(&server, &["list", "--remote"]).lines().count(),
        3,
        "the server keeps them"
    );
}

#[test]
fn passwords_come_from_files_and_commands_and_never_from_the_command_line() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"x");
    harness.write("secret", b"the password\nand more\n");
    for (variable, value, code) in [
        ("FSS_PASSWORD_FILE", "secret", 0),
        ("FSS_PASSWORD_COMMAND", "head -n 1 secret", 0),
        ("FSS_PASSWORD_FILE", "missing", 2),
        ("FSS_PASSWORD_COMMAND", "exit 3", 2),
    ] {
        let mut command = harness.client_command(&server);
        let output = run(command
            .env_remove("FSS_PASSWORD")
            .env(variable, value)
            .args(["download", "file", "-o", "-"]));
        assert_eq!(output.status.code(), Some(code), "{variable}={value} {output:?}");
    }
    let help = succeeds(&run(client_program().args(["upload", "--help"])));
    assert!(!help.contains("--password"));
}

/// A pipe has no end until a writer has opened and closed it, so it is not waited for.
#[test]
fn what_is_no_file_is_not_uploaded_by_its_name() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let pipe = harness.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("made");
    for (name, protocol) in [("pipe", "2"), ("/dev/zero", "2"), ("pipe", "1.0")] {
        let mut upload = harness.client_command(&server);
        let output = run_to_its_end(upload.args(["--protocol", protocol, "upload", name]));
        fails(&output, 2, &["a pipe, a socket or a device", &format!("client upload - < {name}")]);
    }
}

#[test]
fn a_server_is_asked_at_the_usual_port_if_none_is_named() {
    let harness = Harness::new();
    for (named, asked) in [
        ("localhost", "localhost:954"),
        ("LocalHost:1", "localhost:1"),
        ("127.0.0.1", "127.0.0.1:954"),
        ("::1", "[::1]:954"),
        ("[::1]", "[::1]:954"),
        ("[::1]:2", "[::1]:2"),
    ] {
        let forget =
            run(harness.client_at("127.0.0.1:1").args(["--server", named, "forget-server"]));
        assert!(
            fails(&forget, 2, &["is not known"])
                .to_lowercase()
                .contains(&format!("error: {asked} ")),
            "{forget:?}"
        );
        let by_environment = run(harness.client_at(named).arg("forget-server"));
        assert_eq!(by_environment.stderr, forget.stderr, "{named}");
    }
}

#[test]
fn a_list_can_be_that_of_one_server() {
    let (harness, other) = (Harness::new(), Harness::new());
    let (server, elsewhere) = (harness.serve(&NONE), other.serve(&NONE));
    let here = harness.upload(&server, "here", b"x");
    let there = harness.upload(&elsewhere, "there", b"x");
    for command in [["list"].as_slice(), &["search", "e"]] {
        let of = |address: &str| harness.does(&server, &[&["--server", address], command].concat());
        let (first, second) = (of(&server.address), of(&elsewhere.address));
        assert!(first.contains(&here) && !first.contains(&there), "{first}");
        assert!(second.contains(&there) && !second.contains(&here), "{second}");
        assert_eq!(
            harness.does(&server, command).lines().count(),
            2,
            "no server is named, so all are shown"
        );
    }
}

#[test]
fn a_name_that_is_not_utf_8_comes_back_as_it_was() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let name = OsStr::from_bytes(b"caf\xe9 100%");
    std::fs::write(harness.directory.path().join(name), b"x").expect("written");
    let cookie = cookie(&run(harness.client_command(&server).arg("upload").arg(name)));
    std::fs::remove_file(harness.directory.path().join(name)).expect("removed");
    for file in [OsStr::new(&cookie), OsStr::new("caf\u{fffd} 100%"), name] {
        let download = || run(harness.client_command(&server).arg("download").arg(file));
        succeeds(&download());
        assert_eq!(
            std::fs::read(harness.directory.path().join(name)).expect("it has its name"),
            b"x"
        );
        fails(&download(), 1, &["is not overwritten"]);
        std::fs::remove_file(harness.directory.path().join(name)).expect("removed");
    }
}

/// The command ended after the file was listed and before its cookie was told, as if it had been
/// killed there.
#[test]
fn an_upload_whose_cookie_was_not_told_is_not_made_twice() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("file", b"x");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("there");
    fails(
        &run(harness.client_command(&server).args(["upload", "file"]).stdout(full)),
        14,
        &["cannot write to standard output"],
    );
    let again = harness.client(&server, &["upload", "file"]);
    fails(&again, 0, &["file is on the server already"]);
    assert_eq!(harness.does(&server, &["list", "--remote"]).lines().count(), 1);
    assert!(harness.does(&server, &["list"]).contains(&cookie(&again)));
    // Its cookie was already printed: now it is another file.
    assert_ne!(cookie(&harness.client(&server, &["upload", "file"])), cookie(&again));
    assert_eq!(harness.does(&server, &["list", "--remote"]).lines().count(), 2);
}

/// Each would make the directory, the tables and the key.
#[test]
fn twenty_clients_begin_one_profile_at_once() {
    const CLIENTS: usize = 20;
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let name = format!("file-{number}");
            harness.write(&name, name.as_bytes());
            let mut client = harness.client_command(&server);
            client
                .args(["upload", &name])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    for client in clients {
        cookie(&client.wait_with_output().expect("it ends"));
    }
    assert_eq!(harness.does(&server, &["list"]).lines().count(), CLIENTS);
    assert_eq!(
        harness.does(&server, &["list", "--remote"]).lines().count(),
        CLIENTS,
        "they have one key"
    );
    assert_eq!(harness.does(&server, &["download", "file-7", "-o", "-"]), "file-7");
}

/// Bytes in which no two chunks are alike.
fn content(size: usize) -> Vec<u8> {
    (0..251).cycle().take(size).collect()
}
