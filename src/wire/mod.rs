//! What goes over the wire, from the outside in: the key exchange, RSA messages, and the frames within them.
//!
//! Everything here works on bytes in memory and knows nothing of what a session is for.

pub mod frame;
pub mod prelude;
pub mod rsa_channel;
