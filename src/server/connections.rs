//! How many connections a server has, in all and of one source (`docs/protocol.md` §24): whoever is one too many is told so.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Source;
use crate::config::Limits;

/// The connections of all sessions that share a [`crate::Config`].
#[derive(Default)]
pub(crate) struct Connections(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    all: usize,
    /// Only of sources that have one.
    sources: HashMap<Source, usize>,
}

impl Connections {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.counts().all
    }

    /// Counts a connection, for as long as its place is held.
    pub(crate) fn enter(self: &Arc<Self>, limits: &Limits) -> Place {
        let mut counts = self.counts();
        counts.all += 1;
        Place { connections: Arc::clone(self), source: None, is_crowded: counts.all > limits.connections }
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
    is_crowded: bool,
}

impl Place {
    /// Counts the connection for where it comes from, too.
    pub(crate) fn set_source(&mut self, source: Source, limits: &Limits) {
        self.leave_source();
        let mut counts = self.connections.counts();
        let of_source = counts.sources.entry(source).or_default();
        *of_source += 1;
        self.is_crowded |= *of_source > limits.connections_per_source;
        self.source = Some(source);
    }

    /// Whether the connection is one too many.
    pub(crate) fn is_crowded(&self) -> bool {
        self.is_crowded
    }

    fn leave_source(&mut self) {
        let Some(source) = self.source.take() else { return };
        let mut counts = self.connections.counts();
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
        self.leave_source();
        self.connections.counts().all -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn places_are_counted_in_all_and_for_a_source_and_given_back() {
        let limits = Limits { connections: 3, connections_per_source: 2, ..Limits::default() };
        let connections = Arc::new(Connections::default());
        let enter = |source: &str| {
            let mut place = connections.enter(&limits);
            place.set_source(source.parse::<IpAddr>().unwrap().into(), &limits);
            place
        };
        let two = [enter("10.0.0.1"), enter("10.0.0.1")];
        assert!(!two.iter().any(Place::is_crowded));
        assert!(enter("10.0.0.1").is_crowded(), "the third of a source");
        let other = enter("10.0.0.2");
        assert!(!other.is_crowded());
        assert!(enter("10.0.0.3").is_crowded(), "the fourth of all");
        drop(two);
        assert!(!enter("10.0.0.1").is_crowded());
        drop(other);
        assert_eq!(connections.count(), 0);
        assert!(connections.counts().sources.is_empty());
    }
}
