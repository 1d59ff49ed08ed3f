//! Rules for plain http: allowed to this machine, and for requests with the mark [`AllowHttp`].

use std::net::{IpAddr, Ipv4Addr};

/// A request extension that allows plain http to hosts other than this machine.
///
/// [`Endpoint::allow_http`](crate::Endpoint::allow_http) sets it on each request. Anyone on the
/// network path can read such a request, including its credentials.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AllowHttp;

impl AllowHttp {
    /// Creates the extension.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Default for AllowHttp {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whether the host of a URL is this machine: `localhost` or a loopback address.
///
/// Plain http is allowed to such hosts. An IPv6 address may be in brackets.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Returns whether the host of a URL is an IPv4 link-local address (169.254.0.0/16).
///
/// Metadata and pod identity services have such addresses. No router forwards them.
pub(crate) fn is_link_local(host: &str) -> bool {
    host.parse().is_ok_and(|address: Ipv4Addr| address.is_link_local())
}
