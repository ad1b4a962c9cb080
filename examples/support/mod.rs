//! What the example programs share: the blocking driver, failures as they are shown, times, and where secrets come from.

pub mod driver;
pub mod duration;
pub mod failure;
pub mod secrets;
