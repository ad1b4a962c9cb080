//! Crypto: a provider of key *objects*, and the secrets of FSS 1.0.
//!
//! A machine holds keys and calls them to seal and open blocks; the [`CryptoProvider`] chooses the
//! library that does the arithmetic. There are two: [`rustcrypto`] (pure Rust, always available)
//! and [`aws_lc`] (faster; the default where the feature is on). They are tested against each
//! other.

use std::fmt::Debug;
use std::sync::Arc;

use rand_core::CryptoRng;

use crate::types::secret::Secret;

pub mod aead;
pub mod agreement;
#[cfg(feature = "aws-lc")]
pub mod aws_lc;
pub mod key_encoding;
pub mod legacy;
pub mod proof;
pub mod rustcrypto;
pub(crate) mod shared_modulus;

pub use aead::AeadKey;
pub use agreement::Share;
pub use key_encoding::{Fingerprint, PublicKeyDer};

/// The size of new keys, in bits: the only size that 2019 peers use.
pub const KEY_BITS: usize = 2048;

/// A factory for keys.
///
/// Implement it to plug in another library or a hardware module. A key that reaches a provider from
/// a peer has been checked for kind and size ([`PublicKeyDer::parse`]).
pub trait CryptoProvider: Debug + Send + Sync {
    /// The provider's name, for logs.
    fn name(&self) -> &'static str;

    /// Loads a peer's public key.
    ///
    /// # Errors
    /// [`KeyRejected`] if the library rejects it.
    fn load_public_key(&self, key: &PublicKeyDer) -> Result<Arc<dyn PublicKey>, KeyRejected>;

    /// Loads a private RSA key of our own from PKCS#8 DER.
    ///
    /// # Errors
    /// [`KeyRejected`] if it is not a sound RSA key of 2048 to 4096 bits.
    fn load_private_key(&self, pkcs8_der: &Secret) -> Result<Arc<dyn PrivateKey>, KeyRejected>;

    /// Generates a private key of [`KEY_BITS`] bits. A server derives its transport keys from one,
    /// so it must be exportable ([`PrivateKey::to_pkcs8_der`]).
    ///
    /// # Errors
    /// [`KeyRejected`] if the library fails.
    fn generate_private_key(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<Arc<dyn PrivateKey>, KeyRejected>;

    /// Loads a key for AES-256-GCM. By default with the crate `aes-gcm`.
    fn aead_key(&self, key: &[u8; aead::KEY_LENGTH]) -> Box<dyn AeadKey> {
        Box::new(aead::RustCryptoAead::new(key))
    }

    /// Creates an X25519 share from its private half, 32 random bytes. By default with the crate
    /// `x25519-dalek`.
    fn share(&self, private: &[u8; agreement::SHARE_LENGTH]) -> Box<dyn Share> {
        Box::new(agreement::RustCryptoShare::new(private))
    }
}

/// A peer's RSA key: seals blocks with OAEP (SHA-1, MGF1 with SHA-1, empty label;
/// `docs/protocol.md` §3), and verifies signatures (§13.8).
pub trait PublicKey: Debug + Send + Sync {
    /// Length of a block in bytes: that of the modulus.
    fn block_length(&self) -> usize;

    /// Appends one sealed block with `plaintext`, at most `block_length - 42` bytes, to `output`.
    ///
    /// # Errors
    /// [`CryptoFailure`] if the plaintext is too long or the library fails.
    fn seal(
        &self,
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure>;

    /// Verifies a signature of RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes.
    ///
    /// # Errors
    /// [`CryptoFailure`] without detail, if it does not verify.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoFailure>;
}

/// Our own RSA key: opens blocks that were sealed to it, and signs.
///
/// The identity of a server only signs; its transport keys, which the provider generates, only
/// open. So the identity can be a key that never leaves a device, whose `open` always fails.
pub trait PrivateKey: Debug + Send + Sync {
    /// Length of a block in bytes: that of the modulus.
    fn block_length(&self) -> usize;

    /// The public half, as it is sent to peers.
    fn public_key(&self) -> &PublicKeyDer;

    /// Opens one block of `block_length` bytes and appends its plaintext to `plaintext`.
    ///
    /// The time it takes must not depend on the block: use blinding.
    ///
    /// # Errors
    /// [`CryptoFailure`] without detail, if it does not open.
    fn open(
        &self,
        block: &[u8],
        rng: &mut dyn CryptoRng,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure>;

    /// Signs with RSASSA-PSS: SHA-384, MGF1 with SHA-384, a salt of 48 bytes (`docs/protocol.md`
    /// §13.8).
    ///
    /// # Errors
    /// [`CryptoFailure`] if the library fails.
    fn sign(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoFailure>;

    /// The whole key in PKCS#8 DER, to be locked into a file.
    ///
    /// # Errors
    /// [`CryptoFailure`] if the key cannot leave its provider.
    fn to_pkcs8_der(&self) -> Result<Secret, CryptoFailure>;
}

/// Sealing, opening, signing or verifying failed. There is deliberately no detail, which would be
/// an oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the crypto provider could not seal, open, sign or verify")]
pub struct CryptoFailure;

/// Why an RSA key is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRejected {
    /// It is not an RSA key in a form that FSS reads.
    #[error("it is not an RSA key in the expected form")]
    NotRsa,
    /// Its modulus is outside what FSS accepts.
    #[error("it has {bits} bits, and only 2048 to 4096 are accepted")]
    Size {
        /// Bits of the modulus.
        bits: usize,
    },
    /// Its exponent is even, below 3, or above 2^33 - 1.
    #[error("its exponent is not acceptable")]
    Exponent,
    /// The crypto library rejects it.
    #[error("the crypto library rejects it")]
    Provider,
}

/// The provider to use where none is chosen: `aws-lc` where that feature is on, otherwise
/// `rustcrypto`.
pub fn default_provider() -> Arc<dyn CryptoProvider> {
    #[cfg(feature = "aws-lc")]
    return Arc::new(aws_lc::AwsLc);
    #[cfg(not(feature = "aws-lc"))]
    return Arc::new(rustcrypto::RustCrypto);
}
