//! RSA keys that share a modulus and differ in their exponent, so that a key takes microseconds to
//! derive: a server needs one for each connection (`docs/protocol.md` §2.9).
//!
//! The numbers are secret, so the arithmetic is that of `crypto-bigint`, which is constant-time for
//! numbers of one size.

use crypto_bigint::{BoxedUint, ConcatenatingMul as _, Limb, NonZero, Odd, U64};
use pkcs8::der::Encode as _;
use rsa::pkcs1::{RsaPrivateKeyRef, UintRef};
use zeroize::Zeroizing;

use super::KeyRejected;
use super::key_encoding::{pkcs1_to_pkcs8, pkcs8_to_pkcs1};
use crate::types::secret::Secret;

/// The key with the modulus of `pkcs8_der` and another public exponent, which must be an odd prime.
///
/// # Errors
/// [`KeyRejected::NotRsa`] if it is not an RSA key, and [`KeyRejected::Exponent`] for the rare
/// exponent, one in millions, that has no inverse.
pub(crate) fn with_exponent(pkcs8_der: &Secret, exponent: u32) -> Result<Secret, KeyRejected> {
    let pkcs1_der = pkcs8_to_pkcs1(pkcs8_der)?;
    let key = RsaPrivateKeyRef::try_from(pkcs1_der.expose()).map_err(|_| KeyRejected::NotRsa)?;
    let [p, q] = [key.prime1, key.prime2].map(|prime| less_one(prime.as_bytes()));
    let private_exponents = [&*Zeroizing::new(p.concatenating_mul(&*q)), &*p, &*q]
        .map(|order| private_exponent(order, exponent));
    let [private_exponent, exponent1, exponent2] = private_exponents;
    let [private_exponent, exponent1, exponent2] = [private_exponent?, exponent1?, exponent2?];
    let exponent = exponent.to_be_bytes();
    let integer = |bytes| UintRef::new(bytes).map_err(|_| KeyRejected::NotRsa);
    let key = RsaPrivateKeyRef {
        public_exponent: integer(&exponent)?,
        private_exponent: integer(&private_exponent)?,
        exponent1: integer(&exponent1)?,
        exponent2: integer(&exponent2)?,
        ..key
    };
    pkcs1_to_pkcs8(&Secret::new(key.to_der().map_err(|_| KeyRejected::NotRsa)?))
}

fn less_one(prime: &[u8]) -> Zeroizing<BoxedUint> {
    let prime = Zeroizing::new(BoxedUint::from_be_slice_vartime(prime));
    Zeroizing::new(prime.wrapping_sub(BoxedUint::one()))
}

/// The inverse of a prime `exponent` modulo `order`: `(1 + order * k) / exponent`, for the `k` that
/// leaves no remainder. That needs only an inverse modulo the small number, so it is cheap.
fn private_exponent(order: &BoxedUint, exponent: u32) -> Result<Zeroizing<Vec<u8>>, KeyRejected> {
    let small = NonZero::new(Limb::from(exponent)).into_option().ok_or(KeyRejected::Exponent)?;
    let modulus = Odd::new(U64::from(exponent)).into_option().ok_or(KeyRejected::Exponent)?;
    let rest = order.rem_limb(small);
    let inverse =
        U64::from(rest).invert_odd_mod(&modulus).into_option().ok_or(KeyRejected::Exponent)?;
    let k = modulus.get().wrapping_sub(&inverse);
    let multiple = Zeroizing::new(order.concatenating_mul(BoxedUint::from(u64::from(k))));
    let multiple = Zeroizing::new(multiple.wrapping_add(BoxedUint::one()));
    let (private, _) = multiple.div_rem_limb(small);
    Ok(Zeroizing::new(Zeroizing::new(private).to_be_bytes().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::RustCrypto;
    use crate::crypto::{CryptoProvider, default_provider, key_encoding};
    use crate::types::random::SystemRng;

    const EXPONENTS: [u32; 4] = [65_539, 1_000_003, 4_194_301, 8_388_593];

    fn key() -> Secret {
        let key = default_provider().generate_private_key(&mut SystemRng).unwrap();
        key.to_pkcs8_der().unwrap()
    }

    /// With both providers, which validate the keys that they load.
    #[test]
    fn a_block_opens_with_its_own_exponent_and_no_other() {
        let base = key();
        let providers: [std::sync::Arc<dyn CryptoProvider>; 2] =
            [std::sync::Arc::new(RustCrypto), default_provider()];
        for provider in providers {
            let keys = EXPONENTS.map(|exponent| {
                provider.load_private_key(&with_exponent(&base, exponent).unwrap()).unwrap()
            });
            for (number, key) in keys.iter().enumerate() {
                let mut block = Vec::new();
                provider
                    .load_public_key(key.public_key())
                    .unwrap()
                    .seal(b"once", &mut SystemRng, &mut block)
                    .unwrap();
                for (other, key) in keys.iter().enumerate() {
                    let mut plaintext = Vec::new();
                    assert_eq!(
                        key.open(&block, &mut SystemRng, &mut plaintext).is_ok(),
                        number == other,
                        "{number} {other}"
                    );
                }
                assert!(
                    provider
                        .load_private_key(&base)
                        .unwrap()
                        .open(&block, &mut SystemRng, &mut Vec::new())
                        .is_err()
                );
            }
        }
    }

    #[test]
    fn the_modulus_is_the_same_and_the_key_as_long() {
        let base = key();
        let public = |key: &Secret| key_encoding::public_key_of(key).unwrap().as_bytes().to_vec();
        let usual = public(&base);
        for exponent in EXPONENTS {
            let key = public(&with_exponent(&base, exponent).unwrap());
            let (same, last) = key.split_at(key.len() - 3);
            assert_eq!((same, last), (&usual[..usual.len() - 3], &exponent.to_be_bytes()[1..]));
        }
    }

    #[test]
    fn an_exponent_without_an_inverse_is_told() {
        // 3 divides 7 - 1.
        assert_eq!(private_exponent(&BoxedUint::from(6_u64), 3), Err(KeyRejected::Exponent));
        let seven = private_exponent(&BoxedUint::from(10_u64), 7).unwrap();
        assert_eq!(seven.last(), Some(&3), "7 * 3 = 21 = 1 mod 10");
        assert!(with_exponent(&key(), 65_538).is_err(), "it is even");
    }
}
