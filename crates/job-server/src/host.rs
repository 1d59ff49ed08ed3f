//! Which hosts a request may be addressed to.
//!
//! A page of an attacker can let its own name resolve to the address of this server (DNS rebinding).
//! The browser then sends that name as the host, and it is not in the list.

use std::{net::IpAddr, str::FromStr};

use axum::http::uri::Authority;

/// The hosts that are allowed: names and addresses of this machine, and the configured ones.
#[derive(Clone, Debug)]
pub(crate) struct AllowedHosts(Vec<AllowedHost>);

/// A host with or without a port, in lower case and without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowedHost {
    name: String,
    port: Option<u16>,
}

impl AllowedHosts {
    /// Creates the list. `listen` is the address on which the server listens.
    pub(crate) fn new(listen: IpAddr, configured: &[AllowedHost]) -> Self {
        let own = (!listen.is_unspecified())
            .then(|| AllowedHost { name: listen.to_string(), port: None });
        Self(configured.iter().cloned().chain(own).collect())
    }

    /// Returns whether a request may be addressed to a host, as in the header `Host`.
    pub(crate) fn contains(&self, authority: &str) -> bool {
        let Ok(host) = authority.parse::<AllowedHost>() else { return false };
        let is_loopback = host.name == "localhost"
            || host.name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_allowed = |allowed: &AllowedHost| {
            allowed.name == host.name && (allowed.port.is_none() || allowed.port == host.port)
        };
        is_loopback || self.0.iter().any(is_allowed)
    }
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The address of a pod, which can be an IPv6 address without brackets.
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { name: address.to_string(), port: None });
        }
        let error = || format!("{text:?} is not a host; expected a name such as jobs.example.com");
        let authority: Authority = text.parse().map_err(|_| error())?;
        let rest = authority.as_str().strip_prefix(authority.host()).ok_or_else(error)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port.parse().map_err(|_| error())?),
            None if rest.is_empty() => None,
            None => return Err(error()),
        };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        // An address has several spellings.
        let name = name.parse().map_or(name, |address: IpAddr| address.to_string());
        if name.is_empty() { Err(error()) } else { Ok(Self { name, port }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_hosts_are_allowed() {
        let configured =
            ["Jobs.Example.com", "other.example:8443", "[2001:db8:0::1]", "2001:db8:0::2"];
        let configured = configured.map(|text| text.parse().unwrap());
        let hosts = AllowedHosts::new("192.0.2.7".parse().unwrap(), &configured);
        let rows = [
            ("localhost", true),
            ("LOCALHOST:8484", true),
            ("localhost.", true),
            ("127.0.0.1:1", true),
            ("127.9.9.9", true),
            ("[::1]:8484", true),
            ("192.0.2.7:8484", true),
            ("192.0.2.8", false),
            ("jobs.example.com", true),
            ("jobs.example.com:443", true),
            ("jobs.example.com.", true),
            ("sub.jobs.example.com", false),
            ("jobs.example.com.evil.example", false),
            ("other.example", false),
            ("other.example:8443", true),
            ("other.example:8444", false),
            ("[2001:db8::1]", true),
            ("[2001:db8::2]:8484", true),
            ("[2001:db8::3]", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("user@localhost", false),
            ("localhost:port", false),
            ("localhost:99999", false),
            ("", false),
            (":8484", false),
            ("a b", false),
        ];
        for (host, is_allowed) in rows {
            assert_eq!(hosts.contains(host), is_allowed, "{host}");
        }
        let everywhere = AllowedHosts::new("0.0.0.0".parse().unwrap(), &[]);
        assert!(!everywhere.contains("0.0.0.0"));
    }
}
