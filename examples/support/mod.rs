//! What the command lines of the programs share: failures as they are shown, times, and where secrets come from.

pub mod duration;
pub mod failure;
pub mod secrets;
