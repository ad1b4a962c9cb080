//! How long files are kept: until a time, or for a number of deliveries (`docs/protocol.md` §25.5, §25.7).

use std::time::Duration;

/// How long a server keeps files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// Until somebody removes them.
    #[default]
    Forever,
    /// Until a client has acknowledged the whole file.
    UntilDownloaded,
    /// For this long after the upload.
    For(Duration),
}

/// What a client asks for, or a server grants, for one file. Nothing means for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Seconds from its completion.
    pub seconds: Option<u64>,
    /// Deliveries.
    pub downloads: Option<u64>,
}

impl Keep {
    /// When a file that is completed now will expire, in Unix seconds.
    pub fn expires(self, now: u64) -> Option<u64> {
        self.seconds.map(|seconds| now.saturating_add(seconds))
    }
}

impl Retention {
    /// What a file of FSS/2 is granted of what its client asked for: the smaller of both.
    pub fn grant(self, asked: Keep) -> Keep {
        match self {
            Self::Forever => asked,
            Self::UntilDownloaded => Keep { downloads: Some(1), ..asked },
            Self::For(most) => Keep { seconds: Some(asked.seconds.unwrap_or(u64::MAX).min(most.as_secs())), ..asked },
        }
    }

    /// What a file of FSS 1.0 is granted. It has no claims: until-downloaded removes it at its delivery (§25.9).
    pub fn grant_legacy(self) -> Keep {
        Keep { downloads: None, ..self.grant(Keep::default()) }
    }
}

/// How often a connection may break before a delivery counts as made.
const RETURNS: u64 = 3;

/// The deliveries of a file that has a limited number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deliveries {
    /// How many there are to be.
    pub limit: u64,
    /// Claims made and not given back.
    pub claimed: u64,
    /// Claims committed or used up.
    pub committed: u64,
    /// Claims given back.
    pub returned: u64,
}

impl Deliveries {
    /// None is claimed yet.
    pub fn new(limit: u64) -> Self {
        Self { limit, claimed: 0, committed: 0, returned: 0 }
    }

    /// How many can still be claimed.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.claimed)
    }

    /// Claims one, unless none is left.
    pub fn claim(&mut self) -> bool {
        let left = self.left() > 0;
        self.claimed += u64::from(left);
        left
    }

    /// A claim came to its end: the client has the file.
    pub fn commit(&mut self) {
        self.committed += 1;
    }

    /// A claim broke off: it is given back, or counts as used up if that happened too often.
    pub fn give_back(&mut self) {
        if self.returned < RETURNS {
            self.returned += 1;
            self.claimed = self.claimed.saturating_sub(1);
        } else {
            self.committed += 1;
        }
    }

    /// Gives back what was claimed and has come to no end: nobody can end it after a restart.
    pub fn settle(&mut self) {
        // Not one by one: what is on disk may say that there are 2^62.
        let open = self.claimed.saturating_sub(self.committed);
        let returned = open.min(RETURNS.saturating_sub(self.returned));
        self.returned += returned;
        self.claimed -= returned;
        self.committed = self.committed.max(self.claimed);
    }

    /// Whether the file is to be removed.
    pub fn are_used_up(&self) -> bool {
        self.committed >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_both_holds() {
        let asked = Keep { seconds: Some(60), downloads: Some(3) };
        assert_eq!(Retention::Forever.grant(asked), asked);
        assert_eq!(Retention::Forever.grant(Keep::default()), Keep::default());
        assert_eq!(Retention::UntilDownloaded.grant(asked), Keep { seconds: Some(60), downloads: Some(1) });
        let month = Retention::For(Duration::from_secs(30));
        assert_eq!(month.grant(asked), Keep { seconds: Some(30), downloads: Some(3) });
        assert_eq!(month.grant(Keep::default()), Keep { seconds: Some(30), downloads: None });
        assert_eq!(Retention::UntilDownloaded.grant_legacy(), Keep::default());
    }

    #[test]
    fn claims_are_given_back_three_times_then_used_up() {
        let mut deliveries = Deliveries::new(1);
        for _ in 0..3 {
            assert!(deliveries.claim());
            assert!(!deliveries.claim(), "one at a time");
            deliveries.give_back();
            assert!(!deliveries.are_used_up());
        }
        assert!(deliveries.claim());
        deliveries.settle();
        assert!(deliveries.are_used_up() && !deliveries.claim());
    }

    #[test]
    fn deliveries_count_up_to_the_limit() {
        let mut deliveries = Deliveries::new(2);
        for used_up in [false, true] {
            assert!(deliveries.claim());
            deliveries.commit();
            assert_eq!(deliveries.are_used_up(), used_up);
        }
        assert!(!deliveries.claim());
        deliveries.settle();
        assert_eq!(deliveries, Deliveries { limit: 2, claimed: 2, committed: 2, returned: 0 });
    }
}
