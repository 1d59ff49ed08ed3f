//! Selects the proxy for a host.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use http::{HeaderValue, Uri, uri::Scheme};
use hyper_util::client::proxy::matcher::Matcher;

/// An HTTP proxy that opens tunnels (`CONNECT`).
///
/// TLS runs inside the tunnel, so the proxy cannot read the requests.
///
/// ```
/// use job_transport::Proxy;
///
/// let proxy = Proxy::new("http://user:secret@proxy.example:3128", "localhost,.internal.example")?;
/// assert!(!format!("{proxy:?}").contains("secret"));
/// # Ok::<(), job_transport::ProxyError>(())
/// ```
#[derive(Clone)]
pub struct Proxy(Arc<Matcher>);

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
}

impl Proxy {
    /// Creates a proxy from its URL, which may contain a user and a password.
    ///
    /// Hosts in `except` are reached directly. It has the form of `NO_PROXY`: a comma-separated
    /// list of host names, domain suffixes, IP addresses and networks.
    ///
    /// # Errors
    ///
    /// Returns an error if `url` is not a URL, or its scheme is not `http`.
    pub fn new(url: &str, except: &str) -> Result<Self, ProxyError> {
        Self(Arc::new(Matcher::builder().all(url).build())).validate()?;
        Ok(Self(Arc::new(Matcher::builder().all(url).no(except).build())))
    }

    /// Creates a proxy from the variables `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    ///
    /// Their names may be in upper or lower case. Returns `None` if no proxy is set.
    ///
    /// # Errors
    ///
    /// Returns an error if the scheme of the proxy's URL is not `http`.
    pub fn from_environment() -> Result<Option<Self>, ProxyError> {
        Self(Arc::new(Matcher::from_env())).validate().map(Some).or_else(|error| match error {
            ProxyError::NotUrl => Ok(None),
            error => Err(error),
        })
    }

    /// Returns the proxy for this host, and the value of its `Proxy-Authorization` header. Returns
    /// `None` for plain http, because the proxy could read the request.
    pub(crate) fn for_host(&self, host: &Uri) -> Option<(Uri, Option<HeaderValue>)> {
        host.scheme().filter(|scheme| **scheme == Scheme::HTTPS)?;
        let intercept = self.0.intercept(host)?;
        Some((intercept.uri().clone(), intercept.basic_auth().cloned()))
    }

    fn validate(self) -> Result<Self, ProxyError> {
        match self.0.intercept(&PROBE_URI) {
            None => Err(ProxyError::NotUrl),
            Some(proxy) if proxy.uri().scheme_str() != Some("http") => Err(ProxyError::NotHttp),
            Some(_) => Ok(self),
        }
    }
}

/// Writes the proxy's URL without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.for_host(&PROBE_URI) {
            Some((uri, _)) => uri.fmt(f),
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

/// A URI that no list of exceptions contains.
static PROBE_URI: LazyLock<Uri> = LazyLock::new(|| Uri::from_static("https://service.invalid"));

#[cfg(test)]
mod tests;
