//! Derives the hosts that may receive the credentials. Performs no I/O.
//!
//! Credentials must reach only the operator that issued them. Therefore each host was given, or it
//! has exactly the domain of a host or a cloud that was given. Only the table of regions adds a
//! domain, and it lists only the regions that a single operator has.

use std::collections::BTreeMap;

use super::{
    cloud_domain::{CloudDomain, is_domain},
    service_hosts::{IdentityHostIssue, ServiceHosts, ServiceHostsError},
    sourced::Sourced,
};
use crate::request::{Cloud, Endpoint, EndpointError, is_label};

/// Which regions determine their cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RegionTable {
    /// All regions that a single operator has. For credentials whose names belong to Huawei Cloud.
    #[default]
    All,
    /// Only the regions of Open Telekom Cloud. For other credentials.
    OpenTelekomOnly,
}

/// The settings that determine the hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct HostSettings {
    /// The endpoint that the caller has set.
    pub(super) endpoint: Option<Sourced<Endpoint>>,
    /// Endpoints for single regions: variables with the prefix [`REGION_ENDPOINT`].
    pub(super) region_endpoints: BTreeMap<String, String>,
    /// The region that the caller has set, or else that of the credentials' source.
    pub(super) region: Option<Sourced<String>>,
    pub(super) identity: Option<Sourced<Endpoint>>,
    pub(super) token_service: Option<Sourced<Endpoint>>,
    pub(super) clouds: Vec<Sourced<CloudDomain>>,
    pub(super) table: RegionTable,
}

/// The prefix of variables that set the endpoint for a region. The region follows in upper case
/// with `_` instead of `-`.
pub(super) const REGION_ENDPOINT: &str = "HUAWEICLOUD_SDK_REGION_CCE_";

/// A region of an operator. The region is `None` for a host that serves all regions.
struct Location {
    region: Option<String>,
    domain: String,
}

impl HostSettings {
    /// Returns the hosts for the credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is invalid, if two settings contradict each other, or if the
    /// host of the service cannot be derived from the settings.
    pub(super) fn hosts(&self) -> Result<ServiceHosts, ServiceHostsError> {
        let named = self.region.as_ref();
        if let Some(named) = named.filter(|named| !is_label(&named.value)) {
            let error = EndpointError::InvalidRegion;
            return Err(ServiceHostsError::InvalidRegion(named.clone(), error));
        }
        let identity = self.identity.as_ref();
        let location = identity.map(|identity| {
            let name = named.map(|named| &*named.value);
            identity_location(&identity.value, name)
                .map_err(|issue| ServiceHostsError::IdentityHost(identity.source.clone(), issue))
        });
        let with_source = |region: &String| {
            Sourced::new(region.clone(), identity.map_or("", |identity| &*identity.source))
        };
        let of_identity = location.as_ref().and_then(|location| location.as_ref().ok());
        let of_identity = of_identity.and_then(|location| location.region.as_ref());
        let region = named.cloned().or_else(|| of_identity.map(with_source));

        let endpoint = match &self.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => region.as_ref().map_or(Ok(None), |region| self.region_endpoint(region))?,
        };
        if let Some(endpoint) = endpoint {
            return Ok(self.hosts_beside(endpoint, location.and_then(Result::ok)));
        }
        let location = location.transpose()?;
        let Some(region) = region else {
            return Ok(ServiceHosts {
                identity: self.identity.clone(),
                token_service: self.token_service.clone(),
                ..ServiceHosts::default()
            });
        };
        let domain = match self.given_domain(location.as_ref(), &region)? {
            Some(domain) => domain,
            None => Sourced::new(self.domain_from_table(&region)?, &*region.source),
        };
        let source = match region.source == domain.source {
            true => region.source.clone(),
            false => format!("{}, {}", region.source, domain.source),
        };
        let host = |service| {
            let endpoint = Endpoint::for_domain(service, &region.value, &domain.value);
            let invalid = |error| ServiceHostsError::InvalidRegion(region.clone(), error);
            Ok(Some(Sourced::new(endpoint.map_err(invalid)?, &*source)))
        };
        let or_host = |given: &Option<Sourced<Endpoint>>, service| match given {
            Some(given) => Ok(Some(given.clone())),
            None => host(service),
        };
        Ok(ServiceHosts {
            endpoint: host("cce")?,
            identity: or_host(&self.identity, "iam")?,
            token_service: or_host(&self.token_service, "sts")?,
            region: Some(region.clone()),
        })
    }

    /// Returns the endpoint that a variable sets for the region.
    fn region_endpoint(
        &self,
        region: &Sourced<String>,
    ) -> Result<Option<Sourced<Endpoint>>, ServiceHostsError> {
        let suffix = region.value.replace('-', "_").to_ascii_uppercase();
        let name = format!("{REGION_ENDPOINT}{suffix}");
        let Some(urls) = self.region_endpoints.get(&name) else { return Ok(None) };
        // The SDKs accept several URLs, and hosts without a scheme.
        let url = urls.split(',').next().unwrap_or_default().trim();
        let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        match url.parse() {
            Ok(endpoint) => Ok(Some(Sourced::new(endpoint, name))),
            Err(error) => Err(ServiceHostsError::InvalidUrl(name, error)),
        }
    }

    /// Returns the hosts if the endpoint is set. The table of regions is not used, because the
    /// endpoint may be that of another operator.
    fn hosts_beside(
        &self,
        endpoint: Sourced<Endpoint>,
        identity: Option<Location>,
    ) -> ServiceHosts {
        let own = endpoint_location(&endpoint.value);
        let identity_source = self.identity.as_ref().map_or("", |identity| &*identity.source);
        let region_of = |location: Option<&Location>, source: &str| {
            Some(Sourced::new(location?.region.clone()?, source))
        };
        let region = self.region.clone();
        let region = region.or_else(|| region_of(own.as_ref(), &endpoint.source));
        let region = region.or_else(|| region_of(identity.as_ref(), identity_source));
        let beside = match (identity, own, &region) {
            // The token service belongs to the identity service.
            (Some(Location { region: Some(region), domain }), ..) => {
                Some((region, domain, identity_source.to_owned()))
            }
            (Some(Location { region: None, domain }), _, Some(region)) => {
                Some((region.value.clone(), domain, identity_source.to_owned()))
            }
            (None, Some(Location { region: Some(region), domain }), _) => {
                Some((region, domain, endpoint.source.clone()))
            }
            (None, _, Some(region)) => match self.given_domain(None, region) {
                Ok(Some(domain)) => Some((region.value.clone(), domain.value, domain.source)),
                Ok(None) | Err(_) => None,
            },
            _ => None,
        };
        let host = |service| {
            let (region, domain, source) = beside.as_ref()?;
            let endpoint = Endpoint::for_domain(service, region, domain).ok()?;
            Some(Sourced::new(endpoint, &**source))
        };
        ServiceHosts {
            identity: self.identity.clone().or_else(|| host("iam")),
            token_service: self.token_service.clone().or_else(|| host("sts")),
            endpoint: Some(endpoint),
            region,
        }
    }

    /// Returns the domain that the identity service or a cloud gives, or `None` if there is
    /// neither.
    fn given_domain(
        &self,
        identity: Option<&Location>,
        region: &Sourced<String>,
    ) -> Result<Option<Sourced<String>>, ServiceHostsError> {
        let of_identity = identity.zip(self.identity.as_ref());
        let of_identity =
            of_identity.map(|(at, identity)| Sourced::new(at.domain.clone(), &*identity.source));
        let of_clouds = self.clouds.iter().map(|cloud| {
            Sourced::new(cloud.value.domain(&region.value).to_owned(), &*cloud.source)
        });
        let mut domains = of_identity.into_iter().chain(of_clouds);
        let Some(domain) = domains.next() else { return Ok(None) };
        if let Some(other) = domains.find(|other| other.value != domain.value) {
            return Err(ServiceHostsError::Conflict(domain, other));
        }
        // Below a domain that is not known, such as `co.uk`, another region may be another
        // operator's host.
        if let Some((location, identity)) = identity.zip(self.identity.as_ref())
            && let Some(other) = location.region.as_ref().filter(|own| **own != region.value)
            && self.clouds.is_empty()
            && !OPERATOR_DOMAINS.contains(&&*location.domain)
        {
            return Err(ServiceHostsError::OtherRegion {
                identity: Sourced::new(other.clone(), &*identity.source),
                region: region.clone(),
                domain: location.domain.clone(),
            });
        }
        Ok(Some(domain))
    }

    fn domain_from_table(&self, region: &Sourced<String>) -> Result<String, ServiceHostsError> {
        match (Cloud::from_region(&region.value), self.table) {
            (Some(cloud), RegionTable::All)
            | (Some(cloud @ Cloud::OpenTelekom), RegionTable::OpenTelekomOnly) => {
                Ok(cloud.domain(&region.value).to_owned())
            }
            _ => Err(ServiceHostsError::UnknownRegion(region.clone())),
        }
    }
}

/// The domains of operators, below which all regions are theirs. A longer domain is before the one
/// that it ends with.
const OPERATOR_DOMAINS: [&str; 5] = [
    "myhuaweicloud.com",
    "myhuaweicloud.eu",
    "sc.otc.t-systems.com",
    "otc.t-systems.com",
    "prod-cloud-ocb.orange-business.com",
];

/// Returns the region and the domain of an identity service's host:
/// `iam.{region}.{domain}`, `iam-pub.{region}.{domain}` or `iam.{domain}`.
fn identity_location(
    endpoint: &Endpoint,
    region: Option<&str>,
) -> Result<Location, IdentityHostIssue> {
    let host = checked_host(endpoint)?;
    let rest = host.strip_prefix("iam.").or_else(|| host.strip_prefix("iam-pub."));
    let rest = rest.filter(|rest| is_domain(rest)).ok_or(IdentityHostIssue::Form)?;
    let global = || Location { region: None, domain: rest.to_owned() };
    let regional = |region: &str, domain: &str| Location {
        region: Some(region.to_owned()),
        domain: domain.to_owned(),
    };
    for domain in OPERATOR_DOMAINS {
        if rest == domain {
            return Ok(global());
        }
        let region = rest.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
        if let Some(region) = region.filter(|region| is_label(region)) {
            return Ok(regional(region, domain));
        }
    }
    Ok(match rest.split_once('.') {
        Some((label, domain))
            if is_domain(domain) && (region == Some(label) || is_region_name(label)) =>
        {
            regional(label, domain)
        }
        _ => global(),
    })
}

/// Returns the region and the domain of an endpoint `https://cce.{region}.{domain}`.
fn endpoint_location(endpoint: &Endpoint) -> Option<Location> {
    let host = checked_host(endpoint).ok()?;
    let (region, domain) = host.strip_prefix("cce.")?.split_once('.')?;
    (is_label(region) && is_domain(domain))
        .then(|| Location { region: Some(region.to_owned()), domain: domain.to_owned() })
}

/// Returns the host name of an endpoint on port 443.
fn checked_host(endpoint: &Endpoint) -> Result<String, IdentityHostIssue> {
    let host = endpoint.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    if address.parse::<std::net::IpAddr>().is_ok() || host == "localhost" {
        return Err(IdentityHostIssue::Address);
    }
    match endpoint.port() {
        None | Some(443) => Ok(host),
        Some(port) => Err(IdentityHostIssue::Port(port)),
    }
}

/// Returns whether a label has the form of a region's name, such as `eu-de`, `eu-ch2` or
/// `cn-north-4`.
fn is_region_name(label: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase());
    let Some((area, rest)) = label.split_once('-') else { return false };
    let has_form = match rest.rsplit_once('-') {
        Some((place, number)) => {
            place.split('-').all(is_word)
                && !number.is_empty()
                && number.bytes().all(|c| c.is_ascii_digit())
        }
        None => is_word(rest.trim_end_matches(|c: char| c.is_ascii_digit())) && rest.len() <= 3,
    };
    area.len() == 2 && is_word(area) && has_form
}

#[cfg(test)]
mod tests;
