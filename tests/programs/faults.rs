//! Faults in running programs: calls to the operating system fail before or after their effect
//! while the program lives on, or it dies there; see `faults.c`. What was acknowledged is whole,
//! what was refused is not there, and the same command again leaves one copy.
//!
//! Each test takes a sample of all combinations. `FSS_TEST_FAULTS=all cargo test --test programs
//! faults` takes all of them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use fss_test_support::harness::{Harness, NONE, Server, copy, run, succeeds};

mod client;
mod commits;
mod full;
mod names;

/// The library to preload; `None` where there is no C compiler, or no such way to load one.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/faults.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("faults-{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .output();
        let built = built.ok().filter(|_| cfg!(target_os = "linux"))?;
        assert!(built.status.success(), "{built:?}");
        Some(library)
    };
    LIBRARY.get_or_init(build).as_deref()
}

/// Whether faults can be made here; says so if not.
fn are_possible() -> bool {
    let possible = library().is_some();
    if !possible {
        eprintln!("skipped: faults need Linux and a C compiler (cc)");
    }
    possible
}

/// Some of all combinations, or all if that was asked for.
fn sample<T>(all: Vec<T>, most: usize) -> Vec<T> {
    if std::env::var_os("FSS_TEST_FAULTS").is_some_and(|wanted| wanted == "all")
        || all.len() <= most
    {
        return all;
    }
    let count = all.len();
    all.into_iter()
        .enumerate()
        .filter(|(index, _)| index * most / count != (index + 1) * most / count)
        .map(|(_, one)| one)
        .collect()
}

/// What a harness is copied from: a server that was started and a profile that was used, so that
/// both have their keys. It has one file.
fn template(new: fn() -> Harness) -> Harness {
    let harness = new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "first", b"first");
    server.stop();
    harness
}

/// A harness whose server has faults when they are asked for.
struct Faulty {
    harness: Harness,
    server: Option<Server>,
    address: String,
    is_fss1: bool,
}

impl Faulty {
    fn new(template: &Harness, harness: Harness) -> Self {
        for name in ["data", "profile"] {
            copy(&template.path(name), &harness.path(name));
        }
        Self {
            is_fss1: harness.is_fss1(),
            harness,
            server: None,
            address: "127.0.0.1:0".to_owned(),
        }
    }

    fn rules(&self) -> PathBuf {
        self.harness.path("faults")
    }

    /// Starts the server so that rules hold for it, once there are some.
    fn start(&mut self) -> &Server {
        self.start_with(&NONE)
    }

    fn start_with<A: AsRef<OsStr>>(&mut self, arguments: &[A]) -> &Server {
        let mut command = self.harness.server_command();
        command
            .env("LD_PRELOAD", library().expect("it was asked for"))
            .env("FSS_FAULTS", self.rules());
        command.env("FSS_LISTEN", &self.address).args(["--data", "data"]).args(arguments);
        let server = Server::start(command);
        self.address.clone_from(&server.address);
        self.server.insert(server)
    }

    /// Starts the server without faults, where it was before.
    fn start_well(&mut self) -> &Server {
        let server = self.harness.serve_at(&self.address);
        self.address.clone_from(&server.address);
        self.server.insert(server)
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it was started")
    }

    fn client(&self, arguments: &[&str]) -> Output {
        self.harness.client(self.server(), arguments)
    }

    /// From now on these rules hold, and what is counted is counted anew.
    fn fail(&self, rules: &str) {
        let _ = fs::remove_file(self.harness.path("faults.log"));
        self.harness.write("faults.new", rules.as_bytes());
        fs::rename(self.harness.path("faults.new"), self.rules()).expect("renamed");
    }

    /// No rules hold any more. Gives the calls that were counted, for each rule.
    fn heal(&self) -> Vec<String> {
        let _ = fs::remove_file(self.rules());
        let log = fs::read_to_string(self.harness.path("faults.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Ends the server as a power failure would.
    fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// The number of files, visible or not.
    fn stored(&self) -> usize {
        let database =
            rusqlite::Connection::open(self.harness.path("data/fssGlobal.db")).expect("a database");
        let count: i64 = database
            .query_row("SELECT count(*) FROM stored", [], |row| row.get(0))
            .expect("the 2019 table");
        usize::try_from(count).expect("few")
    }

    /// What is in the data directory, but for the database's own files.
    fn tree(&self) -> Vec<(PathBuf, u64)> {
        fn walk(directory: &Path, tree: &mut Vec<(PathBuf, u64)>) {
            for entry in fs::read_dir(directory).expect("readable") {
                let entry = entry.expect("readable");
                let metadata = entry.metadata().expect("readable");
                if metadata.is_dir() {
                    walk(&entry.path(), tree);
                } else if !entry.file_name().to_string_lossy().starts_with("fssGlobal") {
                    tree.push((entry.path(), metadata.len()));
                }
            }
        }
        let mut tree = Vec::new();
        walk(&self.harness.path("data"), &mut tree);
        tree.sort();
        tree
    }

    /// The number of content files, of any owner.
    fn files(&self) -> usize {
        self.tree().iter().filter(|(path, _)| path.ends_with("F")).count()
    }

    /// Kills the server and starts it without faults; a second start finds what the first one left.
    fn restart(&mut self) {
        self.kill();
        self.heal();
        self.start_well();
        let tree = self.tree();
        self.kill();
        self.start_well();
        assert_eq!(self.tree(), tree, "a second start changes nothing");
    }

    /// Checks that every file is what was stored, and that there is nothing else.
    fn verify(&self) {
        succeeds(&run(self.harness.server_command().args(["--data", "data", "verify"])));
    }
}

/// Whether a client was told that it is done; whatever else it was told, it did not crash.
fn is_done(output: &Output) -> bool {
    assert!(output.status.code().is_some(), "{output:?}");
    output.status.success()
}

/// Whether a client was told no: not that the connection broke, which leaves open what came of it.
fn is_refused(output: &Output) -> bool {
    !matches!(output.status.code(), Some(0 | 75))
}
