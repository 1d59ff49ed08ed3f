//! Reads credentials from the environment variables and files that other clients of the service
//! use.

mod error;
mod values;
mod files;
mod key_file;
mod resolved;

pub use error::{CredentialChainError, CredentialChainWarning};
pub use resolved::{ResolvedCredentials, Setting};
pub use values::AuthMethod;

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use self::{
    files::{read_clouds_yaml, read_credentials_file},
    values::{AuthConfig, Field, FieldNames, Values},
};

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
/// Empty variables are ignored.
///
/// A file that every user can change, or that belongs to a user other than the current one and
/// root, is an error. So is a file with a secret that every user can read; but if it belongs to root
/// or is on a read-only mount, as the mounted secrets of Kubernetes, it is used with a warning
/// ([`ResolvedCredentials::warnings`]).
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
}

const VENDOR: &FieldNames = &[
    (Field::AccessKey, "HUAWEICLOUD_SDK_AK"),
    (Field::SecretKey, "HUAWEICLOUD_SDK_SK"),
    (Field::SecurityToken, "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
    (Field::ProjectId, "HUAWEICLOUD_SDK_PROJECT_ID"),
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

impl CredentialChain {
    /// Creates a chain that uses these variables instead of the process environment.
    pub fn new<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let variables = variables.filter(|(_, value): &(_, String)| !value.is_empty());
        let variables = variables.map(|(name, value)| (name, value.into())).collect();
        Self { variables, auth_method: None, token_file: None }
    }

    /// Creates a chain from the current environment of the process.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = [VENDOR, TERRAFORM, OPEN_STACK].concat();
        let names = names.into_iter().map(|(_, name)| name).chain(FILE_VARIABLES);
        Self::new(names.filter_map(|name| Some((name, env::var(name).ok()?))))
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

    /// Returns the credentials of the first source, or `None` if there are none.
    ///
    /// # Errors
    ///
    /// Returns an error if a value is missing or invalid, or if a file cannot be read, is
    /// malformed, or can be read or changed by other users.
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
                let resolved = ResolvedCredentials::new(&values, auth_config)?;
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
        let token_file_only = |file| ResolvedCredentials::new(&nothing, file);
        token_file.map(token_file_only).transpose()
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
