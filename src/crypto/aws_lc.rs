//! The provider on `aws-lc-rs`: several times faster than pure Rust, and constant-time. It needs a
//! C compiler.
//!
//! AWS-LC draws the random bytes of OAEP itself, so with this provider the same seed does not
//! produce the same bytes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    RSA_PSS_2048_8192_SHA384, RSA_PSS_SHA384, RsaKeyPair, UnparsedPublicKey as UnparsedVerifyingKey,
};
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use super::aead::{AeadKey, KEY_LENGTH, NONCE_LENGTH, RustCryptoAead, TAG_LENGTH};
use super::agreement::{RustCryptoShare, SHARE_LENGTH, Share};
use super::{CryptoFailure, CryptoProvider, KeyRejected, PrivateKey, PublicKey, PublicKeyDer};
use crate::types::secret::Secret;

/// The provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl CryptoProvider for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn load_public_key(&self, key: &PublicKeyDer) -> Result<Arc<dyn PublicKey>, KeyRejected> {
        let oaep =
            PublicEncryptingKey::from_der(key.as_bytes()).map_err(|_| KeyRejected::Provider)?;
        let oaep = OaepPublicEncryptingKey::new(oaep).map_err(|_| KeyRejected::Provider)?;
        Ok(Arc::new(Sealing { oaep, der: key.clone() }))
    }

    fn load_private_key(&self, pkcs8_der: &Secret) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        Opening::load(
            PrivateDecryptingKey::from_pkcs8(pkcs8_der.expose())
                .map_err(|_| KeyRejected::NotRsa)?,
        )
    }

    fn generate_private_key(
        &self,
        _rng: &mut dyn CryptoRng,
    ) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        Opening::load(
            PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| KeyRejected::Provider)?,
        )
    }

    fn aead_key(&self, key: &[u8; KEY_LENGTH]) -> Box<dyn AeadKey> {
        match UnboundKey::new(&AES_256_GCM, key) {
            Ok(key) => Box::new(Aead(LessSafeKey::new(key))),
            // It rejects only keys of another length, so this is not reached; either implementation
            // produces the same bytes.
            Err(_) => Box::new(RustCryptoAead::new(key)),
        }
    }

    fn share(&self, private: &[u8; SHARE_LENGTH]) -> Box<dyn Share> {
        let share =
            agreement::PrivateKey::from_private_key(&X25519, private).ok().and_then(|private| {
                Some((private.compute_public_key().ok()?.as_ref().try_into().ok()?, private))
            });
        match share {
            Some((public, private)) => Box::new(X25519Share { private, public }),
            None => Box::new(RustCryptoShare::new(private)),
        }
    }
}

struct Aead(LessSafeKey);

impl AeadKey for Aead {
    fn seal(
        &self,
        nonce: [u8; NONCE_LENGTH],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LENGTH], CryptoFailure> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(additional), data)
            .map_err(|_| CryptoFailure)?;
        tag.as_ref().try_into().map_err(|_| CryptoFailure)
    }

    fn open(
        &self,
        nonce: [u8; NONCE_LENGTH],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<(), CryptoFailure> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .open_in_place(nonce, Aad::from(additional), data)
            .map(drop)
            .map_err(|_| CryptoFailure)
    }
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aws-lc AES-256-GCM key")
    }
}

struct X25519Share {
    private: agreement::PrivateKey,
    public: [u8; SHARE_LENGTH],
}

impl Share for X25519Share {
    fn public(&self) -> [u8; SHARE_LENGTH] {
        self.public
    }

    fn agree(
        self: Box<Self>,
        peer: &[u8; SHARE_LENGTH],
    ) -> Result<Zeroizing<[u8; SHARE_LENGTH]>, CryptoFailure> {
        // An all-zero result is an error of the library.
        agreement::agree(
            &self.private,
            UnparsedPublicKey::new(&X25519, peer),
            CryptoFailure,
            |shared| shared.try_into().map(Zeroizing::new).map_err(|_| CryptoFailure),
        )
    }
}

impl fmt::Debug for X25519Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aws-lc X25519 share")
    }
}

struct Sealing {
    oaep: OaepPublicEncryptingKey,
    der: PublicKeyDer,
}

impl PublicKey for Sealing {
    fn block_length(&self) -> usize {
        self.oaep.key_size_bytes()
    }

    fn seal(
        &self,
        plaintext: &[u8],
        _rng: &mut dyn CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        let before = output.len();
        output.resize(before + self.block_length(), 0);
        let sealed =
            self.oaep.encrypt(&OAEP_SHA1_MGF1SHA1, plaintext, &mut output[before..], None).is_ok();
        if !sealed {
            output.truncate(before);
        }
        sealed.then_some(()).ok_or(CryptoFailure)
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoFailure> {
        let key = UnparsedVerifyingKey::new(&RSA_PSS_2048_8192_SHA384, self.der.as_bytes());
        key.verify(message, signature).map_err(|_| CryptoFailure)
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
    /// Loaded when it is first needed: that parses and checks the key again, and most keys only
    /// open.
    signing: OnceLock<Option<RsaKeyPair>>,
    public: PublicKeyDer,
}

impl Opening {
    fn load(key: PrivateDecryptingKey) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        let der: PublicKeyX509Der<'_> =
            key.public_key().as_der().map_err(|_| KeyRejected::Provider)?;
        let public = PublicKeyDer::parse(der.as_ref())?;
        let oaep = OaepPrivateDecryptingKey::new(key.clone()).map_err(|_| KeyRejected::Provider)?;
        Ok(Arc::new(Self { oaep, key, signing: OnceLock::new(), public }))
    }

    fn signing(&self) -> Result<&RsaKeyPair, CryptoFailure> {
        let load = || RsaKeyPair::from_pkcs8(self.to_pkcs8_der().ok()?.expose()).ok();
        self.signing.get_or_init(load).as_ref().ok_or(CryptoFailure)
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
        _rng: &mut dyn CryptoRng,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        let before = plaintext.len();
        plaintext.resize(before + self.oaep.min_output_size(), 0);
        let opened = self
            .oaep
            .decrypt(&OAEP_SHA1_MGF1SHA1, block, &mut plaintext[before..], None)
            .map(|opened| opened.len());
        let length = opened.unwrap_or(0);
        plaintext[before + length..].zeroize();
        plaintext.truncate(before + length);
        opened.map(drop).map_err(|_| CryptoFailure)
    }

    fn sign(&self, message: &[u8], _rng: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoFailure> {
        let signing = self.signing()?;
        let mut signature = vec![0; signing.public_modulus_len()];
        let signed = signing.sign(&RSA_PSS_SHA384, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| CryptoFailure)
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
