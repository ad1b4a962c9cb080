//! Text of a peer for people.

use crate::types::text::is_deceptive;

/// Text that a peer sent with an error frame: at most 256 characters, made printable.
///
/// It is not trusted, so deceptive characters ([`crate::text`]) are replaced before it can be
/// printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMessage(Box<str>);

impl PeerMessage {
    const LONGEST: usize = 256;

    /// Makes the details of an error frame safe to show.
    pub fn new(details: &[u8]) -> Self {
        let text = String::from_utf8_lossy(details);
        Self(
            text.chars()
                .take(Self::LONGEST)
                .map(|c| if is_deceptive(c) { '\u{fffd}' } else { c })
                .collect::<String>()
                .into(),
        )
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for PeerMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
