//! Credentials where other clients of the service look for them: environment and files. Keeps to one
//! convention at a time, and sends nothing.

mod files;
mod values;
mod resolved;

use std::{
    collections::BTreeMap,
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use job_model::IdError;
use secrecy::{ExposeSecret, SecretString};

use super::credentials::CredentialsError;
use crate::request::EndpointError;

use files::{clouds_yaml, credentials_file};
pub use resolved::{Found, Setting};
pub use values::Auth;
use values::{Field, Names, Proof, Values};

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
/// use job_transport::Conventions;
///
/// let conventions = Conventions::new([("OS_TOKEN", "MIIFvg..."), ("OS_REGION_NAME", "eu-de")]);
/// let found = conventions.find()?.expect("a token");
/// assert_eq!(found.region.as_deref(), Some("eu-de"));
/// let from: Vec<_> = found.settings().map(|setting| setting.origin).collect();
/// assert_eq!(from, ["OS_TOKEN", "OS_REGION_NAME"]);
/// # Ok::<(), job_transport::ConventionsError>(())
/// ```
#[derive(Clone)]
pub struct Conventions {
    variables: BTreeMap<String, SecretString>,
    auth: Option<Auth>,
    token_file: Option<PathBuf>,
}

/// Why what is there cannot be used. Shows no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConventionsError {
    /// One of those that belong together is missing.
    #[error("{there} is set, {missing} is not; set all that belong together, or none")]
    #[non_exhaustive]
    Incomplete {
        /// The name of what is there.
        there: String,
        /// The name of what is missing.
        missing: String,
    },
    /// A value cannot be a token or a key.
    #[error("{0} cannot be used")]
    Secret(String, #[source] CredentialsError),
    /// A value cannot be a project's id.
    #[error("{0} is no project's id")]
    Project(String, #[source] IdError),
    /// A value cannot be the URL of the identity service.
    #[error("{0} is no URL of the identity service")]
    AuthUrl(String, #[source] EndpointError),
    /// A file cannot be read.
    #[error("{} cannot be read", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A file with a secret may be read by others.
    #[error(
        "{file} holds a secret and may be read by everyone on this machine; run: chmod o-rwx '{file}'",
        file = .0.display()
    )]
    Exposed(PathBuf),
    /// A file is not in the form that it must have.
    #[error("{}:{line}: {form} expected", .file.display())]
    #[non_exhaustive]
    Form {
        /// The file.
        file: PathBuf,
        /// The line, from 1; 0 where it is not known.
        line: u64,
        /// The form.
        form: &'static str,
    },
    /// The cloud or the file that is asked for has nothing to prove who asks, or not what is asked
    /// for.
    #[error("{place} has {missing}")]
    #[non_exhaustive]
    NoCredentials {
        /// The cloud or the file.
        place: String,
        /// What it does not have.
        missing: &'static str,
    },
    /// There is no file with the cloud that is asked for, or no such cloud in it.
    #[error("OS_CLOUD names the cloud {cloud}, which is in none of: {looked}")]
    #[non_exhaustive]
    NoCloud {
        /// The cloud that is asked for.
        cloud: String,
        /// Where it was looked for.
        looked: String,
    },
}

const VENDOR: &Names = &[
    (Field::AccessKey, "HUAWEICLOUD_SDK_AK"),
    (Field::SecretKey, "HUAWEICLOUD_SDK_SK"),
    (Field::SecurityToken, "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
    (Field::ProjectId, "HUAWEICLOUD_SDK_PROJECT_ID"),
];

const TERRAFORM: &Names = &[
    (Field::AccessKey, "HW_ACCESS_KEY"),
    (Field::SecretKey, "HW_SECRET_KEY"),
    (Field::SecurityToken, "HW_SECURITY_TOKEN"),
    (Field::ProjectId, "HW_PROJECT_ID"),
    (Field::Region, "HW_REGION_NAME"),
    (Field::AuthUrl, "HW_AUTH_URL"),
];

const OPEN_STACK: &Names = &[
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
const FILES: [&str; 4] =
    ["HOME", "HUAWEICLOUD_SDK_CREDENTIALS_FILE", "OS_CLOUD", "OS_CLIENT_CONFIG_FILE"];

impl Conventions {
    /// Takes these variables for the environment.
    pub fn new<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let variables = variables.filter(|(_, value): &(_, String)| !value.is_empty());
        let variables = variables.map(|(name, value)| (name, value.into())).collect();
        Self { variables, auth: None, token_file: None }
    }

    /// Takes the process's environment, as it is now.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = [VENDOR, TERRAFORM, OPEN_STACK].concat();
        let names = names.into_iter().map(|(_, name)| name).chain(FILES);
        Self::new(names.filter_map(|name| Some((name, env::var(name).ok()?))))
    }

    /// Looks for one way to prove who asks, and passes over the others.
    #[must_use]
    pub const fn only(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
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
    pub fn find(&self) -> Result<Option<Found>, ConventionsError> {
        let token_file = self.token_file.clone().map(Proof::TokenFile);
        for place in [Place::Vendor, Place::Terraform, Place::OpenStack, Place::VendorFile] {
            let Some(values) = self.values(place)? else { continue };
            let proof = match &token_file {
                Some(file) => Some(file.clone()).filter(|file| values.go_with(file)),
                None => values.proof(self.auth)?,
            };
            if let Some(proof) = proof {
                return values.found(proof).map(Some);
            }
            if self.is_asked_for(place) && token_file.is_none() {
                let place = values.place.trim_end_matches(['.', ' ']).into();
                let missing = self.auth.map_or(Auth::NONE, Auth::missing);
                return Err(ConventionsError::NoCredentials { place, missing });
            }
        }
        let alone = |file| Values::none(OPEN_STACK, String::new()).found(file);
        token_file.map(alone).transpose()
    }

    /// Returns what is there of a convention, where it is there at all.
    fn values(&self, place: Place) -> Result<Option<Values<'static>>, ConventionsError> {
        match place {
            Place::Vendor => Ok(Some(self.of_variables(VENDOR))),
            Place::Terraform => Ok(Some(self.of_variables(TERRAFORM))),
            Place::OpenStack => match self.get("OS_CLOUD") {
                Some(cloud) => clouds_yaml(cloud, &self.clouds_files()).map(Some),
                None => Ok(Some(self.of_variables(OPEN_STACK))),
            },
            Place::VendorFile => match self.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE") {
                Some(file) => {
                    let file = Path::new(file);
                    fs::metadata(file)
                        .map_err(|error| ConventionsError::File(file.into(), error))?;
                    let nothing = || Values::none(VENDOR, file.display().to_string());
                    Ok(Some(credentials_file(file)?.unwrap_or_else(nothing)))
                }
                None => match self.home() {
                    Some(home) => credentials_file(&home.join(".huaweicloud/credentials")),
                    None => Ok(None),
                },
            },
        }
    }

    /// Whether a cloud or a file is named, so that there is no going on to the next.
    fn is_asked_for(&self, place: Place) -> bool {
        match place {
            Place::Vendor | Place::Terraform => false,
            Place::OpenStack => self.get("OS_CLOUD").is_some(),
            Place::VendorFile => self.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE").is_some(),
        }
    }

    fn of_variables(&self, names: &'static Names) -> Values<'static> {
        let value = |(field, name): &(Field, &str)| {
            let value = self.variables.get(*name)?;
            Some((*field, (value.clone(), (*name).to_owned())))
        };
        let values = names.iter().filter_map(value).collect();
        Values { values, ..Values::none(names, String::new()) }
    }

    fn clouds_files(&self) -> Vec<PathBuf> {
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
enum Place {
    Vendor,
    Terraform,
    /// The cloud that is named, or else the variables.
    OpenStack,
    VendorFile,
}

/// Shows the variables' names alone.
impl fmt::Debug for Conventions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conventions").field(&self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
