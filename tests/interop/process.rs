//! Programs in Python: found or missed aloud, run as processes, and never waited for without end.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long the peer may keep a test waiting: much longer than it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where the programs are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// A Python that can run the peers; `None` where there is none: the test is skipped, and says so.
pub fn python() -> Option<&'static OsStr> {
    static FOUND: OnceLock<Result<OsString, String>> = OnceLock::new();
    match FOUND.get_or_init(probe) {
        Ok(program) => Some(program),
        // Who names a Python wants the tests to run with it.
        Err(why) if std::env::var_os("FSS_TEST_PYTHON").is_some() => panic!("{why}"),
        Err(why) => {
            // Past the test harness, which keeps what a test prints to itself.
            let _ = writeln!(
                io::stderr(),
                "skipped: {why} (pip install -r tests/interop/requirements.txt)"
            );
            None
        }
    }
}

fn probe() -> Result<OsString, String> {
    let program = std::env::var_os("FSS_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let needs = "import sys; assert sys.version_info >= (3, 11), 'it is older than 3.11'; import Crypto, blake3, cryptography";
    let tried = Command::new(&program).args(["-c", needs]).stdin(Stdio::null()).output();
    let shown = program.to_string_lossy();
    match tried {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            Err(format!(
                "{shown} cannot run the peer: {}",
                why.lines().last().unwrap_or("it does not say why")
            ))
        }
        Err(error) => Err(format!("{shown} cannot be run: {error}")),
    }
}

/// Writes a recorded private key, `server` or `client`, for a peer to use.
pub fn save_key(path: &Path, name: &str) {
    let recorded: Value = serde_json::from_str(include_str!("../vectors/v1/primitives.json"))
        .expect("the vectors are JSON");
    let pem = recorded["keys"][name]["pkcs1_pem"].as_str().expect("the vectors have the key");
    std::fs::write(path, pem).expect("written");
}

/// A process of the peer; killed when dropped.
pub struct Process {
    child: Child,
    output: Receiver<String>,
    complaints: Receiver<String>,
}

impl Process {
    pub fn start(mut command: Command, variable: &str, secret: &[u8]) -> Self {
        command.env(variable, OsStr::from_bytes(secret));
        command.stdin(Stdio::null());
        Self::spawn(&mut command)
    }

    /// With the input that the command has.
    pub fn spawn(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let output = lines(child.stdout.take().expect("it is piped"));
        let complaints = lines(child.stderr.take().expect("it is piped"));
        Self { child, output, complaints }
    }

    /// The next line of its output; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        match self.output.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                panic!("the peer hangs: {}", self.complaints());
            }
        }
    }

    /// All complaints, of a process that has ended.
    pub fn complaints(&self) -> String {
        // A child of its own could live on and hold the pipe open.
        std::iter::from_fn(|| self.complaints.recv_timeout(PATIENCE).ok())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits for its end: its exit code, what it printed, and what it complained about.
    pub fn finish(mut self) -> (Option<i32>, String, String) {
        let output: Vec<String> = std::iter::from_fn(|| self.line()).collect();
        let code = self.child.wait().expect("it is a child of ours").code();
        (code, output.join("\n"), self.complaints())
    }

    /// Its output; it must not complain.
    pub fn succeed(self) -> String {
        let (code, output, complaints) = self.finish();
        assert!(code == Some(0) && complaints.is_empty(), "the peer complains: {complaints}");
        output
    }

    /// Its complaint; it must not succeed.
    pub fn fail(self) -> String {
        let (code, output, complaints) = self.finish();
        assert!(code != Some(0) && output.is_empty(), "the peer succeeds and prints {output}");
        complaints
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, read as they come, so that one can wait for them only so long.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        BufReader::new(pipe).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    receiver
}
