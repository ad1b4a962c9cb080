//! What the states of a version have in common: after the first message a connection is in those of
//! one, whichever that is.

use super::ServerEvent;
use crate::error::Error;
use crate::session::{Context, Protocol};
use crate::store::StoreError;
use crate::store::transfer::{StoreReply, StoreRequest};

/// The states of one version.
pub(super) trait ServerStates:
    Protocol<Event = ServerEvent, Request = StoreRequest> + Send
{
    /// The answer to the storage request has come.
    fn on_reply(
        &mut self,
        reply: Result<StoreReply, StoreError>,
        context: &mut Context<'_, ServerEvent>,
    ) -> Result<(), Error>;
}
