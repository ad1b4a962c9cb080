//! Every command, every exit code and every documented error, as they are seen. What each must tell
//! is proved elsewhere; here a change of what people and scripts see is noticed.

use std::process::Stdio;

use super::transcript::Transcript;
use fss_test_support::harness::{
    Harness, NONE, Server, client_program, damage, run, server_program, succeeds,
};
use fss_test_support::stalling_proxy::StallingProxy;

/// A profile, a server, and what is typed at both.
struct Desk {
    harness: Harness,
    server: Server,
    transcript: Transcript,
}

impl Desk {
    fn new() -> Self {
        Self::with(Harness::new(), &NONE)
    }

    fn with(harness: Harness, arguments: &[&str]) -> Self {
        let server = harness.serve(arguments);
        harness.write("notes.txt", b"some notes\n");
        Self { harness, server, transcript: Transcript::default() }
    }

    fn types(&mut self, arguments: &[&str]) -> &mut Self {
        self.types_with(&[], arguments)
    }

    /// With variables that are set for this one command.
    fn types_with(&mut self, variables: &[(&str, &str)], arguments: &[&str]) -> &mut Self {
        let mut typed: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        typed.push("client".to_owned());
        typed.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut command = self.harness.client_command(&self.server);
        command.envs(variables.iter().copied()).args(arguments);
        self.transcript.run(&typed.join(" "), &mut command);
        self
    }

    fn administers(&mut self, arguments: &[&str]) -> &mut Self {
        let mut command = self.harness.server_command();
        command.args(["--data", "data"]).args(arguments);
        self.transcript.run(&format!("server --data data {}", arguments.join(" ")), &mut command);
        self
    }
}

#[test]
fn help_of_every_command() {
    let mut transcript = Transcript::default();
    let commands = "upload download list search forget delete clean info sign-up change-password forget-server completions man";
    for command in std::iter::once("").chain(commands.split(' ')) {
        let arguments = [command, "--help"];
        let arguments = arguments.iter().filter(|argument| !argument.is_empty());
        let typed = format!("client {command} --help").replace("  ", " ");
        let shown = succeeds(&transcript.run(&typed, client_program().args(arguments)));
        every_option_has_a_variable(&shown);
    }
    for command in [
        &[][..],
        &["fingerprint"],
        &["change-code"],
        &["verify"],
        &["users"],
        &["users", "add"],
        &["users", "invite"],
        &["completions"],
        &["man"],
    ] {
        let typed = format!("server {} --help", command.join(" ")).replace("  ", " ");
        let shown = succeeds(&transcript.run(&typed, server_program().args(command).arg("--help")));
        every_option_has_a_variable(&shown);
    }
    transcript.matches("help.txt");
}

/// An option begins with its name, and extends to the next one's.
#[track_caller]
fn every_option_has_a_variable(help: &str) {
    let lines: Vec<&str> = help.lines().map(str::trim_start).collect();
    let starts = |line: &str| {
        line.starts_with("--")
            || line.starts_with("-o")
            || line.starts_with("-h")
            || line.starts_with("-V")
    };
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| starts(line)) {
        let rest = lines[index + 1..].iter().take_while(|line| !starts(line));
        let described = std::iter::once(line).chain(rest).any(|line| line.contains("[env: FSS_"));
        assert!(
            described || line.contains("--help") || line.contains("--version"),
            "{line} has no variable:\n{help}"
        );
    }
}

#[test]
fn a_day_with_the_client() {
    let mut desk = Desk::new();
    std::fs::create_dir(desk.harness.path("photos")).expect("made");
    desk.harness.write("photos/sea.jpg", b"blue");
    desk.types(&["upload", "notes.txt"]).types(&[
        "upload",
        "photos",
        "notes.txt",
        "--quiet",
        "--keep",
        "30d",
        "--downloads",
        "3",
    ]);
    desk.types(&["list"]).types(&["search", "photo"]).types(&["list", "--remote"]);
    desk.types(&["download", "photos", "-o", "photos again"]).types(&[
        "download",
        "notes.txt",
        "-o",
        "-",
    ]);
    // Two of this name: none is meant until a cookie says which.
    desk.types(&["forget", "photos"]).types(&["clean", "--yes"]).types(&[
        "upload",
        "notes.txt",
        "--name",
        "mine",
    ]);
    desk.types(&["download", "mine"])
        .types(&["download", "mine", "--force"])
        .types(&["delete", "mine"]);
    desk.types(&["info"]).types(&["sign-up", "anna"]).types(&["info"]);
    desk.types_with(
        &[("FSS_FILE_PASSWORD", "its own")],
        &["upload", "notes.txt", "--own-password"],
    )
    .types(&["list"]);
    desk.types_with(&[("FSS_FILE_PASSWORD", "its own")], &["download", "notes.txt", "--force"]);
    desk.types_with(&[("FSS_NEW_PASSWORD", "another")], &["change-password"]);
    desk.types(&["forget-server"]);
    desk.transcript.matches("client.txt");
}

#[test]
fn the_same_as_objects() {
    let mut desk = Desk::with(Harness::new(), &["--largest-file", "1000"]);
    desk.harness.write("large", &[0; 2000]);
    desk.types(&["--json", "upload", "notes.txt", "missing", "large"])
        .types(&["--json", "list"])
        .types(&["--json", "list", "--remote"]);
    desk.types(&["--json", "download", "notes.txt", "-o", "back"]).types(&[
        "--json",
        "download",
        "notes.txt",
        "-o",
        "-",
    ]);
    desk.types(&["--json", "upload", "notes.txt"]).types(&["--json", "download", "notes.txt"]);
    desk.types(&["--json", "forget", "nothing"]).types(&["--json", "clean", "--yes"]);
    desk.types(&["--json", "upload", "notes.txt"]).types(&["--json", "delete", "notes.txt"]);
    desk.types(&["--json", "sign-up", "anna"]).types(&["--json", "info"]);
    desk.types_with(&[("FSS_NEW_PASSWORD", "another")], &["--json", "change-password"])
        .types(&["--json", "forget-server"]);
    desk.transcript.matches("json.txt");
}

#[test]
fn what_goes_wrong_at_the_client() {
    let mut desk = Desk::with(Harness::new(), &["--largest-file", "200000"]);
    let nobodys = "1".repeat(48);
    desk.harness.write("large", &vec![0; 300_000]);
    // 1
    desk.types(&["upload", "missing"]);
    desk.types(&["upload", "notes.txt"])
        .types(&["download", "notes.txt"])
        .types(&["sign-up", "anna"])
        .types(&["sign-up", "berta"]);
    desk.types_with(&[("FSS_PASSWORD", "b"), ("FSS_PROFILE", "other")], &["sign-up", "anna"]);
    // 2
    desk.types(&[])
        .types(&["upload"])
        .types(&["uplaod", "x"])
        .types(&["clean"])
        .types(&["upload", "a", "b", "--name", "c"]);
    desk.types(&["--server", "fss://there", "info"])
        .types(&["--protocol", "3", "list"])
        .types(&["sign-up", "not a name"]);
    desk.types(&["--server", "127.0.0.1:9999", "forget-server"]).types(&[
        "--protocol",
        "1.0",
        "list",
        "--remote",
    ]);
    desk.types(&["upload", "notes.txt", "--keep", "soon"]).types(&[
        "--fingerprint",
        "SHA256:short",
        "info",
    ]);
    desk.types_with(&[("FSS_INVITE", "short")], &["sign-up", "anna", "--invite"])
        .types_with(&[("FSS_PASSWORD", "")], &["info"]);
    desk.types(&["upload", "notes.txt"]).types(&["download", "notes.txt", "-o", "again"]);
    // 10
    desk.types(&["download", &nobodys])
        .types(&["delete", &nobodys])
        .types(&["download", "nothing"])
        .types(&["forget", "nothing"]);
    // 11
    desk.types(&["upload", "large"]);
    // 12
    desk.types_with(&[("FSS_PASSWORD", "wrong")], &["info"]);
    // 15, and 75 on the way
    desk.types(&["clean", "--yes"]);
    let cookie = desk.harness.upload(&desk.server, "damaged", &vec![7; 100_000]);
    damage(&desk.harness.path(&format!("data/F-{cookie}/F")));
    desk.types(&["download", "damaged", "-o", "back"]);
    desk.harness.upload(&desk.server, "whole", &vec![7; 100_000]);
    let line = StallingProxy::to(&desk.server);
    line.hold_down_after(&desk.server, 50_000);
    // 130
    let mut command = desk.harness.client_at(&line.address);
    command
        .args(["--server", &line.address, "download", "whole", "-o", "back"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("it starts");
    let held = line.wait();
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .expect("it runs");
    desk.transcript.take(
        "client download whole -o back        (and Ctrl-C)",
        &child.wait_with_output().expect("it ends"),
    );
    drop(held);
    // 16
    let guess = || {
        run(&mut desk.harness.stranger(&desk.server, &["--quiet", "download", &cookie, "-o", "x"]))
    };
    let delayed = std::iter::repeat_with(guess)
        .take(10)
        .find(|guess| guess.status.code() != Some(10))
        .expect("a delay");
    desk.transcript.take(&format!("client download {cookie} -o x"), &delayed);
    // 13
    let address = desk.server.address.clone();
    desk.server.kill();
    desk.types(&["upload", "notes.txt"]);
    let impostor = Harness::new();
    desk.server = impostor.serve_at(&address);
    desk.types(&["upload", "notes.txt"]);
    desk.transcript.matches("errors.txt");
}

#[test]
fn members_and_their_quotas() {
    let mut desk = Desk::with(Harness::new(), &["--members"]);
    desk.harness.write("large", &[0; 5000]);
    desk.types(&["upload", "notes.txt"]).types(&["sign-up", "anna"]);
    desk.administers(&["users", "list"]).administers(&["users", "invite", "--quota", "4K"]);
    let invite = succeeds(&desk.harness.users(&["invite", "--quota", "4K"]));
    let invite = invite.trim_end();
    desk.types_with(&[("FSS_INVITE", invite)], &["sign-up", "anna"]);
    desk.types_with(&[("FSS_INVITE", invite)], &["sign-up", "berta", "--invite"]);
    // 14
    desk.types(&["upload", "large"]);
    desk.administers(&["users", "quota", "anna", "1G"])
        .administers(&["users", "quota", "berta", "1G"]);
    desk.administers(&["users", "list"])
        .administers(&["users", "remove", "anna"])
        .administers(&["users", "remove", "anna"]);
    let key = desk.harness.fingerprint();
    desk.administers(&["users", "add", "carla", &key])
        .administers(&["users", "add", "carla", &key]);
    desk.administers(&["users", "add", "not a name", &key])
        .administers(&["users", "invite", "--quota", "much"]);
    desk.transcript.matches("users.txt");
}

#[test]
fn what_fss1_says() {
    let mut desk = Desk::with(Harness::of_fss1(), &NONE);
    desk.types(&["upload", "notes.txt"]).types(&["list"]).types(&[
        "download",
        "notes.txt",
        "-o",
        "back",
    ]);
    desk.types_with(
        &[("FSS_FILE_PASSWORD", "wrong")],
        &["download", "notes.txt", "--own-password", "-o", "x"],
    );
    desk.types(&["download", &"1".repeat(48)])
        .types(&["list", "--remote"])
        .types(&["delete", "notes.txt"])
        .types(&["info"]);
    desk.types(&["upload", "notes.txt", "--keep", "1d"]);
    desk.server.kill();
    desk.server = desk.harness.serve(&["--protocol", "2"]);
    desk.types(&["upload", "notes.txt"]);
    desk.server.kill();
    desk.server = desk.harness.serve(&["--protocol", "1.0"]);
    desk.types_with(
        &[("FSS_CLIENT_PROTOCOL", "2"), ("FSS_PROFILE", "other")],
        &["upload", "notes.txt"],
    );
    desk.transcript.matches("legacy.txt");
}

#[test]
fn what_an_operator_sees() {
    let mut desk = Desk::new();
    let cookie = desk.harness.upload(&desk.server, "file", b"x");
    desk.administers(&["fingerprint"]).administers(&["verify"]);
    // Alongside the running server.
    desk.administers(&["--listen", "127.0.0.1:0"]);
    desk.server.kill();
    desk.administers(&["verify"]);
    damage(&desk.harness.path(&format!("data/F-{cookie}/F")));
    desk.administers(&["verify"]);
    let mut wrong = desk.harness.server_command();
    desk.transcript.run(
        "FSS_CODE=\"wrong\" server --data data fingerprint",
        wrong.env("FSS_CODE", "wrong").args(["--data", "data", "fingerprint"]),
    );
    let mut change = desk.harness.server_command();
    desk.transcript.run(
        "FSS_NEW_CODE=\"new\" server --data data change-code",
        change.env("FSS_NEW_CODE", "new").args(["--data", "data", "change-code"]),
    );
    let mut nowhere = desk.harness.server_command();
    desk.transcript
        .run("server --data none fingerprint", nowhere.args(["--data", "none", "fingerprint"]));
    let other = Harness::new();
    let running = other.serve(&NONE);
    desk.administers(&["--listen", "192.0.2.1:9540"])
        .administers(&["--listen", "nonsense"])
        .administers(&["--keep", "soon"]);
    let mut taken = desk.harness.server_command();
    taken.env("FSS_CODE", "new").args(["--data", "data", "--listen", &running.address]);
    desk.transcript.run(&format!("server --data data --listen {}", running.address), &mut taken);
    desk.transcript.matches("server.txt");
}
