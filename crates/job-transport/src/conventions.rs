//! Credentials where other clients of the service look for them: environment and files. Keeps to one
//! convention at a time, and sends nothing.

mod files;
mod values;

use std::{
    collections::BTreeMap,
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use job_model::{IdError, ProjectId};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Credentials, CredentialsError, Endpoint, EndpointError, Identity, Provided, Transport,
    credentials::Means,
};
use files::{clouds_yaml, credentials_file};
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
/// assert!(found.origins().any(|origin| origin == ("token", "OS_TOKEN")));
/// # Ok::<(), job_transport::ConventionsError>(())
/// ```
#[derive(Clone)]
pub struct Conventions {
    variables: BTreeMap<String, SecretString>,
}

/// What was found, and where.
pub struct Found {
    proof: Proof,
    /// The project, where it is named by its id. Where it is named otherwise, the identity
    /// service's reply tells it.
    pub project: Option<ProjectId>,
    /// The region.
    pub region: Option<String>,
    /// The identity service.
    pub auth_url: Option<Endpoint>,
    /// A file of certificate authorities, in PEM form.
    pub ca_file: Option<PathBuf>,
    origins: Vec<(&'static str, String)>,
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
    /// The cloud or the file that is asked for has nothing to prove who asks.
    #[error("{0} has neither a token, nor a key pair, nor a password")]
    NoCredentials(String),
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
        Self { variables: variables.map(|(name, value)| (name, value.into())).collect() }
    }

    /// Takes the process's environment, as it is now.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = [VENDOR, TERRAFORM, OPEN_STACK].concat();
        let names = names.into_iter().map(|(_, name)| name).chain(FILES);
        Self::new(names.filter_map(|name| Some((name, env::var(name).ok()?))))
    }

    /// Returns the first convention that is there; `None` where none is.
    ///
    /// # Errors
    ///
    /// Where what is there cannot be used: something is missing, cannot be read, may be read by
    /// others, or cannot be what it is meant for.
    pub fn find(&self) -> Result<Option<Found>, ConventionsError> {
        for names in [VENDOR, TERRAFORM] {
            if let Some(found) = self.of_variables(names).found()? {
                return Ok(Some(found));
            }
        }
        if let Some(cloud) = self.get("OS_CLOUD") {
            let values = clouds_yaml(cloud, &self.clouds_files())?;
            let nothing =
                || ConventionsError::NoCredentials(values.place.trim_end_matches('.').into());
            return values.found()?.ok_or_else(nothing).map(Some);
        }
        if let Some(found) = self.of_variables(OPEN_STACK).found()? {
            return Ok(Some(found));
        }
        if let Some(file) = self.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE").map(PathBuf::from) {
            fs::metadata(&file).map_err(|error| ConventionsError::File(file.clone(), error))?;
            let found = credentials_file(&file)?.map_or(Ok(None), |values| values.found())?;
            let nothing = || ConventionsError::NoCredentials(file.display().to_string());
            return found.ok_or_else(nothing).map(Some);
        }
        let Some(home) = self.home() else { return Ok(None) };
        let values = credentials_file(&home.join(".huaweicloud/credentials"))?;
        values.map_or(Ok(None), |values| values.found())
    }

    fn of_variables(&self, names: &'static Names) -> Values<'static> {
        let value = |(field, name): &(Field, &str)| {
            let value = self.variables.get(*name)?;
            Some((*field, (value.clone(), (*name).to_owned())))
        };
        Values { names, values: names.iter().filter_map(value).collect(), place: String::new() }
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

impl Found {
    /// Returns the credentials. A password's token is had from the identity service, by way of this
    /// transport.
    #[must_use]
    pub fn credentials(&self, transport: impl Transport + 'static) -> Credentials {
        match &self.proof {
            Proof::Token(token) => Credentials::fixed(Provided::of(Means::Token(token.clone()))),
            Proof::Key(key) => Credentials::access_key(key.clone()),
            Proof::Password(login, auth_url) => {
                let identity = Identity::new(auth_url.clone(), login.clone(), transport);
                Credentials::provided(identity)
            }
        }
    }

    /// Returns each value that was found, by what it is, and where it is from: a variable, or a
    /// place in a file.
    pub fn origins(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.origins.iter().map(|(what, origin)| (*what, &**origin))
    }
}

/// Shows where each value is from, and none that is secret.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("project", &self.project)
            .field("region", &self.region)
            .field("auth_url", &self.auth_url)
            .field("ca_file", &self.ca_file)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// Shows the variables' names alone.
impl fmt::Debug for Conventions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conventions").field(&self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
