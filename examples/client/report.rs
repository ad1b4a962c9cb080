//! What the user sees: results on standard output, as text or as JSON, and all else on standard error.
//!
//! `--json` prints one object a line. Each has `event`; its other fields are those of the functions here, and are only ever
//! added to. The last object is the summary.

use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;
use std::time::Duration;

use fss::profile::FileRecord;
use fss::store::Entry;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::options::Options;
use crate::print;
use crate::support::failure::{Failure, printable};

/// Where to tell what.
#[derive(Clone, Copy, Debug)]
pub struct Reporter {
    json: bool,
    quiet: bool,
    terminal: bool,
}

impl Reporter {
    pub fn new(options: &Options) -> Self {
        Self { json: options.json, quiet: options.quiet, terminal: stderr().is_terminal() }
    }

    /// Something that is no result.
    pub fn say(self, text: &str) {
        if !self.quiet && !self.json {
            eprintln!("{}", printable(text));
        }
    }

    /// A result: its line, or its object.
    pub fn result(self, line: impl std::fmt::Display, object: Value) -> Result<(), Failure> {
        if self.json { print::line(object) } else { print::line(line) }
    }

    /// A result that is an object, and no line: the text of it goes to standard error.
    pub fn done(self, text: &str, object: Value) -> Result<(), Failure> {
        if self.json {
            return print::line(object);
        }
        self.say(text);
        Ok(())
    }

    /// What failed. Gives the exit code.
    pub fn failure(self, failure: &Failure) -> ExitCode {
        if !self.json {
            return failure.report();
        }
        let Failure { what, why, hint, code } = failure;
        // If this cannot be written either, the exit code still tells.
        let _ = print::line(json!({ "event": "error", "what": what, "why": why, "try": hint, "code": code }));
        ExitCode::from(*code)
    }

    /// The last object.
    pub fn summary(self, done: usize, failed: usize) -> Result<(), Failure> {
        if self.json { print::line(json!({ "event": "summary", "done": done, "failed": failed })) } else { Ok(()) }
    }

    /// Shows how far a transfer is, on a terminal. `total` is in bytes, if it is known.
    pub fn progress(self, name: &str, total: Option<u64>) -> Progress {
        let shown = self.terminal && !self.quiet && !self.json;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(style(total.is_some()));
        bar.set_prefix(printable(name));
        Progress(bar)
    }
}

/// How far a transfer is. It is gone from the terminal when it is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// What is going on.
    pub fn phase(&self, phase: &'static str) {
        self.0.set_message(phase);
        self.0.enable_steady_tick(Duration::from_millis(200));
    }

    /// It begins: how much there will be in all, if that is known, and how much of it is there from an earlier time.
    pub fn begin(&self, total: Option<u64>, position: u64) {
        if let Some(total) = total {
            self.0.set_length(total);
            self.0.set_style(style(true));
        }
        self.start_at(position);
    }

    /// So much is done already, from an earlier time.
    pub fn start_at(&self, position: u64) {
        self.0.set_position(position);
        self.0.reset_eta();
    }

    /// So much more is done.
    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(total_is_known: bool) -> ProgressStyle {
    let template = if total_is_known {
        "{prefix}  {msg}  [{wide_bar}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta}"
    } else {
        "{prefix}  {msg}  {spinner} {bytes}  {bytes_per_sec}"
    };
    // One that cannot be read would only look different.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A file that a server has.
pub fn entry(entry: &Entry, name: Option<&str>) -> Value {
    json!({
        "event": "file",
        "cookie": entry.cookie.as_str(),
        "name": name,
        "stored_size": entry.size,
        "stored": entry.stored,
        "expires": entry.expires,
        "downloads": entry.downloads,
    })
}

/// A listed file.
pub fn record(file: &FileRecord) -> Value {
    json!({
        "event": "file",
        "cookie": file.cookie.as_str(),
        "name": file.name,
        "size": file.size,
        "date": file.date,
        "server": file.server,
        "own_password": file.own_password,
        "sealed": file.header.is_some(),
    })
}
