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

/// What a proof is bound to, so that it is not valid on another connection.
pub type Binding = Zeroizing<[u8; 32]>;

/// Length of `th` in bytes.
const TRANSCRIPT_LENGTH: usize = 48;

/// The keys of a connection.
#[derive(Clone)]
pub struct Keys {
    /// For what the client sends.
    pub client: Traffic,
    /// For what the server sends.
    pub server: Traffic,
    /// What the server's identity is bound to.
    pub handshake: Handshake,
}

/// One side of the handshake: the key that it receives with, and its hello in plaintext.
#[derive(Clone, Copy, Debug)]
pub struct HelloTranscript<'a> {
    /// The public key that it sent.
    pub key: &'a PublicKeyDer,
    /// The plaintext of its hello, last NUL included.
    pub plaintext: &'a [u8],
    /// The same, parsed.
    pub hello: &'a Hello,
}

impl Keys {
    /// Derives the keys; `share` is the private half of our own share, and `peer` is the public
    /// half of the other's.
    ///
    /// # Errors
    /// [`CryptoFailure`] if the peer's share forces an all-zero secret.
    pub fn derive(
        share: Box<dyn Share>,
        peer: &Hello,
        client: HelloTranscript<'_>,
        server: HelloTranscript<'_>,
    ) -> Result<Self, CryptoFailure> {
        let shared = share.agree(&peer.share)?;
        let mut keys = Sha384::new();
        // Allocated for both from the start, so that no reallocation leaves copies of secrets.
        let mut hellos = Zeroizing::new(Vec::with_capacity(
            2 * LENGTH + client.plaintext.len() + server.plaintext.len(),
        ));
        for key in [client.key, server.key] {
            keys.update(length(key.as_bytes())?);
            keys.update(key.as_bytes());
        }
        for plaintext in [client.plaintext, server.plaintext] {
            hellos.extend_from_slice(&length(plaintext)?);
            hellos.extend_from_slice(plaintext);
        }
        let salt = keys.clone().chain_update(&*hellos).finalize();
        let input = Zeroizing::new(
            [shared.as_slice(), &*client.hello.secret, &*server.hello.secret].concat(),
        );
        let secret = Hkdf::<Sha384>::new(Some(&salt), &input);
        Ok(Self {
            client: expand(&secret, &[b"fss/2 client"])?,
            server: expand(&secret, &[b"fss/2 server"])?,
            handshake: Handshake { secret, keys, hellos },
        })
    }
}

/// The handshake before the server's identity is known.
#[derive(Clone)]
pub struct Handshake {
    secret: Hkdf<Sha384>,
    /// The digest of both keys, to be continued.
    keys: Sha384,
    /// Both hellos, each after its length.
    hellos: Zeroizing<Vec<u8>>,
}

impl Handshake {
    /// Binds it to the identity of a server.
    ///
    /// # Errors
    /// [`CryptoFailure`] if the key is of a length that no key has.
    pub fn with_identity(&self, identity: &PublicKeyDer) -> Result<Transcript, CryptoFailure> {
        let digest = self
            .keys
            .clone()
            .chain_update(length(identity.as_bytes())?)
            .chain_update(identity.as_bytes());
        let digest: [u8; TRANSCRIPT_LENGTH] = digest.chain_update(&*self.hellos).finalize().into();
        let binding = expand(&self.secret, &[b"fss/2 binding".as_slice(), &digest])?;
        Ok(Transcript { digest, binding })
    }
}

/// The transcript of the handshake: `th` of `docs/protocol.md` §13.7.
#[derive(Clone)]
pub struct Transcript {
    digest: [u8; TRANSCRIPT_LENGTH],
    /// For proofs.
    pub binding: Binding,
}

impl Transcript {
    /// What the server signs.
    pub fn to_be_signed(&self) -> Vec<u8> {
        [b"fss/2 server identity\0".as_slice(), &self.digest].concat()
    }
}

/// Bytes of a length before what it counts.
const LENGTH: usize = 4;

fn length(part: &[u8]) -> Result<[u8; LENGTH], CryptoFailure> {
    u32::try_from(part.len()).map(u32::to_be_bytes).map_err(|_| CryptoFailure)
}

fn expand<const N: usize>(
    keys: &Hkdf<Sha384>,
    info: &[&[u8]],
) -> Result<Zeroizing<[u8; N]>, CryptoFailure> {
    let mut output = Zeroizing::new([0; N]);
    keys.expand_multi_info(info, &mut *output).map_err(|_| CryptoFailure)?;
    Ok(output)
}

/// The key and iv of a direction after the ratchet (`docs/protocol.md` §14.4).
pub(super) fn next(traffic: &Traffic) -> Result<Traffic, CryptoFailure> {
    expand(&Hkdf::<Sha384>::new(None, &**traffic), &[b"fss/2 next"])
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handshake(..)")
    }
}

impl std::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transcript(..)")
    }
}
