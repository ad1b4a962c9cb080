//! The server that is loaded: a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::load::Failure;
use crate::load::options::Options;

/// A server process. It is killed when it is dropped.
pub struct Server {
    child: Child,
    pub address: String,
}

/// What a server has used so far.
pub struct Used {
    /// Resident memory, in KiB.
    pub memory: u64,
    /// Of a processor.
    pub time: Duration,
}

impl Server {
    /// Starts the server with a directory, and its own limits but for these.
    pub fn start(options: &Options, data: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => beside()?,
        };
        let mut command = Command::new(&program);
        command.args(["--listen", "127.0.0.1:0", "--data"]);
        command
            .arg(data)
            .args(arguments)
            .env("FSS_CODE", "load")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let started = command.spawn().map_err(|error| {
            format!(
                "cannot start {}: {error}; build it: cargo build --release -p fss-programs",
                program.display()
            )
        });
        let mut child = started?;
        let mut line = String::new();
        if let Some(output) = child.stdout.as_mut() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim_end().strip_prefix("listening on ").map(str::to_owned);
        let mut server = Self { child, address: String::new() };
        server.address =
            address.ok_or_else(|| format!("{} does not start: {line:?}", program.display()))?;
        Ok(server)
    }

    pub fn used(&self) -> Result<Used, Failure> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(process.join("status"))?;
        let memory =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let stat = std::fs::read_to_string(process.join("stat"))?;
        // Behind the name, which may hold anything, time as user and as system are the 12th and
        // 13th fields.
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        let (Some(user), Some(system)) = (ticks(11), ticks(12)) else {
            return Err("there is no time in /proc".into());
        };
        let memory = memory.ok_or("there is no memory in /proc")?.parse()?;
        // A tick is 10 ms on every Linux that there is.
        Ok(Used { memory, time: Duration::from_millis(10 * (user + system)) })
    }

    /// Ends it as a power failure would, but for what the system has in its cache.
    pub fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server that was built beside this program, be both programs or examples.
fn beside() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let [server, example] = ["fss-server", "async_server"].map(|name| program.with_file_name(name));
    Ok(if server.exists() { server } else { example })
}

/// A directory for a server, on the disk that is measured.
pub fn directory(options: &Options) -> Result<tempfile::TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("fss-load.");
    Ok(match &options.directory {
        Some(directory) => builder.tempdir_in(directory)?,
        None => builder.tempdir()?,
    })
}
