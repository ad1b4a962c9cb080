//! Keys of files, from passwords: the costly derivation is done once for each password and salt.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq as _;

use super::Error;
use crate::crypto::CryptoProvider;
use crate::sealed::{Cost, Header, Key, MasterKey};
use crate::types::random::SystemRng;
use crate::types::secret::Password;

/// The most that are kept: 32 bytes each, and the password.
const MOST: usize = 16;

/// What was derived, the latest last.
#[derive(Default)]
pub(super) struct FileKeys(Mutex<Vec<Derived>>);

struct Derived {
    password: Password,
    salt: [u8; 16],
    cost: Cost,
    master: MasterKey,
}

impl FileKeys {
    /// The header of a new file. All files of a password have one salt, so that one derivation does
    /// for all.
    pub(super) fn new_header(&self, password: &Password) -> Header {
        let derived = self.derived();
        match derived
            .iter()
            .rev()
            .find(|known| known.cost == Cost::DEFAULT && known.is_of(password))
        {
            Some(known) => Header::with_salt(Cost::DEFAULT, known.salt, &mut SystemRng),
            None => Header::new(Cost::DEFAULT, &mut SystemRng),
        }
    }

    /// The key of a file with this header.
    pub(super) fn key(
        &self,
        password: &Password,
        header: &Header,
        provider: &dyn CryptoProvider,
    ) -> Result<Key, Error> {
        let is_it = |known: &&Derived| {
            known.cost == header.cost() && known.salt == *header.salt() && known.is_of(password)
        };
        if let Some(known) = self.derived().iter().find(is_it) {
            return Ok(known.master.key(header, provider));
        }
        let master = MasterKey::derive(password, header)?;
        let key = master.key(header, provider);
        let mut derived = self.derived();
        let forgotten = (derived.len() + 1).saturating_sub(MOST);
        derived.drain(..forgotten);
        derived.push(Derived {
            password: password.clone(),
            salt: *header.salt(),
            cost: header.cost(),
            master,
        });
        Ok(key)
    }

    fn derived(&self) -> MutexGuard<'_, Vec<Derived>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Derived {
    fn is_of(&self, password: &Password) -> bool {
        self.password.expose().ct_eq(password.expose()).into()
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKeys(..)")
    }
}
