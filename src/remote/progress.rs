//! Progress of a transfer, for callbacks.

use std::fmt;
use std::sync::Arc;

/// How far a transfer is, in bytes of the file as it is on this side: before it is compressed, or
/// after it is decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes so far. It is less than before when an interrupted upload has to read the file again.
    pub bytes: u64,
    /// Bytes in all, if that is known.
    pub total: Option<u64>,
}

/// A program's function, if it wants to know.
#[derive(Clone, Default)]
pub(super) struct Observer(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Observer {
    pub(super) fn new(observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    pub(super) fn report(&self, bytes: u64, total: Option<u64>) {
        if let Some(observe) = &self.0 {
            observe(Progress { bytes, total });
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
