//! The provider on the `rsa` crate: pure Rust, always available.
//!
//! Private operations are blinded. The crate is still subject to RUSTSEC-2023-0071 (a timing side
//! channel that blinding narrows but does not prove closed): use [`super::aws_lc`] for a server on
//! the open internet.

use std::fmt;
use std::sync::Arc;

use pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
};
use rand_core::CryptoRng;
use rsa::traits::PublicKeyParts as _;
use rsa::{Oaep, PrivateKey as RsaPrivateKey, Pss, PublicKey as RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest as _, Sha384};
use zeroize::Zeroizing;

use super::{
    CryptoFailure, CryptoProvider, KEY_BITS, KeyRejected, PrivateKey, PublicKey, PublicKeyDer,
};
use crate::types::secret::Secret;

/// The provider. The same random numbers produce the same bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl CryptoProvider for RustCrypto {
    fn name(&self) -> &'static str {
        "rustcrypto"
    }

    fn load_public_key(&self, key: &PublicKeyDer) -> Result<Arc<dyn PublicKey>, KeyRejected> {
        let key =
            RsaPublicKey::from_public_key_der(key.as_bytes()).map_err(|_| KeyRejected::Provider)?;
        Ok(Arc::new(Sealing(key)))
    }

    fn load_private_key(&self, pkcs8_der: &Secret) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        let key =
            RsaPrivateKey::from_pkcs8_der(pkcs8_der.expose()).map_err(|_| KeyRejected::NotRsa)?;
        key.validate().map_err(|_| KeyRejected::Provider)?;
        Opening::load(key)
    }

    fn generate_private_key(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        Opening::load(RsaPrivateKey::new(rng, KEY_BITS).map_err(|_| KeyRejected::Provider)?)
    }
}

struct Sealing(RsaPublicKey);

impl PublicKey for Sealing {
    fn block_length(&self) -> usize {
        self.0.size()
    }

    fn seal(
        &self,
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        let block =
            self.0.encrypt(rng, Oaep::<Sha1>::new(), plaintext).map_err(|_| CryptoFailure)?;
        output.extend_from_slice(&block);
        Ok(())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoFailure> {
        self.0.verify(pss(), &Sha384::digest(message), signature).map_err(|_| CryptoFailure)
    }
}

/// With a salt as long as the digest, 48 bytes, and blinded.
fn pss() -> Pss<Sha384> {
    Pss::new_blinded()
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rustcrypto public key")
    }
}

struct Opening {
    private: RsaPrivateKey,
    public: PublicKeyDer,
}

impl Opening {
    fn load(private: RsaPrivateKey) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        let der = private.to_public_key().to_public_key_der().map_err(|_| KeyRejected::Provider)?;
        Ok(Arc::new(Self { private, public: PublicKeyDer::parse(der.as_bytes())? }))
    }
}

impl PrivateKey for Opening {
    fn block_length(&self) -> usize {
        self.public.block_length()
    }

    fn public_key(&self) -> &PublicKeyDer {
        &self.public
    }

    fn open(
        &self,
        block: &[u8],
        rng: &mut dyn CryptoRng,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        let opened = self
            .private
            .decrypt_blinded(rng, Oaep::<Sha1>::new(), block)
            .map_err(|_| CryptoFailure)?;
        plaintext.extend_from_slice(&Zeroizing::new(opened));
        Ok(())
    }

    fn sign(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoFailure> {
        self.private.sign_with_rng(rng, pss(), &Sha384::digest(message)).map_err(|_| CryptoFailure)
    }

    fn to_pkcs8_der(&self) -> Result<Secret, CryptoFailure> {
        let der = self.private.to_pkcs8_der().map_err(|_| CryptoFailure)?;
        Ok(Secret::new(der.as_bytes().to_vec()))
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rustcrypto private key of {:?}", self.public)
    }
}
