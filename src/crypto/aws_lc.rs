//! The provider on `aws-lc-rs`: several times faster than pure Rust, in constant time, and in need of a C compiler.
//!
//! AWS-LC draws the random bytes of OAEP itself, so with this provider the same seed does not give the same bytes.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use rand_core::CryptoRng;
use zeroize::Zeroize as _;

use super::{CryptoFailure, CryptoProvider, KeyRejected, PrivateKey, PublicKey, PublicKeyDer};
use crate::secret::Secret;

/// The provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl CryptoProvider for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn load_public_key(&self, key: &PublicKeyDer) -> Result<Arc<dyn PublicKey>, KeyRejected> {
        let key = PublicEncryptingKey::from_der(key.as_bytes()).map_err(|_| KeyRejected::Provider)?;
        Ok(Arc::new(Sealing(OaepPublicEncryptingKey::new(key).map_err(|_| KeyRejected::Provider)?)))
    }

    fn load_private_key(&self, pkcs8_der: &Secret) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        Opening::load(PrivateDecryptingKey::from_pkcs8(pkcs8_der.expose()).map_err(|_| KeyRejected::NotRsa)?)
    }

    fn generate_private_key(&self, _rng: &mut dyn CryptoRng) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        Opening::load(PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| KeyRejected::Provider)?)
    }
}

struct Sealing(OaepPublicEncryptingKey);

impl PublicKey for Sealing {
    fn block_length(&self) -> usize {
        self.0.key_size_bytes()
    }

    fn seal(&self, plaintext: &[u8], _rng: &mut dyn CryptoRng, output: &mut Vec<u8>) -> Result<(), CryptoFailure> {
        let before = output.len();
        output.resize(before + self.block_length(), 0);
        let sealed = self.0.encrypt(&OAEP_SHA1_MGF1SHA1, plaintext, &mut output[before..], None).is_ok();
        if !sealed {
            output.truncate(before);
        }
        sealed.then_some(()).ok_or(CryptoFailure)
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aws-lc public key")
    }
}

struct Opening {
    oaep: OaepPrivateDecryptingKey,
    key: PrivateDecryptingKey,
    public: PublicKeyDer,
}

impl Opening {
    fn load(key: PrivateDecryptingKey) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyRejected::Provider)?;
        let public = PublicKeyDer::parse(der.as_ref())?;
        let oaep = OaepPrivateDecryptingKey::new(key.clone()).map_err(|_| KeyRejected::Provider)?;
        Ok(Arc::new(Self { oaep, key, public }))
    }
}

impl PrivateKey for Opening {
    fn block_length(&self) -> usize {
        self.public.block_length()
    }

    fn public_key(&self) -> &PublicKeyDer {
        &self.public
    }

    fn open(&self, block: &[u8], _rng: &mut dyn CryptoRng, plaintext: &mut Vec<u8>) -> Result<(), CryptoFailure> {
        let before = plaintext.len();
        plaintext.resize(before + self.oaep.min_output_size(), 0);
        let opened = self.oaep.decrypt(&OAEP_SHA1_MGF1SHA1, block, &mut plaintext[before..], None).map(|opened| opened.len());
        let length = opened.unwrap_or(0);
        plaintext[before + length..].zeroize();
        plaintext.truncate(before + length);
        opened.map(drop).map_err(|_| CryptoFailure)
    }

    fn to_pkcs8_der(&self) -> Result<Secret, CryptoFailure> {
        let der: Pkcs8V1Der<'_> = self.key.as_der().map_err(|_| CryptoFailure)?;
        Ok(Secret::new(der.as_ref().to_vec()))
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "aws-lc private key of {:?}", self.public)
    }
}
