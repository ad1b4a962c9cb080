//! Makes text from a peer, a file or a database safe for a terminal or a log.

/// Whether a character is invisible or changes how its neighbours are shown: control characters,
/// direction marks, Unicode's `Default_Ignorable_Code_Point`, and blanks other than spaces. The two
/// variation selectors for text and emoji are excepted.
pub fn is_deceptive(c: char) -> bool {
    let is_invisible = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    is_invisible || c.is_control()
}

/// Escapes the deceptive characters of a text.
///
/// ```
/// assert_eq!(fss::text::printable("a\u{202e}fdp.exe\n"), r"a\u{202e}fdp.exe\n");
/// ```
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_deceptive(c) { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}
