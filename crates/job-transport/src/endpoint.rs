//! Where the service is, and the address of a job there. Sends nothing.

use std::{fmt, net::IpAddr, str::FromStr};

use http::{Uri, uri::Scheme};
use job_model::{JobId, ProjectId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands unencoded in a path segment: RFC 3986's unreserved characters.
pub(crate) const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The base URL of the service, such as `https://cce.eu-de.otc.t-systems.com`.
///
/// Over https, or over http to this machine alone. A path is kept as a prefix; a slash at its end
/// is not, since what follows starts with one.
///
/// ```
/// use job_transport::{Endpoint, EndpointError};
///
/// let endpoint: Endpoint = "https://proxy.example/cce/".parse()?;
/// assert_eq!(endpoint.to_string(), "https://proxy.example/cce");
/// assert_eq!("http://cce.example".parse::<Endpoint>(), Err(EndpointError::NotHttps));
/// # Ok::<(), EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The text is not a URL.
    #[error("not a URL; an endpoint looks like https://cce.eu-de.otc.t-systems.com")]
    NotUrl,
    /// The scheme is not https, and the host is not this machine.
    #[error("not https; http is for this machine (localhost) alone")]
    NotHttps,
    /// The URL holds a user or a password.
    #[error("an endpoint holds no user or password; they go into the credentials")]
    UserInfo,
    /// The URL has a query or a fragment.
    #[error("an endpoint has no `?` and no `#`")]
    QueryOrFragment,
    /// The port is no number from 0 to 65535.
    #[error("the port is no number from 0 to 65535")]
    Port,
}

impl Endpoint {
    /// Returns the URI of a job: `/api/v3/projects/{project_id}/jobs/{job_id}` below the base URL
    /// (reference page, "URI"). Fails where the prefix is so long that the whole is no valid URI.
    pub(crate) fn job_uri(&self, project: &ProjectId, job: &JobId) -> Result<Uri, http::Error> {
        let encode = |id| utf8_percent_encode(id, ENCODED);
        let (project, job) = (encode(project.as_str()), encode(job.as_str()));
        let uri = format!("{}/api/v3/projects/{project}/jobs/{job}", self.0);
        Ok(Uri::try_from(uri)?)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(EndpointError::NotUrl);
        };
        let host = authority.host();
        if host.is_empty() {
            Err(EndpointError::NotUrl)
        } else if uri.query().is_some() || text.contains('#') {
            // Looked for in the text: `http::Uri` drops a fragment without a word.
            Err(EndpointError::QueryOrFragment)
        } else if authority.as_str().contains('@') {
            Err(EndpointError::UserInfo)
        } else if authority.port_u16().is_none() && authority.as_str() != host {
            Err(EndpointError::Port)
        } else if *scheme != Scheme::HTTPS && !(*scheme == Scheme::HTTP && is_loopback(host)) {
            Err(EndpointError::NotHttps)
        } else {
            Ok(Self(text.trim_end_matches('/').into()))
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether the host is this machine, for which alone plain http is taken.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests;
