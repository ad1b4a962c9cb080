//! Results on standard output: if they cannot be written, that is an error like any other. All else on standard error: if that
//! cannot be written, nobody is there to hear of it.

use std::io::{ErrorKind, Write as _};

use super::failure::{Failure, code};

/// Prints one line, at once. A reader that has gone wants no more, and that is fine.
pub fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let hint = "check where standard output goes";
            Err(Failure::new(code::OTHER, "cannot write to standard output", error.to_string(), hint))
        }
        _ => Ok(()),
    }
}

/// Tells people something on standard error.
pub fn aside(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Asks something on standard error; the answer comes on the same line.
#[allow(dead_code, reason = "each program uses what it needs")]
pub fn ask(question: impl std::fmt::Display) {
    let _ = write!(std::io::stderr(), "{question}");
}
