//! The base URL of the service, and the URIs below it.

mod conversions;

use std::{fmt, str::FromStr};

use bytes::Bytes;
use http::{Request, Uri, uri::Scheme};
use job_model::{
    JobId, ProjectId,
    object::{ObjectId, ObjectKind},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::regions;
use crate::transport::{AllowHttp, is_link_local, is_loopback};

/// The characters to percent-encode in a path segment: all except RFC 3986's unreserved ones.
pub(crate) const PATH_ENCODE_SET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The end of the path that selects the API of Autopilot clusters.
const AUTOPILOT_PATH: &str = "/autopilot";

/// The path between the ids of a project and a job.
const JOBS: &str = "/jobs/";

/// The base URL of the service, such as `https://cce.eu-de.otc.t-systems.com`.
///
/// The scheme is `https`; `http` is allowed only to this machine. A path is kept as a prefix,
/// without slashes at its end.
///
/// Autopilot clusters have an API of their own, at the same host. A path that ends with
/// `/autopilot` selects it; see [`autopilot`](Self::autopilot).
///
/// With serde, an endpoint is its URL. Plain http to another machine
/// ([`allow_http`](Self::allow_http)) is not accepted when an endpoint is deserialized.
///
/// # Examples
///
/// ```
/// use job_transport::{
///     Endpoint,
///     request::{Cloud, EndpointError},
/// };
///
/// let endpoint: Endpoint = "https://proxy.example/cce/".parse()?;
/// assert_eq!(endpoint.to_string(), "https://proxy.example/cce");
/// assert_eq!("http://cce.example".parse::<Endpoint>(), Err(EndpointError::NotHttps));
///
/// let endpoint = Endpoint::for_region(Cloud::OpenTelekom, "eu-de")?;
/// assert_eq!(endpoint.to_string(), "https://cce.eu-de.otc.t-systems.com");
/// # Ok::<(), EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    base: String,
    allow_http: bool,
}

/// The operator of a cloud, which determines the domain of its endpoints.
///
/// Its text form is the short name, `huawei` or `otc`, also with serde.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Cloud {
    /// Huawei Cloud.
    Huawei,
    /// Open Telekom Cloud.
    OpenTelekom,
}

impl Cloud {
    const ALL: [Self; 2] = [Self::Huawei, Self::OpenTelekom];

    /// Returns the cloud of a region, or `None` if the region does not identify it.
    ///
    /// The result is `None` for unknown regions, and for those that several operators have, such as
    /// `eu-west-0`. Ask the user for the cloud then, because another operator must not receive the
    /// credentials.
    ///
    /// # Examples
    ///
    /// ```
    /// use job_transport::request::Cloud;
    ///
    /// assert_eq!(Cloud::from_region("eu-de"), Some(Cloud::OpenTelekom));
    /// assert_eq!(Cloud::from_region("cn-north-4"), Some(Cloud::Huawei));
    /// assert_eq!(Cloud::from_region("eu-west-0"), None);
    /// ```
    #[must_use]
    pub fn from_region(region: &str) -> Option<Self> {
        if regions::is_open_telekom(region) {
            Some(Self::OpenTelekom)
        } else {
            regions::is_huawei(region).then_some(Self::Huawei)
        }
    }

    /// Returns the domain of the cloud's hosts in a region.
    pub(crate) fn domain(self, region: &str) -> &'static str {
        match self {
            Self::Huawei if regions::is_european(region) => "myhuaweicloud.eu",
            Self::Huawei => "myhuaweicloud.com",
            Self::OpenTelekom => "otc.t-systems.com",
        }
    }
}

/// Returns whether a text is a label of a host name, in lower case.
pub(crate) fn is_label(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let has_hyphen_at_end = text.starts_with('-') || text.ends_with('-');
    !text.is_empty() && text.len() <= 63 && text.bytes().all(plain) && !has_hyphen_at_end
}

/// The error of a text that is not a valid endpoint or region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The text is not a URL.
    #[error("not a URL; expected for example https://cce.eu-de.otc.t-systems.com")]
    NotUrl,
    /// The scheme is not `https`, and the host is not this machine.
    #[error("the URL must start with https:// (http:// is allowed only for localhost)")]
    NotHttps,
    /// The URL contains a user or a password.
    #[error("the URL must not contain a user or password; they belong to the credentials")]
    UserInfo,
    /// The URL has a query or a fragment.
    #[error("the URL must not contain a query (`?`) or a fragment (`#`)")]
    QueryOrFragment,
    /// The port is not a number from 0 to 65535.
    #[error("the port is not a number from 0 to 65535")]
    InvalidPort,
    /// The scheme is not `https`, and the host of a metadata or pod identity service is neither this
    /// machine nor a link-local address.
    #[error(
        "the URL must start with https:// (http:// is allowed only for localhost and 169.254.0.0/16)"
    )]
    NotLinkLocal,
    /// The text is not a valid region name.
    #[error("not a region name; expected for example eu-de or cn-north-4")]
    InvalidRegion,
    /// The text is not the short name of a cloud.
    #[error("not a cloud; expected huawei or otc")]
    InvalidCloud,
}

impl Endpoint {
    /// Returns the endpoint of the CCE API in a region.
    ///
    /// Whether the region exists is not checked.
    ///
    /// # Errors
    ///
    /// Returns an error if `region` is empty, longer than 63 bytes, starts or ends with a hyphen, or
    /// contains characters other than lower-case ASCII letters, digits and hyphens.
    pub fn for_region(cloud: Cloud, region: &str) -> Result<Self, EndpointError> {
        Self::for_service("cce", cloud, region)
    }

    /// Returns the endpoint of the identity service (IAM) in a region.
    ///
    /// # Errors
    ///
    /// The errors of [`Endpoint::for_region`].
    pub fn identity_for_region(cloud: Cloud, region: &str) -> Result<Self, EndpointError> {
        Self::for_service("iam", cloud, region)
    }

    /// Parses an endpoint that may use plain http to any host.
    ///
    /// Anyone on the network path can read the credentials and change the replies.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a URL with the scheme `https` or `http`, or contains a
    /// user, a password, a query, a fragment or an invalid port.
    pub fn allow_http(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text, true)
    }

    /// Parses the URL of a metadata or pod identity service, which may use plain http to this machine
    /// and to 169.254.0.0/16.
    ///
    /// Such an address does not leave the host that the program runs on.
    pub(crate) fn link_local(text: &str) -> Result<Self, EndpointError> {
        let endpoint = Self::parse(text, true)?;
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotUrl)?;
        let host = uri.host().unwrap_or_default();
        let is_local = is_loopback(host) || is_link_local(host);
        if uri.scheme() != Some(&Scheme::HTTPS) && !is_local {
            return Err(EndpointError::NotLinkLocal);
        }
        Ok(endpoint)
    }

    /// Returns the endpoint of Autopilot clusters at the same host.
    ///
    /// Their jobs are at `/autopilot/v3/projects/{project_id}/jobs/{job_id}`, and not below
    /// `/api/v3`. The endpoint of Autopilot clusters itself is returned unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use job_transport::{Endpoint, request::Cloud};
    ///
    /// let endpoint = Endpoint::for_region(Cloud::Huawei, "cn-north-4")?.autopilot();
    /// assert_eq!(endpoint.to_string(), "https://cce.cn-north-4.myhuaweicloud.com/autopilot");
    /// assert!(endpoint.is_autopilot());
    /// assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
    /// # Ok::<(), job_transport::request::EndpointError>(())
    /// ```
    #[must_use]
    pub fn autopilot(mut self) -> Self {
        if !self.is_autopilot() {
            self.base += AUTOPILOT_PATH;
        }
        self
    }

    /// Returns whether this is the endpoint of Autopilot clusters.
    #[must_use]
    pub fn is_autopilot(&self) -> bool {
        let host_and_path = self.base.split_once("://").map_or(&*self.base, |(_, rest)| rest);
        host_and_path.find('/').is_some_and(|at| host_and_path[at..].ends_with(AUTOPILOT_PATH))
    }

    fn for_service(service: &str, cloud: Cloud, region: &str) -> Result<Self, EndpointError> {
        Self::for_domain(service, region, cloud.domain(region))
    }

    /// Returns the endpoint of a service in a region of the operator with this domain.
    pub(crate) fn for_domain(
        service: &str,
        region: &str,
        domain: &str,
    ) -> Result<Self, EndpointError> {
        if !is_label(region) {
            return Err(EndpointError::InvalidRegion);
        }
        format!("https://{service}.{region}.{domain}").parse()
    }

    /// Returns the host name or the IP address, in lower case.
    #[must_use]
    pub fn host(&self) -> String {
        let uri = self.base.parse::<Uri>().ok();
        uri.as_ref().and_then(Uri::host).unwrap_or_default().to_ascii_lowercase()
    }

    /// Returns the port, if the URL contains one.
    #[cfg(feature = "credential-chain")]
    pub(crate) fn port(&self) -> Option<u16> {
        self.base.parse::<Uri>().ok()?.port_u16()
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
            // Search the text for a fragment, because `http::Uri` drops it without an error.
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

    /// Returns the URI of a job (reference page, "URI"): [`job_path`](Self::job_path) below the
    /// base URL. Returns an error if the URI is too long.
    pub(crate) fn job_uri(&self, project: &ProjectId, job: &JobId) -> Result<Uri, http::Error> {
        let encode = |id| utf8_percent_encode(id, PATH_ENCODE_SET);
        let (project, job) = (project.as_str(), job.as_str());
        let projects = if self.is_autopilot() { "/v3/projects/" } else { "/api/v3/projects/" };
        // In one allocation, because each poll needs a URI.
        let len = self.base.len() + projects.len() + project.len() + JOBS.len() + job.len();
        let mut uri = String::with_capacity(len);
        uri.extend([&*self.base, projects]);
        uri.extend(encode(project));
        uri.push_str(JOBS);
        uri.extend(encode(job));
        Ok(Uri::try_from(uri)?)
    }

    /// Returns the path of a job's URI, with placeholders for the ids.
    pub(crate) fn job_path(&self) -> &'static str {
        if self.is_autopilot() {
            "/autopilot/v3/projects/{project_id}/jobs/{job_id}"
        } else {
            "/api/v3/projects/{project_id}/jobs/{job_id}"
        }
    }

    /// Returns the URI of the list of jobs: [`jobs_path`](Self::jobs_path) below the base URL.
    /// Returns an error if the URI is too long.
    pub(crate) fn jobs_uri(&self, project: &ProjectId) -> Result<Uri, http::Error> {
        let projects = if self.is_autopilot() { "/v2/projects/" } else { "/api/v2/projects/" };
        let project = utf8_percent_encode(project.as_str(), PATH_ENCODE_SET);
        self.join(&format!("{projects}{project}/jobs"))
    }

    /// Returns the path of the URI of the list of jobs, with a placeholder for the id.
    pub(crate) fn jobs_path(&self) -> &'static str {
        if self.is_autopilot() {
            "/autopilot/v2/projects/{project_id}/jobs"
        } else {
            "/api/v2/projects/{project_id}/jobs"
        }
    }

    /// Returns the URI of a cluster or a node: [`object_path`](Self::object_path) below the base URL.
    /// Returns an error if the URI is too long.
    pub(crate) fn object_uri(
        &self,
        project: &ProjectId,
        id: &ObjectId,
    ) -> Result<Uri, http::Error> {
        let encode = |id| utf8_percent_encode(id, PATH_ENCODE_SET);
        let projects = if self.is_autopilot() { "/v3/projects/" } else { "/api/v3/projects/" };
        let (project, cluster) = (encode(project.as_str()), encode(id.cluster().as_str()));
        let cluster = format!("{projects}{project}/clusters/{cluster}");
        match id.node() {
            None => self.join(&cluster),
            Some(node) => self.join(&format!("{cluster}/nodes/{}", encode(node.as_str()))),
        }
    }

    /// Returns the path of the URI of a cluster or a node, with placeholders for the ids.
    pub(crate) fn object_path(&self, kind: ObjectKind) -> &'static str {
        match (kind, self.is_autopilot()) {
            (ObjectKind::Cluster, false) => "/api/v3/projects/{project_id}/clusters/{cluster_id}",
            (ObjectKind::Cluster, true) => {
                "/autopilot/v3/projects/{project_id}/clusters/{cluster_id}"
            }
            (ObjectKind::Node, false) => {
                "/api/v3/projects/{project_id}/clusters/{cluster_id}/nodes/{node_id}"
            }
            // Inferred: no document shows this path.
            (ObjectKind::Node, true) => {
                "/autopilot/v3/projects/{project_id}/clusters/{cluster_id}/nodes/{node_id}"
            }
        }
    }

    /// Returns the URI for requesting a token.
    pub(crate) fn tokens_uri(&self) -> Result<Uri, http::Error> {
        self.identity_uri("/v3/auth/tokens")
    }

    /// Returns the URI of a path of the identity service. The base URL may end with the version
    /// `/v3`, as `OS_AUTH_URL` does; the path starts with its own version.
    pub(crate) fn identity_uri(&self, path: &str) -> Result<Uri, http::Error> {
        let base = self.base.strip_suffix("/v3").unwrap_or(&self.base);
        Ok(Uri::try_from(format!("{base}{path}"))?)
    }

    /// Returns a GET request, with the extension [`AllowHttp`] if plain http is allowed.
    pub(crate) fn request(&self, uri: Uri) -> Result<Request<Bytes>, http::Error> {
        let mut request = Request::get(uri).body(Bytes::new())?;
        if self.allow_http {
            request.extensions_mut().insert(AllowHttp);
        }
        Ok(request)
    }

    /// Returns the URI of a path below the base URL.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, http::Error> {
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
