//! Extended headers of POSIX: `LENGTH KEY=VALUE` and a newline, the length counting itself.

use super::Damage;
use super::time::Mtime;

/// What an extended header overrides in the header after it.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<Mtime>,
}

impl Overrides {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self { path: None, target: None, size: None, mtime: None })
    }

    /// Reads records, and ignores unknown ones.
    ///
    /// # Errors
    /// [`Damage::ExtendedHeader`], [`Damage::Number`], [`Damage::Sparse`]
    pub(super) fn read(&mut self, mut records: &[u8]) -> Result<(), Damage> {
        while !records.is_empty() {
            let (key, value);
            (key, value, records) = first(records).ok_or(Damage::ExtendedHeader)?;
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => self.size = Some(number(value).ok_or(Damage::Number)?),
                b"mtime" => self.mtime = Some(Mtime::parse(value).ok_or(Damage::Number)?),
                key if key.starts_with(b"GNU.sparse.") => return Err(Damage::Sparse),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Key and value of the first record, and the records after it.
fn first(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(number(&records[..space])?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

/// Decimal digits and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// Adds a record.
pub(super) fn write(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + b" =\n".len();
    let mut length = rest;
    // The length may get a digit more by counting its own.
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend([format!("{length} {key}=").as_bytes(), value, b"\n"].concat());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_length_come_back() {
        for length in 0..1100 {
            let value = vec![b'\n'; length];
            let mut records = Vec::new();
            write(&mut records, "path", &value);
            write(&mut records, "linkpath", b"=");
            let mut overrides = Overrides::default();
            overrides.read(&records).unwrap();
            assert_eq!((overrides.path, overrides.target), (Some(value), Some(b"=".to_vec())));
        }
    }
}
