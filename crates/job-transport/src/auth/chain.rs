//! Reads credentials from the environment variables and files that other clients of the service
//! use.

mod sourced;
mod service_hosts;
mod cloud_domain;
mod host_settings;
mod error;
mod field;
mod auth_config;
mod values;
mod variables;
mod names;
mod regular_file;
mod clouds_yaml;
mod files;
mod koo_cli;
mod ignored;
mod blocking_slot;
mod key_file;
mod resolved;

pub use auth_config::AuthMethod;
pub use cloud_domain::CloudDomain;
pub use error::{CredentialChainError, CredentialChainWarning};
pub use ignored::IgnoredVariable;
pub use resolved::{ResolvedCredentials, Setting};
pub use service_hosts::{IdentityHostIssue, ServiceHosts, ServiceHostsError};
pub use sourced::Sourced;

use std::{
    env,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
};

use self::{
    auth_config::AuthConfig,
    field::Field,
    files::{read_clouds_yaml, read_credentials_file},
    host_settings::{HostSettings, REGION_ENDPOINT, RegionTable},
    koo_cli::read_profile,
    values::Values,
    variables::Variables,
};
use crate::request::Endpoint;

/// Finds credentials in the places that the vendor's SDKs, Terraform and OpenStack clients use.
///
/// The first source that contains credentials is used. Credentials and agencies of different sources
/// are never combined; if they are incomplete, that is an error. Only a profile (4) gets its missing
/// settings, such as the project and the region, from Terraform's variables (3), and a credentials file
/// (7) its identity service from `HUAWEICLOUD_SDK_IAM_ENDPOINT`.
///
/// | | convention | source |
/// |---|---|---|
/// | 1 | vendor, OpenID Connect | `HUAWEICLOUD_OIDC_PROVIDER_URN`, `_AGENCY_URN`, `_ID_TOKEN` or `_TOKEN_FILE`; or `HUAWEICLOUD_SDK_IDP_ID`, `_ID_TOKEN_FILE` |
/// | 2 | vendor | `HUAWEICLOUD_SDK_AK`, `_SK`, `_SECURITY_TOKEN`, `_PROJECT_ID`, `_IAM_ENDPOINT`; or `CLOUD_SDK_AK`, `CLOUD_SDK_SK` |
/// | 3 | Terraform | `HW_AUTH_TOKEN`; `HW_ACCESS_KEY`, `HW_SECRET_KEY`; `HW_USER_NAME`, `HW_USER_PASSWORD`, `HW_DOMAIN_NAME`; `HW_REGION_NAME`, `HW_PROJECT_NAME`, `HW_PROJECT_ID`, `HW_AUTH_URL`, .. |
/// | 4 | Terraform | the profile `HW_PROFILE` of the file `HW_SHARED_CONFIG_FILE`, which KooCLI writes |
/// | 5 | OpenStack | the cloud in `clouds.yaml` that `OS_CLOUD` names |
/// | 6 | OpenStack | `OS_TOKEN`; `OS_ACCESS_KEY`, `OS_SECRET_KEY`; `OS_USERNAME`, `OS_PASSWORD`, `OS_USER_DOMAIN_NAME`, `OS_AUTH_URL`; `OS_PROJECT_ID`, `OS_PROJECT_NAME`, `OS_REGION_NAME`, `OS_CACERT`, .. |
/// | 7 | vendor | `~/.huaweicloud/credentials`, or the file that `HUAWEICLOUD_SDK_CREDENTIALS_FILE` names: `ak`, `sk`, `security_token`, `project_id`, `iam_endpoint`, `idp_id`, `id_token_file` of `[basic]`, or of `[global]` if `[basic]` has no key |
/// | 8 | vendor, pod identity | `HC_CONTAINER_CREDENTIALS_FULL_URI`, `HC_CONTAINER_AUTHORIZATION_TOKEN_FILE` |
///
/// Within a source, a token is preferred to a key pair, and a key pair to a password. The metadata
/// service of a virtual machine is used only with
/// [`auth_method`](Self::auth_method)`(AuthMethod::Metadata)`.
///
/// The host of the service, unless it is set with [`endpoint`](Self::endpoint), has the domain of
/// the identity service, of [`cloud`](Self::cloud), or of `HW_CLOUD`. Without these it has the
/// domain of the only operator that has the region; see [`ResolvedCredentials::hosts`].
///
/// The path of `clouds.yaml` is the value of `OS_CLIENT_CONFIG_FILE`. By default it is the first of
/// `./clouds.yaml`, `~/.config/openstack/clouds.yaml` and `/etc/openstack/clouds.yaml` that
/// contains the cloud. Values in a `secure.yaml` in the same folder are added.
///
/// Empty variables are ignored. Some variables change the caller's identity and are not supported.
/// Each is an error if its source is used, or if no source has credentials. If another source is
/// used, the variable is listed as [ignored](ResolvedCredentials::ignored). The same holds for an
/// `OS_AUTH_TYPE` that is not supported.
///
/// It is an error if a file is not a regular file, if every user can change it, or if it belongs to
/// a user other than the current one and root. It is also an error if a file contains a secret and
/// every user can read it. If such a file belongs to root or is on a read-only mount, as mounted
/// secrets of Kubernetes are, it is used, with a warning ([`ResolvedCredentials::warnings`]).
///
/// # Examples
///
/// ```
/// use job_transport::auth::CredentialChain;
///
/// let chain = CredentialChain::new([("OS_TOKEN", "MIIFvg..."), ("OS_REGION_NAME", "eu-de")]);
/// let found = chain.resolve()?.expect("a token");
/// assert_eq!(found.region.as_deref(), Some("eu-de"));
/// let from: Vec<_> = found.settings().map(|setting| setting.source).collect();
/// assert_eq!(from, ["OS_TOKEN", "OS_REGION_NAME"]);
/// # Ok::<(), job_transport::auth::CredentialChainError>(())
/// ```
#[derive(Clone)]
pub struct CredentialChain {
    variables: Variables,
    auth_method: Option<AuthMethod>,
    token_file: Option<PathBuf>,
    endpoint: Option<Sourced<Endpoint>>,
    region: Option<Sourced<String>>,
    cloud: Option<Sourced<CloudDomain>>,
}

impl CredentialChain {
    /// Creates a chain that uses these variables instead of the process environment.
    pub fn new<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        Self::from_os_values(variables.map(|(name, value)| (name.into(), value.into().into())))
    }

    fn from_os_values(variables: impl Iterator<Item = (String, OsString)>) -> Self {
        Self {
            variables: Variables::new(variables),
            auth_method: None,
            token_file: None,
            endpoint: None,
            region: None,
            cloud: None,
        }
    }

    /// Creates a chain from the current environment of the process.
    ///
    /// A variable that is not valid UTF-8 is an error of [`resolve`](Self::resolve), if it would be
    /// used.
    #[must_use]
    pub fn from_environment() -> Self {
        let known = names::known_variables().map(String::from);
        let all = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let known = known.chain(all.filter(|name| name.starts_with(REGION_ENDPOINT)));
        Self::from_os_values(known.filter_map(|name| {
            let value = env::var_os(&name)?;
            Some((name, value))
        }))
    }

    /// Returns the names of the variables that are read, without those for single regions
    /// (`HUAWEICLOUD_SDK_REGION_CCE_{REGION}`). A name may occur several times.
    pub fn supported_variables() -> impl Iterator<Item = &'static str> {
        names::supported_variables()
    }

    /// Uses only this authentication method and ignores the others.
    #[must_use]
    pub const fn auth_method(mut self, auth: AuthMethod) -> Self {
        self.auth_method = Some(auth);
        self
    }

    /// Reads the token from this file (see [`TokenFile`](crate::auth::TokenFile)).
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
        let nothing = Values::empty(names::OPEN_STACK, String::new());
        let hosts = self.host_settings(&nothing, RegionTable::All)?.hosts();
        hosts.map_err(|error| CredentialChainError::Hosts(error.into()))
    }

    /// Returns the credentials of the first source, or `None` if there are none.
    ///
    /// # Errors
    ///
    /// Returns an error if a value is missing or invalid, or if a file cannot be read, is
    /// malformed, or can be read or changed by other users.
    pub fn resolve(&self) -> Result<Option<ResolvedCredentials>, CredentialChainError> {
        if self.token_file.is_none() && self.auth_method == Some(AuthMethod::Metadata) {
            let values = self.variables.values(names::MACHINE);
            return self.resolved(ChainSource::Machine, &values, AuthConfig::Metadata).map(Some);
        }
        for source in ChainSource::ALL {
            let Some(values) = self.values(source)? else { continue };
            let auth_config = match &self.token_file {
                Some(file) => Some(AuthConfig::TokenFile(file.clone()))
                    .filter(|file| values.has_values_for(file)),
                None => values
                    .auth_config(self.auth_method)
                    .map_err(|error| values.any_fault().unwrap_or(error))?,
            };
            if let Some(auth_config) = auth_config {
                return self.resolved(source, &values, auth_config).map(Some);
            }
            if self.is_explicit(source) && self.token_file.is_none() {
                if let Some(error) = values.any_fault() {
                    return Err(error);
                }
                if self.auth_method.is_none() {
                    values.stated_method()?;
                }
                self.check_refused(source)?;
                let location = values.name_prefix.trim_end_matches(['.', ' ']).into();
                let missing = self.auth_method.map_or(AuthMethod::ANY_MISSING, AuthMethod::missing);
                return Err(CredentialChainError::NoCredentials { location, missing });
            }
        }
        let Some(file) = self.token_file.clone() else {
            // No source has credentials. If a variable is unsupported, it is the reason.
            if self.auth_method.is_none() {
                let values = self.variables.values(names::OPEN_STACK);
                let stated = values.stated_method();
                stated.map_err(|error| values.any_fault().unwrap_or(error))?;
                ChainSource::ALL.into_iter().try_for_each(|source| self.check_refused(source))?;
            }
            return Ok(None);
        };
        let nothing = Values::empty(names::OPEN_STACK, String::new());
        self.resolved(ChainSource::OpenStack, &nothing, AuthConfig::TokenFile(file)).map(Some)
    }

    /// Returns the credentials of a source.
    fn resolved(
        &self,
        source: ChainSource,
        values: &Values<'_>,
        auth_config: AuthConfig,
    ) -> Result<ResolvedCredentials, CredentialChainError> {
        if self.token_file.is_none() {
            self.check_refused(source)?;
        }
        if let Some(error) = values.fault(|field| auth_config.uses(field)) {
            return Err(error);
        }
        let table = match source {
            _ if self.token_file.is_some() => RegionTable::OpenTelekomOnly,
            ChainSource::OpenStack => RegionTable::OpenTelekomOnly,
            _ => RegionTable::All,
        };
        let hosts = self.host_settings(values, table)?.hosts();
        let resolved = ResolvedCredentials::new(values, auth_config, hosts)?;
        let ignored = self.ignored(source, &resolved);
        let resolved = resolved.with_ignored(ignored);
        Ok(if self.is_file(source) { resolved.with_chain(self.clone()) } else { resolved })
    }

    /// Returns an error if a variable changes the caller's identity, belongs to the source, and is not
    /// supported.
    fn check_refused(&self, source: ChainSource) -> Result<(), CredentialChainError> {
        let refused = match source {
            ChainSource::Terraform | ChainSource::TerraformFile => names::REFUSED_TERRAFORM,
            ChainSource::OpenStack if !self.is_file(source) => names::REFUSED_OPEN_STACK,
            _ => &[],
        };
        match refused.iter().find(|(name, _)| self.variables.is_set(name)) {
            Some((name, reason)) => Err(CredentialChainError::Unsupported {
                name: (*name).into(),
                reason: (*reason).into(),
            }),
            None => Ok(()),
        }
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
        let cloud = |(text, from): (&str, &str)| match text.parse::<CloudDomain>() {
            Ok(cloud) => Ok(Sourced::new(cloud, from)),
            Err(error) => Err(CredentialChainError::Cloud(from.into(), error.into())),
        };
        let cloud = self
            .variables
            .get(names::CLOUD)?
            .map(|text| cloud((text, names::CLOUD)))
            .transpose()?;
        Ok(HostSettings {
            endpoint: self.endpoint.clone(),
            region_endpoints: self.variables.urls_with_prefix(REGION_ENDPOINT),
            region: self.region.clone().or(of_source),
            identity: values.get(Field::AuthUrl).map(url).transpose()?,
            token_service: values.get(Field::TokenServiceUrl).map(url).transpose()?,
            clouds: self.cloud.iter().cloned().chain(cloud).collect(),
            table,
        })
    }

    /// Returns the values of a source, or `None` if it does not exist.
    fn values(&self, source: ChainSource) -> Result<Option<Values<'static>>, CredentialChainError> {
        match source {
            ChainSource::Oidc => Ok(Some(self.variables.values(names::OIDC))),
            ChainSource::Vendor => Ok(Some(self.variables.values(names::VENDOR))),
            ChainSource::ApiExplorer => Ok(Some(self.variables.values(names::API_EXPLORER))),
            ChainSource::Terraform => Ok(Some(self.variables.values(names::TERRAFORM))),
            ChainSource::TerraformFile => match self.variables.get("HW_SHARED_CONFIG_FILE")? {
                Some(file) => {
                    let mut values =
                        read_profile(Path::new(file), self.variables.get("HW_PROFILE")?)?;
                    // Terraform combines the profile with the other variables of its convention.
                    values.add_settings(self.variables.values(names::TERRAFORM));
                    Ok(Some(values))
                }
                None => Ok(None),
            },
            ChainSource::Machine => Ok(Some(self.variables.values(names::MACHINE))),
            ChainSource::OpenStack => match self.variables.get("OS_CLOUD")? {
                Some(cloud) => read_clouds_yaml(cloud, &self.clouds_yaml_paths()?).map(Some),
                None => Ok(Some(self.variables.values(names::OPEN_STACK))),
            },
            ChainSource::VendorFile => {
                match self.variables.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE")? {
                    Some(file) => {
                        let file = Path::new(file);
                        fs::metadata(file)
                            .map_err(|error| CredentialChainError::File(file.into(), error))?;
                        let nothing = || Values::empty(names::VENDOR, file.display().to_string());
                        let values = read_credentials_file(file)?;
                        Ok(Some(self.with_identity(values.unwrap_or_else(nothing))))
                    }
                    None => match self.home() {
                        Some(home) => {
                            let values =
                                read_credentials_file(&home.join(".huaweicloud/credentials"))?;
                            Ok(values.map(|values| self.with_identity(values)))
                        }
                        None => Ok(None),
                    },
                }
            }
        }
    }

    /// Returns whether a variable selects this source, so that the next ones are not tried.
    fn is_explicit(&self, source: ChainSource) -> bool {
        match source {
            ChainSource::TerraformFile => self.variables.is_set("HW_SHARED_CONFIG_FILE"),
            ChainSource::OpenStack => self.variables.is_set("OS_CLOUD"),
            ChainSource::VendorFile => self.variables.is_set("HUAWEICLOUD_SDK_CREDENTIALS_FILE"),
            _ => false,
        }
    }

    /// Returns whether the values of this source are in a file, which another process may replace.
    fn is_file(&self, source: ChainSource) -> bool {
        match source {
            ChainSource::TerraformFile | ChainSource::VendorFile => true,
            ChainSource::OpenStack => self.variables.is_set("OS_CLOUD"),
            _ => false,
        }
    }

    /// Adds the identity service that a variable names, as the vendor's SDKs do.
    fn with_identity(&self, mut values: Values<'static>) -> Values<'static> {
        let name = "HUAWEICLOUD_SDK_IAM_ENDPOINT";
        self.variables.add_missing(&mut values, Field::AuthUrl, name);
        values
    }

    fn clouds_yaml_paths(&self) -> Result<Vec<PathBuf>, CredentialChainError> {
        if let Some(file) = self.variables.get("OS_CLIENT_CONFIG_FILE")? {
            return Ok(vec![file.into()]);
        }
        let home = self.home().map(|home| home.join(".config/openstack/clouds.yaml"));
        let first = Some(PathBuf::from("clouds.yaml"));
        let paths = [first, home, Some("/etc/openstack/clouds.yaml".into())];
        Ok(paths.into_iter().flatten().collect())
    }

    fn home(&self) -> Option<&Path> {
        self.variables.get("HOME").ok()?.map(Path::new)
    }
}

/// The sources, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChainSource {
    Oidc,
    Vendor,
    ApiExplorer,
    Terraform,
    TerraformFile,
    /// The cloud that `OS_CLOUD` names, or else the variables.
    OpenStack,
    VendorFile,
    /// The pod identity, and the metadata service if it is selected.
    Machine,
}

impl ChainSource {
    const ALL: [Self; 8] = [
        Self::Oidc,
        Self::Vendor,
        Self::ApiExplorer,
        Self::Terraform,
        Self::TerraformFile,
        Self::OpenStack,
        Self::VendorFile,
        Self::Machine,
    ];
}

/// Prints only the names of the variables.
impl fmt::Debug for CredentialChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CredentialChain").field(&self.variables).finish()
    }
}

#[cfg(test)]
mod tests;
