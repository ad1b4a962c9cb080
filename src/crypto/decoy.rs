//! What a server says of files that are not there, so that asking does not tell (`docs/protocol.md` §18).

use hkdf::Hkdf;
use sha2::Sha384;
use zeroize::Zeroizing;

use super::legacy::Verifier;
use super::{CryptoFailure, PrivateKey};
use crate::cookie::Cookie;
use crate::sealed::{Cost, Header};

/// Makes the same decoy for the same cookie as long as the server's key is the same.
#[derive(Clone)]
pub struct Decoys(Zeroizing<[u8; 32]>);

impl Decoys {
    /// The decoys of the server with this key.
    ///
    /// # Errors
    /// [`CryptoFailure`] if the key cannot leave its provider: such a server needs [`Decoys::from_secret`].
    pub fn of_server(key: &dyn PrivateKey) -> Result<Self, CryptoFailure> {
        let pkcs8 = key.to_pkcs8_der()?;
        Ok(Self(derive(pkcs8.expose(), &[b"fss/2 decoy secret"])))
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
        Header::from_parts(Cost::USUAL, salt, file_id)
    }

    /// The verifier to check a proof with, so that the work is the same. No proof fits it.
    pub fn verifier(&self, cookie: &Cookie) -> Verifier {
        Verifier::from_bytes(*derive(&*self.0, &[b"fss/2 decoy verifier\0", cookie.as_str().as_bytes()]))
    }
}

fn derive<const N: usize>(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut output = Zeroizing::new([0; N]);
    Hkdf::<Sha384>::new(None, secret).expand_multi_info(info, &mut *output).expect("the output is far below HKDF's limit");
    output
}

impl std::fmt::Debug for Decoys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoys(..)")
    }
}
