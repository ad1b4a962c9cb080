//! How long files are kept: until a time, or for a number of deliveries (`docs/protocol.md` §25.5,
//! §25.7).

use std::time::Duration;

use crate::crypto::Fingerprint;

/// How long a server keeps files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// Until they are removed.
    #[default]
    Forever,
    /// Until a client has acknowledged the whole file.
    UntilDownloaded,
    /// For this long after the upload.
    For(Duration),
}

/// What a client asks for, or a server grants, for one file. `None` means for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionTerms {
    /// Seconds from its completion.
    pub seconds: Option<u64>,
    /// Downloads, after which it is removed.
    pub downloads: Option<u64>,
}

impl RetentionTerms {
    /// When a file that is completed now will expire, in Unix seconds.
    pub fn expires(self, now: u64) -> Option<u64> {
        self.seconds.map(|seconds| now.saturating_add(seconds))
    }
}

impl Retention {
    /// What a file of FSS/2 is granted of what its client asked for: the smaller of both.
    pub fn grant(self, asked: RetentionTerms) -> RetentionTerms {
        match self {
            Self::Forever => asked,
            Self::UntilDownloaded => RetentionTerms { downloads: Some(1), ..asked },
            Self::For(most) => RetentionTerms {
                seconds: Some(asked.seconds.unwrap_or(u64::MAX).min(most.as_secs())),
                ..asked
            },
        }
    }

    /// What a file of FSS 1.0 is granted. It has no claims: until-downloaded removes it at its
    /// delivery (§25.9).
    pub fn grant_legacy(self) -> RetentionTerms {
        RetentionTerms { downloads: None, ..self.grant(RetentionTerms::default()) }
    }
}

/// The deliveries of a file that has a limited number of them (`docs/protocol.md` §25.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadClaims {
    /// How many there are to be.
    pub limit: u64,
    /// How many were acknowledged.
    pub made: u64,
    /// Claims that are open.
    pub claimed: u64,
}

impl DownloadClaims {
    /// How many can still be claimed.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.made).saturating_sub(self.claimed)
    }

    /// Whether the file has been delivered as often as it was to be, and is to be removed.
    pub fn are_made(&self) -> bool {
        self.made >= self.limit
    }
}

/// A client that wants one of a file's deliveries.
///
/// A claim is its key's until it is delivered or its lease ends, even if its connection ends: a
/// client that comes back continues its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The client's proved key.
    pub by: Fingerprint,
    /// When it ends unless it is renewed, in Unix seconds.
    pub lease: u64,
    /// The time, in Unix seconds.
    pub now: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_both_holds() {
        let asked = RetentionTerms { seconds: Some(60), downloads: Some(3) };
        assert_eq!(Retention::Forever.grant(asked), asked);
        assert_eq!(Retention::Forever.grant(RetentionTerms::default()), RetentionTerms::default());
        assert_eq!(
            Retention::UntilDownloaded.grant(asked),
            RetentionTerms { seconds: Some(60), downloads: Some(1) }
        );
        let month = Retention::For(Duration::from_secs(30));
        assert_eq!(month.grant(asked), RetentionTerms { seconds: Some(30), downloads: Some(3) });
        assert_eq!(
            month.grant(RetentionTerms::default()),
            RetentionTerms { seconds: Some(30), downloads: None }
        );
        assert_eq!(Retention::UntilDownloaded.grant_legacy(), RetentionTerms::default());
    }

    #[test]
    fn what_is_claimed_or_made_is_not_left() {
        let left = |made, claimed| DownloadClaims { limit: 3, made, claimed }.left();
        assert_eq!(
            [left(0, 0), left(1, 0), left(1, 1), left(1, 2), left(3, 0), left(3, 5)],
            [3, 2, 1, 0, 0, 0]
        );
        assert!(
            !DownloadClaims { limit: 3, made: 2, claimed: 1 }.are_made(),
            "what is only claimed was not delivered"
        );
        assert!(DownloadClaims { limit: 3, made: 3, claimed: 0 }.are_made());
    }
}
