//! Our programs against independent ones in Python, over real sockets: `peer.py` for FSS 1.0,
//! `fss2_peer.py` for FSS/2.
//!
//! The peer is another process. Where no Python can run it, each test says that it was skipped.
//! Nothing can hang: a peer that is silent for [`process::PATIENCE`] is killed, and our own
//! machines have deadlines of less.

mod fss2;
mod legacy;
mod process;
