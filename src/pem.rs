//! PEM, written as 2019 peers write it, and read leniently.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The label of a public key.
pub(crate) const PUBLIC_KEY: &str = "PUBLIC KEY";

const LINE: usize = 64;

/// The text between the two lines is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBase64;

pub(crate) fn first_line(label: &str) -> String {
    format!("-----BEGIN {label}-----")
}

fn last_line(label: &str) -> String {
    format!("-----END {label}-----")
}

/// Finds the first block with this label, and returns its content and where in `text` it ends;
/// `None` if there is no whole one.
pub(crate) fn read(text: &[u8], label: &str) -> Result<Option<(Vec<u8>, usize)>, NotBase64> {
    let (first, last) = (first_line(label), last_line(label));
    let Some(begin) = position(text, first.as_bytes()).map(|at| at + first.len()) else {
        return Ok(None);
    };
    let Some(length) = position(&text[begin..], last.as_bytes()) else { return Ok(None) };
    let body = text[begin..begin + length]
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\t'..=b'\r' | b' '));
    let body: Zeroizing<Vec<u8>> = Zeroizing::new(body.collect());
    let bytes = STANDARD.decode(&*body).map_err(|_| NotBase64)?;
    Ok(Some((bytes, begin + length + last.len())))
}

/// Writes a block in lines of 64 characters, without a newline at its end.
pub(crate) fn write(bytes: &[u8], label: &str) -> Zeroizing<Vec<u8>> {
    let body = Zeroizing::new(STANDARD.encode(bytes));
    let mut text = Zeroizing::new(Vec::with_capacity(body.len() + body.len() / LINE + 128));
    text.extend_from_slice(first_line(label).as_bytes());
    for line in body.as_bytes().chunks(LINE) {
        text.push(b'\n');
        text.extend_from_slice(line);
    }
    text.push(b'\n');
    text.extend_from_slice(last_line(label).as_bytes());
    text
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
