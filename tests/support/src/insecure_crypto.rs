//! A provider whose RSA has no security: blocks carry their plaintext in the open.
//!
//! With it a fuzzer gets past the first block, and a test of the machines costs microseconds. It
//! lives outside the library, so that it cannot be used by mistake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fss::Secret;
use fss::crypto::aead::KEY_LENGTH;
use fss::crypto::agreement::SHARE_LENGTH;
use fss::crypto::{
    AeadKey, CryptoFailure, CryptoProvider, KeyRejected, PrivateKey, PublicKey, PublicKeyDer,
    Share, default_provider, key_encoding,
};
use rand_core::CryptoRng;

/// Length of a block in bytes, as with RSA-2048.
pub const BLOCK: usize = 256;

/// The most plaintext in a block, as with OAEP and SHA-1.
const PIECE: usize = BLOCK - 42;

/// The provider.
#[derive(Clone, Copy, Debug)]
pub struct InsecureCrypto;

/// A key that locks nothing. Its public half is a real RSA key, so that it passes the key exchange.
#[derive(Clone, Debug)]
struct OpenKey {
    public: PublicKeyDer,
    /// Of a key that was loaded, so that keys for connections can be made from it.
    pkcs8_der: Option<Secret>,
}

/// A key other than the recorded client's and server's: a different one for each number but 0.
pub fn identity(number: u8) -> Arc<dyn PrivateKey> {
    let mut der = crate::keys::client(&InsecureCrypto).public_key().as_bytes().to_vec();
    // Somewhere in the modulus.
    der[100] ^= number;
    Arc::new(OpenKey {
        public: PublicKeyDer::parse(&der).expect("it still looks like a key"),
        pkcs8_der: None,
    })
}

/// One block with a piece of plaintext, as this provider's keys seal it. No two are the same, as
/// with OAEP.
pub fn block(piece: &[u8]) -> [u8; BLOCK] {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    block_with_seed(piece, NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes())
}

fn block_with_seed(piece: &[u8], seed: [u8; 8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[1] = u8::try_from(piece.len()).expect("a piece has at most 214 bytes");
    block[2..2 + piece.len()].copy_from_slice(piece);
    block[BLOCK - 8..].copy_from_slice(&seed);
    block
}

/// A whole message, end mark included.
pub fn message(plaintext: &[u8]) -> Vec<u8> {
    plaintext.chunks(PIECE).chain([[].as_slice()]).flat_map(block).collect()
}

impl CryptoProvider for InsecureCrypto {
    fn name(&self) -> &'static str {
        "no security"
    }

    fn load_public_key(&self, key: &PublicKeyDer) -> Result<Arc<dyn PublicKey>, KeyRejected> {
        Ok(Arc::new(OpenKey { public: key.clone(), pkcs8_der: None }))
    }

    fn load_private_key(&self, pkcs8_der: &Secret) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        let public = key_encoding::public_key_of(pkcs8_der)?;
        Ok(Arc::new(OpenKey { public, pkcs8_der: Some(pkcs8_der.clone()) }))
    }

    fn generate_private_key(
        &self,
        _rng: &mut dyn CryptoRng,
    ) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        Ok(crate::keys::transport(self))
    }

    /// That of the default provider: AES in pure Rust is generic code, so it takes far longer in a
    /// build without optimisation.
    fn aead_key(&self, key: &[u8; KEY_LENGTH]) -> Box<dyn AeadKey> {
        default_provider().aead_key(key)
    }

    fn share(&self, private: &[u8; SHARE_LENGTH]) -> Box<dyn Share> {
        default_provider().share(private)
    }
}

impl PublicKey for OpenKey {
    fn block_length(&self) -> usize {
        BLOCK
    }

    fn seal(
        &self,
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        if plaintext.len() > PIECE {
            return Err(CryptoFailure);
        }
        let mut seed = [0; 8];
        rng.fill_bytes(&mut seed);
        output.extend(block_with_seed(plaintext, seed));
        Ok(())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoFailure> {
        (self.signature(message) == signature).then_some(()).ok_or(CryptoFailure)
    }
}

impl OpenKey {
    /// Names the signer of a message.
    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = [self.public.fingerprint().as_bytes(), message].concat();
        signature.resize(BLOCK, 0);
        signature
    }
}

impl PrivateKey for OpenKey {
    fn block_length(&self) -> usize {
        BLOCK
    }

    fn public_key(&self) -> &PublicKeyDer {
        &self.public
    }

    fn open(
        &self,
        block: &[u8],
        _rng: &mut dyn CryptoRng,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        match block {
            [0, length, rest @ ..] if rest.len() == BLOCK - 2 && usize::from(*length) <= PIECE => {
                plaintext.extend_from_slice(&rest[..usize::from(*length)]);
                Ok(())
            }
            _ => Err(CryptoFailure),
        }
    }

    fn sign(&self, message: &[u8], _rng: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoFailure> {
        Ok(self.signature(message))
    }

    fn to_pkcs8_der(&self) -> Result<Secret, CryptoFailure> {
        self.pkcs8_der.clone().ok_or(CryptoFailure)
    }
}
