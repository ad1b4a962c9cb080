//! Results on standard output: if they cannot be written, that is an error like any other.

use std::io::{ErrorKind, Write as _};

use crate::support::failure::{Failure, code};

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
