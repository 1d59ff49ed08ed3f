//! A network of IP addresses, such as `10.0.0.0/8`.

use std::{fmt, net::IpAddr, str::FromStr};

use super::address::{AddressKind, canonical};

/// A network of IP addresses. A single address is a network, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix_len: u8,
}

impl Network {
    /// Returns whether the network contains an address. The address may be an IPv6 address that
    /// leads to an IPv4 address of this network.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        let has_same_prefix = |a: u128, b: u128, bits: u32| {
            // Shifting by all bits is not defined.
            (a ^ b).checked_shr(bits - u32::from(self.prefix_len)).unwrap_or_default() == 0
        };
        match (self.address, canonical(address)) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                has_same_prefix(a.to_bits().into(), b.to_bits().into(), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => has_same_prefix(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    /// Parses an address, or an address and the length of the prefix.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is neither, or if addresses of this kind are never allowed.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const EXPECTATION: &str = "expected a network such as 10.0.0.0/8, or an IP address";
        let (address, prefix_len) =
            text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| EXPECTATION)?;
        let max_len = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix_len.map_or(Some(max_len), |text| {
            text.parse().ok().filter(|len| *len <= max_len && !text.starts_with('+'))
        });
        let prefix_len = prefix_len.ok_or(EXPECTATION)?;
        if !AddressKind::new(address).is_allowed_if_named() {
            return Err("these addresses are never allowed; name loopback or private ones");
        }
        if address != canonical(address) {
            return Err("write the IPv4 address that this IPv6 address contains");
        }
        Ok(Self { address, prefix_len })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_the_addresses_with_their_prefix() {
        let rows = [
            ("10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3 64:ff9b::10.1.2.3", true),
            ("10.0.0.0/8", "9.255.255.255 11.0.0.0 ::1 fd00::1", false),
            ("10.1.2.3", "10.1.2.3 ::ffff:10.1.2.3", true),
            ("10.1.2.3", "10.1.2.2 10.1.2.4", false),
            ("10.1.2.3/31", "10.1.2.2 10.1.2.3", true),
            ("10.1.2.3/31", "10.1.2.4", false),
            ("1.0.0.0/0", "0.0.0.0 255.255.255.255", true),
            ("1.0.0.0/0", "fd00::1", false),
            ("::1", "::1", true),
            ("::1", "::2 0.0.0.1", false),
            ("fd00::/8", "fd00::1 fdff::", true),
            ("fd00::/8", "fc00::1 fe00::", false),
            ("fd00::/0", ":: ffff::", true),
        ];
        for (network, addresses, expected) in rows {
            let network: Network = network.parse().unwrap();
            for address in addresses.split(' ') {
                assert_eq!(
                    network.contains(address.parse().unwrap()),
                    expected,
                    "{network} {address}"
                );
            }
        }
    }

    #[test]
    fn texts_that_are_no_network_of_allowed_addresses_are_errors() {
        let rows = [
            ("", "expected a network"),
            ("10.0.0.0/33", "expected a network"),
            ("10.0.0.0/-1", "expected a network"),
            ("10.0.0.0/+8", "expected a network"),
            ("10.0.0.0/", "expected a network"),
            ("10.0.0/8", "expected a network"),
            ("fd00::/129", "expected a network"),
            ("localhost", "expected a network"),
            ("169.254.169.254", "never allowed"),
            ("169.254.0.0/16", "never allowed"),
            ("0.0.0.0/0", "never allowed"),
            ("::/0", "never allowed"),
            ("fe80::/10", "never allowed"),
            ("::ffff:10.0.0.1", "write the IPv4 address"),
        ];
        for (text, expected) in rows {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
