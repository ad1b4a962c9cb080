//! From a password to the keys of a file (`docs/protocol.md` §21.4).

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha384};
use zeroize::Zeroizing;

use super::Header;
use crate::crypto::aead::KEY_LENGTH;
use crate::crypto::legacy::Verifier;
use crate::crypto::{AeadKey, CryptoProvider};
use crate::types::secret::Password;

/// The result of Argon2id on a password: costly, and the same for all files with the same salt and
/// cost.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_LENGTH]>);

impl MasterKey {
    /// Derives it with salt and cost of `header`. That takes about 0.1 s at the default cost, and
    /// 64 to 256 MiB of memory.
    ///
    /// # Errors
    /// [`DerivationFailed`] if there is not that much memory.
    pub fn derive(password: &Password, header: &Header) -> Result<Self, DerivationFailed> {
        let cost = header.cost();
        let params = Params::new(cost.memory_kib(), cost.passes(), cost.lanes(), Some(KEY_LENGTH));
        let params = params.map_err(|_| DerivationFailed)?;
        let mut master = Zeroizing::new([0; KEY_LENGTH]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.expose(), header.salt(), &mut *master)
            .map_err(|_| DerivationFailed)?;
        Ok(Self(master))
    }

    /// The key of one file. `header` must have the salt and the cost that this was derived with.
    pub fn key(&self, header: &Header, provider: &dyn CryptoProvider) -> Key {
        let file = Hkdf::<Sha384>::new(Some(header.file_id()), &*self.0);
        let mut content = Zeroizing::new([0; KEY_LENGTH]);
        let mut auth = Zeroizing::new([0; KEY_LENGTH]);
        for (label, key) in [("fss/2 content", &mut content), ("fss/2 auth", &mut auth)] {
            if file.expand(label.as_bytes(), &mut **key).is_err() {
                unreachable!("32 bytes are far below the most that HKDF can expand to");
            }
        }
        Key::from_secrets(&content, &auth, provider)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// The key of one sealed file.
pub struct Key {
    content: Box<dyn AeadKey>,
    verifier: Verifier,
}

impl Key {
    /// The key with these two secrets, without the password: they open one file.
    pub fn from_secrets(
        content: &[u8; KEY_LENGTH],
        auth: &[u8; KEY_LENGTH],
        provider: &dyn CryptoProvider,
    ) -> Self {
        Self {
            content: provider.aead_key(content),
            verifier: Verifier::from_bytes(Sha384::digest(auth).into()),
        }
    }

    /// What a server stores to check proofs of the password.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn content(&self) -> &dyn AeadKey {
        &*self.content
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A key could not be derived: there is not enough memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not be derived from the password: there is not enough memory")]
pub struct DerivationFailed;
