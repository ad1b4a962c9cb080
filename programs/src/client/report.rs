//! Output for the user: results on standard output, as text or JSON; messages and progress on
//! standard error.
//!
//! `--json` prints one object a line. Each has `event`; its other fields are those of the functions
//! here, and are only ever added to. The last object is the summary.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stderr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use fss::profile::FileRecord;
use fss::store::Entry;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthChar as _;

use crate::client::options::{Command, Options};
use crate::terminal::failure::{Failure, code};
use crate::terminal::print;
use fss::text::{is_deceptive, printable};

/// The most columns of a name before a progress bar.
const LABEL_COLUMNS: usize = 24;

/// Where to tell what.
#[derive(Clone, Copy, Debug)]
pub struct Reporter {
    form: Form,
    terminal: bool,
    /// Standard output has a file's content, and nothing is to be mixed with it.
    occupied: bool,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Words,
    /// Results and errors only.
    FewWords,
    Json,
}

/// What has become of a command.
pub struct Outcome {
    pub done: usize,
    pub failed: usize,
    pub code: ExitCode,
}

impl Outcome {
    /// All of a command that does one thing.
    pub const DONE: Self = Self { done: 1, failed: 0, code: ExitCode::SUCCESS };

    pub fn failed(code: ExitCode) -> Self {
        Self { done: 0, failed: 1, code }
    }
}

impl Reporter {
    pub fn new(options: &Options) -> Self {
        let occupied = matches!(&options.command, Some(Command::Download { output: Some(path), .. }) if path == Path::new("-"));
        let form = match options {
            Options { json: true, .. } => Form::Json,
            Options { quiet: true, .. } => Form::FewWords,
            _ => Form::Words,
        };
        Self { form, terminal: stderr().is_terminal(), occupied }
    }

    /// Something that is no result.
    pub fn say(self, text: &str) {
        if self.form == Form::Words {
            print::aside(printable(text));
        }
    }

    /// Something that the user should know of what was done, though it is no failure.
    pub fn warn(self, text: &str) {
        if self.form == Form::Json {
            // If it cannot be written, what follows cannot either.
            let _ = self.object(json!({ "event": "warning", "what": text }));
        } else {
            self.say(&format!("warning: {text}"));
        }
    }

    /// The program ends before it is done; `hint` is what is left of its work, and may be empty.
    pub fn interrupted(self, hint: &str) {
        if self.form == Form::Json {
            let object = json!({ "event": "error", "what": "interrupted", "why": "a signal came", "try": hint, "code": code::INTERRUPTED });
            let _ = self.object(object);
            return;
        }
        if self.terminal && self.form == Form::Words {
            // A bar may stand there.
            print::begin("\r\x1b[2K");
        }
        if !hint.is_empty() {
            self.say(hint);
        }
    }

    /// A result: its line, or its object.
    pub fn result(self, line: impl std::fmt::Display, object: Value) -> Result<(), Failure> {
        if self.form == Form::Json { self.object(object) } else { print::line(line) }
    }

    /// A result that is an object, and no line: the text of it goes to standard error.
    pub fn done(self, text: &str, object: Value) -> Result<(), Failure> {
        if self.form == Form::Json {
            return self.object(object);
        }
        if !self.occupied {
            self.say(text);
        }
        Ok(())
    }

    /// Something that helps with an error.
    pub fn candidate(self, line: &str, object: Value) -> Result<(), Failure> {
        if self.form == Form::Json {
            return self.object(object);
        }
        print::aside(line);
        Ok(())
    }

    #[allow(clippy::needless_pass_by_value, reason = "it is made to be shown")]
    fn object(self, object: Value) -> Result<(), Failure> {
        let object = plain_json(&object.to_string());
        if self.occupied {
            print::aside(object);
            return Ok(());
        }
        print::line(object)
    }

    /// What failed. Gives the exit code.
    pub fn failure(self, failure: &Failure) -> ExitCode {
        if self.form != Form::Json {
            return failure.report();
        }
        let Failure { what, why, hint, code } = failure;
        // If this cannot be written either, the exit code still tells.
        let _ = self.object(
            json!({ "event": "error", "what": what, "why": why, "try": hint, "code": code }),
        );
        ExitCode::from(*code)
    }

    /// The last object. Gives the exit code.
    pub fn summary(self, outcome: &Outcome) -> ExitCode {
        let Outcome { done, failed, code } = *outcome;
        if self.form != Form::Json {
            return code;
        }
        match self.object(json!({ "event": "summary", "done": done, "failed": failed })) {
            Ok(()) => code,
            Err(failure) => self.failure(&failure),
        }
    }

    /// Shows how far a transfer is, on a terminal. `total` is in bytes, if it is known.
    pub fn progress(self, name: &str, total: Option<u64>) -> Progress {
        let shown = self.terminal && self.form == Form::Words;
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(style(total.is_some()));
        bar.set_prefix(label(name));
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

    /// It begins: how much there will be in all, if that is known, and how much of it is there from
    /// an earlier time.
    pub fn begin(&self, total: Option<u64>, position: u64) {
        if let Some(total) = total {
            self.0.set_length(total);
            self.0.set_style(style(true));
        }
        self.start_at(position);
    }

    /// So much is done already, from an earlier time: it counts for neither rate nor remaining
    /// time.
    pub fn start_at(&self, position: u64) {
        self.0.set_position(position);
        self.0.reset_eta();
    }

    /// It is gone from the terminal, so that something else can be told.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }

    /// So much is done.
    pub fn reach(&self, position: u64) {
        self.0.set_position(position);
    }

    /// So much more is done.
    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// JSON in which nothing is deceptive: within a string any character may be written as an escape.
fn plain_json(object: &str) -> String {
    let mut plain = String::new();
    for c in object.chars() {
        if is_deceptive(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The name of what is transferred, as long as it leaves room for the rest of the line.
fn label(name: &str) -> String {
    cut(&printable(name), LABEL_COLUMNS)
}

/// Text of at most so many columns of a terminal; what is cut off leaves a mark.
fn cut(text: &str, columns: usize) -> String {
    let width = |c: char| c.width().unwrap_or(0);
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits =
        text.chars().take_while(|&c| left.checked_sub(width(c)).map(|rest| left = rest).is_some());
    fits.chain(['…']).collect()
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

/// A file of several that a name fits.
pub fn candidate(file: &FileRecord) -> Value {
    let mut object = record(file);
    object["event"] = "candidate".into();
    object
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
        "expires": file.expires,
        "downloads": file.downloads,
    })
}
