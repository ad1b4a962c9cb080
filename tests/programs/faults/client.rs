//! The client dies at a call of its own, or has a disk without a free byte: the same command again
//! is done, leaves one copy and nothing else, and what can be read can still be read.

use std::fs;
use std::process::Output;

use super::{Harness, are_possible, is_done, library, sample};
use fss_test_support::harness::{NONE, Server, cookie, fails, run};

/// More calls than any command makes.
const NEVER: usize = 1_000_000;
/// Nothing can be made larger. (A terminal, a pipe and a socket are no files.)
const FULL: &str = "grow * 1 before 28+\n";

/// A harness whose clients have faults.
struct Clients {
    harness: Harness,
    server: Server,
}

impl Clients {
    fn new() -> Self {
        let harness = Harness::new();
        let server = harness.serve(&NONE);
        harness.upload(&server, "first", b"first");
        Self { harness, server }
    }

    /// Runs a client under rules. Gives how it ended, and how many calls were counted.
    fn under(&self, rules: &str, arguments: &[&str]) -> (Output, usize) {
        let (control, log) = (self.harness.path("faults"), self.harness.path("faults.log"));
        let _ = fs::remove_file(&log);
        self.harness.write("faults", rules.as_bytes());
        let mut command = self.harness.client_command(&self.server);
        command.env("LD_PRELOAD", library().expect("it was asked for")).env("FSS_FAULTS", &control);
        let output = run(command.args(arguments));
        fs::remove_file(control).expect("removed");
        (output, fs::read_to_string(log).unwrap_or_default().lines().count())
    }

    /// Runs a client that dies at a call; gives how many it made.
    fn dies_at(&self, call: usize, when: &str, arguments: &[&str]) -> (Output, usize) {
        self.under(&format!("* * {call} {when} exit\n"), arguments)
    }

    fn does(&self, arguments: &[&str]) -> String {
        self.harness.does(&self.server, arguments)
    }

    /// The cookies on the list of the profile, and on that of the server.
    fn lists(&self) -> [Vec<String>; 2] {
        ["list", "list --remote"].map(|list| {
            let lines = self.does(&list.split(' ').collect::<Vec<_>>());
            let mut cookies: Vec<_> = lines.lines().map(cookie_of).collect();
            cookies.sort();
            cookies
        })
    }

    /// The profile has its files and no others; no hidden file is left next to what was downloaded.
    fn nothing_is_left(&self, case: &str) {
        let names = |directory: &str| {
            let entries = fs::read_dir(self.harness.path(directory)).expect("readable");
            entries
                .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        let known =
            [".downloads", ".lock", ".pk", "fssLocal.db", "fssLocal.db-journal", "known_servers"];
        let unknown: Vec<_> =
            names("profile").into_iter().filter(|name| !known.contains(&name.as_str())).collect();
        let hidden: Vec<_> = names("").into_iter().filter(|name| name.starts_with('.')).collect();
        assert!(unknown.is_empty() && hidden.is_empty(), "{case}: {unknown:?} {hidden:?}");
    }
}

fn cookie_of(line: &str) -> String {
    let is_cookie =
        |word: &&str| word.len() == 48 && word.bytes().all(|byte| byte.is_ascii_digit());
    line.split_whitespace()
        .find(is_cookie)
        .unwrap_or_else(|| panic!("no cookie in {line:?}"))
        .to_owned()
}

/// Runs a command that dies at some of its calls, each time in the state that `prepare` makes. Then
/// `check` is given what happened.
fn at_each_call(
    arguments: &[&str],
    most: usize,
    prepare: impl Fn(),
    clients: &Clients,
    check: impl Fn(&str, &Output),
) {
    prepare();
    let (output, calls) = clients.dies_at(NEVER, "before", arguments);
    check("lives", &output);
    assert!(calls > 0, "{arguments:?} writes nothing");
    for (call, when) in
        sample((1..=calls).flat_map(|call| [(call, "before"), (call, "after")]).collect(), most)
    {
        prepare();
        let (output, _) = clients.dies_at(call, when, arguments);
        check(&format!("dead {when} call {call} of {calls}"), &output);
    }
}

#[test]
fn an_upload_whose_client_dies_leaves_one_copy() {
    if !are_possible() {
        return;
    }
    let clients = Clients::new();
    let prepare = || {
        let _ = fs::remove_file(clients.harness.path("file"));
        clients.harness.write("file", &[7; 5000]);
    };
    let mut before = std::cell::Cell::new(clients.lists()[0].len());
    at_each_call(&["upload", "file"], 16, prepare, &clients, |case, output| {
        let told = is_done_or_dead(output) || !output.stdout.is_empty();
        // What was told is on the list, and not uploaded again.
        let again = if told {
            output.clone()
        } else {
            clients.harness.client(&clients.server, &["upload", "file"])
        };
        let cookie = cookie_of(&String::from_utf8_lossy(&again.stdout));
        let [listed, remote] = clients.lists();
        assert!(listed.contains(&cookie), "{case}");
        assert_eq!(listed, remote, "{case}: there is one copy");
        assert_eq!(listed.len(), before.get() + 1, "{case}");
        before.set(listed.len());
        clients.nothing_is_left(case);
    });
    assert!(*before.get_mut() > 16);
}

#[test]
fn a_download_whose_client_dies_is_whole_the_next_time() {
    if !are_possible() {
        return;
    }
    let clients = Clients::new();
    fs::create_dir(clients.harness.path("tree")).expect("made");
    clients.harness.write("tree/one", b"1");
    clients.does(&["upload", "tree"]);
    for name in ["first", "tree"] {
        let back = clients.harness.path("back");
        let clear = || {
            let _ = fs::remove_file(&back).or_else(|_| fs::remove_dir_all(&back));
        };
        at_each_call(&["download", name, "-o", "back"], 8, clear, &clients, |case, output| {
            if !is_done_or_dead(output) && !back.exists() {
                clients.does(&["download", name, "-o", "back"]);
            }
            let inner = if name == "tree" { "back/one" } else { "back" };
            assert_eq!(
                clients.harness.read(inner),
                if name == "tree" { b"1".as_slice() } else { b"first" },
                "{name} {case}"
            );
            // What was published but not yet forgotten is forgotten by the next command.
            clients.does(&["list"]);
            clients.nothing_is_left(&format!("{name} {case}"));
        });
        clear();
    }
}

/// The answer is lost, or what was to be done with it: the entry goes when the command is typed
/// again.
#[test]
fn a_delete_whose_client_dies_is_done_by_the_next_one() {
    if !are_possible() {
        return;
    }
    let clients = Clients::new();
    let last = std::cell::RefCell::new(String::new());
    let prepare = || {
        let _ = fs::remove_file(clients.harness.path("file"));
        clients.harness.write("file", &[7; 5000]);
        *last.borrow_mut() = cookie(&clients.harness.client(&clients.server, &["upload", "file"]));
    };
    at_each_call(&["delete", "file"], 8, prepare, &clients, |case, output| {
        if !is_done_or_dead(output) && clients.lists()[0].contains(&last.borrow()) {
            clients.does(&["delete", "file"]);
        }
        let [listed, remote] = clients.lists();
        assert_eq!((listed.len(), remote.len()), (1, 1), "{case}");
        clients.nothing_is_left(case);
    });
}

/// A profile that is begun, an own password, a changed password: the next command finds a profile
/// that works.
#[test]
fn a_profile_whose_client_dies_works() {
    if !are_possible() {
        return;
    }
    let clients = Clients::new();
    let profile = clients.harness.path("profile");
    let begin = || fs::remove_dir_all(&profile).expect("removed");
    clients.harness.write("file", b"x");
    at_each_call(&["upload", "file"], 8, begin, &clients, |case, output| {
        is_done_or_dead(output);
        assert_eq!(clients.does(&["download", &upload(&clients), "-o", "-"]), "x", "{case}");
        clients.nothing_is_left(case);
    });
}

fn upload(clients: &Clients) -> String {
    cookie(&clients.harness.client(&clients.server, &["upload", "file"]))
}

/// Whether a client was done; it may have died, but was not told of any failure.
fn is_done_or_dead(output: &Output) -> bool {
    assert!(matches!(output.status.code(), Some(0 | 137)), "{output:?}");
    output.status.success()
}

#[test]
fn a_client_on_a_full_disk_reads_and_says_what_it_cannot_do() {
    if !are_possible() {
        return;
    }
    let clients = Clients::new();
    clients.harness.write("file", &[7; 5000]);
    let [listed, _] = clients.lists();
    for list in [
        ["list"].as_slice(),
        &["search", "first"],
        &["list", "--remote"],
        &["info"],
        &["download", "first", "-o", "-"],
    ] {
        let (output, _) = clients.under(FULL, list);
        fails(&output, 0, &[]);
    }
    // In the room that the profile has, an upload can be noted. Without room it is refused, and
    // says why.
    let (output, _) = clients.under("write * 1 before 28+\n", &["upload", "file"]);
    fails(&output, 14, &["make room on the disk"]);
    let (output, _) = clients.under(FULL, &["download", "first", "-o", "back"]);
    fails(&output, 14, &["make room on the disk"]);
    assert!(!clients.harness.path("back").exists());
    assert_eq!(clients.lists(), [listed.clone(), listed], "nothing was uploaded");
    assert!(is_done(&clients.harness.client(&clients.server, &["upload", "file"])));
    clients.nothing_is_left("there is room again");
}
