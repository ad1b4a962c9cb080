//! What people type and see, written down: `snapshots/` has it, and `SNAPSHOTS=overwrite cargo test
//! --test programs` renews it.

use std::fmt::Write as _;
use std::process::{Command, Output};

use regex::Regex;
use snapbox::assert::{Assert, DEFAULT_ACTION_ENV};
use snapbox::{Data, Redactions};

use fss_test_support::harness::run;

/// What differs from run to run, and what is written for it.
const VARIABLE: [(&str, &str); 10] = [
    ("[COOKIE]", r"\b[0-9]{48}\b"),
    ("[KEY]", r"SHA256:[A-Za-z0-9+/]{43}"),
    ("[INVITE]", r"[A-Za-z0-9+/]{43}="),
    ("[CHAIN]", r"\b[0-9a-f]{64}\b"),
    ("[SERVER]", r"127\.0\.0\.1:[0-9]{4,5}"),
    ("[TIME]", r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z"),
    ("[DATE]", r"20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}"),
    ("[SECONDS]", r"in (?<redacted>[0-9]+) s\b"),
    ("[UNIXTIME]", r#""(?:stored|expires)":(?<redacted>[0-9]{10})"#),
    ("[ERRNO]", r"\(os error (?<redacted>[0-9]+)\)"),
];

/// Commands, what they print on both streams, and their exit codes.
#[derive(Default)]
pub struct Transcript(String);

impl Transcript {
    /// Runs a command, and records it as the user would have typed it.
    pub fn run(&mut self, typed: &str, command: &mut Command) -> Output {
        let output = run(command);
        self.take(typed, &output);
        output
    }

    /// Takes down what a command has printed. Lines of standard error begin with `!`, and a code
    /// that is not 0 ends it.
    pub fn take(&mut self, typed: &str, output: &Output) {
        let text = &mut self.0;
        writeln!(text, "$ {}", typed.trim_end()).expect("there is memory");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .for_each(|line| writeln!(text, "{line}").expect("there is memory"));
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            writeln!(text, "{}", format!("! {line}").trim_end()).expect("there is memory");
        }
        match output.status.code() {
            Some(0) => {}
            code => writeln!(text, "exit code {}", code.expect("it ended by itself"))
                .expect("there is memory"),
        }
        text.push('\n');
    }

    /// Compares all with the snapshot of this name.
    #[track_caller]
    pub fn matches(self, snapshot: &str) {
        let mut redactions = Redactions::new();
        for (placeholder, pattern) in VARIABLE {
            redactions
                .insert(placeholder, Regex::new(pattern).expect("a pattern"))
                .expect("a placeholder");
        }
        let path = format!("{}/tests/programs/snapshots/{snapshot}", env!("CARGO_MANIFEST_DIR"));
        let expected = Data::read_from(path.as_ref(), None);
        Assert::new().action_env(DEFAULT_ACTION_ENV).redact_with(redactions).eq(self.0, expected);
    }
}
