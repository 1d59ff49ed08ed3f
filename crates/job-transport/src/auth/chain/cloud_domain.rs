//! A cloud, by its name or by the domain of its hosts.

use std::{fmt, str::FromStr};

use super::service_hosts::ServiceHostsError;
use crate::request::{Cloud, is_label};

/// A cloud, by its name or by the domain of its hosts.
///
/// # Examples
///
/// ```
/// use job_transport::{auth::CloudDomain, request::Cloud};
///
/// assert_eq!("otc".parse(), Ok(CloudDomain::Named(Cloud::OpenTelekom)));
/// let domain: CloudDomain = "prod-cloud-ocb.orange-business.com".parse()?;
/// assert_eq!(domain.to_string(), "prod-cloud-ocb.orange-business.com");
/// assert!("example".parse::<CloudDomain>().is_err());
/// # Ok::<(), job_transport::auth::ServiceHostsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudDomain {
    /// A cloud whose domain is known.
    Named(Cloud),
    /// The domain of the hosts, in lower case: a host is `{service}.{region}.{domain}`.
    Domain(String),
}

impl CloudDomain {
    /// Creates a cloud from its domain.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a host name with at least two labels.
    pub fn from_domain(domain: &str) -> Result<Self, ServiceHostsError> {
        let domain = domain.to_ascii_lowercase();
        match is_domain(&domain) {
            true => Ok(Self::Domain(domain)),
            false => Err(ServiceHostsError::InvalidCloud),
        }
    }

    pub(super) fn domain(&self, region: &str) -> &str {
        match self {
            Self::Named(cloud) => cloud.domain(region),
            Self::Domain(domain) => domain,
        }
    }
}

/// Parses `huawei`, `otc` or a domain.
impl FromStr for CloudDomain {
    type Err = ServiceHostsError;

    fn from_str(text: &str) -> Result<Self, ServiceHostsError> {
        text.parse().map_or_else(|_| Self::from_domain(text), |cloud| Ok(Self::Named(cloud)))
    }
}

impl fmt::Display for CloudDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Named(cloud) => cloud.as_str(),
            Self::Domain(domain) => domain,
        })
    }
}

/// Returns whether a text is a host name with at least two labels. An IP address is not.
pub(super) fn is_domain(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    text.contains('.') && text.split('.').all(is_label) && !last.bytes().all(|c| c.is_ascii_digit())
}
