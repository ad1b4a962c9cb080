//! FSS/2: our programs against a peer that was written from `docs/protocol.md` alone
//! (`fss2_peer.py`).

use std::ffi::OsStr;
use std::fs::File;
use std::process::{Command, Stdio};

use fss::store::FILE_CHARGE;
use fss::wire::frame::from_base64;
use fss_test_support::rng::SeededRng;
use rand_core::Rng as _;
use serde_json::{Value, json};

use super::process::{Process, directory, python, save_key};
use fss_test_support::harness::{Harness, NONE, Server, cookie, fails, run, succeeds};
use fss_test_support::stalling_proxy::StallingProxy;

const MIB: usize = 1024 * 1024;
/// Sizes at which something begins: nothing, a chunk, more than one record.
const SIZES: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 300_000];
/// A checkpoint, a window, and some bytes after them.
const LARGE: usize = 30 * MIB;
/// Bytes of a sealed file before its first checkpoint.
const CHECKPOINT: u64 = 16_784_384;
const INVITE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NOBODY: &str = "123456789012345678901234567890123456789012345678";

// --- The peer
// ----------------------------------------------------------------------------------------------------------

/// A Python that can run the peer, in a harness of its own. The profile's password there is that of
/// all files.
struct Peer {
    program: &'static OsStr,
    harness: Harness,
}

impl Peer {
    /// `None` where there is no usable Python: the test is skipped, and says so.
    fn find() -> Option<Self> {
        let peer = Self { program: python()?, harness: Harness::new() };
        for role in ["server", "client"] {
            save_key(&peer.harness.path(role), role);
        }
        Some(peer)
    }

    fn command(&self, role: &str) -> Command {
        let mut command = Command::new(self.program);
        // Without -B the imports would leave a directory among the sources.
        command.arg("-B").arg(directory().join("fss2_peer.py")).args([role, "--key", role]);
        command
            .current_dir(self.harness.directory.path())
            .env("SECRET", "the password")
            .stdin(Stdio::null());
        command
    }

    fn client(&self, server: &Server, arguments: &[&str]) -> Command {
        let mut command = self.command("client");
        command.args(["--server", &server.address]).args(arguments);
        command
    }

    /// Runs a client that is to succeed; gives what it reports.
    #[track_caller]
    fn does(&self, server: &Server, arguments: &[&str]) -> Value {
        report(&Process::spawn(&mut self.client(server, arguments)).succeed())
    }

    /// Runs a client that the server is to refuse.
    #[track_caller]
    fn is_refused(&self, server: &Server, arguments: &[&str], code: &str) {
        let (status, printed, complaints) =
            Process::spawn(&mut self.client(server, arguments)).finish();
        assert_eq!(
            (status, &report(&printed)["error"]),
            (Some(3), &json!(code)),
            "{printed} {complaints}"
        );
    }

    /// Runs operations on one connection; gives what each of them reports.
    #[track_caller]
    fn script(&self, server: &Server, operations: &[Vec<String>]) -> Vec<Value> {
        let lines: Vec<String> =
            operations.iter().map(|operation| json!(operation).to_string()).collect();
        self.harness.write("script", lines.join("\n").as_bytes());
        let script = File::open(self.harness.path("script")).expect("there");
        let printed = Process::spawn(self.client(server, &["script"]).stdin(script)).succeed();
        let reports: Vec<Value> = printed.lines().map(report).collect();
        assert_eq!(reports.len(), operations.len(), "{printed}");
        reports
    }

    /// Starts a server.
    fn serve(&self, arguments: &[&str]) -> (Process, Server) {
        let mut process =
            Process::spawn(self.command("server").args(["--dir", "stored"]).args(arguments));
        let line = process.line().expect("it says its port");
        let port = line.strip_prefix("listening ").expect("it listens");
        (process, Server::nowhere(&format!("127.0.0.1:{port}")))
    }

    /// Writes a file in which no two chunks are alike.
    fn write(&self, name: &str, size: usize) -> Vec<u8> {
        let mut content = vec![0; size];
        SeededRng(size as u64).fill_bytes(&mut content);
        self.harness.write(name, &content);
        content
    }
}

fn report(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn text<'v>(report: &'v Value, name: &str) -> &'v str {
    report[name].as_str().unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn words(words: &[&str]) -> Vec<String> {
    [words, &["--password-env", "SECRET"]].concat().into_iter().map(str::to_owned).collect()
}

/// The vectors of FSS/2, which `tests/vectors_v2.rs` holds this program to, come from a program
/// that shares nothing with it.
#[test]
fn the_vectors_of_fss2_are_those_of_the_independent_implementation() {
    let Some(python) = python() else { return };
    let mut check = Command::new(python);
    check
        .arg("-B")
        .arg(directory().join("fss2.py"))
        .arg("check")
        .arg(directory().join("../vectors/v2"));
    succeeds(&run(&mut check));
}

// --- Python clients and our server
// -------------------------------------------------------------------------------------

#[test]
fn python_clients_get_back_what_they_gave_our_server_with_and_without_a_size() {
    let Some(peer) = Peer::find() else { return };
    let server = peer.harness.serve(&NONE);
    let contents = SIZES.map(|size| peer.write(&format!("file-{size}"), size));
    for sizes in [&[][..], &["--no-size"]] {
        let upload = |size| words(&[&["upload", &format!("file-{size}")], sizes].concat());
        let uploads = peer.script(&server, &SIZES.map(upload));
        let download = |upload: &Value| {
            words(&[
                "download",
                text(upload, "cookie"),
                &format!("back-{}", text(upload, "cookie")),
            ])
        };
        peer.script(&server, &uploads.iter().map(download).collect::<Vec<_>>());
        for (upload, content) in uploads.iter().zip(&contents) {
            let cookie = text(upload, "cookie");
            assert!(peer.harness.read(&format!("back-{cookie}")) == *content, "{upload}");
            let ours = peer.harness.client(&server, &["download", cookie, "-o", "-"]);
            assert!(ours.stdout == *content, "{upload} {:?}", ours.status);
        }
    }
}

#[test]
fn python_clients_download_what_ours_gave_our_server() {
    let Some(peer) = Peer::find() else { return };
    let server = peer.harness.serve(&NONE);
    for size in SIZES {
        let content = peer.write("file", size);
        let cookie = cookie(&peer.harness.client(&server, &["upload", "file"]));
        let downloaded =
            peer.does(&server, &["download", &cookie, "back", "--password-env", "SECRET"]);
        assert!(peer.harness.read("back") == content, "{size}");
        let metadata = &downloaded["metadata"];
        assert_eq!(
            (text(metadata, "name"), text(metadata, "size")),
            ("file", size.to_string().as_str())
        );
    }
}

#[test]
fn a_python_client_goes_on_with_its_upload_at_our_server() {
    let Some(peer) = Peer::find() else { return };
    let server = peer.harness.serve(&NONE);
    let content = peer.write("file", LARGE);
    let stop = (LARGE - MIB).to_string();
    let cut =
        peer.does(&server, &["upload", "file", "--password-env", "SECRET", "--stop-after", &stop]);
    assert_eq!(cut["offset"], CHECKPOINT);
    assert_eq!(
        peer.does(&server, &["list"]),
        json!({"files": []}),
        "what is not whole is not there"
    );
    let (cookie, header, checkpoints) =
        (text(&cut, "cookie"), text(&cut, "header"), cut["checkpoints"].to_string());
    let offset = CHECKPOINT.to_string();
    let resume = [
        "--header",
        header,
        "--cookie",
        cookie,
        "--offset",
        &offset,
        "--checkpoints",
        &checkpoints,
    ];
    let resume = [&["resume", "file", "--password-env", "SECRET"], &resume[..]].concat();
    let resumed = peer.does(&server, &resume);
    assert_eq!((&resumed["offset"], &resumed["compared"]), (&json!(CHECKPOINT), &json!(true)));
    // The acknowledgement could have been lost: to ask again changes nothing.
    assert_eq!(peer.does(&server, &resume)["chain"], resumed["chain"]);
    assert!(peer.harness.client(&server, &["download", cookie, "-o", "-"]).stdout == content);
}

#[test]
fn a_python_client_is_refused_what_is_not_its_own() {
    let Some(peer) = Peer::find() else { return };
    let server = peer.harness.serve(&NONE);
    peer.write("file", 1000);
    let ours = cookie(&peer.harness.client(&server, &["upload", "file"]));
    peer.is_refused(&server, &["download", NOBODY, "back", "--password-env", "SECRET"], "refused");
    peer.is_refused(&server, &["delete", NOBODY], "refused");
    peer.is_refused(&server, &["delete", &ours], "refused");
    let mut guess = peer.client(&server, &["download", &ours, "back", "--password-env", "SECRET"]);
    let (status, printed, _) = Process::spawn(guess.env("SECRET", "wrong")).finish();
    assert_eq!((status, &report(&printed)["error"]), (Some(3), &json!("refused")));
    assert!(!peer.harness.path("back").exists());
    peer.does(&server, &["delete", &ours, "--password-env", "SECRET"]);
    peer.is_refused(&server, &["delete", &ours, "--password-env", "SECRET"], "refused");
}

#[test]
fn a_python_client_does_all_there_is_on_one_connection() {
    let Some(peer) = Peer::find() else { return };
    let server = peer.harness.serve(&["--largest-file", "2000"]);
    peer.write("file", 1000);
    peer.write("large", 3000);
    let plain = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let reports = peer.script(
        &server,
        &[
            plain(&["info"]),
            plain(&["sign-up", "alice"]),
            words(&["upload", "large"]),
            words(&["upload", "file", "--downloads", "3", "--keep", "1000"]),
            words(&["download", NOBODY, "back"]),
            plain(&["list"]),
            plain(&["info"]),
        ],
    );
    let [info, signed_up, large, file, nobody, list, after] = &reports[..] else {
        panic!("{reports:?}")
    };
    assert_eq!(info["largest-file"], 2000);
    assert_eq!(signed_up["name"], "alice");
    assert_eq!((&large["error"], &nobody["error"]), (&json!("too-large"), &json!("refused")));
    let listed = &list["files"][0];
    assert_eq!(
        (&listed["cookie"], &listed["downloads"], &listed["size"]),
        (&file["cookie"], &json!(3), &file["size"])
    );
    let used = file["size"].as_u64().expect("a number") + FILE_CHARGE;
    assert_eq!((&after["name"], &after["used"]), (&json!("alice"), &json!(used)));
    let deleted =
        peer.script(&server, &[plain(&["delete", text(file, "cookie")]), plain(&["list"])]);
    assert_eq!(deleted[1], json!({"files": []}));
}

#[test]
fn a_python_client_becomes_a_member_with_our_invite() {
    let Some(peer) = Peer::find() else { return };
    let server = peer.harness.serve(&["--members"]);
    peer.write("file", 1000);
    let upload = ["upload", "file", "--password-env", "SECRET"];
    peer.is_refused(&server, &upload, "not-a-member");
    peer.is_refused(&server, &["sign-up", "alice", "--invite", INVITE], "bad-invite");
    let invite = succeeds(&peer.harness.users(&["invite", "--quota", "18K"]));
    let invite: [u8; 32] = from_base64(invite.trim_end().as_bytes()).expect("an invite");
    let invite = invite.map(|byte| format!("{byte:02x}")).concat();
    let signed_up = peer.does(&server, &["sign-up", "alice", "--invite", &invite]);
    assert_eq!((&signed_up["name"], &signed_up["quota"]), (&json!("alice"), &json!(18 * 1024)));
    peer.does(&server, &upload);
    peer.is_refused(&server, &upload, "quota");
}

#[test]
fn a_python_client_speaks_only_to_the_key_that_it_wants() {
    let Some(peer) = Peer::find() else { return };
    let server = peer.harness.serve(&NONE);
    let key = peer.harness.fingerprint();
    let info = peer.does(&server, &["--pin", &key, "info"]);
    assert_eq!(text(&info, "server"), key);
}

// --- Our client and Python servers
// -------------------------------------------------------------------------------------

#[test]
fn our_client_gets_back_what_it_gave_a_python_server_with_and_without_a_size() {
    let Some(peer) = Peer::find() else { return };
    let (_process, server) = peer.serve(&[]);
    for size in SIZES {
        let content = peer.write("file", size);
        let cookie_of_file = cookie(&peer.harness.client(&server, &["upload", "file"]));
        let mut cat = Command::new("cat")
            .arg(peer.harness.path("file"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let pipe = cat.stdout.take().expect("it is a pipe");
        let cookie_of_pipe =
            cookie(&run(peer.harness.client_command(&server).args(["upload", "-"]).stdin(pipe)));
        assert!(cat.wait().expect("it ends").success());
        for cookie in [cookie_of_file, cookie_of_pipe] {
            assert!(
                peer.harness.client(&server, &["download", &cookie, "-o", "-"]).stdout == content,
                "{size}"
            );
        }
    }
}

#[test]
fn our_client_goes_on_with_its_transfers_at_a_python_server() {
    let Some(peer) = Peer::find() else { return };
    let (_process, server) = peer.serve(&[]);
    let line = StallingProxy::to(&server);
    let content = peer.write("file", LARGE);
    let client = |arguments: &[&str]| run(peer.harness.client_at(&line.address).args(arguments));
    let cut = |arguments: &[&str]| {
        let started = peer
            .harness
            .client_at(&line.address)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        drop(line.wait());
        fails(&started.wait_with_output().expect("it ends"), 75, &["the same command again"]);
        line.mend(&server);
    };
    line.hold_up_after(&server, (LARGE - MIB) as u64);
    cut(&["upload", "file"]);
    let resumed = client(&["upload", "file"]);
    fails(&resumed, 0, &["file resumes after "]);
    line.hold_down_after(&server, (LARGE - MIB) as u64);
    cut(&["download", "file", "-o", "back"]);
    fails(&client(&["download", "file", "-o", "back"]), 0, &["the download resumes after "]);
    assert!(peer.harness.read("back") == content);
    assert_eq!(succeeds(&client(&["list", "--remote"])).lines().count(), 1);
}

#[test]
fn our_client_reports_the_refusals_of_a_python_server() {
    let Some(peer) = Peer::find() else { return };
    let (_process, server) = peer.serve(&["--largest-file", "2000"]);
    peer.write("file", 1000);
    peer.write("large", 3000);
    let cookie = cookie(&peer.harness.client(&server, &["upload", "file"]));
    fails(
        &peer.harness.client(&server, &["upload", "large"]),
        11,
        &["larger than this server takes"],
    );
    fails(
        &peer.harness.client(&server, &["download", NOBODY]),
        10,
        &["No such file, or the wrong password"],
    );
    fails(
        &run(&mut peer.harness.stranger(&server, &["delete", &cookie])),
        10,
        &["No such file, or the wrong password"],
    );
    let guess = || run(&mut peer.harness.stranger(&server, &["download", &cookie, "-o", "back"]));
    let delayed = std::iter::repeat_with(guess)
        .take(10)
        .find(|guess| guess.status.code() != Some(10))
        .expect("a delay");
    fails(&delayed, 16, &["Too many attempts.", "It may be tried again in "]);
    assert!(!peer.harness.path("back").exists());
}

#[test]
fn our_client_lists_deletes_signs_up_and_asks_a_python_server() {
    let Some(peer) = Peer::find() else { return };
    let (_process, server) = peer.serve(&["--members-invite", INVITE]);
    peer.write("file", 1000);
    fails(
        &peer.harness.client(&server, &["upload", "file"]),
        1,
        &["This server is for its members."],
    );
    fails(&peer.harness.client(&server, &["sign-up", "alice"]), 1, &["The invite is not valid"]);
    let invite = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    assert!(peer.harness.signs_up(&server, "alice", invite).contains("user          alice\n"));
    let cookie = peer.harness.upload(&server, "file", b"x");
    assert!(peer.harness.does(&server, &["list", "--remote"]).contains(&cookie));
    assert!(peer.harness.does(&server, &["info"]).contains("user          alice\n"));
    peer.harness.does(&server, &["delete", "file"]);
    assert_eq!(peer.harness.does(&server, &["list", "--remote"]), "");
}
