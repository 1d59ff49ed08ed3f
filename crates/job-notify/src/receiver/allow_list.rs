//! The allow-list of receivers, and the addresses that each of them may have.

use std::{net::IpAddr, str::FromStr};

use super::{
    address::AddressKind,
    network::Network,
    pattern::Pattern,
    url::{Host, Origin, ReceiverUrl},
};
use crate::notifier::NotifierError;

/// The receivers that may be notified, and the networks that they may be in.
///
/// Empty by default, so that no receiver is allowed. Each line is an entry; blank lines and lines
/// that begin with `#` are ignored:
///
/// ```text
/// SCHEME://HOST[:PORT][/PATH] [NETWORK ..]
/// proxy http://HOST:PORT
/// ```
///
/// | part | meaning |
/// |---|---|
/// | `SCHEME` | `https`, or `http` for plain http |
/// | `HOST` | a name; `*.example.com` for all names below `example.com`, but not itself; an IP address, IPv6 in brackets; or `*` for any host |
/// | `PORT` | a port, or `*` for any port; by default that of the scheme, 443 or 80 |
/// | `PATH` | the start of the path, in whole segments: `/a` allows `/a` and `/a/b`, but not `/ab`. Then a URL with `.`, `..` or encoded slashes in its path is not allowed |
/// | `NETWORK` | loopback or private addresses that the host may have: a network such as `10.0.0.0/8`, or an address |
/// | `proxy` | a proxy that may be used, if the transport has one |
///
/// # Addresses
///
/// The address of a receiver is checked after its name is resolved, and the connection is opened to
/// the address that was checked.
///
/// | address | allowed |
/// |---|---|
/// | public | always |
/// | loopback (127.0.0.0/8, ::1) | if the entry's host is the address or `localhost`, or if the address is in a network of the entry |
/// | private (RFC 1918), unique local (fc00::/7), shared by a provider (100.64.0.0/10) | if the entry's host is the address, or if the address is in a network of the entry |
/// | link-local, which includes the metadata service 169.254.169.254; other metadata services; unspecified, multicast, reserved | never |
///
/// An IPv6 address that contains an IPv4 address (mapped, compatible, translated, NAT64, 6to4)
/// counts as that address.
///
/// # Examples
///
/// ```
/// use job_notify::AllowList;
///
/// let receivers: AllowList = "
///     ## A chat service, and everything below our own domain, which is in a private network.
///     https://hooks.example.com/services
///     https://*.corp.example 10.20.0.0/16
/// "
/// .parse()?;
/// assert!(receivers.check("https://hooks.example.com/services/cce").is_ok());
/// assert!(receivers.check("https://ci.corp.example/hook?id=1").is_ok());
/// let error = receivers.check("https://evil.example/hook?id=1").unwrap_err();
/// assert_eq!(error.to_string(), "evil.example/hook is not in this service's allow-list of receivers");
/// # Ok::<(), job_notify::AllowListError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    entries: Vec<Entry>,
    proxies: Vec<Pattern>,
}

/// The error for a text that is not an entry of an allow-list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is not an entry of an allow-list of receivers: {reason}")]
pub struct AllowListError {
    entry: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pattern: Pattern,
    networks: Vec<Network>,
}

impl AllowList {
    /// Creates an allow-list from its entries, each in the syntax of a line.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first invalid entry.
    pub fn new<E: AsRef<str>>(
        entries: impl IntoIterator<Item = E>,
    ) -> Result<Self, AllowListError> {
        let mut list = Self::default();
        for entry in entries {
            let entry = entry.as_ref().trim();
            list.add(entry).map_err(|reason| AllowListError { entry: entry.into(), reason })?;
        }
        Ok(list)
    }

    fn add(&mut self, entry: &str) -> Result<(), &'static str> {
        let mut words = entry.split_whitespace();
        let first = words.next().ok_or("it is empty")?;
        if first == "proxy" {
            let proxy = words.next().ok_or("expected the URL of the proxy")?.parse()?;
            if words.next().is_some() {
                return Err("expected only the URL of the proxy");
            }
            self.proxies.push(proxy);
        } else {
            let pattern = first.parse()?;
            let networks = words.map(str::parse).collect::<Result<_, _>>()?;
            self.entries.push(Entry { pattern, networks });
        }
        Ok(())
    }

    /// Checks the URL of a receiver, without resolving its name.
    ///
    /// If the host is an IP address, its kind is checked, too.
    ///
    /// # Errors
    ///
    /// Returns a permanent error if the text is not a URL, contains a user or a password, or is not
    /// in the list.
    pub fn check(&self, url: &str) -> Result<(), NotifierError> {
        self.parse_url(url).map(drop)
    }

    /// Parses and checks a URL.
    pub(crate) fn parse_url(&self, url: &str) -> Result<ReceiverUrl, NotifierError> {
        let url = ReceiverUrl::new(url).map_err(NotifierError::permanent)?;
        if self.entries.is_empty() {
            return Err(NotifierError::permanent(format!(
                "{url} is not allowed, because this service's allow-list of receivers is empty"
            )));
        }
        if !self.entries.iter().any(|entry| entry.pattern.matches(&url)) {
            return Err(NotifierError::permanent(format!(
                "{url} is not in this service's allow-list of receivers"
            )));
        }
        if let Host::Address(address) = url.origin.host
            && let Err(kind) = self.check_address(&url.origin, address)
        {
            return Err(NotifierError::permanent(format!(
                "{url} is not allowed: {}",
                Self::address_error(address, kind)
            )));
        }
        Ok(url)
    }

    /// Checks an address of a host that a connection is opened to.
    ///
    /// # Errors
    ///
    /// Returns the kind of the address if it is not allowed.
    pub(crate) fn check_address(
        &self,
        origin: &Origin,
        address: IpAddr,
    ) -> Result<(), AddressKind> {
        let kind = AddressKind::new(address);
        let is_proxy = || self.proxies.iter().any(|proxy| proxy.matches_origin(origin));
        let mut entries = self.entries.iter().filter(|entry| entry.pattern.matches_origin(origin));
        let is_allowed = match kind {
            AddressKind::Public => entries.next().is_some() || is_proxy(),
            kind if kind.is_allowed_if_named() => {
                entries.any(|entry| entry.names(address)) || is_proxy()
            }
            _ => false,
        };
        if is_allowed { Ok(()) } else { Err(kind) }
    }

    /// Returns whether an entry or a proxy has this origin.
    pub(crate) fn contains_origin(&self, origin: &Origin) -> bool {
        let mut patterns = self.entries.iter().map(|entry| &entry.pattern).chain(&self.proxies);
        patterns.any(|pattern| pattern.matches_origin(origin))
    }

    /// Returns why an address is not allowed.
    pub(crate) fn address_error(address: IpAddr, kind: AddressKind) -> String {
        if kind.is_allowed_if_named() {
            format!("the allow-list does not name the {} address {address}", kind.as_str())
        } else {
            format!("the address {address} is never allowed ({})", kind.as_str())
        }
    }
}

impl Entry {
    /// Returns whether the entry names an address that is not public.
    fn names(&self, address: IpAddr) -> bool {
        self.pattern.names(address) || self.networks.iter().any(|network| network.contains(address))
    }
}

impl FromStr for AllowList {
    type Err = AllowListError;

    /// Parses an allow-list with one entry per line.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first invalid entry.
    fn from_str(text: &str) -> Result<Self, AllowListError> {
        let lines = text.lines().map(str::trim);
        Self::new(lines.filter(|line| !line.is_empty() && !line.starts_with('#')))
    }
}

#[cfg(test)]
mod tests;
