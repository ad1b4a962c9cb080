//! The users of a server, and the invites to become one (`docs/protocol.md` §19).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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

    /// Reads an invite that [`Invite::encode`] wrote.
    ///
    /// # Errors
    /// [`InvalidInvite`] if it is not the base64 of 32 bytes.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidInvite> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| InvalidInvite)?);
        bytes.as_slice().try_into().map(Self::from_bytes).map_err(|_| InvalidInvite)
    }

    /// The invite as text to pass on: 44 characters of base64.
    pub fn encode(&self) -> String {
        STANDARD.encode(*self.0)
    }

    /// The bytes. A server stores only their hash.
    pub fn expose(&self) -> &[u8; INVITE_LENGTH] {
        &self.0
    }
}

/// The text cannot be an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invite is not 44 characters of base64")]
pub struct InvalidInvite;

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invite(..)")
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Its name.
    pub name: UserName,
    /// Bytes that its files may use; `None` if that is not limited.
    pub quota: Option<u64>,
    /// Bytes that its files use (`docs/protocol.md` §19.5).
    pub used: u64,
}

impl Account {
    /// A user without a quota.
    pub fn new(name: UserName, used: u64) -> Self {
        Self { name, quota: None, used }
    }

    /// The same user with this quota.
    #[must_use]
    pub fn with_quota(mut self, quota: Option<u64>) -> Self {
        self.quota = quota;
        self
    }
}
