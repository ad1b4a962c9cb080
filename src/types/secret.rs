//! Bytes that must not linger: wiped when dropped, never printed.

use zeroize::Zeroizing;

/// Secret bytes. Wiped from memory when dropped; `Debug` shows nothing of them.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Wraps secret bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Do not copy them to where they are not wiped.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A password or operation code: 1 to 1024 bytes without NUL (`docs/protocol.md` §11), wiped when
/// dropped.
///
/// ```
/// let password = fss::Password::new("correct horse battery staple")?;
/// assert_eq!(format!("{password:?}"), "Password(..)");
/// assert!(fss::Password::new("").is_err());
/// # Ok::<(), fss::InvalidPassword>(())
/// ```
#[derive(Clone)]
pub struct Password(Secret);

impl Password {
    /// The longest password, in bytes: it must fit into one request with a cookie.
    pub const MAX_LENGTH: usize = 1024;

    /// Checks a password, which may be UTF-8 or any other bytes.
    ///
    /// # Errors
    /// [`InvalidPassword`] if it is empty, longer than 1024 bytes, or contains NUL.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, InvalidPassword> {
        let secret = Secret::new(bytes.into());
        let valid = (1..=Self::MAX_LENGTH).contains(&secret.expose().len())
            && !secret.expose().contains(&0);
        if valid { Ok(Self(secret)) } else { Err(InvalidPassword) }
    }

    /// The bytes. Do not copy them to where they are not wiped.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The bytes cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password is empty or too long")]
pub struct InvalidPassword;
