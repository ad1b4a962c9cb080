//! A temporary place with a running server, and clients to run against it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The path of a built example. Building it is the business of cargo, which has done it already for `cargo test`.
fn example(name: &'static str, path: &'static OnceLock<PathBuf>) -> &'static Path {
    path.get_or_init(|| {
        let build = escargot::CargoBuild::new().package("fss").example(name);
        build.run().expect("the example builds").path().to_owned()
    })
}

pub fn server_program() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    clean(Command::new(example("server", &PATH)))
}

pub fn client_program() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    clean(Command::new(example("client", &PATH)))
}

/// Without the settings of whoever runs the tests, and without a terminal to ask on.
fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FSS_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A directory that is gone afterwards.
pub struct World {
    pub directory: TempDir,
}

/// A server process that is stopped afterwards.
pub struct Server {
    child: Option<Child>,
    pub address: String,
}

impl World {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).expect("written");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("readable")
    }

    /// Copies a recorded directory in.
    pub fn copy_recorded(&self, recorded: &str, name: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1").join(recorded);
        copy(&from, &self.path(name));
    }

    pub fn server_command(&self) -> Command {
        let mut command = server_program();
        command.current_dir(self.directory.path()).env("FSS_CODE", "the code");
        command
    }

    /// Starts a server on a free port, with the directory `data`.
    pub fn serve<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Server {
        let mut command = self.server_command();
        command.args(["--listen", "127.0.0.1:0", "--data", "data"]).args(arguments);
        Server::start(command)
    }

    pub fn client_command(&self, server: &Server) -> Command {
        let mut command = client_program();
        command.current_dir(self.directory.path()).env("FSS_PASSWORD", "the password").env("FSS_CLIENT_PROTOCOL", "1.0");
        command.env("FSS_SERVER", &server.address).env("FSS_PROFILE", "profile");
        command
    }

    /// Runs a client to its end.
    pub fn client(&self, server: &Server, arguments: &[&str]) -> Output {
        self.client_command(server).args(arguments).output().expect("it runs")
    }

    /// Uploads a file and gives its cookie.
    pub fn upload(&self, server: &Server, name: &str, content: &[u8]) -> String {
        self.write(name, content);
        let output = self.client(server, &["upload", name]);
        assert!(output.status.success(), "{output:?}");
        let cookie = String::from_utf8(output.stdout).expect("text");
        assert!(cookie.ends_with('\n') && cookie.trim_end().bytes().all(|byte| byte.is_ascii_digit()), "{cookie:?}");
        cookie.trim_end().to_owned()
    }
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("readable");
        let Some(address) = line.strip_prefix("listening on ") else {
            panic!("the server does not start: {:?}", child.wait_with_output());
        };
        Self { address: address.trim_end().to_owned(), child: Some(child) }
    }

    /// A server at an address where none of ours is.
    pub fn nowhere(address: &str) -> Self {
        Self { child: None, address: address.to_owned() }
    }

    /// Asks it to stop, and gives its exit code and its log.
    pub fn stop(mut self) -> (Option<i32>, String) {
        let child = self.child.take().expect("it was started");
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Checks the exit code and that standard error tells each of these things; gives what it tells.
#[track_caller]
pub fn fails(output: &Output, code: i32, tells: &[&str]) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    for part in tells {
        assert!(error.contains(part), "{part:?} is not in:\n{error}");
    }
    error
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("created");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::write(target, std::fs::read(entry.path()).expect("readable")).expect("written");
        }
    }
}
