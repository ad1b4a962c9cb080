//! A temporary place with a running server, and clients to run against it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Without arguments of its own.
pub const NONE: [&str; 0] = [];
/// How long something may take that is awaited: much longer than it does on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The path of a built example. Building it is the business of cargo, which has done it already for
/// `cargo test`.
fn example(name: &'static str, path: &'static OnceLock<PathBuf>) -> &'static Path {
    path.get_or_init(|| {
        let build = escargot::CargoBuild::new().package("fss").example(name);
        build.run().expect("the example builds").path().to_owned()
    })
}

/// The server with threads.
pub fn server_program() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    clean(Command::new(example("server", &PATH)))
}

/// The server on tokio.
pub fn async_server_program() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    clean(Command::new(example("async_server", &PATH)))
}

/// The program that loads servers.
pub fn load_program() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    clean(Command::new(example("load", &PATH)))
}

/// The example that the README begins with.
pub fn quickstart_program() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    clean(Command::new(example("quickstart", &PATH)))
}

/// The client.
pub fn client_program() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    clean(Command::new(example("client", &PATH)))
}

/// An example that teaches something.
pub fn example_program(name: &str) -> Command {
    let build = escargot::CargoBuild::new().package("fss").example(name);
    clean(Command::new(build.run().expect("the example builds").path()))
}

/// Without the settings of the user who runs the tests, and without a terminal to prompt on.
fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FSS_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A directory that is gone afterwards, and what the clients in it speak.
pub struct Harness {
    /// Where all of it is.
    pub directory: TempDir,
    protocol: Option<&'static str>,
    server: fn() -> Command,
}

/// A server process that is stopped afterwards.
pub struct Server {
    child: Option<Child>,
    /// Where it listens.
    pub address: String,
}

impl Default for Harness {
    fn default() -> Self {
        Self::new()
    }
}

impl Harness {
    /// With clients as they are, which speak FSS/2.
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            protocol: None,
            server: server_program,
        }
    }

    /// With the server on tokio.
    pub fn of_async_server() -> Self {
        Self { server: async_server_program, ..Self::new() }
    }

    /// With clients that are set to speak FSS 1.0.
    pub fn of_fss1() -> Self {
        Self { protocol: Some("1.0"), ..Self::new() }
    }

    /// Whether its clients speak FSS 1.0.
    #[cfg(target_os = "linux")]
    pub fn is_fss1(&self) -> bool {
        self.protocol.is_some()
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).expect("written");
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("readable")
    }

    /// Copies a recorded directory in.
    pub fn copy_recorded(&self, recorded: &str, name: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/v1").join(recorded);
        copy(&from, &self.path(name));
    }

    /// A server in this directory.
    pub fn server_command(&self) -> Command {
        let mut command = (self.server)();
        command.current_dir(self.directory.path()).env("FSS_CODE", "the code");
        command
    }

    /// Starts a server on a free port, with the directory `data`.
    pub fn serve<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Server {
        let mut command = self.server_command();
        command.env("FSS_LISTEN", "127.0.0.1:0").args(["--data", "data"]).args(arguments);
        Server::start(command)
    }

    /// The same on a port that has just become free.
    pub fn serve_at(&self, address: &str) -> Server {
        self.serve(&["--listen", address])
    }

    /// The fingerprint of the key of the server with the directory `data`.
    pub fn fingerprint(&self) -> String {
        let shown = succeeds(&run(self.server_command().args(["--data", "data", "fingerprint"])));
        shown.trim_end().to_owned()
    }

    /// Administers the users of the server with the directory `data`.
    pub fn users(&self, arguments: &[&str]) -> Output {
        run(self.server_command().args(["--data", "data", "users"]).args(arguments))
    }

    /// A client with the profile of this harness.
    pub fn client_command(&self, server: &Server) -> Command {
        self.client_at(&server.address)
    }

    /// A client with the profile of this harness, and the server at an address.
    pub fn client_at(&self, address: &str) -> Command {
        let mut command = client_program();
        command.current_dir(self.directory.path()).env("FSS_PASSWORD", "the password");
        // What is stored has the size of what is given; `directories` is about what else there is.
        command.env("FSS_COMPRESS", "never");
        command.envs(self.protocol.map(|protocol| ("FSS_CLIENT_PROTOCOL", protocol)));
        command.env("FSS_SERVER", address).env("FSS_PROFILE", "profile");
        command
    }

    /// Runs a client to its end.
    pub fn client(&self, server: &Server, arguments: &[&str]) -> Output {
        run(self.client_command(server).args(arguments))
    }

    /// Runs a client that is to succeed; gives what it prints.
    #[track_caller]
    pub fn does(&self, server: &Server, arguments: &[&str]) -> String {
        succeeds(&self.client(server, arguments))
    }

    /// Signs up with an invite; gives what that prints.
    #[track_caller]
    pub fn signs_up(&self, server: &Server, name: &str, invite: &str) -> String {
        succeeds(&run(self
            .client_command(server)
            .args(["sign-up", name])
            .env("FSS_INVITE", invite.trim_end())))
    }

    /// A client of another user, with a profile of its own.
    pub fn stranger(&self, server: &Server, arguments: &[&str]) -> Command {
        let mut command = self.client_command(server);
        command
            .env("FSS_PASSWORD", "another password")
            .env("FSS_PROFILE", "stranger")
            .args(arguments);
        command
    }

    /// Uploads a file and gives its cookie.
    #[track_caller]
    pub fn upload(&self, server: &Server, name: &str, content: &[u8]) -> String {
        self.write(name, content);
        cookie(&self.client(server, &["upload", name]))
    }

    /// Everything that is left of downloads that have not ended.
    pub fn parts(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path()).expect("readable");
        let paths = entries.map(|entry| entry.expect("readable").path());
        paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "fss-part"))
            .collect()
    }
}

impl Server {
    /// Starts a server, and waits until it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("readable");
        let Some(address) = line.strip_prefix("listening on ") else {
            panic!("the server does not start: {:?}", child.wait_with_output());
        };
        Self { address: address.trim_end().to_owned(), child: Some(child) }
    }

    /// An address without a server of ours.
    pub fn nowhere(address: &str) -> Self {
        Self { child: None, address: address.to_owned() }
    }

    /// From now on its log is not read, as when a terminal was closed.
    pub fn close_log(&mut self) {
        drop(self.child.as_mut().and_then(|child| child.stderr.take()));
    }

    /// The process.
    pub fn process(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it was started"))
    }

    /// Asks it to stop, and gives its exit code and its log.
    pub fn stop(self) -> (Option<i32>, String) {
        kill_process(self.process(), Signal::TERM).expect("it runs");
        self.wait()
    }

    /// Waits until it ends by itself, and gives its exit code and its log.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let child = self.child.take().expect("it was started");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Ends it as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Output {
    command.output().expect("it runs")
}

/// Runs a program that might wait for ever.
#[track_caller]
pub fn run_to_its_end(command: &mut Command) -> Output {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("it is ours").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().expect("it has ended")
}

/// Checks that a program succeeded; gives what it printed.
#[track_caller]
pub fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// Checks that an upload printed its cookie and nothing else.
#[track_caller]
pub fn cookie(output: &Output) -> String {
    let printed = succeeds(output);
    let cookie = printed.strip_suffix('\n').expect("a line");
    assert!(!cookie.is_empty() && cookie.bytes().all(|byte| byte.is_ascii_digit()), "{cookie:?}");
    cookie.to_owned()
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Flips a bit in the middle of a file.
pub fn damage(path: &Path) {
    let mut content = std::fs::read(path).expect("readable");
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(path, content).expect("written");
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

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("created");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::write(target, std::fs::read(entry.path()).expect("readable"))
                .expect("written");
        }
    }
}
