//! What a program learns of the connections of its server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::crypto::KeyRejected;
use crate::error::Error;
use crate::server::ServerEvent;
use crate::types::time::Time;
use crate::types::user::UserName;

/// Is told what happens on the connections of a [`Server`](super::Server), each on the thread or
/// task of its connection: a call that waits delays that client.
///
/// A closure that takes the client's address and an event is one, and so is `()`, which ignores
/// everything.
///
/// ```
/// use std::net::SocketAddr;
/// use fss::driver::{Observer, Server};
/// use fss::server::ServerEvent;
/// use fss::{Config, Error, MemoryStore, Time};
///
/// struct Log;
///
/// impl Observer for Log {
///     type Connection = SocketAddr;
///
///     fn connected(&self, client: SocketAddr) -> SocketAddr {
///         client
///     }
///
///     fn event(&self, client: &mut SocketAddr, event: &ServerEvent, now: Time) {
///         println!("{client} {now:?}: {event:?}");
///     }
///
///     fn ended(&self, client: SocketAddr, outcome: &Result<(), Error>, _: Time) {
///         println!("{client}: {outcome:?}");
///     }
/// }
///
/// let server = Server::new(Config::generate()?, MemoryStore::new()).with_observer(Log);
/// # Ok::<(), fss::crypto::KeyRejected>(())
/// ```
pub trait Observer: Send + Sync {
    /// What the program keeps for each connection. It is dropped without [`Observer::ended`] where a
    /// connection is cut off because the server stops.
    type Connection: Send;

    /// A connection begins. `client` is where it comes from: of a trusted proxy, what its header
    /// says.
    fn connected(&self, client: SocketAddr) -> Self::Connection;

    /// The machine reported an event, at a time since the start of the connection.
    fn event(&self, connection: &mut Self::Connection, event: &ServerEvent, now: Time);

    /// Whether [`Observer::user`] is to be called, for which the store is asked once on each
    /// connection.
    fn wants_users(&self) -> bool {
        false
    }

    /// The client's proved key is that of this user.
    fn user(&self, connection: &mut Self::Connection, name: &UserName) {
        let _ = (connection, name);
    }

    /// The connection has ended.
    fn ended(&self, connection: Self::Connection, outcome: &Result<(), Error>, now: Time) {
        let _ = (connection, outcome, now);
    }

    /// Something concerns the server rather than one client.
    fn incident(&self, incident: &Incident) {
        let _ = incident;
    }
}

/// What concerns a server rather than one of its clients. The server continues, except after
/// [`Incident::Stopping`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Incident {
    /// A connection could not be accepted, for want of open files for example. It is tried again
    /// after a pause.
    AcceptFailed(io::Error),
    /// No thread could be started for a connection, which is closed. The next one is accepted after
    /// a pause.
    SpawnFailed(io::Error),
    /// A trusted proxy sent no valid header in time. The connection is closed.
    NoProxyHeader {
        /// Where the connection comes from.
        proxy: SocketAddr,
        /// What was wrong.
        error: io::Error,
    },
    /// No new transport key could be made. The present one remains in use, and it is tried again.
    RenewalFailed(KeyRejected),
    /// Serving a connection panicked: in the store, in the observer, or by a bug.
    Panicked,
    /// The shutdown has started: no more connections are accepted.
    Stopping {
        /// How many are still being served.
        connections: usize,
    },
}

impl Observer for () {
    type Connection = ();

    fn connected(&self, _: SocketAddr) {}

    fn event(&self, (): &mut (), _: &ServerEvent, _: Time) {}
}

impl<F: Fn(SocketAddr, &ServerEvent) + Send + Sync> Observer for F {
    type Connection = SocketAddr;

    fn connected(&self, client: SocketAddr) -> SocketAddr {
        client
    }

    fn event(&self, client: &mut SocketAddr, event: &ServerEvent, _: Time) {
        self(*client, event);
    }
}

impl<O: Observer> Observer for Arc<O> {
    type Connection = O::Connection;

    fn connected(&self, client: SocketAddr) -> O::Connection {
        (**self).connected(client)
    }

    fn event(&self, connection: &mut O::Connection, event: &ServerEvent, now: Time) {
        (**self).event(connection, event, now);
    }

    fn wants_users(&self) -> bool {
        (**self).wants_users()
    }

    fn user(&self, connection: &mut O::Connection, name: &UserName) {
        (**self).user(connection, name);
    }

    fn ended(&self, connection: O::Connection, outcome: &Result<(), Error>, now: Time) {
        (**self).ended(connection, outcome, now);
    }

    fn incident(&self, incident: &Incident) {
        (**self).incident(incident);
    }
}
