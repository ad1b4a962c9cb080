//! The keys that messages to a server are sealed to before it is known who speaks: one for each
//! connection, all of one modulus for a short time (`docs/protocol.md` §2.9).
//!
//! A block opens with no other exponent than that it was sealed with, so what is recorded on one
//! connection is worth nothing on another. And when the connections of a modulus have ended,
//! nothing opens it any more.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rand_core::CryptoRng;

use crate::crypto::shared_modulus::with_exponent;
use crate::crypto::{
    CryptoFailure, CryptoProvider, KeyRejected, PrivateKey, PublicKeyDer, key_encoding,
};
use crate::limits::Limits;
use crate::types::random::SystemRng;
use crate::types::secret::Secret;
use crate::types::time::{MonotonicClock, SystemMonotonicClock, Time};

/// Exponents have three bytes, as the usual one has: 2019 peers take as many bytes for a key as
/// theirs have.
const EXPONENTS: std::ops::Range<u32> = (1 << 16) + 2..1 << 23;

/// The most connections of a modulus, whatever the limits say: there must be exponents left for
/// those that come while the next one is made.
const MOST: usize = 1 << 17;

/// How often an exponent is drawn before the random numbers are to blame. One in about 16 is a
/// prime.
const DRAWS: usize = 10_000;

/// The transport keys of a server: shared by all its connections, and by no other process.
///
/// A connection that begins when the present modulus is used up makes the next one, which takes a
/// noticeable part of a second. A server that calls
/// [`ServerState::renew_transport_keys`](super::ServerState::renew_transport_keys) now and then
/// spares its connections that.
pub struct TransportKeys {
    clock: Box<dyn MonotonicClock>,
    /// One key for all connections.
    fixed: Option<Arc<dyn PrivateKey>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Modulus>,
    /// Whether the next one is being made.
    is_generating: bool,
}

impl TransportKeys {
    /// Keys whose age is told by this clock. The first modulus is made when it is needed.
    pub fn new(clock: impl MonotonicClock + 'static) -> Self {
        Self { clock: Box::new(clock), fixed: None, state: Mutex::default() }
    }

    /// One key for all connections and for ever, **for tests and recordings only**: what was
    /// recorded can be replayed.
    pub fn fixed(key: Arc<dyn PrivateKey>) -> Self {
        Self { fixed: Some(key), ..Self::default() }
    }

    /// Makes the next modulus if half of the present one's time or exponents is used up, or if
    /// there is none yet.
    pub(crate) fn renew(
        &self,
        provider: &dyn CryptoProvider,
        limits: &Limits,
    ) -> Result<(), KeyRejected> {
        match self.fixed {
            Some(_) => Ok(()),
            None => self
                .replace_if_used(
                    provider,
                    limits.transport_key_lifetime / 2,
                    limits.transport_keys / 2,
                )
                .map(drop),
        }
    }

    /// The key of a connection that begins.
    pub(crate) fn next(
        &self,
        provider: &Arc<dyn CryptoProvider>,
        limits: &Limits,
    ) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
        if let Some(key) = &self.fixed {
            return Ok(Arc::clone(key));
        }
        let (lifetime, most) = (limits.transport_key_lifetime, limits.transport_keys);
        let mut state = self.replace_if_used(&**provider, lifetime, most)?;
        let modulus = state.current.as_mut().ok_or(KeyRejected::Provider)?;
        let pkcs8_der = modulus.next(&mut SystemRng)?;
        drop(state);
        let public = key_encoding::public_key_of(&pkcs8_der)?;
        Ok(Arc::new(TransportKey {
            provider: Arc::clone(provider),
            pkcs8_der,
            public,
            loaded: OnceLock::new(),
        }))
    }

    /// One caller makes the next modulus, and the others go on with the present one for so long.
    /// Only if there is none, or if its exponents run out, they wait.
    fn replace_if_used(
        &self,
        provider: &dyn CryptoProvider,
        lifetime: Duration,
        most: usize,
    ) -> Result<MutexGuard<'_, State>, KeyRejected> {
        let most = most.min(MOST);
        let mut state = self.state();
        let generate = || Modulus::generate(provider, self.clock.now());
        match state.current.as_ref().filter(|modulus| modulus.is_of_this_process()) {
            Some(modulus) if !modulus.is_used(self.clock.now(), lifetime, most) => {}
            Some(modulus) if modulus.used.len() < most * 2 => {
                if !std::mem::replace(&mut state.is_generating, true) {
                    drop(state);
                    let generating = Generating(self);
                    let made = generate();
                    drop(generating);
                    state = self.state();
                    state.current = Some(made?);
                }
            }
            _ => state.current = Some(generate()?),
        }
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TransportKeys {
    /// With the system's clock.
    fn default() -> Self {
        Self::new(SystemMonotonicClock::default())
    }
}

impl fmt::Debug for TransportKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.state().current.as_ref().map_or(0, |modulus| modulus.used.len());
        f.debug_struct("TransportKeys").field("used", &used).finish_non_exhaustive()
    }
}

/// While it is there a modulus is being made. Should that panic, another caller tries it again.
struct Generating<'a>(&'a TransportKeys);

impl Drop for Generating<'_> {
    fn drop(&mut self) {
        self.0.state().is_generating = false;
    }
}

/// A modulus, and the exponents that connections have got: none gets one twice.
struct Modulus {
    pkcs8_der: Secret,
    made: Time,
    /// A process that was forked would give out the same exponents once more.
    process: u32,
    used: HashSet<u32>,
}

impl Modulus {
    fn generate(provider: &dyn CryptoProvider, made: Time) -> Result<Self, KeyRejected> {
        let key = provider.generate_private_key(&mut SystemRng)?;
        let pkcs8_der = key.to_pkcs8_der().map_err(|_| KeyRejected::Provider)?;
        Ok(Self { pkcs8_der, made, process: std::process::id(), used: HashSet::new() })
    }

    fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    fn is_used(&self, now: Time, lifetime: Duration, most: usize) -> bool {
        now.saturating_since(self.made) >= lifetime || self.used.len() >= most
    }

    /// The next key, in PKCS#8 DER. Which exponent it has says nothing of how many there were.
    fn next(&mut self, rng: &mut dyn CryptoRng) -> Result<Secret, KeyRejected> {
        for _ in 0..DRAWS {
            let exponent = EXPONENTS.start + rng.next_u32() % (EXPONENTS.end - EXPONENTS.start);
            if is_prime(exponent) && self.used.insert(exponent) {
                match with_exponent(&self.pkcs8_der, exponent) {
                    // It divides the order, and has no inverse.
                    Err(KeyRejected::Exponent) => {}
                    key => return key,
                }
            }
        }
        Err(KeyRejected::Provider)
    }
}

/// Exponents are public, so this may take as long as it likes.
fn is_prime(number: u32) -> bool {
    let mut divisors = (3..).step_by(2).take_while(|divisor| divisor * divisor <= number);
    number % 2 == 1 && divisors.all(|divisor| !number.is_multiple_of(divisor))
}

/// The key of one connection. Most connections of strangers never send a block, so it is made ready
/// when one comes.
struct TransportKey {
    provider: Arc<dyn CryptoProvider>,
    pkcs8_der: Secret,
    public: PublicKeyDer,
    loaded: OnceLock<Option<Arc<dyn PrivateKey>>>,
}

impl PrivateKey for TransportKey {
    fn block_length(&self) -> usize {
        self.public.block_length()
    }

    fn public_key(&self) -> &PublicKeyDer {
        &self.public
    }

    fn open(
        &self,
        block: &[u8],
        rng: &mut dyn CryptoRng,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), CryptoFailure> {
        let loaded =
            self.loaded.get_or_init(|| self.provider.load_private_key(&self.pkcs8_der).ok());
        loaded.as_ref().ok_or(CryptoFailure)?.open(block, rng, plaintext)
    }

    /// Transport keys only open.
    fn sign(&self, _message: &[u8], _rng: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoFailure> {
        Err(CryptoFailure)
    }

    /// They never leave the process.
    fn to_pkcs8_der(&self) -> Result<Secret, CryptoFailure> {
        Err(CryptoFailure)
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transport key {:?}", self.public)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::crypto::aead::AeadKey;
    use crate::crypto::agreement::Share;
    use crate::crypto::{PublicKey, default_provider};

    fn modulus(
        keys: &TransportKeys,
        provider: &Arc<dyn CryptoProvider>,
        limits: &Limits,
    ) -> Vec<u8> {
        let key = keys.next(provider, limits).unwrap();
        let der = key.public_key().as_bytes();
        der[..der.len() - 3].to_vec()
    }

    /// A child of a process has its memory, and would give out the exponents that the other one
    /// does.
    #[test]
    fn a_process_that_was_forked_makes_a_modulus_of_its_own() {
        let (keys, provider, limits) =
            (TransportKeys::default(), default_provider(), Limits::default());
        let first = modulus(&keys, &provider, &limits);
        assert_eq!(modulus(&keys, &provider, &limits), first);
        keys.state().current.as_mut().unwrap().process ^= 1;
        assert_ne!(modulus(&keys, &provider, &limits), first);
    }

    /// A provider without random numbers for once.
    #[derive(Debug)]
    struct Panics(AtomicBool);

    impl CryptoProvider for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }

        fn load_public_key(&self, key: &PublicKeyDer) -> Result<Arc<dyn PublicKey>, KeyRejected> {
            default_provider().load_public_key(key)
        }

        fn load_private_key(&self, pkcs8_der: &Secret) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
            default_provider().load_private_key(pkcs8_der)
        }

        fn generate_private_key(
            &self,
            rng: &mut dyn CryptoRng,
        ) -> Result<Arc<dyn PrivateKey>, KeyRejected> {
            assert!(!self.0.swap(false, Ordering::SeqCst), "as the test wants it");
            default_provider().generate_private_key(rng)
        }

        fn aead_key(&self, key: &[u8; 32]) -> Box<dyn AeadKey> {
            default_provider().aead_key(key)
        }

        fn share(&self, private: &[u8; 32]) -> Box<dyn Share> {
            default_provider().share(private)
        }
    }

    #[test]
    fn a_panic_while_a_modulus_is_made_keeps_no_other_from_being_made() {
        let panics = Arc::new(Panics(AtomicBool::new(false)));
        let provider: Arc<dyn CryptoProvider> = panics.clone();
        let (keys, mut limits) = (TransportKeys::default(), Limits::default());
        limits.transport_keys = 1;
        let first = modulus(&keys, &provider, &limits);
        panics.0.store(true, Ordering::SeqCst);
        let caught = std::thread::scope(|scope| {
            scope.spawn(|| keys.next(&provider, &limits).is_ok()).join()
        });
        assert!(caught.is_err());
        assert_ne!(modulus(&keys, &provider, &limits), first);
    }
}
