//! Assumes an agency (role) of another account, or of the same one, at the identity service.

use std::{fmt, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use http::StatusCode;
use job_model::ProjectId;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    failed, failed_login,
    oidc::SECURITY_TOKENS,
    request::{post, send, set_header},
    temporary_key::temporary_key,
};
use crate::{
    auth::{
        access_key::AccessKey,
        credential::{Credential, IssuedCredential, ProvidedCredential},
        credentials::Credentials,
        credentials_cache::RefreshError,
        identity::token_from_reply,
        key_record::KeyRecords,
        provider::{ProvideCredentials, RenewalReason},
        secret::SecretHeader,
        signed_request::{SigningContext, send_signed},
    },
    clock::Clock,
    request::{
        CredentialsProviderError, Endpoint, ErrorClass, FetchError, RefusalCause, Reply,
        RequestInfo,
    },
    transport::{Transport, error_sources},
};

const TOKENS: &str = "/v3/auth/tokens";

/// The lifetime of a temporary key of an agency.
const DURATION: Duration = Duration::from_secs(60 * 60);

/// A credentials provider that assumes an agency with other credentials.
///
/// With a token (also of a password), the identity service returns a token for the delegated
/// project. With a key pair, it returns a temporary key.
///
/// # Examples
///
/// ```no_run
/// # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use job_transport::{
///     Credentials, Endpoint, auth::{AccessKey, AssumeAgency},
///     hyper::{HyperTransport, TlsConfig, TlsProvider}, request::Cloud,
/// };
///
/// let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let identity = Endpoint::identity_for_region(Cloud::Huawei, "eu-west-101")?;
/// let key = AccessKey::new(std::env::var("HW_ACCESS_KEY")?, std::env::var("HW_SECRET_KEY")?)?;
/// let source = Credentials::access_key(key);
/// let agency = AssumeAgency::new(identity, source, "customer-account", "job-reader", transport);
/// let credentials = Credentials::from_provider(agency);
/// # Ok(())
/// # }
/// ```
pub struct AssumeAgency {
    identity_url: Endpoint,
    source: Credentials,
    domain: String,
    agency: String,
    project: Option<DelegatedProject>,
    duration: Duration,
    transport: Box<dyn Transport>,
    clock: Arc<dyn Clock>,
    key_records: Option<Arc<dyn KeyRecords>>,
}

enum DelegatedProject {
    Id(ProjectId),
    Name(String),
}

impl AssumeAgency {
    /// Creates a provider from the URL of the identity service, the credentials that assume the
    /// agency, the name of the domain (account) that the agency belongs to, and its own name.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn new(
        identity_url: Endpoint,
        source: Credentials,
        domain: impl Into<String>,
        agency: impl Into<String>,
        transport: impl Transport + 'static,
    ) -> Self {
        let clock = crate::clock::TokioClock::new();
        Self::with_clock(identity_url, source, domain, agency, transport, clock)
    }

    /// Creates a provider with a custom clock, which must be the one of the
    /// [`Client`](crate::Client).
    #[must_use]
    pub fn with_clock(
        identity_url: Endpoint,
        source: Credentials,
        domain: impl Into<String>,
        agency: impl Into<String>,
        transport: impl Transport + 'static,
        clock: impl Clock + 'static,
    ) -> Self {
        Self {
            identity_url,
            source,
            domain: domain.into(),
            agency: agency.into(),
            project: None,
            duration: DURATION,
            transport: Box::new(transport),
            clock: Arc::new(clock),
            key_records: None,
        }
    }

    /// Requests a token for the delegated project with this id, or a key that is used for it.
    #[must_use]
    pub fn project_id(mut self, id: ProjectId) -> Self {
        self.project = Some(DelegatedProject::Id(id));
        self
    }

    /// Requests a token for the delegated project with this name, in the domain of the agency.
    ///
    /// A key has no project. If the source is a key pair, look the project up with
    /// [`Client::project_lookup`](crate::Client::project_lookup).
    #[must_use]
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.project = Some(DelegatedProject::Name(name.into()));
        self
    }

    /// Sets the lifetime of a temporary key, in whole seconds; one hour by default.
    ///
    /// The service accepts 15 minutes to 24 hours. It sets the lifetime of a token itself.
    #[must_use]
    pub const fn duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// Shares what is known of the source's access key with other processes; see
    /// [`Client::key_records`](crate::Client::key_records).
    #[must_use]
    pub fn key_records(mut self, records: impl KeyRecords + 'static) -> Self {
        self.key_records = Some(Arc::new(records));
        self
    }

    /// Assumes the agency. If the source's credentials are refused, refreshes them once.
    async fn assume(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        let clock = &*self.clock;
        let source_failed = |error: RefreshError| {
            failed("cannot get the credentials that assume the agency")(FetchError::from(error))
        };
        let issued = self.source.get(clock).await.map_err(source_failed)?;
        let refused = match self.assume_with(&issued).await {
            Err(error) if error.class() == ErrorClass::Unauthorized => error,
            other => return other,
        };
        let has_expired = error_sources(&refused)
            .filter_map(|error| error.downcast_ref::<FetchError>())
            .any(|error| error.refusal_cause() == Some(RefusalCause::TemporaryKeyExpired));
        let reason = RenewalReason::from_refusal(has_expired);
        let renewed = self.source.refresh(&issued, reason, clock).await;
        match renewed.map_err(source_failed)? {
            Some(renewed) if !renewed.has_same_secret(&issued) => self.assume_with(&renewed).await,
            _ => Err(refused),
        }
    }

    async fn assume_with(
        &self,
        source: &IssuedCredential,
    ) -> Result<ProvidedCredential, CredentialsProviderError> {
        let step = || {
            format!("cannot assume the agency `{}` of the domain `{}`", self.agency, self.domain)
        };
        match &source.credential {
            Credential::Token(token) => {
                let reply = self.request_token(token).await.map_err(failed(step()))?;
                token_from_reply(reply).map_err(failed_login(step()))
            }
            Credential::Key(key) => {
                let reply = self.request_key(key).await.map_err(failed(step()))?;
                let reply = reply.expect_status(StatusCode::CREATED).map_err(failed(step()))?;
                let mut provided = temporary_key(&reply).map_err(failed(step()))?;
                if let Some(DelegatedProject::Id(id)) = &self.project {
                    provided.project = Some(id.clone());
                }
                Ok(provided)
            }
        }
    }

    async fn request_token(&self, token: &SecretHeader) -> Result<Reply, FetchError> {
        let domain = json!({"name": self.domain});
        let mut body = self.body(&json!({}));
        body["auth"]["scope"] = match &self.project {
            Some(DelegatedProject::Id(id)) => json!({"project": {"id": id.as_str()}}),
            Some(DelegatedProject::Name(name)) => {
                json!({"project": {"name": name, "domain": domain}})
            }
            None => json!({"domain": domain}),
        };
        let mut request = post(&self.identity_url, self.identity_url.identity_uri(TOKENS), &body)?;
        set_header(&mut request, "x-auth-token", token.expose_secret(), true)?;
        send(&*self.transport, request, TOKENS, &[]).await
    }

    async fn request_key(&self, key: &AccessKey) -> Result<Reply, FetchError> {
        let body = self.body(&json!({"duration_seconds": self.duration.as_secs()}));
        let build_request =
            || post(&self.identity_url, self.identity_url.identity_uri(SECURITY_TOKENS), &body);
        let context = SigningContext {
            transport: &*self.transport,
            clock: &*self.clock,
            records: self.key_records.as_deref(),
        };
        let about = || RequestInfo { template: SECURITY_TOKENS, target: None, resends: 0 };
        send_signed(&context, build_request, key, None, about, &[]).await
    }

    /// Returns the body, with these additions to the description of the agency.
    fn body(&self, additions: &Value) -> Value {
        let mut agency = additions.clone();
        agency["domain_name"] = self.domain.as_str().into();
        agency["agency_name"] = self.agency.as_str().into();
        json!({"auth": {"identity": {"methods": ["assume_role"], "assume_role": agency}}})
    }
}

impl ProvideCredentials for AssumeAgency {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.assume())
    }
}

impl fmt::Debug for AssumeAgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeAgency")
            .field("identity_url", &self.identity_url)
            .field("source", &self.source)
            .field("domain", &self.domain)
            .field("agency", &self.agency)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
