//! The hosts that may receive the credentials.

use super::sourced::Sourced;
use crate::request::{Endpoint, EndpointError};

/// The error of settings that do not determine the hosts for the credentials.
///
/// It contains no URL, because one may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceHostsError {
    /// A URL is not valid.
    #[error("{0}")]
    InvalidUrl(String, #[source] EndpointError),
    /// A region is not a valid name.
    #[error("{} {:?}", .0.source, .0.value)]
    InvalidRegion(Sourced<String>, #[source] EndpointError),
    /// A text does not name a cloud.
    #[error(
        "not a cloud; expected `huawei`, `otc`, or the domain of its hosts such as myhuaweicloud.com"
    )]
    InvalidCloud,
    /// Two settings name different clouds.
    #[error(
        "{} names the cloud {}, but {} names {}; unset one of them",
        .0.source, .0.value, .1.source, .1.value
    )]
    Conflict(Sourced<String>, Sourced<String>),
    /// The host of the identity service does not determine the host of the service.
    #[error("{0} {1}, so the service's host cannot be derived from it")]
    IdentityHost(String, IdentityHostIssue),
    /// The operator of the region is not known.
    #[error(
        "the region {} (from {}) may belong to several clouds; set the cloud (HW_CLOUD) or the URL of the identity service",
        .0.value, .0.source
    )]
    UnknownRegion(Sourced<String>),
    /// The identity service is in another region, and its domain may belong to several operators.
    #[error(
        "{} is in the region {}, but {} was requested (from {}); if {domain} also has it, set the cloud to {domain}",
        .identity.source, .identity.value, .region.value, .region.source
    )]
    #[non_exhaustive]
    OtherRegion {
        /// The region of the identity service.
        identity: Sourced<String>,
        /// The region of the service.
        region: Sourced<String>,
        /// The domain of the identity service below its region.
        domain: String,
    },
}

/// Why the host of an identity service does not determine the host of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityHostIssue {
    /// The port is not 443.
    #[error("has the port {0}")]
    Port(u16),
    /// The host is an IP address, or this machine.
    #[error("has an IP address as its host")]
    Address,
    /// The host is not `iam.{region}.{domain}`, `iam-pub.{region}.{domain}` or `iam.{domain}`.
    #[error("does not have a host such as iam.eu-de.otc.t-systems.com")]
    Form,
}

/// The hosts that receive credentials, each with its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceHosts {
    pub(super) endpoint: Option<Sourced<Endpoint>>,
    pub(super) identity: Option<Sourced<Endpoint>>,
    pub(super) token_service: Option<Sourced<Endpoint>>,
    pub(super) region: Option<Sourced<String>>,
}

impl ServiceHosts {
    /// Returns the endpoint of the service, or `None` if no endpoint and no region is set.
    #[must_use]
    pub const fn endpoint(&self) -> Option<&Sourced<Endpoint>> {
        self.endpoint.as_ref()
    }

    /// Returns the endpoint of the identity service (IAM).
    ///
    /// `None` if it is not set, and the other settings do not determine it.
    #[must_use]
    pub const fn identity(&self) -> Option<&Sourced<Endpoint>> {
        self.identity.as_ref()
    }

    /// Returns the endpoint of the token service (STS).
    ///
    /// `None` if it is not set, and the other settings do not determine it.
    #[must_use]
    pub const fn token_service(&self) -> Option<&Sourced<Endpoint>> {
        self.token_service.as_ref()
    }

    /// Returns the region of the service, if it is known.
    #[must_use]
    pub const fn region(&self) -> Option<&Sourced<String>> {
        self.region.as_ref()
    }
}
