//! A network of IP addresses, such as `10.0.0.0/8`.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::address::{AddressKind, canonical};

/// A network of IP addresses. A single address is a network, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network(IpNet);

impl Network {
    /// Returns whether the network contains an address. The address may be an IPv6 address that
    /// leads to an IPv4 address of this network.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&canonical(address))
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
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into()));
        let network: IpNet =
            network.map_err(|_| "expected a network such as 10.0.0.0/8, or an IP address")?;
        let address = network.addr();
        if !AddressKind::new(address).is_allowed_if_named() {
            return Err("these addresses are never allowed; name loopback or private ones");
        }
        if address != canonical(address) {
            return Err("write the IPv4 address that this IPv6 address contains");
        }
        Ok(Self(network))
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
            let parsed: Network = network.parse().unwrap();
            for address in addresses.split(' ') {
                let contains = parsed.contains(address.parse().unwrap());
                assert_eq!(contains, expected, "{network} {address}");
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
