//! The ring of former passwords, sealed under the present one, so that a change of password strands
//! nothing (`docs/protocol.md` §23.5).

use std::io::{self, Read as _, Write as _};

use zeroize::Zeroizing;

use super::ProfileError;
use super::password_id::PasswordId;
use crate::crypto::default_provider;
use crate::sealed::{Cost, Header, MasterKey, Metadata, Reader, Writer};
use crate::types::random::SystemRng;
use crate::types::secret::Password;

/// Passwords, each with its number.
pub(super) type Ring = Vec<(PasswordId, Password)>;

/// Seals former passwords under the present one.
pub(super) fn seal(former: &Ring, present: &Password) -> Result<Vec<u8>, ProfileError> {
    write(former, present).map_err(ProfileError::FormerPasswords)
}

/// Opens what was sealed; `None` if it does not open with this password.
pub(super) fn open(sealed: &[u8], present: &Password) -> Result<Option<Ring>, ProfileError> {
    match read(sealed, present) {
        Ok(ring) => Ok(ring),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(ProfileError::FormerPasswords(error)),
    }
}

/// A sealed file, header and all, with `NUMBER=PASSWORD` and NUL for each.
fn write(former: &Ring, present: &Password) -> io::Result<Vec<u8>> {
    let header = Header::new(Cost::DEFAULT, &mut SystemRng);
    let master = MasterKey::derive(present, &header).map_err(io::Error::other)?;
    let key = master.key(&header, &*default_provider());
    let mut writer =
        Writer::new(Vec::new(), &key, &header, &Metadata::named("passwords"), SystemRng)?;
    for (id, password) in former {
        write!(writer, "{}=", id.number())?;
        writer.write_all(password.expose())?;
        writer.write_all(b"\0")?;
    }
    writer.finish()
}

fn read(sealed: &[u8], present: &Password) -> io::Result<Option<Ring>> {
    let Some((header, pieces)) = sealed.split_at_checked(Header::LENGTH) else { return Ok(None) };
    let Ok(header) = Header::parse(header) else { return Ok(None) };
    let master = MasterKey::derive(present, &header).map_err(io::Error::other)?;
    let key = master.key(&header, &*default_provider());
    // Larger than what is read into it: it never grows, which would leave a copy behind.
    let mut content = Zeroizing::new(Vec::with_capacity(sealed.len()));
    Reader::new(pieces, &key, &header)?.read_to_end(&mut content)?;
    Ok(content.split_inclusive(|&byte| byte == 0).map(entry).collect())
}

fn entry(bytes: &[u8]) -> Option<(PasswordId, Password)> {
    let equals = bytes.iter().position(|&byte| byte == b'=')?;
    let (number, password) = (&bytes[..equals], bytes[equals + 1..].strip_suffix(b"\0")?);
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some((PasswordId::from_number(number), Password::new(password).ok()?))
}
