//! RSA keys as bytes: what is accepted from peers, fingerprints, and conversion between PKCS#1 and
//! PKCS#8.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfo};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use rsa::pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use sha2::{Digest as _, Sha256};

use super::KeyRejected;
use crate::pem;
use crate::types::secret::Secret;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SMALLEST_MODULUS_BITS: usize = 2048;
const LARGEST_MODULUS_BITS: usize = 4096;
const LARGEST_EXPONENT: u64 = (1 << 33) - 1;

/// An RSA public key (`SubjectPublicKeyInfo` in DER) whose kind, size and exponent FSS accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKeyDer {
    der: Box<[u8]>,
    modulus_bits: usize,
}

impl PublicKeyDer {
    /// Checks a key from a peer, before any arithmetic is done with it (`docs/protocol.md` §2).
    ///
    /// # Errors
    /// [`KeyRejected`] if it is not an RSA key of 2048 to 4096 bits with a usable exponent.
    pub fn parse(spki_der: &[u8]) -> Result<Self, KeyRejected> {
        let info = SubjectPublicKeyInfo::<AnyRef<'_>, BitStringRef<'_>>::from_der(spki_der)
            .map_err(|_| KeyRejected::NotRsa)?;
        if info.algorithm.oid != RSA_ENCRYPTION {
            return Err(KeyRejected::NotRsa);
        }
        let key = info.subject_public_key.as_bytes().ok_or(KeyRejected::NotRsa)?;
        let key = RsaPublicKeyRef::from_der(key).map_err(|_| KeyRejected::NotRsa)?;
        let modulus_bits = bits(key.modulus.as_bytes());
        if !(SMALLEST_MODULUS_BITS..=LARGEST_MODULUS_BITS).contains(&modulus_bits) {
            return Err(KeyRejected::Size { bits: modulus_bits });
        }
        // An even modulus is not a product of two odd primes, and some libraries compute with it
        // even so.
        if key.modulus.as_bytes().last().is_none_or(|low| low % 2 == 0) {
            return Err(KeyRejected::NotRsa);
        }
        let exponent = key
            .public_exponent
            .as_bytes()
            .iter()
            .try_fold(0_u64, |value, &byte| value.checked_mul(256)?.checked_add(byte.into()));
        if !exponent.is_some_and(|e| e % 2 == 1 && (3..=LARGEST_EXPONENT).contains(&e)) {
            return Err(KeyRejected::Exponent);
        }
        Ok(Self { der: spki_der.into(), modulus_bits })
    }

    /// Whether this is the one encoding of the key that FSS/2 accepts (`docs/protocol.md` §13.1):
    /// minimal DER and NULL parameters.
    pub fn is_canonical(&self) -> bool {
        self.is_encoded_as(|_| true)
    }

    /// Whether the key can be an identity: in the canonical encoding and with the exponent 65537,
    /// so that it has one fingerprint (`docs/protocol.md` §13.1).
    pub fn is_identity(&self) -> bool {
        self.is_encoded_as(|exponent| exponent == [1, 0, 1])
    }

    fn is_encoded_as(&self, takes_exponent: impl Fn(&[u8]) -> bool) -> bool {
        let same = || {
            let info =
                SubjectPublicKeyInfo::<AnyRef<'_>, BitStringRef<'_>>::from_der(&self.der).ok()?;
            let key = RsaPublicKeyRef::from_der(info.subject_public_key.as_bytes()?).ok()?;
            let key_again = key.to_der().ok()?;
            let algorithm =
                AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
            let again = SubjectPublicKeyInfo {
                algorithm,
                subject_public_key: BitStringRef::from_bytes(&key_again).ok()?,
            };
            Some(
                takes_exponent(key.public_exponent.as_bytes()) && again.to_der().ok()? == *self.der,
            )
        };
        same().unwrap_or(false)
    }

    /// The key as `SubjectPublicKeyInfo` in DER.
    pub fn as_bytes(&self) -> &[u8] {
        &self.der
    }

    /// The key in PEM, as it is sent to peers (`docs/protocol.md` §2).
    pub fn to_pem(&self) -> Vec<u8> {
        pem::write(&self.der, pem::PUBLIC_KEY).to_vec()
    }

    /// Length of a block in bytes: that of the modulus.
    pub fn block_length(&self) -> usize {
        self.modulus_bits.div_ceil(8)
    }

    /// The key's fingerprint, by which people recognise a server.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }
}

impl fmt::Debug for PublicKeyDer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeyDer({} bits, {})", self.modulus_bits, self.fingerprint())
    }
}

/// The SHA-256 of a public key in DER, shown and read as `SHA256:` and base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; Self::LENGTH]);

impl Fingerprint {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// A fingerprint from its stored bytes.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The first characters: enough to tell keys apart in a log, not enough to authenticate one.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(PREFIX.len() + 8);
        text
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let digest = text.strip_prefix(PREFIX).ok_or(InvalidFingerprint)?;
        let bytes = STANDARD_NO_PAD.decode(digest).map_err(|_| InvalidFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| InvalidFingerprint)
    }
}

/// The text is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a fingerprint: `{PREFIX}` and 43 characters of base64")]
pub struct InvalidFingerprint;

/// Names the digest, as OpenSSH does.
const PREFIX: &str = "SHA256:";

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Wraps an RSA private key in PKCS#1 DER, the encoding of 2019 key files, in PKCS#8.
///
/// # Errors
/// [`KeyRejected::NotRsa`] if it is too long to be one. The key itself is not checked.
pub fn pkcs1_to_pkcs8(pkcs1_der: &Secret) -> Result<Secret, KeyRejected> {
    let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
    let private_key = pkcs8::der::asn1::OctetStringRef::new(pkcs1_der.expose())
        .map_err(|_| KeyRejected::NotRsa)?;
    let info = PrivateKeyInfoRef::new(algorithm, private_key);
    Ok(Secret::new(info.to_der().map_err(|_| KeyRejected::NotRsa)?))
}

/// Extracts the RSA private key in PKCS#1 DER from PKCS#8.
///
/// # Errors
/// [`KeyRejected::NotRsa`] if it is not PKCS#8, or not RSA.
pub fn pkcs8_to_pkcs1(pkcs8_der: &Secret) -> Result<Secret, KeyRejected> {
    let info = PrivateKeyInfoRef::from_der(pkcs8_der.expose()).map_err(|_| KeyRejected::NotRsa)?;
    if info.algorithm.oid != RSA_ENCRYPTION {
        return Err(KeyRejected::NotRsa);
    }
    Ok(Secret::new(info.private_key.as_bytes().to_vec()))
}

/// The public half of an RSA private key in PKCS#8, for providers that cannot compute it.
///
/// # Errors
/// As [`pkcs8_to_pkcs1`], and those of [`PublicKeyDer::parse`].
pub fn public_key_of(pkcs8_der: &Secret) -> Result<PublicKeyDer, KeyRejected> {
    let pkcs1_der = pkcs8_to_pkcs1(pkcs8_der)?;
    let private =
        RsaPrivateKeyRef::from_der(pkcs1_der.expose()).map_err(|_| KeyRejected::NotRsa)?;
    let public = private.public_key().to_der().map_err(|_| KeyRejected::NotRsa)?;
    let subject_public_key = BitStringRef::from_bytes(&public).map_err(|_| KeyRejected::NotRsa)?;
    let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
    let info = SubjectPublicKeyInfo { algorithm, subject_public_key };
    PublicKeyDer::parse(&info.to_der().map_err(|_| KeyRejected::NotRsa)?)
}

/// The two primes of an RSA private key in PKCS#8: the larger first, each big-endian without
/// leading zeros. Unlike the private exponent and the order of the primes they are the same in
/// every encoding of the key.
///
/// # Errors
/// As [`pkcs8_to_pkcs1`].
pub(crate) fn primes(pkcs8_der: &Secret) -> Result<Secret, KeyRejected> {
    let pkcs1_der = pkcs8_to_pkcs1(pkcs8_der)?;
    let private =
        RsaPrivateKeyRef::from_der(pkcs1_der.expose()).map_err(|_| KeyRejected::NotRsa)?;
    let mut primes = [private.prime1.as_bytes(), private.prime2.as_bytes()];
    // DER has no leading zeros here, so the longer one is the larger one.
    primes.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| b.cmp(a)));
    Ok(Secret::new(primes.concat()))
}

fn bits(big_endian: &[u8]) -> usize {
    let significant: &[u8] = match big_endian.iter().position(|&byte| byte != 0) {
        Some(first) => &big_endian[first..],
        None => return 0,
    };
    significant.len() * 8 - significant[0].leading_zeros() as usize
}
