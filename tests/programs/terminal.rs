//! The client on a terminal: what it asks, and what it shows there.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use fss_test_support::harness::{Harness, NONE, PATIENCE, fails, succeeds};

/// A client on a pseudo-terminal, and a user who types.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    shown: String,
}

/// Says so if there are no terminals here, or nothing that starts a session: then there is nothing
/// to test.
fn are_possible() -> bool {
    let possible = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).is_ok()
        && Command::new("setsid")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success());
    if !possible {
        println!("skipped: no pseudo-terminals, or no setsid of util-linux");
    }
    possible
}

impl Terminal {
    /// The command runs in a session of its own, whose terminal this is: passwords are asked for
    /// there and nowhere else.
    fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it can be used");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let slave = File::options()
            .read(true)
            .write(true)
            .open(OsString::from_vec(name.into_bytes()))
            .expect("it opens");
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session.env_remove("FSS_PASSWORD").env("TERM", "xterm");
        session.current_dir(command.get_current_dir().expect("it has one"));
        let other = || slave.try_clone().expect("another handle");
        let child = session
            .stdin(other())
            .stdout(other())
            .stderr(other())
            .spawn()
            .expect("setsid of util-linux");
        let keyboard = File::from(master);
        let mut output = keyboard.try_clone().expect("another handle");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            // Reading fails when no process has the terminal open any more.
            while let Ok(count @ 1..) = output.read(&mut room) {
                if sender.send(room[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keyboard, screen, shown: String::new() }
    }

    /// Waits until this is shown, and forgets all up to it.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        while !self.shown.contains(text) {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("{text:?} is not shown ({error}), but:\n{}", self.shown),
            }
        }
        let end = self.shown.find(text).expect("it is there") + text.len();
        self.shown.drain(..end);
    }

    fn types(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).expect("it takes it");
    }

    /// Waits for the end. Gives the exit code, and what was shown since.
    fn ends(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().expect("it ends").code();
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        (code, self.shown)
    }
}

#[test]
fn a_new_user_is_asked_for_a_password_twice_and_for_the_servers_key() {
    if !are_possible() {
        return;
    }
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let key = harness.fingerprint();
    harness.write("file", b"content");
    let mut upload = harness.client_command(&server);
    upload.args(["upload", "file"]);
    let mut terminal = Terminal::start(&upload);
    terminal.shows("This is a new profile");
    terminal.shows("New password: ");
    terminal.types("the password");
    terminal.shows("again: ");
    terminal.types("the password");
    terminal.shows("is new here. Its key is");
    terminal.shows(key.trim_end());
    terminal.shows("[y/N] ");
    terminal.types("Yes");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("the password"), "it is not echoed");
    assert!(!shown.contains("is new here"), "who was asked need not be told: {shown}");
    assert_eq!(
        harness.client(&server, &["download", "file", "-o", "-"]).stdout,
        b"content",
        "the profile is as it was made"
    );
}

#[test]
fn a_key_that_is_not_confirmed_is_not_spoken_to() {
    if !are_possible() {
        return;
    }
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("file", b"content");
    let mut upload = harness.client_command(&server);
    upload.args(["upload", "file"]);
    let mut terminal = Terminal::start(&upload);
    terminal.shows("New password: ");
    terminal.types("the password");
    terminal.shows("again: ");
    terminal.types("another");
    let (code, shown) = terminal.ends();
    assert!(code == Some(2) && shown.contains("the two were not the same"), "{shown}");
    let mut terminal = Terminal::start(&upload);
    terminal.shows("New password: ");
    terminal.types("the password");
    terminal.shows("again: ");
    terminal.types("the password");
    terminal.shows("[y/N] ");
    terminal.types("n");
    let (code, shown) = terminal.ends();
    assert!(code == Some(1) && shown.contains("nothing was sent to"), "{shown}");
    let (_, log) = server.stop();
    assert!(!log.contains("stored"), "{log}");
    assert!(!harness.path("profile/known_servers").exists());
}

/// The menu of 2019: download, upload, change the password, exit.
#[test]
fn the_menu_does_what_it_says() {
    if !are_possible() {
        return;
    }
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "first", b"content");
    harness.write("second", b"more");
    let mut terminal = Terminal::start(&harness.client_command(&server));
    terminal.shows("Password: ");
    terminal.types("the password");
    terminal.shows("4  Exit");
    terminal.shows("Your choice: ");
    terminal.types("2");
    terminal.shows("File: ");
    terminal.types("second");
    terminal.shows("Your choice: ");
    terminal.types("9");
    terminal.shows("This Operation Does Not Exist");
    terminal.shows("Your choice: ");
    terminal.types("1");
    terminal.shows("second");
    terminal.shows("Name or cookie: ");
    terminal.types("first");
    terminal.shows("Save as [its own name]: ");
    terminal.types("copy");
    terminal.shows("copy (7 bytes)");
    terminal.shows("Your choice: ");
    terminal.types("4");
    assert_eq!(terminal.ends().0, Some(0));
    assert_eq!(harness.read("copy"), b"content");
    assert!(succeeds(&harness.client(&server, &["list"])).contains("second"));
}

/// Names of any length and width leave room for the rest of the line.
#[test]
fn a_wide_name_does_not_break_the_bar() {
    if !are_possible() {
        return;
    }
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    let name = "\u{6587}".repeat(80);
    harness.write(&name, &vec![7; 3_000_000]);
    let mut command = harness.client_command(&server);
    command.args(["upload", &name]);
    let mut terminal = Terminal::start(&command);
    for shows in ["New password: ", "again: "] {
        terminal.shows(shows);
        terminal.types("the password");
    }
    terminal.shows("[y/N] ");
    terminal.types("y");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(0), "{shown}");
    // Eleven of two columns each, and the mark of what was cut.
    assert!(
        shown.contains(&format!("{}\u{2026}", "\u{6587}".repeat(11)))
            && !shown.contains(&"\u{6587}".repeat(12)),
        "{shown}"
    );
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    if !are_possible() {
        return;
    }
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.write("file", &vec![7; 3_000_000]);
    let upload = |arguments: &[&str]| {
        let mut command = harness.client_command(&server);
        command.args(arguments);
        command
    };
    fails(&harness.client(&server, &["upload", "file", "--compress", "never"]), 0, &[]);
    let compressed = vec!["upload", "file", "--compress", "always"];
    for (arguments, is_shown) in [
        (vec!["upload", "file"], true),
        (compressed, true),
        (vec!["--quiet", "upload", "file"], false),
    ] {
        let mut terminal = Terminal::start(&upload(&arguments));
        terminal.shows("Password: ");
        terminal.types("the password");
        let (code, shown) = terminal.ends();
        assert_eq!(code, Some(0), "{shown}");
        assert_eq!(shown.contains("deriving the key"), is_shown, "{shown}");
        assert_eq!(
            shown.contains("/2.86 MiB"),
            is_shown,
            "the total is that of the file, compressed or not: {shown}"
        );
    }
}
