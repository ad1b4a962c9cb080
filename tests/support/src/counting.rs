//! A provider that counts what another one does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fss::Secret;
use fss::crypto::aead::{KEY_LENGTH, NONCE_LENGTH, TAG_LENGTH};
use fss::crypto::agreement::SHARE_LENGTH;
use fss::crypto::{
    AeadKey, CryptoFailure, CryptoProvider, KeyRejected, PrivateKey, PublicKey, PublicKeyDer, Share,
};
use rand_core::CryptoRng;

/// Counts the operations of all keys that came from it.
#[derive(Clone, Debug)]
pub struct Counting {
    provider: Arc<dyn CryptoProvider>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sealed: AtomicU64,
    opened: AtomicU64,
    signed: AtomicU64,
    aead: AtomicU64,
}

impl Counting {
    /// Counts what this provider does.
    pub fn new(provider: impl CryptoProvider + 'static) -> Self {
        Self { provider: Arc::new(provider), counts: Arc::default() }
    }

    /// Blocks sealed: public operations.
    pub fn sealed(&self) -> u64 {
        self.counts.sealed.load(Ordering::Relaxed)
    }

    /// Blocks opened, or tried to: private operations, as signatures are.
    pub fn opened(&self) -> u64 {
        self.counts.opened.load(Ordering::Relaxed)
    }

    /// Signatures made: private operations too.
    pub fn signed(&self) -> u64 {
        self.counts.signed.load(Ordering::Relaxed)
    }

    /// Pieces of data sealed or opened with AES-GCM.
    pub fn aead(&self) -> u64 {
        self.counts.aead.load(Ordering::Relaxed)
    }

    fn private(&self, key: Arc<dyn PrivateKey>) -> Arc<dyn PrivateKey> {
        Arc::new(Counted { key, counts: Arc::clone(&self.counts) })
    }
}

impl CryptoProvider for Counting {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    fn load_public_key(&self, key: &PublicKeyDer) -> Result<Arc<dyn PublicKey>, KeyRejected> {
        let key = self.provider.load_public_key(key)?;
        Ok(Arc::new(Counted { key, counts: Arc::clone(&self.counts) }))
    }

    fn load_private_key(&self, pkcs8_der: &Secret) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        self.provider.load_private_key(pkcs8_der).map(|key| self.private(key))
    }

    fn generate_private_key(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        self.provider.generate_private_key(rng).map(|key| self.private(key))
    }

    fn aead_key(&self, key: &[u8; KEY_LENGTH]) -> Box<dyn AeadKey> {
        Box::new(CountedAead { counts: Arc::clone(&self.counts), key: self.provider.aead_key(key) })
    }

    fn share(&self, private: &[u8; SHARE_LENGTH]) -> Box<dyn Share> {
        self.provider.share(private)
    }
}

#[derive(Debug)]
struct Counted<K: ?Sized> {
    counts: Arc<Counts>,
    key: Arc<K>,
}

impl PublicKey for Counted<dyn PublicKey> {
    fn block_length(&self) -> usize {
        self.key.block_length()
    }

    fn seal(
        &self,
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
        output: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        self.counts.sealed.fetch_add(1, Ordering::Relaxed);
        self.key.seal(plaintext, rng, output)
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoFailure> {
        self.key.verify(message, signature)
    }
}

impl PrivateKey for Counted<dyn PrivateKey> {
    fn block_length(&self) -> usize {
        self.key.block_length()
    }

    fn public_key(&self) -> &PublicKeyDer {
        self.key.public_key()
    }

    fn open(
        &self,
        block: &[u8],
        rng: &mut dyn CryptoRng,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        self.counts.opened.fetch_add(1, Ordering::Relaxed);
        self.key.open(block, rng, plaintext)
    }

    fn sign(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoFailure> {
        self.counts.signed.fetch_add(1, Ordering::Relaxed);
        self.key.sign(message, rng)
    }

    fn to_pkcs8_der(&self) -> Result<Secret, CryptoFailure> {
        self.key.to_pkcs8_der()
    }
}

#[derive(Debug)]
struct CountedAead {
    counts: Arc<Counts>,
    key: Box<dyn AeadKey>,
}

impl AeadKey for CountedAead {
    fn seal(
        &self,
        nonce: [u8; NONCE_LENGTH],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LENGTH], CryptoFailure> {
        self.counts.aead.fetch_add(1, Ordering::Relaxed);
        self.key.seal(nonce, additional, data)
    }

    fn open(
        &self,
        nonce: [u8; NONCE_LENGTH],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<(), CryptoFailure> {
        self.counts.aead.fetch_add(1, Ordering::Relaxed);
        self.key.open(nonce, additional, data)
    }
}
