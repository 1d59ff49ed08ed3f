//! Reads credentials from the environment variables and files that other clients of the service
//! use.

mod service_hosts;
mod error;
mod values;
mod files;
mod key_file;
mod resolved;

pub use error::CredentialChainError;
pub use resolved::{ResolvedCredentials, Setting};
pub use service_hosts::{
    CloudDomain, IdentityHostIssue, ServiceHosts, ServiceHostsError, Sourced,
};
pub use values::AuthMethod;

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use self::{
    files::{read_clouds_yaml, read_credentials_file},
    service_hosts::{HostSettings, REGION_ENDPOINT, RegionTable},
    values::{AuthConfig, Field, FieldNames, Values},
};
use crate::request::Endpoint;

/// Finds credentials in the places that the vendor's SDKs, Terraform and OpenStack clients use.
///
/// The first source that contains credentials is used. Values of different sources are never
/// combined; if the source is incomplete, that is an error.
///
/// | | convention | source |
/// |---|---|---|
/// | 1 | vendor | `HUAWEICLOUD_SDK_AK`, `_SK`, `_SECURITY_TOKEN`, `_PROJECT_ID` |
/// | 2 | Terraform | `HW_ACCESS_KEY`, `HW_SECRET_KEY`, `HW_SECURITY_TOKEN`, `HW_PROJECT_ID`, `HW_REGION_NAME`, `HW_AUTH_URL` |
/// | 3 | OpenStack | the cloud in `clouds.yaml` that `OS_CLOUD` names |
/// | 4 | OpenStack | `OS_TOKEN`; `OS_ACCESS_KEY`, `OS_SECRET_KEY`; `OS_USERNAME`, `OS_PASSWORD`, `OS_USER_DOMAIN_NAME`, `OS_AUTH_URL`; `OS_PROJECT_ID`, `OS_PROJECT_NAME`, `OS_REGION_NAME`, `OS_CACERT` |
/// | 5 | vendor | `~/.huaweicloud/credentials`, or the file that `HUAWEICLOUD_SDK_CREDENTIALS_FILE` names: `ak`, `sk`, `security_token`, `project_id` of `[basic]`, or of `[global]` if `[basic]` has no key |
///
/// Within a source, a token is preferred to a key pair, and a key pair to a password.
///
/// The path of `clouds.yaml` is the value of `OS_CLIENT_CONFIG_FILE`. By default it is the first of
/// `./clouds.yaml`, `~/.config/openstack/clouds.yaml` and `/etc/openstack/clouds.yaml` that
/// contains the cloud. Values in a `secure.yaml` in the same folder are added.
///
/// Empty variables are ignored. A file that contains a secret and that every user can read is an
/// error.
///
/// # Examples
///
/// ```
/// use job_transport::CredentialChain;
///
/// let chain = CredentialChain::new([("OS_TOKEN", "MIIFvg..."), ("OS_REGION_NAME", "eu-de")]);
/// let found = chain.resolve()?.expect("a token");
/// assert_eq!(found.region.as_deref(), Some("eu-de"));
/// let from: Vec<_> = found.settings().map(|setting| setting.source).collect();
/// assert_eq!(from, ["OS_TOKEN", "OS_REGION_NAME"]);
/// # Ok::<(), job_transport::CredentialChainError>(())
/// ```
#[derive(Clone)]
pub struct CredentialChain {
    variables: BTreeMap<String, SecretString>,
    auth_method: Option<AuthMethod>,
    token_file: Option<PathBuf>,
    endpoint: Option<Sourced<Endpoint>>,
    region: Option<Sourced<String>>,
    cloud: Option<Sourced<CloudDomain>>,
}

const VENDOR: &FieldNames = &[
    (Field::AccessKey, "HUAWEICLOUD_SDK_AK"),
    (Field::SecretKey, "HUAWEICLOUD_SDK_SK"),
    (Field::SecurityToken, "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
    (Field::ProjectId, "HUAWEICLOUD_SDK_PROJECT_ID"),
    (Field::AuthUrl, "HUAWEICLOUD_SDK_IAM_ENDPOINT"),
];

const TERRAFORM: &FieldNames = &[
    (Field::AccessKey, "HW_ACCESS_KEY"),
    (Field::SecretKey, "HW_SECRET_KEY"),
    (Field::SecurityToken, "HW_SECURITY_TOKEN"),
    (Field::ProjectId, "HW_PROJECT_ID"),
    (Field::Region, "HW_REGION_NAME"),
    (Field::AuthUrl, "HW_AUTH_URL"),
];

const OPEN_STACK: &FieldNames = &[
    (Field::Token, "OS_TOKEN"),
    (Field::AccessKey, "OS_ACCESS_KEY"),
    (Field::SecretKey, "OS_SECRET_KEY"),
    (Field::User, "OS_USERNAME"),
    (Field::Password, "OS_PASSWORD"),
    (Field::UserDomain, "OS_USER_DOMAIN_NAME"),
    (Field::ProjectName, "OS_PROJECT_NAME"),
    (Field::ProjectId, "OS_PROJECT_ID"),
    (Field::Region, "OS_REGION_NAME"),
    (Field::AuthUrl, "OS_AUTH_URL"),
    (Field::CaFile, "OS_CACERT"),
];

/// Variables that select files.
const FILE_VARIABLES: [&str; 4] =
    ["HOME", "HUAWEICLOUD_SDK_CREDENTIALS_FILE", "OS_CLOUD", "OS_CLIENT_CONFIG_FILE"];

/// Variables that name hosts for the credentials of every source.
const HOST_VARIABLES: [&str; 2] = ["HW_CLOUD", "HUAWEICLOUD_SDK_STS_ENDPOINT"];

impl CredentialChain {
    /// Creates a chain that uses these variables instead of the process environment.
    pub fn new<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let variables = variables.filter(|(_, value): &(_, String)| !value.is_empty());
        let variables = variables.map(|(name, value)| (name, value.into())).collect();
        Self {
            variables,
            auth_method: None,
            token_file: None,
            endpoint: None,
            region: None,
            cloud: None,
        }
    }

    /// Creates a chain from the current environment of the process.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = [VENDOR, TERRAFORM, OPEN_STACK].concat();
        let names = names.into_iter().map(|(_, name)| name);
        let names = names.chain(FILE_VARIABLES).chain(HOST_VARIABLES).map(String::from);
        let all = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let names = names.chain(all.filter(|name| name.starts_with(REGION_ENDPOINT)));
        Self::new(names.filter_map(|name| {
            let value = env::var(&name).ok()?;
            Some((name, value))
        }))
    }

    /// Uses only this authentication method and ignores the others.
    #[must_use]
    pub const fn auth_method(mut self, auth: AuthMethod) -> Self {
        self.auth_method = Some(auth);
        self
    }

    /// Reads the token from this file (see [`TokenFile`](crate::TokenFile)).
    ///
    /// The other settings (project, region, identity service, CA file) come from the first source
    /// that has one of them.
    #[must_use]
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.token_file = Some(file.into());
        self
    }

    /// Sets the endpoint of the service, with its origin. By default it is derived.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Sourced<Endpoint>) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Sets the region, with its origin. The default is that of the source.
    #[must_use]
    pub fn region(mut self, region: Sourced<String>) -> Self {
        self.region = Some(region);
        self
    }

    /// Sets the cloud, with its origin. The default is that of the identity service, of `HW_CLOUD`
    /// or of the region.
    #[must_use]
    pub fn cloud(mut self, cloud: Sourced<CloudDomain>) -> Self {
        self.cloud = Some(cloud);
        self
    }

    /// Returns the hosts that result without credentials.
    ///
    /// With credentials, [`ResolvedCredentials::hosts`] returns the hosts that may receive them.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is invalid, or if the host of the service cannot be derived.
    pub fn hosts(&self) -> Result<ServiceHosts, CredentialChainError> {
        let nothing = Values::empty(OPEN_STACK, String::new());
        let hosts = self.host_settings(&nothing, RegionTable::All)?.hosts();
        hosts.map_err(CredentialChainError::Hosts)
    }

    /// Returns the credentials of the first source, or `None` if there are none.
    ///
    /// # Errors
    ///
    /// Returns an error if a value is missing or invalid, or if a file cannot be read, is
    /// malformed, or contains a secret and is readable by every user.
    pub fn resolve(&self) -> Result<Option<ResolvedCredentials>, CredentialChainError> {
        let token_file = self.token_file.clone().map(AuthConfig::TokenFile);
        for source in [
            ChainSource::Vendor,
            ChainSource::Terraform,
            ChainSource::OpenStack,
            ChainSource::VendorFile,
        ] {
            let Some(values) = self.values(source)? else { continue };
            let auth_config = match &token_file {
                Some(file) => Some(file.clone()).filter(|file| values.has_values_for(file)),
                None => values.auth_config(self.auth_method)?,
            };
            if let Some(auth_config) = auth_config {
                let table = match source {
                    _ if token_file.is_some() => RegionTable::OpenTelekomOnly,
                    ChainSource::OpenStack => RegionTable::OpenTelekomOnly,
                    ChainSource::Vendor | ChainSource::Terraform | ChainSource::VendorFile => {
                        RegionTable::All
                    }
                };
                let hosts = self.host_settings(&values, table)?.hosts();
                let resolved = ResolvedCredentials::new(&values, auth_config, hosts)?;
                return Ok(Some(match self.is_file(source) {
                    true => resolved.with_chain(self.clone()),
                    false => resolved,
                }));
            }
            if self.is_explicit(source) && token_file.is_none() {
                let location = values.name_prefix.trim_end_matches(['.', ' ']).into();
                let missing = self.auth_method.map_or(AuthMethod::ANY_MISSING, AuthMethod::missing);
                return Err(CredentialChainError::NoCredentials { location, missing });
            }
        }
        let nothing = Values::empty(OPEN_STACK, String::new());
        let Some(file) = token_file else { return Ok(None) };
        let hosts = self.host_settings(&nothing, RegionTable::OpenTelekomOnly)?.hosts();
        ResolvedCredentials::new(&nothing, file, hosts).map(Some)
    }

    /// Returns the settings that determine the hosts for the credentials of a source.
    fn host_settings(
        &self,
        values: &Values<'_>,
        table: RegionTable,
    ) -> Result<HostSettings, CredentialChainError> {
        let of_source = values.get(Field::Region);
        let of_source = of_source.map(|(region, from)| Sourced::new(region.to_owned(), from));
        let url = |(text, from): (&str, &str)| match text.parse() {
            Ok(url) => Ok(Sourced::new(url, from)),
            Err(error) => Err(CredentialChainError::AuthUrl(from.into(), error)),
        };
        let named = |name: &'static str| self.get(name).map(|text| (text, name));
        let cloud = |(text, from): (&str, &str)| match CloudDomain::from_domain(text) {
            Ok(cloud) => Ok(Sourced::new(cloud, from)),
            Err(error) => Err(CredentialChainError::Cloud(from.into(), error)),
        };
        let cloud = named("HW_CLOUD").map(cloud).transpose()?;
        let region_endpoints = self.variables.iter();
        let region_endpoints =
            region_endpoints.filter(|(name, _)| name.starts_with(REGION_ENDPOINT));
        let region_endpoints = region_endpoints
            .map(|(name, url)| (name.clone(), url.expose_secret().to_owned()))
            .collect();
        Ok(HostSettings {
            endpoint: self.endpoint.clone(),
            region_endpoints,
            region: self.region.clone().or(of_source),
            identity: values.get(Field::AuthUrl).map(url).transpose()?,
            token_service: named("HUAWEICLOUD_SDK_STS_ENDPOINT").map(url).transpose()?,
            clouds: self.cloud.iter().cloned().chain(cloud).collect(),
            table,
        })
    }

    /// Returns the values of a source, or `None` if it does not exist.
    fn values(&self, source: ChainSource) -> Result<Option<Values<'static>>, CredentialChainError> {
        match source {
            ChainSource::Vendor => Ok(Some(self.environment_values(VENDOR))),
            ChainSource::Terraform => Ok(Some(self.environment_values(TERRAFORM))),
            ChainSource::OpenStack => match self.get("OS_CLOUD") {
                Some(cloud) => read_clouds_yaml(cloud, &self.clouds_yaml_paths()).map(Some),
                None => Ok(Some(self.environment_values(OPEN_STACK))),
            },
            ChainSource::VendorFile => match self.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE") {
                Some(file) => {
                    let file = Path::new(file);
                    fs::metadata(file)
                        .map_err(|error| CredentialChainError::File(file.into(), error))?;
                    let nothing = || Values::empty(VENDOR, file.display().to_string());
                    Ok(Some(read_credentials_file(file)?.unwrap_or_else(nothing)))
                }
                None => match self.home() {
                    Some(home) => read_credentials_file(&home.join(".huaweicloud/credentials")),
                    None => Ok(None),
                },
            },
        }
    }

    /// Returns whether a variable selects this source, so that the next ones are not tried.
    fn is_explicit(&self, source: ChainSource) -> bool {
        match source {
            ChainSource::Vendor | ChainSource::Terraform => false,
            ChainSource::OpenStack => self.get("OS_CLOUD").is_some(),
            ChainSource::VendorFile => self.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE").is_some(),
        }
    }

    /// Returns whether the values of this source are in a file, which another process may replace.
    fn is_file(&self, source: ChainSource) -> bool {
        match source {
            ChainSource::Vendor | ChainSource::Terraform => false,
            ChainSource::OpenStack => self.get("OS_CLOUD").is_some(),
            ChainSource::VendorFile => true,
        }
    }

    fn environment_values(&self, names: &'static FieldNames) -> Values<'static> {
        let value = |(field, name): &(Field, &str)| {
            let value = self.variables.get(*name)?;
            Some((*field, (value.clone(), (*name).to_owned())))
        };
        let values = names.iter().filter_map(value).collect();
        Values { values, ..Values::empty(names, String::new()) }
    }

    fn clouds_yaml_paths(&self) -> Vec<PathBuf> {
        if let Some(file) = self.get("OS_CLIENT_CONFIG_FILE") {
            return vec![file.into()];
        }
        let home = self.home().map(|home| home.join(".config/openstack/clouds.yaml"));
        let first = Some(PathBuf::from("clouds.yaml"));
        [first, home, Some("/etc/openstack/clouds.yaml".into())].into_iter().flatten().collect()
    }

    fn home(&self) -> Option<&Path> {
        self.get("HOME").map(Path::new)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(ExposeSecret::expose_secret)
    }
}

/// The sources, in the order in which they are tried.
#[derive(Clone, Copy)]
enum ChainSource {
    Vendor,
    Terraform,
    /// The cloud that `OS_CLOUD` names, or else the variables.
    OpenStack,
    VendorFile,
}

/// Prints only the names of the variables.
impl fmt::Debug for CredentialChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CredentialChain").field(&self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
