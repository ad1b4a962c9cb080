//! Cookies: the names under which files are stored, and where new ones come from
//! (`docs/protocol.md` §7).

use rand_core::Rng as _;

use super::random::SystemRng;

/// A cookie that a server of ours gives out: 1 to 48 decimal digits.
///
/// It is checked before it is used, so it can never be a path. Whoever has a cookie is half-way to
/// the file, so `Debug` shows only its first digits; `Display` shows it whole.
///
/// ```
/// let cookie: fss::Cookie = "092071145115023241154224062033185071071177098114".parse()?;
/// assert_eq!(format!("{cookie:?}"), "Cookie(092071…)");
/// assert!("../../etc/passwd".parse::<fss::Cookie>().is_err());
/// # Ok::<(), fss::InvalidCookie>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(Box<str>);

impl Cookie {
    /// The most digits: sixteen bytes of three digits each.
    pub const MAX_DIGITS: usize = 48;

    /// Checks the cookie of a request.
    ///
    /// # Errors
    /// [`InvalidCookie`] unless it is 1 to 48 decimal digits.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidCookie> {
        let valid =
            (1..=Self::MAX_DIGITS).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit);
        match std::str::from_utf8(bytes) {
            Ok(digits) if valid => Ok(Self(digits.into())),
            _ => Err(InvalidCookie),
        }
    }

    /// The cookie of sixteen random bytes, each written as three decimal digits.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let digit = |value: u8| char::from(b'0' + value);
        let digits =
            bytes.iter().flat_map(|byte| [byte / 100, byte / 10 % 10, byte % 10]).map(digit);
        Self(digits.collect::<String>().into())
    }

    /// The cookie that is a record's index number.
    pub fn from_index(number: u64) -> Self {
        Self(number.to_string().into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As much of the cookie as a log may show: its first digits, never the whole.
    pub fn short(&self) -> String {
        abbreviated(&self.0)
    }
}

impl std::str::FromStr for Cookie {
    type Err = InvalidCookie;

    fn from_str(text: &str) -> Result<Self, InvalidCookie> {
        Self::parse(text.as_bytes())
    }
}

impl std::fmt::Display for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cookie({})", self.short())
    }
}

/// The text cannot be a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cookie is not a number of at most 48 digits")]
pub struct InvalidCookie;

/// A cookie as a client sees it: an opaque text of 1 to 255 bytes without control characters.
///
/// Other server implementations may use other cookies, so a client checks only that one can be sent
/// and shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OpaqueCookie(Box<str>);

impl OpaqueCookie {
    /// The longest cookie that a client accepts, in bytes.
    pub const MAX_LENGTH: usize = 255;

    /// Checks a cookie from a server or a user.
    ///
    /// # Errors
    /// [`InvalidCookie`] if it is empty, too long, not UTF-8, or has control characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidCookie> {
        match std::str::from_utf8(bytes) {
            Ok(text)
                if (1..=Self::MAX_LENGTH).contains(&text.len())
                    && !text.contains(char::is_control) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidCookie),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Cookie> for OpaqueCookie {
    fn from(cookie: Cookie) -> Self {
        Self(cookie.0)
    }
}

impl std::fmt::Display for OpaqueCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for OpaqueCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpaqueCookie({})", abbreviated(&self.0))
    }
}

fn abbreviated(cookie: &str) -> String {
    let shown = (cookie.chars().count() / 2).min(6);
    cookie.chars().take(shown).chain(['…']).collect()
}

/// Where the cookies of new files come from.
pub trait CookieSource: Send + Sync {
    /// A cookie for a new file. `number` is the file's index number in its store, which is never
    /// used twice.
    ///
    /// The store asks again, with the next number, if another file has this cookie.
    fn cookie(&self, number: u64) -> Cookie;
}

/// Sixteen random bytes: the default, and the only source whose cookies cannot be guessed.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomCookies;

impl CookieSource for RandomCookies {
    fn cookie(&self, _number: u64) -> Cookie {
        let mut bytes = [0; 16];
        SystemRng.fill_bytes(&mut bytes);
        Cookie::from_random(bytes)
    }
}

/// The index number itself: short, and easy to guess.
#[derive(Clone, Copy, Debug, Default)]
pub struct SequentialCookies;

impl CookieSource for SequentialCookies {
    fn cookie(&self, number: u64) -> Cookie {
        Cookie::from_index(number)
    }
}

impl<F: Fn(u64) -> Cookie + Send + Sync> CookieSource for F {
    fn cookie(&self, number: u64) -> Cookie {
        self(number)
    }
}
