//! What a downloaded file may be called.

use crate::support::text::is_deceptive;

/// The name under which a file is written where none is asked for. What is listed is a label, never a path: only its last
/// component counts, and not even that if it is special or hidden.
pub fn local_name(label: &str) -> Option<&str> {
    let name = label.rsplit('/').next()?;
    let usable = !name.is_empty() && !name.starts_with('.') && !name.contains(is_deceptive);
    usable.then_some(name)
}
