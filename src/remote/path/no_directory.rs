//! Placeholder for directories in a build without the feature `archive`: they are an error.

use std::path::Path;

use crate::remote::Error;
use crate::remote::blocking::Io;

pub(super) enum Source {}

impl Source {
    pub(super) fn new(_path: &Path) -> Result<Self, Error> {
        Err(Error::NoDirectories)
    }

    pub(super) fn size(&self) -> u64 {
        match *self {}
    }

    pub(super) fn identity(&self) -> Vec<u8> {
        match *self {}
    }
}

impl Io for Source {}

pub(super) enum Target {}

impl Target {
    pub(super) fn new(_path: &Path, _size: Option<u64>) -> Result<Self, Error> {
        Err(Error::NoDirectories)
    }

    pub(super) fn write(&mut self, _bytes: &[u8]) -> Result<(), Error> {
        match *self {}
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        match self {}
    }
}
