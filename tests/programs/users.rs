//! A server for members, and the administration of its users while it runs.

use std::process::Command;

use fss_test_support::harness::{Harness, NONE, fails, run, succeeds};

#[test]
fn strangers_may_download_and_ask_and_nothing_else() {
    let harness = Harness::new();
    let server = harness.serve(&["--members"]);
    harness.write("file", b"x");
    let tells = ["This server is for its members.", "sign-up NAME --invite"];
    fails(&harness.client(&server, &["upload", "file"]), 1, &tells);
    fails(&harness.client(&server, &["list", "--remote"]), 1, &tells);
    fails(
        &harness.client(&server, &["sign-up", "alice"]),
        1,
        &["The invite is not valid", "ask its operator"],
    );
    assert!(harness.does(&server, &["info"]).contains("you have not signed up"));
    let invite = succeeds(&harness.users(&["invite"]));
    harness.signs_up(&server, "alice", &invite);
    let cookie = harness.upload(&server, "file", b"x");
    // The password of a file is enough to download it.
    let mut download =
        harness.stranger(&server, &["download", &cookie, "--own-password", "-o", "-"]);
    assert_eq!(succeeds(&run(download.env("FSS_FILE_PASSWORD", "the password"))), "x");
    let old = Harness::of_fss1();
    old.write("file", b"x");
    fails(&old.client(&server, &["upload", "file"]), 1, &["cannot upload the file"]);
}

#[test]
fn an_invite_is_good_once() {
    let harness = Harness::new();
    let server = harness.serve(&["--members"]);
    let invite = succeeds(&harness.users(&["invite", "--quota", "1M"]));
    let invite = invite.strip_suffix('\n').expect("a line");
    assert_eq!(invite.len(), 44);
    let signed_up = harness.signs_up(&server, "alice", invite);
    assert!(signed_up.contains("used          0 bytes of 1048576 bytes"), "{signed_up}");
    // To ask again does no harm; a key has one name.
    assert_eq!(harness.does(&server, &["sign-up", "alice"]), signed_up);
    fails(
        &harness.client(&server, &["sign-up", "bob"]),
        1,
        &["has signed up there before, as alice"],
    );
    let mut again = harness.stranger(&server, &["sign-up", "bob"]);
    fails(&run(again.env("FSS_INVITE", invite)), 1, &["The invite is not valid", "a new invite"]);
}

/// Every user of the machine could read an argument.
#[test]
fn an_invite_comes_from_anywhere_but_the_command_line() {
    let harness = Harness::new();
    let server = harness.serve(&["--members"]);
    let invite = || succeeds(&harness.users(&["invite"]));
    let signs_up = |name: &str, prepare: &dyn Fn(&mut Command, &str)| {
        let (mut command, invite) = (harness.stranger(&server, &["sign-up", name]), invite());
        command.env("FSS_PROFILE", name);
        prepare(&mut command, &invite);
        assert!(succeeds(&run(&mut command)).contains(&format!("user          {name}\n")));
    };
    signs_up("file", &|command, invite| {
        harness.write("invite.txt", invite.as_bytes());
        command.env("FSS_INVITE_FILE", "invite.txt");
    });
    signs_up("command", &|command, invite| {
        command.env("FSS_INVITE_COMMAND", format!("echo {invite}"));
    });
    // As in: server users invite | client sign-up anna --invite
    signs_up("input", &|command, invite| {
        harness.write("input.txt", invite.as_bytes());
        command
            .arg("--invite")
            .stdin(std::fs::File::open(harness.path("input.txt")).expect("readable"));
    });
    let argument = harness
        .stranger(&server, &["sign-up", "argument", "--invite", invite().trim_end()])
        .output()
        .expect("it runs");
    fails(&argument, 2, &["unexpected argument"]);
    let nothing =
        harness.stranger(&server, &["sign-up", "nothing", "--invite"]).output().expect("it runs");
    fails(&nothing, 2, &["the invite cannot be used", "44 characters"]);
}

#[test]
fn users_are_administered_beside_the_running_server() {
    let harness = Harness::new();
    let server = harness.serve(&["--members"]);
    let info = harness.does(&server, &["info"]);
    let key = info
        .lines()
        .find_map(|line| line.strip_prefix("your key      "))
        .expect("it tells the key");
    assert_eq!(succeeds(&harness.users(&["add", "alice", key, "--quota", "30K"])), "");
    harness.upload(&server, "file", &[7; 5000]);
    let listed = succeeds(&harness.users(&["list"]));
    let [name, listed_key, used, quota] = listed.trim_end().split('\t').collect::<Vec<_>>()[..]
    else {
        panic!("{listed}")
    };
    assert_eq!((name, listed_key, quota), ("alice", key, "30720"));
    assert!(
        used.parse::<u64>().is_ok_and(|used| (5000..6000).contains(&(used - 16 * 1024))),
        "{used}"
    );
    assert_eq!(succeeds(&harness.users(&["quota", "alice", "25K"])), "");
    fails(&harness.client(&server, &["upload", "file"]), 14, &["does not fit into your quota"]);
    assert_eq!(succeeds(&harness.users(&["quota", "alice", "none"])), "");
    harness.upload(&server, "file", &[7; 5000]);
    assert!(succeeds(&harness.users(&["list"])).ends_with("\t-\n"));
    assert_eq!(succeeds(&harness.users(&["remove", "alice"])), "");
    fails(&harness.client(&server, &["upload", "file"]), 1, &["This server is for its members."]);
    assert_eq!(succeeds(&harness.users(&["list"])), "");
}

#[test]
fn what_is_wrong_about_users_is_told() {
    let harness = Harness::new();
    fails(&harness.users(&["list"]), 1, &["data", "try:  "]);
    assert!(!harness.path("data").exists(), "a typing error makes no server directory");
    harness.serve(&NONE).stop();
    let key = harness.fingerprint();
    succeeds(&harness.users(&["add", "alice", &key]));
    fails(&harness.users(&["add", "alice", &harness.fingerprint()]), 1, &["alice", "try:  "]);
    fails(&harness.users(&["add", "not a name", &key]), 2, &["cannot be the name of a user"]);
    fails(
        &harness.users(&["remove", "bob"]),
        1,
        &["there is no user \"bob\"", "server users list"],
    );
    fails(&harness.users(&["quota", "bob", "1G"]), 1, &["there is no user \"bob\""]);
    fails(&harness.users(&["invite", "--quota", "much"]), 2, &["is not a number of bytes"]);
}
