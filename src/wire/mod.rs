//! The bytes on the wire, from the outside in: the key exchange, RSA messages with the frames of
//! FSS 1.0 or the hellos of FSS/2, and then its records with their frames.
//!
//! Everything here works on bytes in memory, and knows nothing of sessions.

mod error_code;
pub mod error_frame;
pub mod frame;
pub mod frame_kind;
pub mod hello;
pub mod key_exchange;
pub mod key_schedule;
pub mod legacy_frame;
pub mod message;
pub(crate) mod peer_message;
pub mod record;
pub mod reply;
pub mod request;
pub mod rsa_message;
