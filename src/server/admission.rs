//! How many connections a server has, in all and of one peer, and what becomes of those that are
//! too many (`docs/protocol.md` §24).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::PeerAddress;
use crate::limits::Limits;

/// The connections of all sessions that share a [`super::ServerState`].
#[derive(Default)]
pub(super) struct Connections(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    admitted: usize,
    /// Those that are being told that the server is busy. They take no place from others.
    refused: usize,
    /// Admitted connections, of sources that have one.
    peers: HashMap<PeerAddress, usize>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    /// It is told that the server is busy.
    Refused,
    /// It is closed without a word, for too many are being told.
    Dropped,
}

impl Connections {
    /// How many there are that were admitted.
    pub(super) fn count(&self) -> usize {
        self.counts().admitted
    }

    /// Counts a connection, for as long as its place is held.
    pub(super) fn admit(self: &Arc<Self>, limits: &Limits) -> ConnectionPermit {
        let mut counts = self.counts();
        let mut permit = ConnectionPermit {
            connections: Arc::clone(self),
            peer: None,
            admission: Admission::Dropped,
        };
        if counts.admitted < limits.connections {
            counts.admitted += 1;
            permit.admission = Admission::Admitted;
        } else {
            permit.refuse(&mut counts, limits);
        }
        drop(counts);
        permit
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
pub(super) struct ConnectionPermit {
    connections: Arc<Connections>,
    peer: Option<PeerAddress>,
    admission: Admission,
}

impl ConnectionPermit {
    /// Counts the connection for where it comes from, too.
    pub(super) fn set_peer(&mut self, peer: PeerAddress, limits: &Limits) {
        let connections = Arc::clone(&self.connections);
        let mut counts = connections.counts();
        self.leave_peer(&mut counts);
        if self.admission != Admission::Admitted {
            return;
        }
        let of_peer = counts.peers.entry(peer).or_default();
        if *of_peer < limits.connections_per_source {
            *of_peer += 1;
            self.peer = Some(peer);
            return;
        }
        counts.admitted -= 1;
        self.refuse(&mut counts, limits);
    }

    pub(super) fn admission(&self) -> Admission {
        self.admission
    }

    fn refuse(&mut self, counts: &mut Counts, limits: &Limits) {
        if counts.refused < limits.connections / 8 + 8 {
            counts.refused += 1;
            self.admission = Admission::Refused;
        } else {
            self.admission = Admission::Dropped;
        }
    }

    fn leave_peer(&mut self, counts: &mut Counts) {
        let Some(peer) = self.peer.take() else { return };
        if let Some(of_peer) = counts.peers.get_mut(&peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.peers.remove(&peer);
            }
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let connections = Arc::clone(&self.connections);
        let mut counts = connections.counts();
        self.leave_peer(&mut counts);
        match self.admission {
            Admission::Admitted => counts.admitted -= 1,
            Admission::Refused => counts.refused -= 1,
            Admission::Dropped => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn enter(connections: &Arc<Connections>, limits: &Limits, peer: &str) -> ConnectionPermit {
        let mut permit = connections.admit(limits);
        permit.set_peer(peer.parse::<IpAddr>().unwrap().into(), limits);
        permit
    }

    #[test]
    fn places_are_counted_in_all_and_for_a_source_and_given_back() {
        let limits = Limits { connections: 3, connections_per_source: 2, ..Limits::default() };
        let connections = Arc::new(Connections::default());
        let enter = |peer| enter(&connections, &limits, peer);
        let two = [enter("10.0.0.1"), enter("10.0.0.1")];
        assert!(two.iter().all(|permit| permit.admission() == Admission::Admitted));
        assert_eq!(enter("10.0.0.1").admission(), Admission::Refused, "the third of a source");
        let other = enter("10.0.0.2");
        assert_eq!(other.admission(), Admission::Admitted);
        assert_eq!(enter("10.0.0.3").admission(), Admission::Refused, "the fourth of all");
        drop(two);
        assert_eq!(enter("10.0.0.1").admission(), Admission::Admitted);
        drop(other);
        assert_eq!(connections.count(), 0);
        let counts = connections.counts();
        assert!(counts.peers.is_empty() && counts.refused == 0);
    }

    /// A source that comes again and again is told so a few times at once, and takes no place from
    /// others.
    #[test]
    fn one_source_keeps_nobody_out() {
        let limits = Limits { connections: 8, connections_per_source: 2, ..Limits::default() };
        let connections = Arc::new(Connections::default());
        let flood: Vec<_> = (0..100).map(|_| enter(&connections, &limits, "10.0.0.1")).collect();
        let count =
            |admission| flood.iter().filter(|permit| permit.admission() == admission).count();
        assert_eq!(
            (count(Admission::Admitted), count(Admission::Refused), count(Admission::Dropped)),
            (2, 9, 89)
        );
        let others: Vec<_> =
            (2..8).map(|host| enter(&connections, &limits, &format!("10.0.0.{host}"))).collect();
        assert!(others.iter().all(|permit| permit.admission() == Admission::Admitted));
        drop((flood, others));
        assert_eq!((connections.count(), connections.counts().refused), (0, 0));
    }
}
