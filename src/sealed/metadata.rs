//! A file's metadata, which is sealed with its content (`docs/protocol.md` §21.7).

use std::fmt::Write as _;

use super::integrity::{Integrity, InvalidMetadata, MAX_LENGTH};

/// Fields at the beginning of the plaintext. The file's name is a label, never a path to write to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    fields: Vec<(String, String)>,
}

/// Bytes of the length prefix.
const PREFIX: usize = 4;

impl Metadata {
    /// Metadata of a file with this name.
    pub fn named(name: &str) -> Self {
        let fields = [("name", name), ("kind", "file"), ("encoding", "identity")];
        Self { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into() }
    }

    /// Metadata of a file whose name need not be UTF-8.
    pub fn with_name_bytes(name: &[u8]) -> Self {
        match std::str::from_utf8(name) {
            Ok(name) => Self::named(name),
            Err(_) => Self::named(&percent_encode(name)).with("name-encoding", "percent"),
        }
    }

    /// Adds or replaces a field. [`Metadata::encode`] checks the value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.retain(|(there, _)| there != name);
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str())
    }

    /// The file's name as it is encoded, with `%` escapes if it was not UTF-8.
    pub fn name(&self) -> Option<&str> {
        self.get("name")
    }

    /// The file's original name, which need not be UTF-8; `None` also if its escapes are malformed.
    pub fn name_bytes(&self) -> Option<Vec<u8>> {
        let name = self.name()?;
        match self.get("name-encoding") {
            Some("percent") => percent_decode(name),
            _ => Some(name.into()),
        }
    }

    /// The file's size in bytes, decoded, if it was known when the file was sealed.
    pub fn size(&self) -> Option<u64> {
        self.get("size")?.parse().ok()
    }

    /// Checks that content which is not encoded has the size that is stated here
    /// (`docs/protocol.md` §21.9). For encoded content that is the decoder's task.
    ///
    /// # Errors
    /// [`Integrity::Size`]
    pub fn check_size(&self, content: u64) -> Result<(), Integrity> {
        match self.size().filter(|_| self.get("encoding") == Some("identity")) {
            Some(expected) if expected != content => {
                Err(Integrity::Size { expected, got: content })
            }
            _ => Ok(()),
        }
    }

    /// The metadata after its length.
    ///
    /// # Errors
    /// [`InvalidMetadata`] if it has more than 32 KiB, or a name or value that cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidMetadata> {
        let mut bytes = vec![0; PREFIX];
        for (name, value) in &self.fields {
            if !is_name(name) || value.contains('\0') {
                return Err(InvalidMetadata::Field);
            }
            bytes.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        }
        let length = bytes.len() - PREFIX;
        let written = u32::try_from(length)
            .ok()
            .filter(|_| length <= MAX_LENGTH)
            .ok_or(InvalidMetadata::TooLong)?;
        bytes[..PREFIX].copy_from_slice(&written.to_be_bytes());
        Ok(bytes)
    }

    /// Reads metadata from the beginning of the first chunk; also returns how many bytes it has,
    /// length included.
    ///
    /// # Errors
    /// [`InvalidMetadata`]
    pub fn decode(chunk: &[u8]) -> Result<(Self, usize), InvalidMetadata> {
        let (length, rest) =
            chunk.split_first_chunk::<PREFIX>().ok_or(InvalidMetadata::Truncated)?;
        let length =
            usize::try_from(u32::from_be_bytes(*length)).map_err(|_| InvalidMetadata::TooLong)?;
        if length > MAX_LENGTH {
            return Err(InvalidMetadata::TooLong);
        }
        let text = std::str::from_utf8(rest.get(..length).ok_or(InvalidMetadata::Truncated)?);
        let text = text.map_err(|_| InvalidMetadata::Field)?;
        let mut fields: Vec<(String, String)> = Vec::new();
        if !text.is_empty() {
            let text = text.strip_suffix('\0').ok_or(InvalidMetadata::Field)?;
            for field in text.split('\0') {
                let (name, value) = field
                    .split_once('=')
                    .filter(|(name, _)| is_name(name))
                    .ok_or(InvalidMetadata::Field)?;
                if fields.iter().any(|(there, _)| there == name) {
                    return Err(InvalidMetadata::Field);
                }
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
        let metadata = Self { fields };
        let known = matches!(metadata.get("kind"), Some("file" | "directory"))
            && matches!(metadata.get("encoding"), Some("identity" | "zstd"));
        if known { Ok((metadata, PREFIX + length)) } else { Err(InvalidMetadata::Unknown) }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn percent_encode(name: &[u8]) -> String {
    let mut text = String::new();
    for piece in name.utf8_chunks() {
        text.push_str(&piece.valid().replace('%', "%25"));
        for byte in piece.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn percent_decode(name: &str) -> Option<Vec<u8>> {
    let mut pieces = name.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}
