//! What a convention gives: credentials, and what is said beside them. Shows no secret.

use std::{fmt, path::PathBuf};

use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use super::{
    error::CredentialChainError,
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

/// What was found, and where.
pub struct ResolvedCredentials {
    pub(super) auth_config: AuthConfig,
    /// The project, where it is named by its id. Where it is named otherwise, the identity
    /// service's reply tells it.
    pub project: Option<ProjectId>,
    /// The region.
    pub region: Option<String>,
    /// The identity service.
    pub auth_url: Option<Endpoint>,
    /// A file of certificate authorities, in PEM form.
    pub ca_file: Option<PathBuf>,
    pub(super) settings: Vec<(Field, Option<String>, String)>,
    pub(super) project_source: String,
}

/// A value that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting<'a> {
    /// What it is, such as `project`.
    pub name: &'static str,
    /// The value; `None` where it is a secret.
    pub value: Option<&'a str>,
    /// Where it is from: a variable, a file, or a place in one.
    pub source: &'a str,
}

impl ResolvedCredentials {
    /// Takes the values of a convention that go with what proves who asks.
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
        })
    }

    /// Returns the credentials. A password's token is had from the identity service, by way of this
    /// transport.
    #[must_use]
    pub fn credentials(&self, transport: impl Transport + 'static) -> Credentials {
        match &self.auth_config {
            AuthConfig::Token(token) => Credentials::from_provided(ProvidedCredential::new(
                Credential::Token(token.clone()),
            )),
            AuthConfig::TokenFile(file) => Credentials::from_provider(TokenFile::new(file)),
            AuthConfig::Key(key) => Credentials::access_key(key.clone()),
            AuthConfig::Password(login, auth_url) => {
                let identity = Identity::new(auth_url.clone(), login.clone(), transport);
                Credentials::from_provider(identity)
            }
        }
    }

    /// Takes this project in place of the one that was found; a login asks for a token of it.
    #[must_use]
    pub fn with_project(mut self, project: ProjectId) -> Self {
        if let AuthConfig::Password(login, _) = &mut self.auth_config {
            *login = login.clone().project_id(project.clone());
        }
        self.settings.retain(|(field, ..)| !field.is_project());
        self.project = Some(project);
        self
    }

    /// Returns how it is proven who asks.
    #[must_use]
    pub const fn auth_method(&self) -> AuthMethod {
        match self.auth_config {
            AuthConfig::Token(_) | AuthConfig::TokenFile(_) => AuthMethod::Token,
            AuthConfig::Key(_) => AuthMethod::AccessKey,
            AuthConfig::Password(..) => AuthMethod::Password,
        }
    }

    /// Returns whether the project is known, or will be told by the identity service.
    #[must_use]
    pub fn has_project(&self) -> bool {
        self.settings.iter().any(|(field, ..)| field.is_project()) || self.project.is_some()
    }

    /// Returns where the convention that was taken has the project's id, or would have it: a variable,
    /// or a place in a file.
    #[must_use]
    pub fn project_source(&self) -> &str {
        &self.project_source
    }

    /// Returns each value that was found, and where it is from.
    pub fn settings(&self) -> impl Iterator<Item = Setting<'_>> {
        let settings = self.settings.iter();
        settings.map(|(field, value, source)| Setting {
            name: field.label(),
            value: value.as_deref(),
            source,
        })
    }
}

/// Shows where each value is from, and none of them.
impl fmt::Debug for ResolvedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<_> = self.settings().map(|of| (of.name, of.source)).collect();
        f.debug_struct("ResolvedCredentials").field("settings", &settings).finish_non_exhaustive()
    }
}
