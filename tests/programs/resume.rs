//! Interrupted transfers resume where they stopped, and never with different bytes.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fss_test_support::rng::SeededRng;
use rand_core::Rng as _;
use rustix::process::{Pid, Signal, kill_process};

use fss_test_support::harness::{Harness, NONE, Server, cookie, fails, run};
use fss_test_support::stalling_proxy::StallingProxy;

const MIB: usize = 1024 * 1024;
/// A file of several checkpoints, which are 16 MiB apart.
const SIZE: usize = 36 * MIB;
/// Where it is cut off: more than a window beyond the first checkpoint, so that this is known to
/// both sides.
const HELD: u64 = 28 * MIB as u64;
const RESUMES: &str = "resumes after ";

/// A file in a harness with a server, and a line between the two.
struct Broken {
    harness: Harness,
    server: Server,
    line: StallingProxy,
    content: Vec<u8>,
}

impl Broken {
    fn new() -> Self {
        let harness = Harness::new();
        let server = harness.serve(&NONE);
        let line = StallingProxy::to(&server);
        let mut content = vec![0; SIZE];
        SeededRng(SIZE as u64).fill_bytes(&mut content);
        harness.write("file", &content);
        Self { harness, server, line, content }
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = self.harness.client_at(&self.line.address);
        command.args(arguments).env("FSS_FILE_PASSWORD", "its own");
        command
    }

    /// An upload whose client is killed in the middle.
    fn upload(&self, arguments: &[&str]) {
        self.line.hold_up_after(&self.server, HELD);
        let client = start(&mut self.client(&[&["upload", "file"], arguments].concat()));
        let _connection = self.line.wait();
        assert_eq!(end(client, Signal::KILL).status.code(), None);
        self.line.mend(&self.server);
    }

    /// The same command again: what it tells, once the file is there and right.
    fn upload_again(&self, arguments: &[&str]) -> String {
        let output = run(&mut self.client(&[&["upload", "file"], arguments].concat()));
        let cookie = cookie(&output);
        self.comes_back(&cookie);
        assert_eq!(self.remote(), 1, "nothing else is left of it");
        fails(&output, 0, &[])
    }

    fn comes_back(&self, cookie: &str) {
        assert!(
            run(&mut self.client(&["download", cookie, "-o", "-"])).stdout == self.content,
            "another file comes back"
        );
    }

    fn remote(&self) -> usize {
        let listed = run(&mut self.client(&["list", "--remote"]));
        String::from_utf8_lossy(&listed.stdout).lines().count()
    }

    /// An upload, and a download of it that is interrupted in the middle. Gives its part file.
    fn download(&self) -> PathBuf {
        cookie(&run(&mut self.client(&["upload", "file"])));
        self.line.hold_down_after(&self.server, HELD);
        let client = start(&mut self.client(&["download", "file", "-o", "back"]));
        let _connection = self.line.wait();
        fails(
            &end(client, Signal::INT),
            130,
            &["what was received is kept: the same command again resumes"],
        );
        self.line.mend(&self.server);
        let [part] = &self.harness.parts()[..] else {
            panic!("not one part file: {:?}", self.harness.parts())
        };
        part.clone()
    }

    /// The same command again: what it tells, once the file is there and right.
    fn download_again(&self) -> String {
        let output = run(&mut self.client(&["download", "file", "-o", "back"]));
        let told = fails(&output, 0, &[&format!("back ({SIZE} bytes)")]);
        assert!(self.harness.read("back") == self.content, "another file comes back");
        assert!(self.harness.parts().is_empty());
        told
    }
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn end(child: Child, signal: Signal) -> std::process::Output {
    kill_process(Pid::from_child(&child), signal).expect("it runs");
    child.wait_with_output().expect("it ends")
}

#[test]
fn an_upload_goes_on_after_its_client_was_killed() {
    let broken = Broken::new();
    broken.upload(&[]);
    assert_eq!(broken.remote(), 0, "what is not whole is not there");
    let told = broken.upload_again(&[]);
    assert!(told.contains("file resumes after ") && !told.contains("restarts"), "{told}");
    // What is done is done: the next one is another file.
    assert_eq!(fails(&run(&mut broken.client(&["upload", "file"])), 0, &[]), "");
    assert_eq!(broken.remote(), 2);
}

#[test]
fn an_upload_goes_on_after_the_server_was_killed() {
    let mut broken = Broken::new();
    broken.line.hold_up_after(&broken.server, HELD);
    let client = start(&mut broken.client(&["upload", "file"]));
    let connection = broken.line.wait();
    broken.server = {
        let Broken { server, harness, .. } = &mut broken;
        server.kill();
        harness.serve(&NONE)
    };
    drop(connection);
    fails(
        &client.wait_with_output().expect("it ends"),
        75,
        &["cannot upload file", "the same command again"],
    );
    broken.line.mend(&broken.server);
    let told = broken.upload_again(&[]);
    assert!(told.contains(RESUMES), "{told}");
}

#[test]
fn a_file_that_was_changed_meanwhile_is_uploaded_anew() {
    let mut broken = Broken::new();
    broken.upload(&[]);
    broken.content[7] ^= 1;
    broken.harness.write("file", &broken.content);
    let told = broken.upload_again(&[]);
    assert!(
        told.contains("file was changed since its upload was interrupted")
            && !told.contains(RESUMES),
        "{told}"
    );
}

#[test]
fn an_upload_with_another_password_begins_anew() {
    let broken = Broken::new();
    broken.upload(&["--own-password"]);
    let told = broken.upload_again(&[]);
    assert!(!told.contains(RESUMES), "{told}");
}

#[test]
fn an_upload_with_another_own_password_begins_anew_and_says_so() {
    let broken = Broken::new();
    broken.upload(&["--own-password"]);
    let output = run(broken
        .client(&["upload", "file", "--own-password"])
        .env("FSS_FILE_PASSWORD", "another"));
    let told = fails(&output, 0, &["cannot be resumed", "restarts"]);
    assert!(!told.contains(RESUMES), "{told}");
    let mut download = broken.client(&["download", &cookie(&output), "-o", "-"]);
    assert!(run(download.env("FSS_FILE_PASSWORD", "another")).stdout == broken.content);
}

/// A resumed file keeps the retention of its first command; other options start another upload.
#[test]
fn an_upload_that_is_to_be_kept_otherwise_begins_anew() {
    let broken = Broken::new();
    broken.upload(&[]);
    let told = broken.upload_again(&["--downloads", "2"]);
    assert!(!told.contains(RESUMES), "{told}");
    let listed = run(&mut broken.client(&["list", "--remote"]));
    assert!(String::from_utf8_lossy(&listed.stdout).contains("(1 download left)"), "{listed:?}");
}

#[test]
fn a_download_goes_on_after_it_was_interrupted() {
    let broken = Broken::new();
    broken.download();
    let told = broken.download_again();
    assert!(told.contains("the download resumes after "), "{told}");
}

#[test]
fn two_downloads_do_not_write_one_part_file() {
    let broken = Broken::new();
    cookie(&run(&mut broken.client(&["upload", "file"])));
    broken.line.hold_down_after(&broken.server, HELD);
    let first = start(&mut broken.client(&["download", "file", "-o", "back"]));
    let _connection = broken.line.wait();
    broken.line.mend(&broken.server);
    let second = run(&mut broken.client(&["download", "file", "-o", "back"]));
    fails(&second, 1, &["another process is downloading it there"]);
    assert_eq!(end(first, Signal::KILL).status.code(), None);
    let told = broken.download_again();
    assert!(told.contains(RESUMES), "{told}");
}

#[test]
fn a_download_that_is_interrupted_early_leaves_nothing() {
    let broken = Broken::new();
    cookie(&run(&mut broken.client(&["upload", "file"])));
    broken.line.hold_down_after(&broken.server, MIB as u64);
    let client = start(&mut broken.client(&["download", "file", "-o", "back"]));
    let _connection = broken.line.wait();
    fails(&end(client, Signal::INT), 130, &[]);
    assert!(!broken.harness.path("back").exists() && broken.harness.parts().is_empty());
}

#[test]
fn a_download_whose_part_file_is_gone_or_cut_begins_anew() {
    for spoil in
        [|part: &PathBuf| std::fs::remove_file(part), |part: &PathBuf| std::fs::write(part, b"cut")]
    {
        let broken = Broken::new();
        let part = broken.download();
        spoil(&part).expect("spoilt");
        let told = broken.download_again();
        assert!(!told.contains(RESUMES), "{told}");
    }
}

#[test]
fn a_download_whose_part_file_was_changed_gives_no_other_file() {
    let broken = Broken::new();
    let part = broken.download();
    let mut content = std::fs::read(&part).expect("there");
    content[MIB] ^= 1;
    std::fs::write(&part, content).expect("written");
    let output = run(&mut broken.client(&["download", "file", "-o", "back"]));
    match output.status.code() {
        Some(0) => {
            assert!(broken.harness.read("back") == broken.content, "another file comes back");
        }
        code => assert_eq!(code, Some(15), "{output:?}"),
    }
}

/// If another file was stored under its cookie, a download does not resume with that.
#[test]
fn a_download_does_not_go_on_with_a_file_that_was_damaged_meanwhile() {
    let broken = Broken::new();
    broken.download();
    let listed = run(&mut broken.client(&["list"]));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let cookie = listed.split("  ").find(|column| column.len() == 48).expect("a cookie");
    let path = broken.harness.path(&format!("data/F-{cookie}/F"));
    let mut content = std::fs::read(&path).expect("there");
    content[SIZE - MIB] ^= 1;
    std::fs::write(&path, content).expect("written");
    fails(
        &run(&mut broken.client(&["download", "file", "-o", "back"])),
        15,
        &["cannot download file"],
    );
    assert!(!broken.harness.path("back").exists() && broken.harness.parts().is_empty());
}
