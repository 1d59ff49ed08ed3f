//! Builds the credentials of a source for a client.

use std::sync::Arc;

use super::{
    super::{
        CredentialChain,
        auth_config::{Agency, AuthConfig, OidcAgency},
        error::CredentialChainError,
        field::Field,
        key_file::KeyFile,
    },
    ResolvedCredentials,
};
#[cfg(feature = "tokio")]
use crate::auth::providers::AssumeAgency;
use crate::{
    auth::{
        credential::ProvidedCredential,
        credentials::Credentials,
        identity::Identity,
        key_record::KeyRecords,
        providers::{
            ExchangeableToken, MetadataService, OidcAssume, OidcLogin, PodIdentity, TokenExchange,
            WantedProject,
        },
        token_file::TokenFile,
    },
    request::Endpoint,
    transport::Transport,
};

impl ResolvedCredentials {
    /// Returns the credentials for a [`Client`](crate::Client).
    ///
    /// `transport` sends the requests to the services that issue them. If they are a token, a key
    /// pair or a password from a file, the file is read again when it changes and when the service
    /// refuses them, because another process may have replaced them. If the file then describes
    /// another project, account or endpoint, the credentials are not used any longer.
    ///
    /// A token for a project or an account is used as it is. If the project has no id, the identity
    /// service is asked what the token is for (`GET /v3/auth/tokens`); with an id, it is asked only
    /// if the service refuses the token (401 or 403). An unscoped token is exchanged for a token of
    /// the project.
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
            AuthConfig::Token(token) => {
                let token = match &self.chain {
                    Some(chain) => ExchangeableToken::InFile(Box::new(key_file(chain))),
                    None => ExchangeableToken::Fixed(token.clone()),
                };
                self.token_credentials(token, transport)
            }
            AuthConfig::TokenFile(file) => {
                let token = ExchangeableToken::InFile(Box::new(TokenFile::new(file)));
                self.token_credentials(token, transport)
            }
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

    fn token_credentials(
        &self,
        token: ExchangeableToken,
        transport: Arc<dyn Transport>,
    ) -> Credentials {
        match (self.exchange(), token) {
            (Some((identity, project)), token) => Credentials::renewed_by(TokenExchange::new(
                identity.clone(),
                token,
                project,
                transport,
            )),
            (None, ExchangeableToken::Fixed(token)) => {
                Credentials::from_provided(ProvidedCredential::from_token(token))
            }
            (None, ExchangeableToken::InFile(file)) => Credentials::from_provider(file),
        }
    }

    /// Returns where a token is exchanged if it belongs to no project, and for which project.
    /// Returns `None` if it is always used as it is.
    pub(super) fn exchange(&self) -> Option<(&Endpoint, WantedProject)> {
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
                Some(WantedProject::Name(name.value.clone(), self.project_domain.clone()))
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

    fn identity(&self) -> Result<Endpoint, CredentialChainError> {
        let missing = || no_login_host("the URL of the identity service", &self.identity_source);
        self.identity.clone().ok_or_else(missing)
    }
}

fn no_login_host(service: &'static str, variable: &str) -> CredentialChainError {
    CredentialChainError::NoLoginHost { service, variable: variable.into() }
}

/// The variable with the URI of the pod identity.
const POD_URI: &str = "HC_CONTAINER_CREDENTIALS_FULL_URI";
