//! File names of downloads: from the user's list, or suggested by the uploader.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use fss::text::is_deceptive;

/// Bytes of the longest name that is made of another one: the usual 255 of a file system, and room
/// for a number.
const LONGEST: usize = 240;
/// Bytes of the longest extension that stays when a name is cut.
const LONGEST_EXTENSION: usize = 16;

/// The name under which a file is written where none is asked for. What is listed is a label, never
/// a path: only its last component counts, and not even that if it is special or hidden.
pub fn local_name(label: &str) -> Option<&str> {
    let name = label.rsplit('/').next()?;
    let usable = !name.is_empty() && !name.starts_with('.') && !name.contains(is_deceptive);
    usable.then_some(name)
}

/// What a file may be called that its uploader has called so: one name that is plain, visible and
/// no option of any program; `None` if nothing is left of it. Bytes that are not UTF-8 stay as they
/// are.
pub fn suggested_name(name: &[u8]) -> Option<OsString> {
    let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let mut plain = Vec::with_capacity(name.len());
    for part in name.utf8_chunks() {
        for c in part.valid().chars().map(|c| if is_deceptive(c) { '_' } else { c }) {
            plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        plain.extend_from_slice(part.invalid());
    }
    if matches!(plain[..], [] | [b'.'] | [b'.', b'.']) {
        return None;
    }
    if matches!(plain[0], b'.' | b'-') {
        plain[0] = b'_';
    }
    Some(OsString::from_vec(shortened(plain)))
}

/// Cuts a name between two characters; its extension stays.
fn shortened(mut name: Vec<u8>) -> Vec<u8> {
    if name.len() <= LONGEST {
        return name;
    }
    let dot = name
        .iter()
        .rposition(|&byte| byte == b'.')
        .filter(|&dot| dot > 0 && name.len() - dot <= LONGEST_EXTENSION);
    let extension = dot.map(|dot| name.split_off(dot)).unwrap_or_default();
    let is_inside_a_character = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let mut end = LONGEST - extension.len();
    while end > 1 && is_inside_a_character(name[end]) {
        end -= 1;
    }
    name.truncate(end);
    name.extend(extension);
    name
}
