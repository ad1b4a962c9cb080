//! An error with its causes, in one line.

use std::error::Error;
use std::fmt;

/// Shows an error and what caused it, each once: `the file is damaged: the file is cut off`.
///
/// `Display` of an error says only what failed, since its cause is its
/// [`source`](Error::source).
///
/// ```
/// let error = fss::Error::from(fss::Refusal::UnknownCookie);
/// assert_eq!(error.to_string(), "the request is refused");
/// assert_eq!(fss::Report(&error).to_string(), "the request is refused: no file has this cookie");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Report<'a>(pub &'a dyn Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
