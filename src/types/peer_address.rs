//! Where a client comes from.

use std::net::IpAddr;

/// Where a client comes from: an IPv4 address, or a /64 network of IPv6, since one host has
/// many IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress(IpAddr);

impl From<IpAddr> for PeerAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                Self(IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()))
            }
            address => Self(address),
        }
    }
}

impl PeerAddress {
    /// Whether it is the server's own machine.
    pub(crate) fn is_local(self) -> bool {
        self.0.is_loopback()
    }
}
