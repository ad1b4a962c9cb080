//! From the two hellos to the keys of a connection (`docs/protocol.md` §13.7).

use hkdf::Hkdf;
use sha2::{Digest as _, Sha384};
use zeroize::Zeroizing;

use super::hello::Hello;
use crate::crypto::aead::{KEY_LENGTH, NONCE_LENGTH};
use crate::crypto::{CryptoFailure, PublicKeyDer, Share};

/// Length of a direction's key and iv together, in bytes.
pub const TRAFFIC_LENGTH: usize = KEY_LENGTH + NONCE_LENGTH;

/// Key and iv of one direction.
pub type Traffic = Zeroizing<[u8; TRAFFIC_LENGTH]>;

/// What a proof is bound to, so that it is worth nothing on another connection.
pub type Binding = Zeroizing<[u8; 32]>;

/// The keys of a connection.
#[derive(Clone)]
pub struct Keys {
    /// For what the client sends.
    pub client: Traffic,
    /// For what the server sends.
    pub server: Traffic,
    /// For proofs.
    pub binding: Binding,
}

/// What one side has said: its key, and its hello in plaintext.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The public key that it sent.
    pub key: &'a PublicKeyDer,
    /// The plaintext of its hello, last NUL included.
    pub plaintext: &'a [u8],
    /// The same, read.
    pub hello: &'a Hello,
}

impl Keys {
    /// Derives the keys; `share` is the private half of our own share, and `peer` is the public half of the other's.
    ///
    /// # Errors
    /// [`CryptoFailure`] if the peer's share forces a known secret.
    pub fn derive(share: Box<dyn Share>, peer: &Hello, client: Said<'_>, server: Said<'_>) -> Result<Self, CryptoFailure> {
        let shared = share.agree(&peer.share)?;
        let mut transcript = Sha384::new();
        for part in [client.key.as_bytes(), server.key.as_bytes(), client.plaintext, server.plaintext] {
            let length = u32::try_from(part.len()).map_err(|_| CryptoFailure)?;
            transcript.update(length.to_be_bytes());
            transcript.update(part);
        }
        let input = Zeroizing::new([shared.as_slice(), &*client.hello.secret, &*server.hello.secret].concat());
        let keys = Hkdf::<Sha384>::new(Some(&transcript.finalize()), &input);
        Ok(Self {
            client: expand(&keys, "fss/2 client")?,
            server: expand(&keys, "fss/2 server")?,
            binding: expand(&keys, "fss/2 binding")?,
        })
    }
}

fn expand<const N: usize>(keys: &Hkdf<Sha384>, label: &str) -> Result<Zeroizing<[u8; N]>, CryptoFailure> {
    let mut output = Zeroizing::new([0; N]);
    keys.expand(label.as_bytes(), &mut *output).map_err(|_| CryptoFailure)?;
    Ok(output)
}

/// What comes after a direction's key and iv when they have been used long enough (`docs/protocol.md` §14.4).
pub(super) fn next(traffic: &Traffic) -> Result<Traffic, CryptoFailure> {
    expand(&Hkdf::<Sha384>::new(None, &**traffic), "fss/2 next")
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}
