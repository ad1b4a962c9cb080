//! X25519: the shares of a hello (`docs/protocol.md` §13).

use std::fmt::Debug;

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::CryptoFailure;

/// Length of a share and of an agreed secret, in bytes.
pub const SHARE_LENGTH: usize = 32;

/// The private half of a share, which is used once.
pub trait Share: Debug + Send {
    /// The public half, for the peer.
    fn public(&self) -> [u8; SHARE_LENGTH];

    /// The secret that both sides compute.
    ///
    /// # Errors
    /// [`CryptoFailure`] if it is all zero: a malicious peer can force that, and it never happens
    /// otherwise.
    fn agree(
        self: Box<Self>,
        peer: &[u8; SHARE_LENGTH],
    ) -> Result<Zeroizing<[u8; SHARE_LENGTH]>, CryptoFailure>;
}

/// The share of the crate `x25519-dalek`.
pub(super) struct RustCryptoShare(StaticSecret);

impl RustCryptoShare {
    pub(super) fn new(private: &[u8; SHARE_LENGTH]) -> Self {
        Self(StaticSecret::from(*private))
    }
}

impl Share for RustCryptoShare {
    fn public(&self) -> [u8; SHARE_LENGTH] {
        PublicKey::from(&self.0).to_bytes()
    }

    fn agree(
        self: Box<Self>,
        peer: &[u8; SHARE_LENGTH],
    ) -> Result<Zeroizing<[u8; SHARE_LENGTH]>, CryptoFailure> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*peer));
        if shared.was_contributory() {
            Ok(Zeroizing::new(shared.to_bytes()))
        } else {
            Err(CryptoFailure)
        }
    }
}

impl Debug for RustCryptoShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rustcrypto X25519 share")
    }
}
