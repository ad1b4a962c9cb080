//! Starting, serving and stopping a server, and what keeps it from starting.

use super::world::{Server, World, fails};

const NONE: [&str; 0] = [];

#[test]
fn a_key_is_made_once_and_kept() {
    let world = World::new();
    let fingerprint = |code: &str| {
        let mut command = world.server_command();
        command.env("FSS_CODE", code).args(["--data", "data", "fingerprint"]).output().expect("it runs")
    };
    fails(&fingerprint("the code"), 1, &["there is no key file"]);
    world.serve(&NONE).stop();
    let shown = fingerprint("the code");
    assert!(shown.stdout.starts_with(b"SHA256:"));
    fails(&fingerprint("wrong"), 12, &["Wrong Password", "the operation code does not open", "try:  "]);
    let (_, log) = world.serve(&NONE).stop();
    assert!(log.contains(String::from_utf8_lossy(&shown.stdout).trim_end()), "the key is the same after a restart");
    assert!(!world.path("data/.shc").exists());
}

#[test]
fn the_code_can_be_changed_and_a_key_of_2019_upgraded() {
    let world = World::new();
    world.serve(&["--key-form", "1.0"]).stop();
    assert!(world.path("data/.shc").exists());
    let mut change = world.server_command();
    let changed = change.env("FSS_NEW_CODE", "new").args(["--data", "data", "change-code"]).output().expect("it runs");
    assert!(changed.status.success(), "{changed:?}");
    assert!(world.path("data/.shc").exists(), "the form stays");
    let mut upgrade = world.server_command();
    upgrade.env("FSS_CODE", "new").args(["--data", "data", "--listen", "127.0.0.1:0", "--upgrade-key"]);
    Server::start(upgrade).stop();
    assert!(!world.path("data/.shc").exists());
    assert!(world.read("data/.pk").starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
}

#[test]
fn what_keeps_a_server_from_starting_is_told() {
    let world = World::new();
    let run = |arguments: &[&str]| world.server_command().args(arguments).output().expect("it runs");
    let running = world.serve(&NONE);
    fails(&run(&["--data", "other", "--listen", &running.address]), 1, &["address in use", "another program is listening"]);
    fails(&run(&["--data", "data", "--listen", "127.0.0.1:0"]), 1, &["another process is using"]);
    fails(&run(&["--data", "other", "--listen", "192.0.2.1:9540"]), 1, &["this machine has no such address"]);
    fails(&run(&["--protocol", "2"]), 2, &["this version speaks FSS 1.0 only"]);
    fails(&run(&["--keep", "soon"]), 2, &["30d"]);
    world.write("file", b"");
    fails(&run(&["--data", "file"]), 1, &["cannot create file"]);
    std::fs::create_dir(world.path("foreign")).expect("created");
    world.write("foreign/fssGlobal.db", &[b'x'; 4096]);
    fails(&run(&["--data", "foreign", "--listen", "127.0.0.1:0"]), 1, &["cannot use the stored data", "fssGlobal.db"]);
    assert!(!world.path("foreign/.pk").exists(), "a foreign directory gets no key");
    std::fs::create_dir(world.path("broken")).expect("created");
    world.write("broken/.pk", b"-----BEGIN ENCRYPTED PRIVATE KEY-----");
    fails(&run(&["--data", "broken", "--listen", "127.0.0.1:0"]), 1, &["is damaged"]);
    let nobody = world.server_command().env_remove("FSS_CODE").args(["--data", "new", "--listen", "127.0.0.1:0"]).output();
    // Where there is a terminal it would be asked for there.
    if std::fs::File::open("/dev/tty").is_err() {
        fails(&nobody.expect("it runs"), 2, &["no operation code", "FSS_CODE"]);
    }
}

#[test]
fn retention_and_cookies_are_choices() {
    let world = World::new();
    let server = world.serve(&["--keep", "until-downloaded", "--cookies", "index"]);
    assert_eq!(world.upload(&server, "file", b"once"), "1");
    assert_eq!(world.upload(&server, "more", b"once"), "2");
    assert_eq!(world.client(&server, &["download", "1", "-o", "-"]).stdout, b"once");
    fails(&world.client(&server, &["download", "1", "-o", "-"]), 10, &["no such file"]);
    assert_eq!(world.client(&server, &["download", "2", "-o", "-"]).stdout, b"once");
}

#[test]
fn files_outlive_the_server() {
    let world = World::new();
    let server = world.serve(&NONE);
    let cookie = world.upload(&server, "file", b"kept");
    drop(server); // killed, not stopped
    let server = world.serve(&NONE);
    let output = world.client(&server, &["--server", &server.address, "download", &cookie, "-o", "-"]);
    assert_eq!(output.stdout, b"kept", "{output:?}");
}

#[test]
fn more_clients_than_connections_wait_their_turn() {
    let world = World::new();
    let server = world.serve(&["--connections", "2"]);
    world.upload(&server, "first", b"makes the profile");
    let clients: Vec<_> = (0..6)
        .map(|i| {
            let name = format!("file{i}");
            world.write(&name, name.as_bytes());
            let mut command = world.client_command(&server);
            command
                .args(["upload", &name])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    for client in clients {
        let output = client.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
    }
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert_eq!(log.matches(" stored ").count(), 7);
}

#[test]
fn the_log_can_be_json() {
    let world = World::new();
    let server = world.serve(&["--log-format", "json"]);
    world.upload(&server, "file", b"x");
    let (_, log) = server.stop();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().any(|line| line["message"] == "stored" && line["bytes"] == 16));
}

#[test]
fn quickstart_runs() {
    let quickstart = escargot::CargoBuild::new().package("fss").example("quickstart").run().expect("it builds");
    let output = quickstart.command().output().expect("it runs");
    assert!(output.status.success() && output.stdout.ends_with(b"It is the same file.\n"), "{output:?}");
}

#[test]
fn verify_tells_which_files_are_damaged() {
    let world = World::new();
    let verify = || world.server_command().args(["--data", "data", "verify"]).output().expect("it runs");
    fails(&verify(), 1, &["cannot be verified", "there is no such directory"]);
    let server = world.serve(&NONE);
    world.write("file", &[7; 5000]);
    let uploaded = world.client(&server, &["upload", "file"]);
    assert!(uploaded.status.success(), "{uploaded:?}");
    fails(&verify(), 1, &["another process is using"]);
    server.stop();
    let verified = verify();
    assert_eq!(
        (verified.status.code(), verified.stdout.as_slice()),
        (Some(0), b"1 whole, 0 without a recorded digest, 0 damaged\n".as_slice())
    );
    let cookie = String::from_utf8_lossy(&uploaded.stdout).trim().to_owned();
    let path = format!("data/F-{cookie}/F");
    let mut content = world.read(&path);
    content[2500] ^= 1;
    world.write(&path, &content);
    let damaged = verify();
    fails(&damaged, 15, &["a file is damaged", "restore from a backup"]);
    assert!(String::from_utf8_lossy(&damaged.stdout).contains(&format!("damaged: F-{cookie} has other bytes")));
}
