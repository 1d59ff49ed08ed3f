//! References to credentials: variables and files, whose values are never in the configuration.

use std::{env, path::PathBuf};

use anyhow::Context as _;
use job_transport::auth::{AuthMethod, CredentialChain};
use serde::Deserialize;

use super::variable;

/// A reference to the credentials of a project.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CredentialsConfig {
    /// A variable with a token.
    TokenEnv(String),
    /// A file with a token, which is read again when the token is refused.
    TokenFile(PathBuf),
    /// Variables with an access key.
    AccessKeyEnv(AccessKeyVariables),
    /// A file with an access key, in the format of `~/.huaweicloud/credentials`.
    AccessKeyFile(PathBuf),
    /// An entry of `clouds.yaml`.
    Cloud(CloudEntry),
    /// The variables and files that the vendor's tools, Terraform and OpenStack use.
    Environment,
    /// The metadata service of this virtual machine.
    Metadata,
    /// The identity of this Kubernetes pod.
    PodIdentity,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessKeyVariables {
    id: String,
    secret: String,
    security_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CloudEntry {
    name: String,
    /// By default, the first of the usual files that has the entry.
    file: Option<PathBuf>,
}

impl CredentialsConfig {
    /// Returns the chain that finds only these credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if a variable is not set.
    pub(super) fn chain(&self) -> anyhow::Result<CredentialChain> {
        let path = |path: &PathBuf| {
            let text = path.to_str().with_context(|| format!("{} is not text", path.display()));
            text.map(String::from)
        };
        Ok(match self {
            Self::TokenEnv(name) => CredentialChain::new([("OS_TOKEN", variable(name)?)]),
            Self::TokenFile(file) => CredentialChain::new::<&str, String>([]).token_file(file),
            Self::AccessKeyEnv(AccessKeyVariables { id, secret, security_token }) => {
                let mut variables = vec![
                    ("HUAWEICLOUD_SDK_AK", variable(id)?),
                    ("HUAWEICLOUD_SDK_SK", variable(secret)?),
                ];
                if let Some(name) = security_token {
                    variables.push(("HUAWEICLOUD_SDK_SECURITY_TOKEN", variable(name)?));
                }
                CredentialChain::new(variables)
            }
            Self::AccessKeyFile(file) => {
                CredentialChain::new([("HUAWEICLOUD_SDK_CREDENTIALS_FILE", path(file)?)])
            }
            Self::Cloud(CloudEntry { name, file }) => {
                let mut variables = vec![("OS_CLOUD", name.clone())];
                match file {
                    Some(file) => variables.push(("OS_CLIENT_CONFIG_FILE", path(file)?)),
                    None => variables.extend(env::var("HOME").map(|home| ("HOME", home))),
                }
                CredentialChain::new(variables)
            }
            Self::Environment => CredentialChain::from_environment(),
            Self::Metadata => {
                CredentialChain::new::<&str, String>([]).auth_method(AuthMethod::Metadata)
            }
            Self::PodIdentity => {
                CredentialChain::from_environment().auth_method(AuthMethod::PodIdentity)
            }
        })
    }
}
