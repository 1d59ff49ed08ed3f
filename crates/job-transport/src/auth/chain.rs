//! Credentials where other clients of the service look for them: environment and files. Keeps to one
//! convention at a time, and sends nothing.

mod error;
mod values;
mod files;
mod resolved;

pub use error::CredentialChainError;
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

/// Looks for credentials where the vendor's SDKs, Terraform and OpenStack's clients do.
///
/// The first of these that is there is taken, whole: no key of one is mixed with a secret of
/// another, and where it lacks something that is an error.
///
/// | | convention | from |
/// |---|---|---|
/// | 1 | vendor | `HUAWEICLOUD_SDK_AK`, `_SK`, `_SECURITY_TOKEN`, `_PROJECT_ID` |
/// | 2 | Terraform | `HW_ACCESS_KEY`, `HW_SECRET_KEY`, `HW_SECURITY_TOKEN`, `HW_PROJECT_ID`, `HW_REGION_NAME`, `HW_AUTH_URL` |
/// | 3 | OpenStack | the cloud in `clouds.yaml` that `OS_CLOUD` names |
/// | 4 | OpenStack | `OS_TOKEN`; `OS_ACCESS_KEY`, `OS_SECRET_KEY`; `OS_USERNAME`, `OS_PASSWORD`, `OS_USER_DOMAIN_NAME`, `OS_AUTH_URL`; `OS_PROJECT_ID`, `OS_PROJECT_NAME`, `OS_REGION_NAME`, `OS_CACERT` |
/// | 5 | vendor | `~/.huaweicloud/credentials`, or the file that `HUAWEICLOUD_SDK_CREDENTIALS_FILE` names: `ak`, `sk`, `security_token`, `project_id` of `[basic]`, or of `[global]` where `[basic]` has no key |
///
/// Within one, a token goes before a key pair, and a key pair before a password. `clouds.yaml` is the
/// file that `OS_CLIENT_CONFIG_FILE` names, or the first of `./clouds.yaml`,
/// `~/.config/openstack/clouds.yaml` and `/etc/openstack/clouds.yaml`; a `secure.yaml` beside it adds
/// to it. A variable that is empty is not there. A file with a secret that others may read is
/// refused.
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

/// Which files to read.
const FILE_VARIABLES: [&str; 4] =
    ["HOME", "HUAWEICLOUD_SDK_CREDENTIALS_FILE", "OS_CLOUD", "OS_CLIENT_CONFIG_FILE"];

impl CredentialChain {
    /// Takes these variables for the environment.
    pub fn new<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let variables = variables.filter(|(_, value): &(_, String)| !value.is_empty());
        let variables = variables.map(|(name, value)| (name, value.into())).collect();
        Self { variables, auth_method: None, token_file: None }
    }

    /// Takes the process's environment, as it is now.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = [VENDOR, TERRAFORM, OPEN_STACK].concat();
        let names = names.into_iter().map(|(_, name)| name).chain(FILE_VARIABLES);
        Self::new(names.filter_map(|name| Some((name, env::var(name).ok()?))))
    }

    /// Looks for one way to prove who asks, and passes over the others.
    #[must_use]
    pub const fn auth_method(mut self, auth: AuthMethod) -> Self {
        self.auth_method = Some(auth);
        self
    }

    /// Takes the token from this file ([`TokenFile`](crate::TokenFile)), and what goes with it (the
    /// project, the region, a CA file) from the first convention that has any of it.
    #[must_use]
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.token_file = Some(file.into());
        self
    }

    /// Returns the first convention that is there; `None` where none is.
    ///
    /// # Errors
    ///
    /// Where what is there cannot be used: something is missing, cannot be read, may be read by
    /// others, or cannot be what it is meant for.
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
                return ResolvedCredentials::new(&values, auth_config).map(Some);
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

    /// Returns what is there of a convention, where it is there at all.
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

    /// Whether a cloud or a file is named, so that there is no going on to the next.
    fn is_explicit(&self, source: ChainSource) -> bool {
        match source {
            ChainSource::Vendor | ChainSource::Terraform => false,
            ChainSource::OpenStack => self.get("OS_CLOUD").is_some(),
            ChainSource::VendorFile => self.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE").is_some(),
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

/// Where to look, in this order.
#[derive(Clone, Copy)]
enum ChainSource {
    Vendor,
    Terraform,
    /// The cloud that is named, or else the variables.
    OpenStack,
    VendorFile,
}

/// Shows the variables' names alone.
impl fmt::Debug for CredentialChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CredentialChain").field(&self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
