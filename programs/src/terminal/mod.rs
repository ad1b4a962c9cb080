//! What the command lines of the programs share: failures as they are shown, output, times, and
//! where secrets come from.

pub mod failure;
pub mod print;
pub mod secrets;
