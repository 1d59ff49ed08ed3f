//! The credentials of a source, with its other settings.

use std::{fmt, path::PathBuf};

use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use super::{
    CredentialChain,
    error::{CredentialChainError, CredentialChainWarning},
    key_file::KeyFile,
    values::{AuthConfig, AuthMethod, Field, Values},
};
use crate::{
    auth::{
        credential::{Credential, ProvidedCredential},
        credentials::Credentials,
        identity::Identity,
        token_file::TokenFile,
    },
    request::Endpoint,
    transport::Transport,
};

/// The credentials and other settings that a [`CredentialChain`](crate::CredentialChain) found.
///
/// `Debug` prints the name and the origin of each setting, but no values.
pub struct ResolvedCredentials {
    pub(super) auth_config: AuthConfig,
    /// The id of the project, if it is set.
    ///
    /// If the project is set by its name instead, the reply of the identity service contains the
    /// id.
    pub project: Option<ProjectId>,
    /// The region.
    pub region: Option<String>,
    /// The endpoint of the identity service.
    pub auth_url: Option<Endpoint>,
    /// A file with certificate authorities in PEM format.
    pub ca_file: Option<PathBuf>,
    pub(super) settings: Vec<(Field, Option<String>, String)>,
    pub(super) project_source: String,
    warnings: Vec<CredentialChainWarning>,
    /// The chain, if the values are in a file.
    chain: Option<CredentialChain>,
}

/// A setting that was found, and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting<'a> {
    /// The name of the setting, such as `project`.
    pub name: &'static str,
    /// The value; `None` if it is a secret.
    pub value: Option<&'a str>,
    /// The origin: a variable, a file, or a place in a file.
    pub source: &'a str,
}

impl ResolvedCredentials {
    /// Selects the values that are used with the authentication method.
    pub(super) fn new(
        values: &Values<'_>,
        auth_config: AuthConfig,
    ) -> Result<Self, CredentialChainError> {
        let project = values.get(Field::ProjectId).map(|(text, origin)| {
            text.parse().map_err(|error| CredentialChainError::Project(origin.into(), error))
        });
        let used = values.values.iter().filter(|(field, _)| auth_config.uses(**field));
        let shown = |field: Field, value: &SecretString| {
            (!field.is_secret()).then(|| value.expose_secret().into())
        };
        let setting = |(field, (value, origin)): (&Field, &(SecretString, String))| {
            (*field, shown(*field, value), origin.clone())
        };
        let mut settings: Vec<_> = used.map(setting).collect();
        if let AuthConfig::TokenFile(file) = &auth_config {
            settings.insert(0, (Field::Token, None, file.display().to_string()));
        }
        Ok(Self {
            auth_config,
            project: project.transpose()?,
            region: values.get(Field::Region).map(|(text, _)| text.into()),
            auth_url: values.auth_url()?,
            ca_file: values.get(Field::CaFile).map(|(text, _)| text.into()),
            settings,
            project_source: values.name(Field::ProjectId),
            warnings: values.warnings.clone(),
            chain: None,
        })
    }

    /// Sets the chain that reads the file of the values again.
    pub(super) fn with_chain(self, chain: CredentialChain) -> Self {
        Self { chain: Some(chain), ..self }
    }

    /// Returns the credentials for a [`Client`](crate::Client).
    ///
    /// If they are a password, `transport` sends the login to the identity service. If they are a
    /// key pair from a file, the file is read again when the service refuses the key, because
    /// another process may have replaced a temporary key.
    #[must_use]
    pub fn credentials(&self, transport: impl Transport + 'static) -> Credentials {
        match &self.auth_config {
            AuthConfig::Token(token) => Credentials::from_provided(ProvidedCredential::new(
                Credential::Token(token.clone()),
            )),
            AuthConfig::TokenFile(file) => Credentials::from_provider(TokenFile::new(file)),
            AuthConfig::Key(key) => match &self.chain {
                Some(chain) => Credentials::from_provider(KeyFile(chain.clone())),
                None => Credentials::access_key(key.clone()),
            },
            AuthConfig::Password(login, auth_url) => {
                let identity = Identity::new(auth_url.clone(), login.clone(), transport);
                Credentials::from_provider(identity)
            }
        }
    }

    /// Replaces the project. A login then requests a token for this project.
    #[must_use]
    pub fn with_project(mut self, project: ProjectId) -> Self {
        if let AuthConfig::Password(login, _) = &mut self.auth_config {
            *login = login.clone().project_id(project.clone());
        }
        self.settings.retain(|(field, ..)| !field.is_project());
        self.project = Some(project);
        self
    }

    /// Returns the authentication method.
    #[must_use]
    pub const fn auth_method(&self) -> AuthMethod {
        match self.auth_config {
            AuthConfig::Token(_) | AuthConfig::TokenFile(_) => AuthMethod::Token,
            AuthConfig::Key(_) => AuthMethod::AccessKey,
            AuthConfig::Password(..) => AuthMethod::Password,
        }
    }

    /// Returns whether the project is set, by its id or by its name.
    #[must_use]
    pub fn has_project(&self) -> bool {
        self.settings.iter().any(|(field, ..)| field.is_project()) || self.project.is_some()
    }

    /// Returns the place of the project id in the source, even if it is not set: a variable, or a
    /// place in a file.
    #[must_use]
    pub fn project_source(&self) -> &str {
        &self.project_source
    }

    /// Returns what is unsafe about these credentials. Show it to the user.
    #[must_use]
    pub fn warnings(&self) -> &[CredentialChainWarning] {
        &self.warnings
    }

    /// Returns an iterator over the settings that were found.
    pub fn settings(&self) -> impl Iterator<Item = Setting<'_>> {
        let settings = self.settings.iter();
        settings.map(|(field, value, source)| Setting {
            name: field.label(),
            value: value.as_deref(),
            source,
        })
    }
}

/// Prints the name and the origin of each setting, but no values.
impl fmt::Debug for ResolvedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<_> = self.settings().map(|of| (of.name, of.source)).collect();
        f.debug_struct("ResolvedCredentials").field("settings", &settings).finish_non_exhaustive()
    }
}
