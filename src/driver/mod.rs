//! Drivers: they carry bytes between a [`Machine`] and a socket, keep its deadlines, and stop for
//! whatever the machine reports or needs of its program. What is said over the socket they do not
//! know.

#[cfg(all(unix, feature = "blocking"))]
pub mod blocking;
#[cfg(feature = "tokio")]
pub mod tokio;

use std::fmt;

use crate::session::Machine;

/// What a driver hands on from a machine to its program.
pub enum Call<M: Machine> {
    /// Something happened.
    Event(M::Event),
    /// The machine cannot go on before this is done.
    Request(M::Request),
}

impl<M: Machine<Event: fmt::Debug, Request: fmt::Debug>> fmt::Debug for Call<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Request(request) => f.debug_tuple("Request").field(request).finish(),
        }
    }
}
