//! How many connections a server has, in all and of one source, and what becomes of those that are too many
//! (`docs/protocol.md` §24).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Source;
use crate::limits::Limits;

/// The connections of all sessions that share a [`crate::Config`].
#[derive(Default)]
pub(crate) struct Connections(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    admitted: usize,
    /// Those that are being told that the server is busy. They take no place from others.
    refused: usize,
    /// Admitted connections, of sources that have one.
    sources: HashMap<Source, usize>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Admitted,
    /// It is told that the server is busy.
    Refused,
    /// It is closed without a word, for too many are being told.
    TurnedAway,
}

impl Connections {
    /// How many there are that were admitted.
    pub(crate) fn count(&self) -> usize {
        self.counts().admitted
    }

    /// Counts a connection, for as long as its place is held.
    pub(crate) fn enter(self: &Arc<Self>, limits: &Limits) -> Place {
        let mut counts = self.counts();
        let mut place = Place { connections: Arc::clone(self), source: None, standing: Standing::TurnedAway };
        if counts.admitted < limits.connections {
            counts.admitted += 1;
            place.standing = Standing::Admitted;
        } else {
            place.refuse(&mut counts, limits);
        }
        drop(counts);
        place
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// A connection's place among the others. It is given up when it is dropped.
pub(crate) struct Place {
    connections: Arc<Connections>,
    source: Option<Source>,
    standing: Standing,
}

impl Place {
    /// Counts the connection for where it comes from, too.
    pub(crate) fn set_source(&mut self, source: Source, limits: &Limits) {
        let connections = Arc::clone(&self.connections);
        let mut counts = connections.counts();
        self.leave_source(&mut counts);
        if self.standing != Standing::Admitted {
            return;
        }
        let of_source = counts.sources.entry(source).or_default();
        if *of_source < limits.connections_per_source {
            *of_source += 1;
            self.source = Some(source);
            return;
        }
        counts.admitted -= 1;
        self.refuse(&mut counts, limits);
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    fn refuse(&mut self, counts: &mut Counts, limits: &Limits) {
        if counts.refused < limits.connections / 8 + 8 {
            counts.refused += 1;
            self.standing = Standing::Refused;
        } else {
            self.standing = Standing::TurnedAway;
        }
    }

    fn leave_source(&mut self, counts: &mut Counts) {
        let Some(source) = self.source.take() else { return };
        if let Some(of_source) = counts.sources.get_mut(&source) {
            *of_source -= 1;
            if *of_source == 0 {
                counts.sources.remove(&source);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connections = Arc::clone(&self.connections);
        let mut counts = connections.counts();
        self.leave_source(&mut counts);
        match self.standing {
            Standing::Admitted => counts.admitted -= 1,
            Standing::Refused => counts.refused -= 1,
            Standing::TurnedAway => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn enter(connections: &Arc<Connections>, limits: &Limits, source: &str) -> Place {
        let mut place = connections.enter(limits);
        place.set_source(source.parse::<IpAddr>().unwrap().into(), limits);
        place
    }

    #[test]
    fn places_are_counted_in_all_and_for_a_source_and_given_back() {
        let limits = Limits { connections: 3, connections_per_source: 2, ..Limits::default() };
        let connections = Arc::new(Connections::default());
        let enter = |source| enter(&connections, &limits, source);
        let two = [enter("10.0.0.1"), enter("10.0.0.1")];
        assert!(two.iter().all(|place| place.standing() == Standing::Admitted));
        assert_eq!(enter("10.0.0.1").standing(), Standing::Refused, "the third of a source");
        let other = enter("10.0.0.2");
        assert_eq!(other.standing(), Standing::Admitted);
        assert_eq!(enter("10.0.0.3").standing(), Standing::Refused, "the fourth of all");
        drop(two);
        assert_eq!(enter("10.0.0.1").standing(), Standing::Admitted);
        drop(other);
        assert_eq!(connections.count(), 0);
        let counts = connections.counts();
        assert!(counts.sources.is_empty() && counts.refused == 0);
    }

    /// A source that comes again and again is told so a few times at once, and takes no place from others.
    #[test]
    fn one_source_keeps_nobody_out() {
        let limits = Limits { connections: 8, connections_per_source: 2, ..Limits::default() };
        let connections = Arc::new(Connections::default());
        let flood: Vec<_> = (0..100).map(|_| enter(&connections, &limits, "10.0.0.1")).collect();
        let count = |standing| flood.iter().filter(|place| place.standing() == standing).count();
        assert_eq!((count(Standing::Admitted), count(Standing::Refused), count(Standing::TurnedAway)), (2, 9, 89));
        let others: Vec<_> = (2..8).map(|host| enter(&connections, &limits, &format!("10.0.0.{host}"))).collect();
        assert!(others.iter().all(|place| place.standing() == Standing::Admitted));
        drop((flood, others));
        assert_eq!((connections.count(), connections.counts().refused), (0, 0));
    }
}
