//! A pattern of receivers: scheme, host, port and the start of the path.

use std::{net::IpAddr, str::FromStr};

use super::{
    address::canonical,
    url::{Host, Origin, ReceiverUrl, default_port, is_unambiguous},
};

/// A pattern of receivers, such as `https://*.example.com/hooks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    is_https: bool,
    host: HostPattern,
    /// `None` is any port.
    port: Option<u16>,
    /// Without the slash at its end, so empty for any path.
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// The domain after `*.`.
    Subdomains(String),
    Name(String),
    Address(IpAddr),
}

impl Pattern {
    /// Returns whether the pattern matches the URL of a receiver.
    pub(super) fn matches(&self, url: &ReceiverUrl) -> bool {
        let path = url.uri.path();
        let rest = path.strip_prefix(&*self.path);
        let has_prefix = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let fits = self.path.is_empty() || (has_prefix && is_unambiguous(path));
        fits && self.matches_origin(&url.origin)
    }

    /// Returns whether the pattern matches the URL of a receiver, except perhaps its path.
    pub(super) fn matches_origin(&self, origin: &Origin) -> bool {
        let matches_host = match (&self.host, &origin.host) {
            (HostPattern::Any, _) => true,
            (HostPattern::Subdomains(domain), Host::Name(name)) => name
                .strip_suffix(&**domain)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
            (HostPattern::Name(expected), Host::Name(name)) => name == expected,
            (HostPattern::Address(expected), Host::Address(address)) => {
                canonical(*address) == canonical(*expected)
            }
            (HostPattern::Subdomains(_) | HostPattern::Name(_), Host::Address(_))
            | (HostPattern::Address(_), Host::Name(_)) => false,
        };
        let matches_port = self.port.is_none_or(|port| port == origin.port);
        self.is_https == origin.is_https && matches_port && matches_host
    }

    /// Returns whether the pattern itself names an address of this machine or of a private network.
    pub(super) fn names(&self, address: IpAddr) -> bool {
        match &self.host {
            HostPattern::Address(named) => canonical(*named) == canonical(address),
            HostPattern::Name(name) => name == "localhost" && canonical(address).is_loopback(),
            HostPattern::Any | HostPattern::Subdomains(_) => false,
        }
    }
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let lower = text.to_ascii_lowercase();
        let (is_https, rest) = if lower.starts_with("https://") {
            (true, &text["https://".len()..])
        } else if lower.starts_with("http://") {
            (false, &text["http://".len()..])
        } else {
            return Err("expected https:// or http:// at its start");
        };
        if rest.contains(['?', '#', '@']) {
            return Err("it must not contain a query, a fragment, a user or a password");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.contains('*') || !is_unambiguous(path) {
            return Err("its path is a plain prefix, without `*`, `..` or encoded characters");
        }
        let end = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[end..].find(':').map(|at| end + at) {
            Some(at) => (&authority[..at], Some(&authority[at + 1..])),
            None => (authority, None),
        };
        let port = match port {
            None => Some(default_port(is_https)),
            Some("*") => None,
            Some(port) => {
                let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
                let port: Option<u16> = port.parse().ok().filter(|port| is_number && *port > 0);
                Some(port.ok_or("expected a port between 1 and 65535, or `*`")?)
            }
        };
        Ok(Self { is_https, host: host.parse()?, port, path: path.into() })
    }
}

impl FromStr for HostPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const EXPECTATION: &str = "expected a host such as example.com, *.example.com or 10.0.0.5";
        if text == "*" {
            return Ok(Self::Any);
        }
        let (is_wildcard, rest) =
            text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        match Host::new(rest).ok_or(EXPECTATION)? {
            Host::Address(_) if is_wildcard => Err(EXPECTATION),
            Host::Address(address) => Ok(Self::Address(address)),
            Host::Name(name) => {
                let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                if !name.bytes().all(is_valid) || name.starts_with('.') || name.contains("..") {
                    return Err(EXPECTATION);
                }
                Ok(if is_wildcard { Self::Subdomains(name) } else { Self::Name(name) })
            }
        }
    }
}
