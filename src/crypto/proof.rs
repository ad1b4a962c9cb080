//! Proof that a client knows a file's password, for one connection and one cookie
//! (`docs/protocol.md` §16).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha384;
use subtle::ConstantTimeEq as _;

use super::legacy::Verifier;
use crate::types::cookie::Cookie;

/// The 48 bytes of a proof. Compared in constant time.
#[derive(Clone)]
pub struct Proof([u8; Self::LENGTH]);

impl Proof {
    /// Length in bytes.
    pub const LENGTH: usize = 48;

    /// Computes the proof, on the client from the password's verifier, on the server from the
    /// stored one. `binding` is the connection's.
    pub fn new(verifier: &Verifier, binding: &[u8; 32], cookie: &Cookie) -> Self {
        let Ok(mut mac) = Hmac::<Sha384>::new_from_slice(verifier.as_bytes()) else {
            unreachable!("HMAC accepts keys of any length")
        };
        for part in [b"fss/2 proof\0".as_slice(), binding, cookie.as_str().as_bytes()] {
            mac.update(part);
        }
        Self(mac.finalize().into_bytes().into())
    }

    /// A proof that was received.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Proof {}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof(..)")
    }
}
