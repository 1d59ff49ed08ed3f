//! The hosts that are reached without the proxy, in the form of `NO_PROXY`.
//!
//! hyper-util compares hosts, domains and networks. This file adds what it does not support: ports,
//! addresses in brackets, `*.` before a domain, a dot at the end of a name, and `*` for addresses.

use std::net::IpAddr;

use http::{Uri, uri::Scheme};
use hyper_util::client::proxy::matcher::Matcher;

/// The port of an `https` URL without one.
const HTTPS_PORT: u16 = 443;

/// Every host in the form of hyper-util, which compares `*` only with names.
const EVERY_HOST: &str = "*,0.0.0.0/0,::/0";

/// The hosts that are reached without the proxy.
pub(super) struct Exceptions {
    at_any_port: Matcher,
    at_one_port: Vec<(Matcher, u16)>,
}

impl Exceptions {
    /// Reads a list that is separated by commas or whitespace.
    pub(super) fn new(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        let entries = entries.filter(|entry| !entry.is_empty()).map(parse_entry);
        let (mut at_any_port, mut at_one_port) = (Vec::new(), Vec::new());
        for (host, port) in entries {
            match port {
                None => at_any_port.push(host),
                Some(port) => at_one_port.push((matcher(&host), port)),
            }
        }
        Self { at_any_port: matcher(&at_any_port.join(",")), at_one_port }
    }

    /// Returns whether the host of a URI is one of the exceptions.
    pub(super) fn contain(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else { return false };
        let probe = Uri::builder().scheme(Scheme::HTTPS).path_and_query("/");
        // A host that is not valid without the dot at its end is not valid with it.
        let Ok(host) = probe.authority(host.trim_end_matches('.')).build() else { return false };
        let port = uri.port_u16().unwrap_or(HTTPS_PORT);
        let is_exception = |matcher: &Matcher| matcher.intercept(&host).is_none();
        is_exception(&self.at_any_port)
            || self.at_one_port.iter().any(|(matcher, only)| *only == port && is_exception(matcher))
    }
}

/// Returns a matcher that intercepts every host except these.
fn matcher(except: &str) -> Matcher {
    Matcher::builder().all("http://proxy.invalid").no(except).build()
}

/// Returns the host of an entry in the form of hyper-util, and its port.
fn parse_entry(entry: &str) -> (String, Option<u16>) {
    let (host, port) = match entry.rsplit_once(':') {
        // The last colon may be part of an IPv6 address.
        Some((host, port)) if entry.parse::<IpAddr>().is_err() && !host.ends_with(':') => {
            match port.parse() {
                Ok(port) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
                _ => (entry, None),
            }
        }
        _ => (entry, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let host = match host.strip_prefix("*.") {
        Some(domain) => format!(".{domain}"),
        None if host == "*" => EVERY_HOST.to_owned(),
        None => host.to_owned(),
    };
    (host, port)
}
