//! The kind of an IP address: public, or why it is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressKind {
    /// An address of the internet, which is always allowed.
    Public,
    /// This machine. Allowed only if the allow-list names it.
    Loopback,
    /// A private network, unique local addresses, or addresses that a provider shares (RFC 6598).
    /// Allowed only if the allow-list names it.
    Private,
    /// Never allowed, like all kinds below.
    LinkLocal,
    /// A service that gives credentials to the machines of a cloud.
    Metadata,
    Unspecified,
    Multicast,
    /// Documentation, benchmarks, tunnels, future use.
    Reserved,
}

/// Addresses of metadata services that are not link-local: Azure, Alibaba Cloud, AWS and Google
/// Cloud. The usual one, 169.254.169.254, is link-local.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

impl AddressKind {
    /// Returns the kind of an address. An IPv6 address that leads to an IPv4 address has the kind of
    /// that address.
    pub(crate) fn new(address: IpAddr) -> Self {
        let address = canonical(address);
        if METADATA.contains(&address) {
            return Self::Metadata;
        }
        match address {
            IpAddr::V4(address) => Self::from_v4(address),
            IpAddr::V6(address) => Self::from_v6(address),
        }
    }

    /// Returns the kind according to the registry of special-purpose addresses (RFC 6890).
    const fn from_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [0, ..] => Self::Unspecified,
            [127, ..] => Self::Loopback,
            [10, ..] | [172, 16..32, ..] | [192, 168, ..] | [100, 64..128, ..] => Self::Private,
            [169, 254, ..] => Self::LinkLocal,
            [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [240..=255, ..] => Self::Reserved,
            [224..240, ..] => Self::Multicast,
            _ => Self::Public,
        }
    }

    /// Returns the kind of an address that leads to no IPv4 address. Only 2000::/3 is public.
    const fn from_v6(address: Ipv6Addr) -> Self {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0xff00..=0xffff, ..] => Self::Multicast,
            [0xfe80..0xfec0, ..] => Self::LinkLocal,
            [0xfc00..0xfe00, ..] => Self::Private,
            // Tunnels (Teredo) and other protocols, and documentation.
            [0x2001, 0..0x200 | 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => Self::Reserved,
            [0x2000..0x4000, ..] => Self::Public,
            _ => Self::Reserved,
        }
    }

    /// Returns whether an allow-list may name addresses of this kind.
    pub(crate) const fn is_allowed_if_named(self) -> bool {
        matches!(self, Self::Public | Self::Loopback | Self::Private)
    }

    /// Returns the kind in words, for an error message.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a metadata service",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        }
    }
}

/// Returns the IPv4 address that an IPv6 address leads to, and every other address unchanged.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let join = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        // IPv4-compatible, mapped, translated (RFC 2765) and NAT64 addresses.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => join(high, low),
        // 6to4.
        [0x2002, high, low, ..] => join(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_kinds_of_their_registries() {
        use AddressKind::{
            LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, Unspecified,
        };
        // The first and the last address of each range, and its neighbors.
        let rows = [
            ("0.0.0.0 0.255.255.255", Unspecified),
            ("1.0.0.0 9.255.255.255 11.0.0.0 8.8.8.8", Public),
            ("10.0.0.0 10.255.255.255", Private),
            ("100.63.255.255 100.128.0.0", Public),
            ("100.64.0.0 100.127.255.255 100.125.0.1", Private),
            ("100.100.100.200 168.63.129.16", Metadata),
            ("126.255.255.255 128.0.0.0", Public),
            ("127.0.0.0 127.0.0.1 127.255.255.255", Loopback),
            ("169.253.255.255 169.255.0.0", Public),
            ("169.254.0.0 169.254.169.254 169.254.255.255", LinkLocal),
            ("172.15.255.255 172.32.0.0", Public),
            ("172.16.0.0 172.31.255.255", Private),
            ("192.0.0.0 192.0.0.192 192.0.2.1 192.88.99.1", Reserved),
            ("192.0.1.0 192.167.255.255 192.169.0.0", Public),
            ("192.168.0.0 192.168.255.255", Private),
            ("198.17.255.255 198.20.0.0", Public),
            ("198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.7", Reserved),
            ("223.255.255.255", Public),
            ("224.0.0.0 239.255.255.255", Multicast),
            ("240.0.0.0 255.255.255.255", Reserved),
            (":: ::0.0.0.0", Unspecified),
            ("::1", Loopback),
            // Addresses that lead to an IPv4 address.
            ("::ffff:127.0.0.1 ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1", Loopback),
            ("2002:7f00:1:: 2002:7f00:1::5", Loopback),
            ("::ffff:10.1.2.3 64:ff9b::10.1.2.3 2002:a01:203::", Private),
            ("::ffff:169.254.169.254 ::169.254.169.254 64:ff9b::a9fe:a9fe", LinkLocal),
            ("2002:a9fe:a9fe:: 2002:a9fe:a9fe::1", LinkLocal),
            ("::ffff:0.0.0.0 64:ff9b::", Unspecified),
            ("::ffff:168.63.129.16 fd00:ec2::254 fd20:ce::254", Metadata),
            ("::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1", Public),
            // The prefix for NAT64 within a network, and the one for discarded packets.
            ("64:ff9b:1::1 100::1 1::1", Reserved),
            ("1fff:ffff:: 4000:: 5f00::1", Reserved),
            ("2000:: 2001:200::1 2600:1f18::1 2a00:1450::1 3ffe:: 3fff:1000::", Public),
            ("2001::1 2001:0:7f00:1:: 2001:1ff:: 2001:db8::1 3fff::1 3fff:fff::", Reserved),
            ("fbff::", Reserved),
            ("fc00:: fd00::1 fdff:ffff::", Private),
            ("fe00:: fe7f::", Reserved),
            ("fe80:: fe80::1 febf:ffff::", LinkLocal),
            ("fec0::1 feff::", Reserved),
            ("ff00:: ff02::1 ffff::", Multicast),
        ];
        for (addresses, expected) in rows {
            for address in addresses.split(' ') {
                assert_eq!(AddressKind::new(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn only_loopback_and_private_addresses_can_be_named() {
        let named = ["127.0.0.1", "10.0.0.1", "100.64.0.1", "fd00::1", "8.8.8.8"];
        let never = ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "ff02::1", "198.18.0.1"];
        for (addresses, expected) in [(named, true), (never, false)] {
            for address in addresses {
                let kind = AddressKind::new(address.parse().unwrap());
                assert_eq!(kind.is_allowed_if_named(), expected, "{address} {}", kind.as_str());
            }
        }
    }
}
