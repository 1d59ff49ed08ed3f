//! By which proxy a host is reached, if by any. Opens no connection.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use http::{HeaderValue, Uri, uri::Scheme};
use hyper_util::client::proxy::matcher::Matcher;

/// A proxy that opens tunnels (CONNECT), so that TLS is with the service itself.
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

/// Why a text is no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The text is not the URL of a proxy.
    #[error("not a proxy; one looks like http://proxy.example:3128")]
    NotUrl,
    /// The proxy is reached over something else than http.
    #[error("a proxy is reached over http; what goes through its tunnel is encrypted all the same")]
    NotHttp,
}

impl Proxy {
    /// Takes a proxy's URL, with a user and a password if it asks for them, and the hosts that are
    /// reached without it: names, their endings, addresses and networks, as in `NO_PROXY`.
    ///
    /// # Errors
    ///
    /// Where the text is no URL of a proxy over http.
    pub fn new(url: &str, except: &str) -> Result<Self, ProxyError> {
        Self(Arc::new(Matcher::builder().all(url).build())).validate()?;
        Ok(Self(Arc::new(Matcher::builder().all(url).no(except).build())))
    }

    /// Takes what the environment says, as other programs do: `HTTPS_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`, in capital or small letters.
    ///
    /// # Errors
    ///
    /// Where a proxy is named that is none over http.
    pub fn from_environment() -> Result<Option<Self>, ProxyError> {
        Self(Arc::new(Matcher::from_env())).validate().map(Some).or_else(|error| match error {
            ProxyError::NotUrl => Ok(None),
            error => Err(error),
        })
    }

    /// Returns the proxy by which this host is reached, and what it asks for. Over plain http there
    /// is none: it would read what is meant for this machine alone.
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

/// Shows the proxy's URL, without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.for_host(&PROBE_URI) {
            Some((uri, _)) => uri.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// Shows neither user nor password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// A host that no list of exceptions names.
static PROBE_URI: LazyLock<Uri> = LazyLock::new(|| Uri::from_static("https://service.invalid"));

#[cfg(test)]
mod tests;
