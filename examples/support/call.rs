//! What a driver passes on from a machine to its program.

use fss::Machine;

/// What a machine reports, or needs of the program.
pub enum Call<M: Machine> {
    Event(M::Event),
    Need(M::Need),
}
