//! Directories go up as one file and come back as they were, and content is compressed where that
//! helps.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use fss_test_support::rng::SeededRng;
use rand_core::Rng as _;

use fss_test_support::harness::{Harness, NONE, client_program, cookie, fails, run, succeeds};

/// A tree with what trees have.
fn plant(root: &Path) {
    fs::create_dir_all(root.join("deep/er")).expect("made");
    fs::create_dir(root.join("empty")).expect("made");
    fs::write(root.join("deep/er/notes.txt"), "words ".repeat(10_000)).expect("written");
    fs::write(root.join("run.sh"), "#!/bin/sh\n").expect("written");
    fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o750)).expect("set");
    symlink("deep/er/notes.txt", root.join("inside")).expect("made");
}

/// All names below a directory, with what each is.
fn survey(root: &Path) -> Vec<(String, u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).expect("readable").map(|entry| entry.expect("readable")) {
        let (path, metadata) = (entry.path(), entry.metadata().expect("readable"));
        let content = if metadata.is_symlink() {
            fs::read_link(&path).expect("a link").to_string_lossy().into_owned()
        } else if metadata.is_dir() {
            format!("{:?}", survey(&path))
        } else {
            fs::read_to_string(&path).expect("text")
        };
        found.push((
            entry.file_name().to_string_lossy().into_owned(),
            metadata.permissions().mode(),
            content,
        ));
    }
    found.sort();
    found
}

#[test]
fn a_directory_comes_back_as_it_was() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    plant(&harness.path("tree"));
    for compress in ["auto", "always", "never"] {
        let cookie = cookie(&harness.client(&server, &["upload", "tree", "--compress", compress]));
        harness.does(&server, &["download", &cookie, "-o", compress]);
        assert_eq!(survey(&harness.path("tree")), survey(&harness.path(compress)), "{compress}");
    }
    fails(&harness.client(&server, &["download", "tree", "-o", "auto"]), 2, &["not clear"]);
    let listed = harness.does(&server, &["list"]);
    let cookie = listed.split("  ").find(|column| column.len() == 48).expect("a cookie").to_owned();
    fs::write(harness.path("auto/more"), "x").expect("written");
    fails(
        &harness.client(&server, &["download", &cookie, "-o", "auto"]),
        1,
        &["there is a directory of this name"],
    );
    assert!(harness.path("auto/more").exists());
    let there = ["download", &cookie, "-o", "auto", "--force"];
    fails(&harness.client(&server, &there), 1, &["auto is not overwritten", "it is not empty"]);
    std::fs::remove_dir_all(harness.path("auto")).expect("removed");
    harness.does(&server, &there);
    assert_eq!(
        survey(&harness.path("tree")),
        survey(&harness.path("auto")),
        "it is replaced, not mixed"
    );
    assert_eq!(harness.parts().len(), 0);
}

/// A link that leads out is what its owner has, and what a stranger must not get.
#[test]
fn a_link_that_leads_out_comes_back_to_its_owner_only() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    plant(&harness.path("tree"));
    symlink("/etc", harness.path("tree/out")).expect("made");
    let mut upload = harness.client_command(&server);
    let output =
        run(upload.env("FSS_FILE_PASSWORD", "its own").args(["upload", "tree", "--own-password"]));
    let cookie = cookie(&output);
    fails(&output, 0, &["the link out may lead out of the directory"]);
    let own = |mut command: std::process::Command| run(command.env("FSS_FILE_PASSWORD", "its own"));
    let mut owner = harness.client_command(&server);
    owner.args(["download", "tree", "-o", "mine"]);
    succeeds(&own(owner));
    assert_eq!(survey(&harness.path("tree")), survey(&harness.path("mine")));
    let stranger =
        harness.stranger(&server, &["download", &cookie, "--own-password", "-o", "theirs"]);
    fails(&own(stranger), 15, &["the link leads out of the directory", "nothing of it was kept"]);
    assert!(!harness.path("theirs").exists());
}

#[test]
fn what_can_be_compressed_takes_less_room_on_the_server() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let text = b"the same words over and over, ".repeat(100_000);
    harness.write("text", &text);
    let stored = |arguments: &[&str]| -> u64 {
        let cookie = cookie(&harness.client(&server, arguments));
        assert!(
            harness.client(&server, &["download", &cookie, "-o", "-"]).stdout == text,
            "{arguments:?}"
        );
        fs::metadata(harness.path(&format!("data/F-{cookie}/F"))).expect("there").len()
    };
    assert!(stored(&["upload", "text", "--compress", "auto"]) < 100_000);
    assert!(stored(&["upload", "text", "--compress", "never"]) > 3_000_000);
    let mut random = vec![0; 200_000];
    SeededRng(1).fill_bytes(&mut random);
    harness.write("random", &random);
    let cookie = cookie(&harness.client(&server, &["upload", "random", "--compress", "auto"]));
    assert!(
        fs::metadata(harness.path(&format!("data/F-{cookie}/F"))).expect("there").len() > 200_000,
        "it would not help"
    );
    let input = fs::File::open(harness.path("text")).expect("there");
    let mut piped = harness.client_command(&server);
    let output = piped
        .args(["upload", "-", "--compress", "always", "--name", "piped"])
        .stdin(input)
        .output()
        .expect("it runs");
    succeeds(&output);
    harness.does(&server, &["download", "piped"]);
    assert!(harness.read("piped") == text);
}

/// The profile changes with every upload, so it cannot be packed with what is around it.
#[test]
fn a_directory_around_the_profile_or_above_goes_up_without_it() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    fs::create_dir_all(harness.path("home/desk")).expect("made");
    harness.write("home/desk/notes", b"x");
    let upload = |arguments: &[&str]| {
        let mut client = harness.client_command(&server);
        client
            .env("FSS_PROFILE", harness.path("home/profile"))
            .current_dir(harness.path("home/desk"))
            .args(arguments);
        run(&mut client)
    };
    for (path, name) in
        [("..", "home"), (".", "desk"), ("../desk/..", "home"), ("../desk/", "desk")]
    {
        let output = upload(&["upload", path]);
        cookie(&output);
        assert_eq!(
            String::from_utf8_lossy(&output.stderr).contains("it is the profile"),
            name == "home",
            "{output:?}"
        );
        assert!(succeeds(&upload(&["list"])).ends_with(&format!("  {name}\n")), "{path}");
        succeeds(&upload(&["download", name, "-o", "../../back"]));
        assert!(
            harness.path("back").join(if name == "home" { "desk/notes" } else { "notes" }).exists()
        );
        assert!(!harness.path("back/profile").exists());
        fs::remove_dir_all(harness.path("back")).expect("removed");
        succeeds(&upload(&["forget", name]));
    }
}

#[test]
fn what_cannot_be_read_in_a_directory_is_told_and_the_rest_goes_up() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let deep = harness.path("tree").join("d/".repeat(fss::archive::MAX_DEPTH));
    fs::create_dir_all(&deep).expect("made");
    harness.write("tree/notes", b"x");
    fs::write(deep.join("too deep"), b"x").expect("written");
    let output = harness.client(&server, &["upload", "tree"]);
    fails(&output, 1, &["too deep is left out", "the rest is uploaded"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1, "its cookie is printed");
    harness.does(&server, &["download", "tree", "-o", "back"]);
    assert_eq!(harness.read("back/notes"), b"x");
    let told = harness.client(&server, &["--json", "upload", "tree"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.contains(r#""event":"error""#)
            && told.contains(r#"{"done":1,"event":"summary","failed":0}"#),
        "{told}"
    );
}

/// Its size is known beforehand, so no room is reserved for what it might become.
#[test]
fn what_is_small_and_compressed_fits_into_a_small_quota() {
    let harness = Harness::new();
    let server = harness.serve(&["--members"]);
    let invite = succeeds(&harness.users(&["invite", "--quota", "100K"]));
    harness.signs_up(&server, "anna", &invite);
    harness.write("text", &b"the same words over and over, ".repeat(10_000));
    plant(&harness.path("tree"));
    for source in ["text", "tree"] {
        cookie(&harness.client(&server, &["upload", source, "--compress", "auto"]));
    }
    fails(
        &harness.client(&server, &["upload", "text", "--compress", "never"]),
        14,
        &["does not fit into your quota"],
    );
}

/// The stream of a directory goes to standard output as it is: a tar archive.
#[test]
fn a_directory_goes_to_standard_output_as_a_tar_archive() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    plant(&harness.path("tree"));
    harness.does(&server, &["upload", "tree"]);
    let archive = harness.client(&server, &["download", "tree", "-o", "-"]).stdout;
    assert_eq!((archive.len() % 512, &archive[257..262]), (0, b"ustar".as_slice()));
    let refused = run(client_program()
        .current_dir(harness.directory.path())
        .stdin(Stdio::null())
        .env("FSS_PASSWORD", "the password")
        .args([
            "--profile",
            "old",
            "--server",
            &server.address,
            "--protocol",
            "1.0",
            "upload",
            "tree",
        ]));
    fails(&refused, 2, &["FSS 1.0 knows only files"]);
}
