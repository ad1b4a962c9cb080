//! Password binding: a password seals files, or FSS 1.0 sends it, never both. A server that was
//! sent a password could open what it seals.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use subtle::ConstantTimeEq as _;

use super::Error;
use crate::types::secret::Password;

/// The most passwords that are remembered; the oldest is forgotten first.
const MOST: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It seals files, and no server sees it.
    Seals,
    /// A server sees it, or a proof that lets it be guessed fast.
    IsSent,
}

/// The first use of each password of a client.
#[derive(Default)]
pub(super) struct Bindings(Mutex<Vec<(Password, Use)>>);

impl Bindings {
    /// The password is about to be used so.
    pub(super) fn bind(&self, password: &Password, wanted: Use) -> Result<(), Error> {
        let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = None;
        for (known, its_use) in bound.iter() {
            if bool::from(known.expose().ct_eq(password.expose())) {
                first = Some(*its_use);
            }
        }
        match (first, wanted) {
            (Some(Use::IsSent), Use::Seals) => Err(Error::PasswordWasSent),
            (Some(Use::Seals), Use::IsSent) => Err(Error::PasswordSealsFiles),
            (Some(_), _) => Ok(()),
            (None, _) => {
                if bound.len() >= MOST {
                    bound.remove(0);
                }
                bound.push((password.clone(), wanted));
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bindings(..)")
    }
}
