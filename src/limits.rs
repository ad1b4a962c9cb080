//! The bounds of a session.

use std::time::Duration;

/// Every bound of a session, each with its reason. Change the ones you need:
///
/// ```
/// let mut limits = fss::Limits::default();
/// limits.idle = std::time::Duration::from_secs(10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From the start to the first complete message. A client that connects has a request. 10 s.
    pub handshake: Duration,
    /// For each complete message after that, sent or received. Bytes that complete no message do not
    /// count, so a peer that sends single bytes times out like a silent one. 60 s.
    pub idle: Duration,
    /// Before a message that no acknowledgement separates from the one before it: peers of
    /// 2019 treat the result of one read as one message (`docs/protocol.md` §3). 50 ms.
    pub pause: Duration,
    /// After a side has sent its last message, how long it continues reading so that the peer
    /// receives it: closing with unread input would reset the connection. 2 s.
    pub linger: Duration,
    /// How many bytes are read and dropped in that time. 1 MiB.
    pub linger_bytes: u64,
    /// Bytes per second that a peer must send or accept during a transfer, after a grace period of
    /// the idle time: tiny records must not hold a connection for ever. 0 is no limit. 256, which
    /// the slowest machines of 2019 reach with the largest keys.
    pub minimum_rate: u64,
    /// Connections of a server at once, in all; one more is told that the server is busy. Each
    /// takes memory: 20 KiB at rest. 16,384.
    pub connections: usize,
    /// Connections of a server at once from one source (an address, or a /64 of IPv6): one source
    /// must not take all. The server's own addresses are not counted, for proxies and tunnels. A
    /// quarter of those in all: 4,096.
    pub connections_per_source: usize,
    /// The largest file, in stored bytes: no single file fills a disk. 1 TiB.
    pub largest_file: u64,
    /// How far a client of FSS/2 may send ahead of what is acknowledged, in bytes: fills a link of
    /// 1 Gbit/s with a round trip of 67 ms. At least 4 pieces of a sealed file. 8 MiB.
    pub upload_window: u64,
    /// Records that may be sent, received, or read from storage at once, over all connections of a
    /// server: each has a buffer of 257 KiB meanwhile. When all are in use, connections wait for
    /// one. A connection of a client has 8 of its own. 512, so 128.5 MiB.
    pub record_buffers: usize,
    /// For how long new connections to a server get transport keys of the same modulus: what was
    /// sent to keys that are gone stays closed (`docs/protocol.md` §2.9). 15 minutes.
    pub transport_key_lifetime: Duration,
    /// How many connections get one: there are 557,000 exponents, and those that are used must be
    /// remembered. 2^17, which is also the most.
    pub transport_keys: usize,
    /// How long a connection to a server may go on with FSS 1.0: it keeps the modulus of its key in
    /// memory. 24 hours.
    pub legacy_connection: Duration,
    /// RSA private operations in one `poll` before it yields: the most expensive work of FSS 1.0, so
    /// that one connection does not keep others from a thread. 1.
    pub private_operations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            pause: Duration::from_millis(50),
            linger: Duration::from_secs(2),
            linger_bytes: 1024 * 1024,
            minimum_rate: 256,
            connections: 16_384,
            connections_per_source: 4_096,
            largest_file: 1024 * 1024 * 1024 * 1024,
            upload_window: 8 * 1024 * 1024,
            record_buffers: 512,
            transport_key_lifetime: Duration::from_secs(15 * 60),
            legacy_connection: Duration::from_secs(24 * 60 * 60),
            transport_keys: 1 << 17,
            private_operations: 1,
        }
    }
}
