//! Which requests may travel over plain http: those to this machine, and those that are marked.

use std::net::IpAddr;

/// Marks a request, as an extension of it, that may leave this machine over plain http: its endpoint was opted in.
/// Whoever is on the way can read it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AllowHttp;

impl AllowHttp {
    /// Creates the mark.
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

/// Returns whether a URL's host is this machine, for which alone plain http is taken.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address: IpAddr| address.is_loopback())
}
