//! What both sides do to say hello, and to get from two hellos to records (`docs/protocol.md` §13).

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Link, Records};
use crate::crypto::{PublicKeyDer, Share};
use crate::error::{Error, Refusal};
use crate::wire::hello::{Hello, InvalidHello, Role, SECRET_LENGTH};
use crate::wire::key_schedule::{Handshake, HelloTranscript, Keys};
use crate::wire::record::Direction;

/// Our own hello, and the private half of its share.
pub(crate) struct Greeting {
    speaker: Role,
    share: Box<dyn Share>,
    hello: Hello,
    plaintext: Zeroizing<Vec<u8>>,
}

impl Greeting {
    /// A hello made for this connection.
    pub(crate) fn new(speaker: Role, link: &mut Link) -> Self {
        let mut private = Zeroizing::new([0; 32]);
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        link.rng().fill_bytes(&mut *private);
        link.rng().fill_bytes(&mut *secret);
        let share = link.config().provider().share(&private);
        let hello = Hello { share: share.public(), secret };
        let plaintext = hello.encode(speaker);
        Self { speaker, share, hello, plaintext }
    }

    /// What is to be sent.
    pub(crate) fn plaintext(&self) -> &[u8] {
        &self.plaintext
    }

    /// Makes the keys of the connection from ours and the peer's hello, which has just come.
    pub(crate) fn agree(self, theirs: &[u8], link: &Link) -> Result<(Records, Handshake), Error> {
        let (own_speaker, their_speaker) = match self.speaker {
            Role::Client => (Role::Client, Role::Server),
            Role::Server => (Role::Server, Role::Client),
        };
        let hello = Hello::parse(theirs, their_speaker)?;
        let own = HelloTranscript {
            key: link.own_key()?,
            plaintext: &self.plaintext,
            hello: &self.hello,
        };
        let peer = HelloTranscript {
            key: peer_key(link, their_speaker)?,
            plaintext: theirs,
            hello: &hello,
        };
        let (client, server) = if own_speaker == Role::Client { (own, peer) } else { (peer, own) };
        let keys =
            Keys::derive(self.share, &hello, client, server).map_err(|_| InvalidHello::Share)?;
        let direction = |traffic| Direction::new(Arc::clone(link.config().provider()), traffic);
        let (client, server) = (direction(keys.client), direction(keys.server));
        let records = match own_speaker {
            Role::Client => Records { receive: server, send: client },
            Role::Server => Records { receive: client, send: server },
        };
        Ok((records, keys.handshake))
    }
}

/// The peer's key, if it is in the one form that FSS/2 takes: a client's is its identity, a
/// server's is for this connection.
fn peer_key(link: &Link, peer: Role) -> Result<&PublicKeyDer, Error> {
    let key = link.peer_key().ok_or(Error::Internal)?;
    let is_good = match peer {
        Role::Client => key.is_identity(),
        Role::Server => key.is_canonical(),
    };
    if is_good { Ok(key) } else { Err(Refusal::KeyNotCanonical.into()) }
}
