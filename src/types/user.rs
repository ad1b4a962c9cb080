//! The users of a server, and the invites to become one (`docs/protocol.md` §19).

use zeroize::Zeroizing;

/// Length of an invite in bytes.
pub const INVITE_LENGTH: usize = 32;

/// The name of a user: 1 to 64 letters, digits, dots, underscores and dashes (`docs/protocol.md`
/// §19.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserName(Box<str>);

impl UserName {
    /// The longest name.
    pub const MAX_LENGTH: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidUserName`] for any other text.
    pub fn parse(name: &[u8]) -> Result<Self, InvalidUserName> {
        let allowed =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let valid = (1..=Self::MAX_LENGTH).contains(&name.len()) && name.iter().all(allowed);
        let name = std::str::from_utf8(name).ok().filter(|_| valid).ok_or(InvalidUserName)?;
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text cannot be the name of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name is not 1 to 64 letters, digits, dots, underscores and dashes")]
pub struct InvalidUserName;

/// An invite: its holder may sign up once (`docs/protocol.md` §19.6). `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite(Zeroizing<[u8; INVITE_LENGTH]>);

impl Invite {
    /// The invite with these random bytes.
    pub fn from_bytes(bytes: [u8; INVITE_LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. A server stores only their hash.
    pub fn expose(&self) -> &[u8; INVITE_LENGTH] {
        &self.0
    }
}

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invite(..)")
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: UserName,
    /// Bytes that it may use.
    pub quota: u64,
    /// Bytes that it uses.
    pub used: u64,
}
