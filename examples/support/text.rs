//! Text that comes from a peer, a file or a database, made fit for a terminal.

/// Whether a character changes how what is around it is shown, or is not seen itself: control characters, marks that turn
/// the direction of text, and marks without width.
pub fn is_deceptive(c: char) -> bool {
    let is_invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    is_invisible || c.is_control()
}

/// Text as it may be shown: what is deceptive is escaped.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_deceptive(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}
