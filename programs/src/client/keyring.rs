//! Keys of sealed files, from the passwords at hand: the costly derivation is done once for each
//! password and salt.

use std::collections::HashMap;

use fss::crypto::default_provider;
use fss::profile::{FileRecord, PasswordId};
use fss::sealed::{Cost, Header, Key, MasterKey};
use fss::{Password, SystemRng};

use crate::client::account::Unlocked;
use crate::terminal::failure::{Failure, code};

pub struct Keyring<'a> {
    unlocked: &'a Unlocked,
    /// A file's own password, which is used instead of the profile's.
    own: Option<Password>,
    /// The header of the last new file: its salt is used again, so that one derivation does for
    /// all.
    last: Option<Header>,
    masters: HashMap<(PasswordId, [u8; 16], Cost), MasterKey>,
}

impl<'a> Keyring<'a> {
    pub fn new(unlocked: &'a Unlocked, own: Option<Password>) -> Self {
        Self { unlocked, own, last: None, masters: HashMap::new() }
    }

    pub fn has_own(&self) -> bool {
        self.own.is_some()
    }

    /// The present password of the profile.
    pub fn present(&self) -> PasswordId {
        self.unlocked.passwords.present_id()
    }

    /// The header of a new file.
    pub fn new_header(&mut self) -> Header {
        let salt = match (&self.own, &self.last) {
            (None, _) => self.unlocked.passwords.salt_of(self.present()).copied(),
            (Some(_), last) => last.as_ref().map(|last| *last.salt()),
        };
        let header = match salt {
            Some(salt) => Header::with_salt(Cost::DEFAULT, salt, &mut SystemRng),
            None => Header::new(Cost::DEFAULT, &mut SystemRng),
        };
        self.last = Some(header.clone());
        header
    }

    /// The key of a file with the own password, or else the profile's present one.
    pub fn key(&mut self, header: &Header) -> Result<Key, Failure> {
        self.key_with(header, self.present())
    }

    /// The key of a listed file, which may have a former password of the profile.
    pub fn key_of(&mut self, header: &Header, record: &FileRecord) -> Result<Key, Failure> {
        self.key_with(header, record.password)
    }

    fn key_with(&mut self, header: &Header, password: PasswordId) -> Result<Key, Failure> {
        let entry = (password, *header.salt(), header.cost());
        if !self.masters.contains_key(&entry) {
            let secret = match &self.own {
                Some(own) => own,
                None => self.unlocked.password_of(password)?,
            };
            let master = MasterKey::derive(secret, header).map_err(|error| {
                Failure::new(
                    code::OTHER,
                    "no key",
                    error.to_string(),
                    "close other programs, and try again",
                )
            })?;
            self.masters.insert(entry, master);
        }
        Ok(self.masters[&entry].key(header, &*default_provider()))
    }
}
