//! Where passwords, operation codes and invites come from: the environment, a file, a command, or a
//! hidden prompt. Never the command line, where every user of the machine could read them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Command, Stdio};

use fss::{Password, Secret};

use super::failure::{Failure, code};

/// A secret that the program needs: what it is called in prompts, and the variable that may hold
/// it. The same name with `_FILE` and `_COMMAND` says where else to get it from.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub name: &'static str,
    pub variable: &'static str,
}

/// How much is read for a secret: the longest password fits several times.
const LONGEST_LINE: usize = 4096;

impl Wanted {
    /// The secret, asked for once.
    pub fn get(self) -> Result<Password, Failure> {
        match self.environment()? {
            Some(secret) => self.check(secret.expose().to_vec()),
            None => self.check(self.prompt(&format!("{}: ", capitalized(self.name)))?),
        }
    }

    /// A secret that is new, and so asked for twice.
    pub fn get_new(self) -> Result<Password, Failure> {
        if let Some(secret) = self.environment()? {
            return self.check(secret.expose().to_vec());
        }
        let first = Secret::new(self.prompt(&format!("New {}: ", self.name))?);
        let second = Secret::new(self.prompt(&format!("The same {} again: ", self.name))?);
        if first.expose() != second.expose() {
            return Err(Failure::usage(
                format!("no new {}", self.name),
                "the two were not the same",
                "the same command again",
            ));
        }
        self.check(first.expose().to_vec())
    }

    /// A secret that other programs print: from where it is said to be, a prompt, or a line of
    /// standard input.
    pub fn get_or_read(self) -> Result<Secret, Failure> {
        if let Some(secret) = self.environment()? {
            return Ok(secret);
        }
        let input = std::io::stdin();
        if input.is_terminal() {
            return self.prompt(&format!("{}: ", capitalized(self.name))).map(Secret::new);
        }
        first_line(input.lock())
            .map_err(|error| self.unavailable(&"standard input".into(), &error.to_string()))
    }

    fn check(self, bytes: Vec<u8>) -> Result<Password, Failure> {
        let hint = "one of 1 to 1024 bytes, without a NUL";
        Password::new(bytes).map_err(|refusal| {
            Failure::usage(format!("the {} cannot be used", self.name), refusal.to_string(), hint)
        })
    }

    /// The secret, if a variable says what it is or where it is.
    pub fn environment(self) -> Result<Option<Secret>, Failure> {
        let variable = |suffix: &str| env::var_os(format!("{}{suffix}", self.variable));
        if let Some(value) = variable("") {
            return Ok(Some(Secret::new(value.into_vec())));
        }
        if let Some(path) = variable("_FILE") {
            let read = File::open(&path).and_then(first_line);
            return read.map(Some).map_err(|error| self.unavailable(&path, &error.to_string()));
        }
        if let Some(command) = variable("_COMMAND") {
            return printed_by(&command)
                .map(Some)
                .map_err(|error| self.unavailable(&command, &error.to_string()));
        }
        Ok(None)
    }

    fn unavailable(self, source: &OsString, why: &str) -> Failure {
        let what = format!("the {} cannot be had from {}", self.name, source.to_string_lossy());
        Failure::new(
            code::USAGE,
            what,
            why,
            format!("check {0}_FILE or {0}_COMMAND", self.variable),
        )
    }

    fn prompt(self, text: &str) -> Result<Vec<u8>, Failure> {
        rpassword::prompt_password(text).map(String::into_bytes).map_err(|error| {
            let why = match error.kind() {
                ErrorKind::UnexpectedEof => "nothing was typed".to_owned(),
                _ => format!("there is no terminal to ask for it: {error}"),
            };
            let hint = format!("set {0}, {0}_FILE or {0}_COMMAND", self.variable);
            Failure::usage(format!("no {}", self.name), why, hint)
        })
    }
}

/// A file or a command gives one line; its end is not part of the secret.
fn first_line(input: impl Read) -> io::Result<Secret> {
    // The whole of it fits from the start, so that no reallocation leaves a part of the secret
    // behind.
    let mut bytes = Vec::with_capacity(LONGEST_LINE);
    let read = input.take(LONGEST_LINE as u64).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read?;
    let end = bytes
        .expose()
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .unwrap_or(bytes.expose().len());
    Ok(Secret::new(bytes.expose()[..end].to_vec()))
}

/// What a command prints. One that goes on printing is not listened to any more, which ends it.
fn printed_by(command: &OsStr) -> io::Result<Secret> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .spawn()?;
    let line = child.stdout.take().map_or_else(|| Ok(Secret::new(Vec::new())), first_line);
    let status = child.wait()?;
    let line = line?;
    if status.success() || line.expose().len() >= LONGEST_LINE {
        Ok(line)
    } else {
        Err(io::Error::other(status.to_string()))
    }
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
