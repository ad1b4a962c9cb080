//! The time of the last change, to the nanosecond.

use std::fmt;

/// A moment, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mtime {
    pub(super) seconds: i64,
    /// Always forward, also before 1970.
    pub(super) nanoseconds: u32,
}

const SECOND: u32 = 1_000_000_000;
/// The most seconds that 11 octal digits can say.
const LARGEST_PLAIN: u64 = (1 << 33) - 1;

impl Mtime {
    /// Whole seconds, if that is all and fits a header.
    pub(super) fn plain(self) -> Option<u64> {
        let seconds = u64::try_from(self.seconds).ok()?;
        (self.nanoseconds == 0 && seconds <= LARGEST_PLAIN).then_some(seconds)
    }

    /// Reads a decimal fraction; digits beyond nanoseconds are dropped.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty()
            || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            || fraction.contains('.')
        {
            return None;
        }
        let seconds: i64 = whole.parse().ok()?;
        let nanoseconds = format!("{fraction:0<9.9}").parse().ok()?;
        Some(match (negative, nanoseconds) {
            (false, _) => Self { seconds, nanoseconds },
            (true, 0) => Self { seconds: -seconds, nanoseconds },
            (true, _) => Self { seconds: -seconds - 1, nanoseconds: SECOND - nanoseconds },
        })
    }
}

/// As a decimal fraction.
impl fmt::Display for Mtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, nanoseconds } = *self;
        if seconds < 0 && nanoseconds > 0 {
            write!(f, "-{}.{:09}", (seconds + 1).unsigned_abs(), SECOND - nanoseconds)
        } else {
            write!(f, "{seconds}.{nanoseconds:09}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back() {
        for (seconds, nanoseconds) in [
            (0, 0),
            (0, 1),
            (-1, 500_000_000),
            (-2, 0),
            (1_700_000_000, 999_999_999),
            (i64::MAX, 0),
        ] {
            let time = Mtime { seconds, nanoseconds };
            assert_eq!(Mtime::parse(time.to_string().as_bytes()), Some(time), "{time}");
        }
        assert_eq!(Mtime::parse(b"1.0000000019"), Some(Mtime { seconds: 1, nanoseconds: 1 }));
        for wrong in ["", "-", ".5", "1.2.3", "+1", "1e3", "99999999999999999999", "--1"] {
            assert_eq!(Mtime::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
