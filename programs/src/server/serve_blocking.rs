//! Serving on threads: one for each connection.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use fss::driver::blocking::serve_listener;

use crate::server::service::{Serving, broken};
use crate::terminal::failure::Failure;

/// Serves until a signal comes.
pub fn serve(server: &Arc<Serving>, listeners: Vec<TcpListener>) -> Result<(), Failure> {
    let serve = |listener| {
        serve_listener(listener, server).inspect_err(|_| server.shutdown().start()).map_err(broken)
    };
    thread::scope(|scope| {
        let serving: Vec<_> =
            listeners.into_iter().map(|listener| scope.spawn(move || serve(listener))).collect();
        serving.into_iter().try_for_each(|serving| {
            serving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}
