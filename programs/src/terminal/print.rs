//! Results on standard output: if they cannot be written, that is an error like any other. All else
//! on standard error: if that cannot be written, nobody is there to hear of it.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use super::failure::{Failure, io_code};

/// Prints one line, at once. A reader that has gone wants no more, and that is fine.
pub fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let hint = "check where standard output goes";
            Err(Failure::new(
                io_code(&error),
                "cannot write to standard output",
                error.to_string(),
                hint,
            ))
        }
        _ => Ok(()),
    }
}

/// Tells people something on standard error.
pub fn aside(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes to standard error without an end of line.
pub fn begin(text: impl std::fmt::Display) {
    let _ = write!(std::io::stderr(), "{text}");
}

/// Whether there is a user who can answer a question.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question on standard error that is answered with yes or no. No answer is no.
pub fn confirms(question: impl std::fmt::Display) -> bool {
    begin(format_args!("{question} [y/N] "));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
