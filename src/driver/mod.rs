//! Drivers: they carry bytes between a [`Machine`] and a transport, keep its deadlines, and stop for
//! what the machine reports or requests. They do not interpret the bytes.
//!
//! | transport | driver |
//! |---|---|
//! | a blocking stream | `blocking` (feature `blocking`, Unix) |
//! | a stream of tokio | `tokio` (feature `tokio`) |
//! | messages: WebSocket, a channel | [`MessagePump`] |
//! | anything else | by hand, in ten lines: [`Machine`] |
//!
//! A whole server is a `Server` and a call of `serve_listener`, in both `blocking` and `tokio`.

#[cfg(all(unix, feature = "blocking"))]
pub mod blocking;
#[cfg(any(all(unix, feature = "blocking"), feature = "tokio"))]
mod observer;
mod pump;
#[cfg(any(all(unix, feature = "blocking"), feature = "tokio"))]
mod server;
#[cfg(any(all(unix, feature = "blocking"), feature = "tokio"))]
mod shutdown;
#[cfg(feature = "tokio")]
pub mod tokio;

#[cfg(any(all(unix, feature = "blocking"), feature = "tokio"))]
pub use observer::{Incident, Observer};
pub use pump::{LONGEST_MESSAGE, MessagePump};
#[cfg(any(all(unix, feature = "blocking"), feature = "tokio"))]
pub use server::{ServeError, Server};
#[cfg(any(all(unix, feature = "blocking"), feature = "tokio"))]
pub use shutdown::{Shutdown, ShutdownStarted};

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
