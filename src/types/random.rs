//! Randomness from the operating system: the default where it is not injected.

use std::convert::Infallible;

use getrandom::SysRng;
use rand_core::{TryCryptoRng, TryRng, UnwrapErr};

/// The operating system's random numbers.
///
/// Sessions accept any [`rand_core::CryptoRng`]. Tests inject a seeded one, so that the same seed
/// produces the same bytes.
///
/// # Panics
/// If the operating system has no random numbers: nothing can be secure without them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        UnwrapErr(SysRng).try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        UnwrapErr(SysRng).try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        UnwrapErr(SysRng).try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for SystemRng {}
