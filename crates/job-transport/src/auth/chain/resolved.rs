//! The credentials of a source, with its other settings.

use std::{fmt, path::PathBuf, sync::Arc};

use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use super::{
    CredentialChain,
    error::{CredentialChainError, CredentialChainWarning},
    field::Field,
    ignored::IgnoredVariable,
    key_file::KeyFile,
    service_hosts::{ServiceHosts, ServiceHostsError, Sourced},
    values::{Agency, AuthConfig, AuthMethod, OidcAgency, Values},
};
#[cfg(feature = "tokio")]
use crate::auth::providers::AssumeAgency;
use crate::{
    auth::{
        credential::{Credential, ProvidedCredential},
        credentials::Credentials,
        identity::Identity,
        key_record::KeyRecords,
        project_lookup::ProjectLookup,
        provider::ProvideCredentials,
        providers::{MetadataService, OidcAssume, OidcLogin, PodIdentity},
        token_exchange::{ExchangeableToken, TokenExchange, WantedProject},
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
        if let AuthConfig::TokenFile(file) = &auth_config {
            settings.insert(0, (Field::Token, None, file.display().to_string()));
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
            identity: given.or_else(|| Some(derived?.value.clone())),
            identity_source: values.name(Field::AuthUrl),
            token_service: hosts
                .as_ref()
                .ok()
                .and_then(ServiceHosts::token_service)
                .map(|url| url.value.clone()),
            warnings: values.warnings.clone(),
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

    /// Returns the credentials for a [`Client`](crate::Client).
    ///
    /// `transport` sends the requests to the services that issue them. If they are a token, a key
    /// pair or a password from a file, the file is read again when it changes and when the service
    /// refuses them, because another process may have replaced them. If the file then describes
    /// another project, account or endpoint, the credentials are not used any longer.
    ///
    /// # Errors
    ///
    /// Returns an error if the host of the identity or token service is not known.
    pub fn credentials(
        &self,
        transport: impl Transport + 'static,
    ) -> Result<Credentials, CredentialChainError> {
        self.credentials_and_records(Arc::new(transport), None)
    }

    /// Returns the credentials, and shares what is known of an access key that assumes an agency.
    ///
    /// Pass the records to [`Client::key_records`](crate::Client::key_records) as well, for the keys
    /// that sign the requests of the client. Otherwise this is [`credentials`](Self::credentials).
    ///
    /// # Errors
    ///
    /// Returns an error if the host of the identity or token service is not known.
    pub fn credentials_with_key_records(
        &self,
        transport: impl Transport + 'static,
        records: impl KeyRecords + 'static,
    ) -> Result<Credentials, CredentialChainError> {
        self.credentials_and_records(Arc::new(transport), Some(Arc::new(records)))
    }

    fn credentials_and_records(
        &self,
        transport: Arc<dyn Transport>,
        records: Option<Arc<dyn KeyRecords>>,
    ) -> Result<Credentials, CredentialChainError> {
        let source = self.own_credentials(&transport)?;
        match &self.agency {
            Some(agency) => self.assumed(agency, source, transport, records),
            None => Ok(source),
        }
    }

    /// Returns the credentials of the source, before they assume an agency.
    fn own_credentials(
        &self,
        transport: &Arc<dyn Transport>,
    ) -> Result<Credentials, CredentialChainError> {
        let transport = transport.clone();
        let key_file =
            |chain: &CredentialChain| KeyFile::new(chain.clone(), self, transport.clone());
        let from_file = |chain| Credentials::from_provider(key_file(chain));
        Ok(match &self.auth_config {
            AuthConfig::Token(token) => match &self.chain {
                Some(chain) => self.token_from_file(key_file(chain), &transport),
                None => match self.exchange() {
                    Some((identity, project)) => Credentials::renewed_by(TokenExchange::new(
                        identity.clone(),
                        ExchangeableToken::Fixed(token.clone()),
                        project,
                        transport,
                    )),
                    None => Credentials::from_provided(ProvidedCredential::new(Credential::Token(
                        token.clone(),
                    ))),
                },
            },
            AuthConfig::TokenFile(file) => self.token_from_file(TokenFile::new(file), &transport),
            AuthConfig::Key(key) => match &self.chain {
                Some(chain) => from_file(chain),
                None => Credentials::access_key(key.clone()),
            },
            AuthConfig::Password(login) => {
                let identity = self.identity()?;
                match &self.chain {
                    Some(chain) => from_file(chain),
                    None => Credentials::from_provider(Identity::new(
                        identity,
                        login.clone(),
                        transport,
                    )),
                }
            }
            AuthConfig::OidcLogin { idp_id, id_token } => {
                let id_token = id_token.source()?;
                let login = OidcLogin::new(self.identity()?, idp_id, id_token, transport);
                Credentials::from_provider(login)
            }
            AuthConfig::OidcAssume(agency) => {
                let url = self.token_service.clone().ok_or_else(|| {
                    no_login_host("the URL of the token service", "HUAWEICLOUD_SDK_STS_ENDPOINT")
                })?;
                let OidcAgency { provider_urn, agency_urn, .. } = &**agency;
                let id_token = agency.id_token.source()?;
                let mut assume =
                    OidcAssume::new(url, provider_urn, agency_urn, id_token, transport);
                if let Some(name) = &agency.session_name {
                    assume = assume.session_name(name);
                }
                if let Some(duration) = agency.duration {
                    assume = assume.duration(duration);
                }
                if let Some(policy) = &agency.policy {
                    assume = assume.policy(policy);
                }
                Credentials::from_provider(assume.policy_ids(agency.policy_ids.iter().cloned()))
            }
            AuthConfig::Metadata => Credentials::from_provider(MetadataService::new(transport)),
            AuthConfig::PodIdentity { uri, token_file } => {
                let pod_identity = PodIdentity::new(uri, transport)
                    .map_err(|error| CredentialChainError::PodUri(POD_URI.into(), error))?;
                Credentials::from_provider(pod_identity.token_file(token_file))
            }
        })
    }

    /// Returns the credentials of a token that `file` reads.
    fn token_from_file(
        &self,
        file: impl ProvideCredentials + 'static,
        transport: &Arc<dyn Transport>,
    ) -> Credentials {
        match self.exchange() {
            Some((identity, project)) => Credentials::renewed_by(TokenExchange::new(
                identity.clone(),
                ExchangeableToken::InFile(Box::new(file)),
                project,
                transport.clone(),
            )),
            None => Credentials::from_provider(file),
        }
    }

    /// Returns where a token is exchanged if it belongs to no project, and for which project.
    /// Returns `None` if it is always used as it is.
    fn exchange(&self) -> Option<(&Endpoint, WantedProject)> {
        let is_token = matches!(self.auth_config, AuthConfig::Token(_) | AuthConfig::TokenFile(_));
        Some((self.identity.as_ref().filter(|_| is_token)?, self.wanted_project()?))
    }

    /// Returns the project that a token may have to be exchanged for.
    fn wanted_project(&self) -> Option<WantedProject> {
        if self.agency.is_some() {
            return None;
        }
        match (&self.project, &self.project_name) {
            (Some(id), _) => Some(WantedProject::Id(id.clone())),
            (None, Some(name)) if self.is_project_named() => {
                Some(WantedProject::Name(name.value.clone()))
            }
            (None, Some(name)) => Some(WantedProject::DefaultName(name.value.clone())),
            (None, None) => None,
        }
    }

    fn is_project_named(&self) -> bool {
        self.settings.iter().any(|(field, ..)| *field == Field::ProjectName)
    }

    /// Returns the credentials of an agency.
    #[cfg(feature = "tokio")]
    fn assumed(
        &self,
        agency: &Agency,
        source: Credentials,
        transport: Arc<dyn Transport>,
        records: Option<Arc<dyn KeyRecords>>,
    ) -> Result<Credentials, CredentialChainError> {
        let identity = self.identity()?;
        let assume = AssumeAgency::new(identity, source, &agency.domain, &agency.name, transport);
        let assume = match records {
            Some(records) => assume.key_records(records),
            None => assume,
        };
        Ok(Credentials::from_provider(match (&self.project, &self.project_name) {
            (Some(id), _) => assume.project_id(id.clone()),
            (None, Some(name)) => assume.project_name(&name.value),
            (None, None) => assume,
        }))
    }

    /// Returns an error, because an agency needs a clock.
    #[cfg(not(feature = "tokio"))]
    fn assumed(
        &self,
        _: &Agency,
        _: Credentials,
        _: Arc<dyn Transport>,
        _: Option<Arc<dyn KeyRecords>>,
    ) -> Result<Credentials, CredentialChainError> {
        let is_agency = |field: &Field| *field == Field::AgencyName;
        let name = self.settings.iter().find(|(field, ..)| is_agency(field));
        Err(CredentialChainError::Unsupported {
            name: name.map(|(.., source)| source.clone()).unwrap_or_default(),
            reason: "it requires the feature `tokio`".into(),
        })
    }

    /// Returns the lookup of the project's id, if the id is not set.
    ///
    /// Pass it to [`Client::project_lookup`](crate::Client::project_lookup).
    #[must_use]
    pub fn project_lookup(&self) -> Option<ProjectLookup> {
        let name = self.project_name.as_ref().filter(|_| self.project.is_none())?;
        Some(ProjectLookup::new(self.identity.clone()?, &name.value))
    }

    fn identity(&self) -> Result<Endpoint, CredentialChainError> {
        let missing = || no_login_host("the URL of the identity service", &self.identity_source);
        self.identity.clone().ok_or_else(missing)
    }

    /// Returns the hosts that may receive the credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if two settings contradict each other, or if the host of the service cannot
    /// be derived from the settings. Set the endpoint of the
    /// [chain](crate::CredentialChain::endpoint) then.
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

fn no_login_host(service: &'static str, variable: &str) -> CredentialChainError {
    CredentialChainError::NoLoginHost { service, variable: variable.into() }
}

/// The variable with the URI of the pod identity.
const POD_URI: &str = "HC_CONTAINER_CREDENTIALS_FULL_URI";

/// Prints the name and the origin of each setting, but no values.
impl fmt::Debug for ResolvedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<_> = self.settings().map(|of| (of.name, of.source)).collect();
        f.debug_struct("ResolvedCredentials").field("settings", &settings).finish_non_exhaustive()
    }
}
