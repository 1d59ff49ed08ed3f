//! Where the service is, and the address of a job there. Sends nothing.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use http::{Request, Uri, uri::Scheme};
use job_model::{JobId, ProjectId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::transport::{AllowHttp, is_loopback};

/// What stands unencoded in a path segment: RFC 3986's unreserved characters.
pub(crate) const PATH_ENCODE_SET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The base URL of the service, such as `https://cce.eu-de.otc.t-systems.com`.
///
/// Over https, or over http to this machine alone. A path is kept as a prefix; a slash at its end
/// is not, since what follows starts with one.
///
/// ```
/// use job_transport::{Cloud, Endpoint, EndpointError};
///
/// let endpoint: Endpoint = "https://proxy.example/cce/".parse()?;
/// assert_eq!(endpoint.to_string(), "https://proxy.example/cce");
/// assert_eq!("http://cce.example".parse::<Endpoint>(), Err(EndpointError::NotHttps));
///
/// let endpoint = Endpoint::for_region(Cloud::OpenTelekom, "eu-de")?;
/// assert_eq!(endpoint.to_string(), "https://cce.eu-de.otc.t-systems.com");
/// # Ok::<(), EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    base: String,
    allow_http: bool,
}

/// Whose cloud it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cloud {
    /// Huawei Cloud.
    Huawei,
    /// Open Telekom Cloud.
    OpenTelekom,
}

impl Cloud {
    const ALL: [Self; 2] = [Self::Huawei, Self::OpenTelekom];

    /// Returns the cloud that has a region of this name: Open Telekom Cloud has `eu-de` and `eu-nl`,
    /// every other is taken for Huawei Cloud's.
    #[must_use]
    pub fn from_region(region: &str) -> Self {
        if ["eu-de", "eu-nl"].contains(&region) { Self::OpenTelekom } else { Self::Huawei }
    }

    fn domain(self, region: &str) -> &'static str {
        match (self, region) {
            (Self::Huawei, "eu-west-101") => "myhuaweicloud.eu",
            (Self::Huawei, _) => "myhuaweicloud.com",
            (Self::OpenTelekom, _) => "otc.t-systems.com",
        }
    }
}

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
    InvalidPort,
    /// The text is no region.
    #[error("not a region; one looks like eu-de or cn-north-4")]
    InvalidRegion,
}

impl Endpoint {
    /// Returns the job API's endpoint in a region of a cloud.
    ///
    /// # Errors
    ///
    /// Where the region has other characters than small letters, digits and hyphens. Whether the
    /// cloud has such a region shows when it is asked.
    pub fn for_region(cloud: Cloud, region: &str) -> Result<Self, EndpointError> {
        Self::for_service("cce", cloud, region)
    }

    /// Returns the identity service's endpoint in a region of a cloud.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::for_region`].
    pub fn identity_for_region(cloud: Cloud, region: &str) -> Result<Self, EndpointError> {
        Self::for_service("iam", cloud, region)
    }

    /// Takes an endpoint over plain http on any host: whoever is on the way there can read the
    /// credentials and change the replies.
    ///
    /// # Errors
    ///
    /// As for an endpoint over https.
    pub fn allow_http(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text, true)
    }

    fn for_service(service: &str, cloud: Cloud, region: &str) -> Result<Self, EndpointError> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if region.is_empty() || region.len() > 63 || !region.bytes().all(plain) {
            return Err(EndpointError::InvalidRegion);
        }
        format!("https://{service}.{region}.{}", cloud.domain(region)).parse()
    }

    /// Returns which region of which cloud this is the identity service of; `None` where it is of
    /// none, as one for all regions is.
    ///
    /// ```
    /// use job_transport::{Cloud, Endpoint};
    ///
    /// let endpoint: Endpoint = "https://iam.eu-de.otc.t-systems.com/v3".parse()?;
    /// assert_eq!(endpoint.identity_region(), Some((Cloud::OpenTelekom, "eu-de")));
    /// # Ok::<(), job_transport::EndpointError>(())
    /// ```
    #[must_use]
    pub fn identity_region(&self) -> Option<(Cloud, &str)> {
        let host = self.base.strip_prefix("https://iam.")?;
        let host = host.strip_suffix("/v3").unwrap_or(host);
        let (region, domain) = host.split_once('.')?;
        let cloud = Cloud::ALL.into_iter().find(|cloud| cloud.domain(region) == domain)?;
        Some((cloud, region))
    }

    fn parse(text: &str, allow_http: bool) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(EndpointError::NotUrl);
        };
        let host = authority.host();
        let may_be_plain = allow_http || is_loopback(host);
        if host.is_empty() {
            Err(EndpointError::NotUrl)
        } else if uri.query().is_some() || text.contains('#') {
            // Looked for in the text: `http::Uri` drops a fragment without a word.
            Err(EndpointError::QueryOrFragment)
        } else if authority.as_str().contains('@') {
            Err(EndpointError::UserInfo)
        } else if authority.port_u16().is_none() && authority.as_str() != host {
            Err(EndpointError::InvalidPort)
        } else if *scheme != Scheme::HTTPS && !(*scheme == Scheme::HTTP && may_be_plain) {
            Err(EndpointError::NotHttps)
        } else {
            Ok(Self { base: text.trim_end_matches('/').into(), allow_http })
        }
    }

    /// Returns the URI of a job: `/api/v3/projects/{project_id}/jobs/{job_id}` below the base URL
    /// (reference page, "URI"). Fails where the prefix is so long that the whole is no valid URI.
    pub(crate) fn job_uri(&self, project: &ProjectId, job: &JobId) -> Result<Uri, http::Error> {
        let encode = |id| utf8_percent_encode(id, PATH_ENCODE_SET);
        let (project, job) = (encode(project.as_str()), encode(job.as_str()));
        self.join(&format!("/api/v3/projects/{project}/jobs/{job}"))
    }

    /// Returns the URI by which tokens are had, whether or not the base URL names the version, as
    /// `OS_AUTH_URL` does.
    pub(crate) fn tokens_uri(&self) -> Result<Uri, http::Error> {
        let version = if self.base.ends_with("/v3") { "" } else { "/v3" };
        self.join(&format!("{version}/auth/tokens"))
    }

    /// Returns a GET of this URI, marked where it may go over plain http.
    pub(crate) fn request(&self, uri: Uri) -> Result<Request<Bytes>, http::Error> {
        let mut request = Request::get(uri).body(Bytes::new())?;
        if self.allow_http {
            request.extensions_mut().insert(AllowHttp);
        }
        Ok(request)
    }

    fn join(&self, path: &str) -> Result<Uri, http::Error> {
        Ok(Uri::try_from(format!("{}{path}", self.base))?)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text, false)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.base)
    }
}

#[cfg(test)]
mod tests;
