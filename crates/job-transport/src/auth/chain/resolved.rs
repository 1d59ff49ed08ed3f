//! The credentials of a source, with its other settings.

mod credentials;
mod caller;

use std::{fmt, path::PathBuf};

use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use super::{
    CredentialChain,
    auth_config::{Agency, AuthConfig, AuthMethod},
    error::{CredentialChainError, CredentialChainWarning},
    field::Field,
    ignored::IgnoredVariable,
    service_hosts::{ServiceHosts, ServiceHostsError},
    sourced::Sourced,
    values::Values,
};
use crate::{
    auth::{identity::Domain, project_lookup::ProjectLookup},
    request::Endpoint,
};

/// The credentials and other settings that a [`CredentialChain`](crate::auth::CredentialChain)
/// found.
///
/// `Debug` prints the name and the origin of each setting, but no values.
pub struct ResolvedCredentials {
    pub(super) auth_config: AuthConfig,
    pub(super) agency: Option<Agency>,
    /// The id of the project, if it is set.
    ///
    /// Without an id, the project has the [name](Self::project_name), and the identity service
    /// returns its id.
    pub project: Option<ProjectId>,
    /// The region of the service: that of the chain, the source, or the identity service.
    pub region: Option<String>,
    /// A file with certificate authorities in PEM format.
    pub ca_file: Option<PathBuf>,
    pub(super) settings: Vec<(Field, Option<String>, String)>,
    pub(super) project_source: String,
    project_name: Option<Sourced<String>>,
    /// The account of the project, if it is not that of the user.
    project_domain: Option<Domain>,
    /// The identity service: that of the source, or else the derived one.
    pub(super) identity: Option<Endpoint>,
    token_service: Option<Endpoint>,
    /// The name of the setting for the identity service.
    identity_source: String,
    warnings: Vec<CredentialChainWarning>,
    /// The chain, if the values are in a file.
    chain: Option<CredentialChain>,
    pub(super) hosts: Result<ServiceHosts, ServiceHostsError>,
    ignored: Vec<IgnoredVariable>,
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
        mut auth_config: AuthConfig,
        hosts: Result<ServiceHosts, ServiceHostsError>,
    ) -> Result<Self, CredentialChainError> {
        let project = values.project_id()?;
        let agency = values.agency()?;
        let region = hosts.as_ref().ok().and_then(ServiceHosts::region).cloned();
        let region = region.or_else(|| {
            values.get(Field::Region).map(|(name, from)| Sourced::new(name.to_owned(), from))
        });
        let named = match &agency {
            Some(_) => {
                values.get(Field::DelegatedProject).or_else(|| values.get(Field::ProjectName))
            }
            None => values.get(Field::ProjectName),
        };
        let named = named.map(|(name, from)| Sourced::new(name.to_owned(), from));
        let project_name = named.or_else(|| region.clone()).filter(|_| project.is_none());
        if let AuthConfig::Password(login) = &mut auth_config {
            if agency.is_some() {
                // The agency determines the project.
                *login = login.clone().for_agency();
            } else if let (false, Some(name)) = (login.has_scope(), &project_name) {
                *login = login.clone().project_name(&name.value);
            }
        }
        let is_set = |field| values.get(field).is_some();
        let is_used = |field| auth_config.uses(field) && !field.preferred().is_some_and(is_set);
        let used = values.values.iter().filter(|(field, _)| is_used(**field));
        let shown = |field: Field, value: &SecretString| {
            (!field.is_secret()).then(|| value.expose_secret().into())
        };
        let setting = |(field, (value, origin)): (&Field, &(SecretString, String))| {
            (*field, shown(*field, value), origin.clone())
        };
        let mut settings: Vec<_> = used.map(setting).collect();
        let mut warnings = values.warnings.clone();
        if let AuthConfig::TokenFile(file) = &auth_config {
            settings.insert(0, (Field::Token, None, file.display().to_string()));
            warnings.extend(CredentialChainWarning::for_secret_file(file));
        }
        let given = values.get(Field::AuthUrl).and_then(|(url, _)| url.parse().ok());
        let derived = hosts.as_ref().ok().and_then(ServiceHosts::identity);
        Ok(Self {
            auth_config,
            agency,
            project,
            region: region.map(|region| region.value),
            ca_file: values.get(Field::CaFile).map(|(text, _)| text.into()),
            settings,
            project_source: values.name(Field::ProjectId),
            project_name,
            project_domain: values.project_domain(),
            identity: given.or_else(|| Some(derived?.value.clone())),
            identity_source: values.name(Field::AuthUrl),
            token_service: hosts
                .as_ref()
                .ok()
                .and_then(ServiceHosts::token_service)
                .map(|url| url.value.clone()),
            warnings,
            chain: None,
            hosts,
            ignored: Vec::new(),
        })
    }

    /// Sets the chain that reads the file of the values again.
    pub(super) fn with_chain(self, chain: CredentialChain) -> Self {
        Self { chain: Some(chain), ..self }
    }

    pub(super) fn with_ignored(self, ignored: Vec<IgnoredVariable>) -> Self {
        Self { ignored, ..self }
    }

    /// Returns the lookup of the project's id, if the id is not set.
    ///
    /// Pass it to [`Client::project_lookup`](crate::Client::project_lookup).
    #[must_use]
    pub fn project_lookup(&self) -> Option<ProjectLookup> {
        let name = self.project_name.as_ref().filter(|_| self.project.is_none())?;
        Some(ProjectLookup::new(self.identity.clone()?, &name.value))
    }

    /// Returns the hosts that may receive the credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if two settings contradict each other, or if the host of the service cannot
    /// be derived from the settings. Set the endpoint of the
    /// [chain](crate::auth::CredentialChain::endpoint) then.
    pub fn hosts(&self) -> Result<&ServiceHosts, CredentialChainError> {
        self.hosts.as_ref().map_err(|error| CredentialChainError::Hosts(error.clone().into()))
    }

    /// Replaces the project. A login then requests a token for this project.
    #[must_use]
    pub fn with_project(mut self, project: ProjectId) -> Self {
        if let (AuthConfig::Password(login), None) = (&mut self.auth_config, &self.agency) {
            *login = login.clone().project_id(project.clone());
        }
        self.settings.retain(|(field, ..)| !field.is_project());
        self.project = Some(project);
        self.project_name = None;
        self
    }

    /// Returns the authentication method.
    #[must_use]
    pub const fn auth_method(&self) -> AuthMethod {
        self.auth_config.method()
    }

    /// Returns the name of the project and its origin, or `None` if the id is set.
    ///
    /// It is the name in the source, or else the region, because the main project of a region has
    /// the region's name.
    #[must_use]
    pub const fn project_name(&self) -> Option<&Sourced<String>> {
        self.project_name.as_ref()
    }

    /// Returns whether the project is known, by its id or by its name and an identity service that
    /// returns the id.
    #[must_use]
    pub const fn has_project(&self) -> bool {
        self.project.is_some() || (self.project_name.is_some() && self.identity.is_some())
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

    /// Returns whether requests are sent to the identity service.
    #[must_use]
    pub fn uses_identity(&self) -> bool {
        let is_login =
            matches!(self.auth_config, AuthConfig::Password(_) | AuthConfig::OidcLogin { .. });
        is_login
            || self.agency.is_some()
            || (self.project.is_none() && self.has_project())
            || self.exchange().is_some()
    }

    /// Returns whether requests are sent to the token service.
    #[must_use]
    pub const fn uses_token_service(&self) -> bool {
        matches!(self.auth_config, AuthConfig::OidcAssume(_))
    }

    /// Returns an iterator over the variables that are set and have no effect.
    pub fn ignored(&self) -> impl Iterator<Item = &IgnoredVariable> {
        self.ignored.iter()
    }
}

/// Prints the name and the origin of each setting, but no values.
impl fmt::Debug for ResolvedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<_> = self.settings().map(|of| (of.name, of.source)).collect();
        f.debug_struct("ResolvedCredentials").field("settings", &settings).finish_non_exhaustive()
    }
}
