//! Selects the proxy for a host.

mod exceptions;

use std::{
    env,
    ffi::OsString,
    fmt,
    sync::{Arc, LazyLock},
};

use http::{HeaderValue, Uri, uri::Scheme};
use hyper_util::client::proxy::matcher::Matcher;

use self::exceptions::Exceptions;
use crate::transport::{is_link_local, is_loopback};

/// An HTTP proxy that opens tunnels (`CONNECT`).
///
/// TLS runs inside the tunnel, so the proxy cannot read the requests. Requests to this machine
/// (`localhost` and loopback addresses), to metadata and pod identity services (169.254.0.0/16), and
/// over plain http never use the proxy.
///
/// # Examples
///
/// ```
/// use job_transport::hyper::Proxy;
///
/// let proxy = Proxy::new("http://user:secret@proxy.example:3128", ".internal.example")?;
/// assert!(!format!("{proxy:?}").contains("secret"));
/// assert!(proxy.is_used_for(&"https://cce.eu-de.otc.t-systems.com".parse()?));
/// assert!(!proxy.is_used_for(&"https://cce.internal.example".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Proxy(Arc<Rules>);

struct Rules {
    proxy: Matcher,
    exceptions: Exceptions,
}

/// The error of a text that is not a valid proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The text is not the URL of a proxy.
    #[error("not a proxy URL; expected for example http://proxy.example:3128")]
    NotUrl,
    /// The scheme of the URL is not `http`.
    #[error("the proxy URL must start with http:// (the tunnel to the service is encrypted)")]
    NotHttp,
    /// The value of this variable is not valid UTF-8.
    #[error("{0} is not valid UTF-8")]
    NotUtf8(&'static str),
}

impl Proxy {
    /// Creates a proxy from its URL, which may contain a user and a password.
    ///
    /// Hosts in `except` are reached directly. It has the form of `NO_PROXY`: a list that is
    /// separated by commas or spaces. Each entry is `*` (every host), a domain (with its
    /// subdomains, with or without a leading dot), an IP address or a network such as
    /// `10.0.0.0/8`; a port may follow (`cce.example:8443`, `[::1]:8443`). Networks apply to URLs
    /// that contain an address; names are not resolved.
    ///
    /// # Errors
    ///
    /// Returns an error if `url` is not a URL, or its scheme is not `http`.
    pub fn new(url: &str, except: &str) -> Result<Self, ProxyError> {
        let proxy = Matcher::builder().all(url.trim()).build();
        match proxy.intercept(&PROBE_URI) {
            None => Err(ProxyError::NotUrl),
            Some(found) if found.uri().scheme_str() != Some("http") => Err(ProxyError::NotHttp),
            Some(_) => Ok(Self(Arc::new(Rules { proxy, exceptions: Exceptions::new(except) }))),
        }
    }

    /// Creates a proxy from the variables `HTTPS_PROXY` or `ALL_PROXY`, and `NO_PROXY`.
    ///
    /// Their names may be in upper or lower case; upper case is tried first. An empty variable
    /// counts as not set. Returns `None` if no proxy is set.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy's value is not a URL, or its scheme is not `http`, or if a value
    /// is not valid UTF-8.
    pub fn from_environment() -> Result<Option<Self>, ProxyError> {
        Self::from_variables(env::var_os)
    }

    fn from_variables(
        value: impl Fn(&'static str) -> Option<OsString>,
    ) -> Result<Option<Self>, ProxyError> {
        let first = |names: &[&'static str]| {
            let value = |name| Some((name, value(name).filter(|value| !value.is_empty())?));
            let found = names.iter().copied().find_map(value);
            let text =
                found.map(|(name, text)| text.into_string().map_err(|_| ProxyError::NotUtf8(name)));
            text.transpose()
        };
        let url = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?;
        let Some(url) = url else { return Ok(None) };
        let except = first(&["NO_PROXY", "no_proxy"])?.unwrap_or_default();
        Self::new(&url, &except).map(Some)
    }

    /// Returns whether a request to this URI goes through the proxy.
    #[must_use]
    pub fn is_used_for(&self, uri: &Uri) -> bool {
        self.for_host(uri).is_some()
    }

    /// Returns the proxy for this host, and the value of its `Proxy-Authorization` header. Returns
    /// `None` for plain http, because the proxy could read the request.
    pub(crate) fn for_host(&self, uri: &Uri) -> Option<(Uri, Option<HeaderValue>)> {
        uri.scheme().filter(|scheme| **scheme == Scheme::HTTPS)?;
        let is_local = |host: &str| is_loopback(host) || is_link_local(host);
        if uri.host().is_some_and(is_local) || self.0.exceptions.contain(uri) {
            return None;
        }
        let intercept = self.0.proxy.intercept(uri)?;
        Some((intercept.uri().clone(), intercept.basic_auth().cloned()))
    }
}

/// Writes the proxy's URL without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.proxy.intercept(&PROBE_URI) {
            Some(proxy) => proxy.uri().fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// Omits user and password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// A URI for which a proxy without exceptions is used.
static PROBE_URI: LazyLock<Uri> = LazyLock::new(|| Uri::from_static("https://service.invalid"));

#[cfg(test)]
mod tests;
