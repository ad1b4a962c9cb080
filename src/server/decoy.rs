//! What a server says of files that are not there, so that asking does not tell (`docs/protocol.md`
//! §18).

use hkdf::Hkdf;
use sha2::Sha384;
use zeroize::Zeroizing;

use crate::crypto::key_encoding::primes;
use crate::crypto::legacy::Verifier;
use crate::crypto::{CryptoFailure, PrivateKey};
use crate::sealed::{Cost, Header};
use crate::types::cookie::Cookie;
use crate::types::secret::Secret;

/// Makes the same decoy for the same cookie as long as the server's key is the same.
#[derive(Clone)]
pub struct Decoys(Zeroizing<[u8; 32]>);

impl Decoys {
    /// The decoys of the server with this key. They depend on its primes and on nothing else, so
    /// that every provider and every encoding of the key gives the same.
    ///
    /// # Errors
    /// [`CryptoFailure`] if the key cannot leave its provider: such a server needs
    /// [`Decoys::from_secret`].
    pub fn of_server(key: &dyn PrivateKey) -> Result<Self, CryptoFailure> {
        Self::of_encoding(&key.to_pkcs8_der()?)
    }

    fn of_encoding(pkcs8_der: &Secret) -> Result<Self, CryptoFailure> {
        let primes = primes(pkcs8_der).map_err(|_| CryptoFailure)?;
        Ok(Self(derive(primes.expose(), &[b"fss/2 decoy secret"])))
    }

    /// The decoys of a secret that a server keeps.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The header to show for a cookie that no file has.
    pub fn header(&self, cookie: &Cookie) -> Header {
        let bytes = derive::<48>(&*self.0, &[b"fss/2 decoy\0", cookie.as_str().as_bytes()]);
        let (mut salt, mut file_id) = ([0; 16], [0; 32]);
        salt.copy_from_slice(&bytes[..16]);
        file_id.copy_from_slice(&bytes[16..]);
        Header::from_parts(Cost::DEFAULT, salt, file_id)
    }

    /// The verifier to check a proof with, so that the work is the same. No proof fits it.
    pub fn verifier(&self, cookie: &Cookie) -> Verifier {
        Verifier::from_bytes(*derive(
            &*self.0,
            &[b"fss/2 decoy verifier\0", cookie.as_str().as_bytes()],
        ))
    }
}

fn derive<const N: usize>(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut output = Zeroizing::new([0; N]);
    Hkdf::<Sha384>::new(None, secret)
        .expand_multi_info(info, &mut *output)
        .expect("the output is far below HKDF's limit");
    output
}

impl std::fmt::Debug for Decoys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoys(..)")
    }
}

#[cfg(test)]
mod tests {
    use rsa::PrivateKey as RsaPrivateKey;
    use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
    use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};

    use super::*;
    use crate::crypto::{CryptoProvider as _, default_provider, rustcrypto::RustCrypto};
    use crate::types::random::SystemRng;

    #[test]
    fn decoys_belong_to_the_key_and_not_to_an_encoding_of_it() {
        let header = |decoys: Result<Decoys, CryptoFailure>| {
            decoys.expect("it can be exported").header(&Cookie::from_index(7))
        };
        let key = default_provider().generate_private_key(&mut SystemRng).expect("random numbers");
        let encoded = key.to_pkcs8_der().expect("it can be exported");
        let expected = header(Decoys::of_server(&*key));
        let other = RustCrypto.load_private_key(&encoded).expect("the same key");
        assert_eq!(header(Decoys::of_server(&*other)), expected, "the other provider");
        let another = RustCrypto.generate_private_key(&mut SystemRng).expect("random numbers");
        assert_ne!(header(Decoys::of_server(&*another)), expected, "another key");

        // The same key with its primes in the other order.
        let parsed = RsaPrivateKey::from_pkcs8_der(encoded.expose()).expect("it is a key");
        let [p, q] = parsed.primes() else { panic!("it has two primes") };
        let primes = [q, p].map(|prime| prime.as_ref().clone()).to_vec();
        let (modulus, exponent) = (parsed.n().as_ref().clone(), parsed.e().clone());
        let again = RsaPrivateKey::from_components(modulus, exponent, parsed.d().clone(), primes)
            .expect("the same key");
        let again = Secret::new(again.to_pkcs8_der().expect("it encodes").as_bytes().to_vec());
        assert_ne!(again.expose(), encoded.expose(), "another encoding");
        assert_eq!(header(Decoys::of_encoding(&again)), expected);
    }
}
