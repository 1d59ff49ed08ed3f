//! Exchanges an ID token of an OpenID Connect provider for temporary keys.

use std::{fmt, time::Duration};

use futures_core::future::BoxFuture;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    TokenSource, failed, failed_login,
    request::{post, send, set_header},
    temporary_key::temporary_key,
};
use crate::{
    auth::{
        credential::ProvidedCredential, identity::token_from_reply, provider::ProvideCredentials,
    },
    request::{CredentialsProviderError, Endpoint, FetchError, Reply},
    transport::Transport,
};

/// The path for exchanging a token for a temporary key.
pub(super) const SECURITY_TOKENS: &str = "/v3.0/OS-CREDENTIAL/securitytokens";

const ID_TOKENS: &str = "/v3.0/OS-AUTH/id-token/tokens";
const ASSUME_WITH_OIDC: &str = "/v5/agencies/assume-with-oidc";

/// The lifetime of a temporary key of a federated user, as the vendor's SDKs request it.
const LOGIN_DURATION: Duration = Duration::from_secs(6 * 60 * 60);

/// The lifetime of a temporary key of an agency, as the vendor's SDKs request it.
const ASSUME_DURATION: Duration = Duration::from_secs(60 * 60);

/// The session name that the vendor's SDKs use. A trust policy may require it.
const SESSION_NAME: &str = "oidc-sts-session";

/// A credentials provider that logs in a federated user with an ID token.
///
/// The identity service (IAM) exchanges the ID token for an unscoped token, and that for a
/// temporary key. For agencies of the newer generation use [`OidcAssume`].
///
/// # Examples
///
/// ```no_run
/// # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use job_transport::{
///     Credentials, Endpoint, auth::{OidcLogin, TokenSource},
///     hyper::{HyperTransport, TlsConfig, TlsProvider}, request::Cloud,
/// };
///
/// let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let identity = Endpoint::identity_for_region(Cloud::Huawei, "eu-west-101")?;
/// let token = TokenSource::file("/var/run/secrets/tokens/oidc");
/// let login = OidcLogin::new(identity, "my-identity-provider", token, transport);
/// let credentials = Credentials::from_provider(login);
/// # Ok(())
/// # }
/// ```
pub struct OidcLogin {
    identity_url: Endpoint,
    identity_provider: String,
    id_token: TokenSource,
    duration: Duration,
    transport: Box<dyn Transport>,
}

impl OidcLogin {
    /// Creates a provider from the URL of the identity service, the id of the identity provider
    /// that is registered there, and an ID token of that provider.
    #[must_use]
    pub fn new(
        identity_url: Endpoint,
        identity_provider: impl Into<String>,
        id_token: TokenSource,
        transport: impl Transport + 'static,
    ) -> Self {
        Self {
            identity_url,
            identity_provider: identity_provider.into(),
            id_token,
            duration: LOGIN_DURATION,
            transport: Box::new(transport),
        }
    }

    /// Sets the lifetime of a key, in whole seconds; 6 hours by default.
    ///
    /// The service accepts 15 minutes to 24 hours.
    #[must_use]
    pub const fn duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    async fn log_in(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        const STEP: &str = "cannot exchange the token of the federated user for a temporary key";
        let exchange = || {
            let provider = &self.identity_provider;
            format!(
                "cannot exchange the ID token of the identity provider `{provider}` for a token"
            )
        };
        let id_token = self.id_token.get().await?;
        let reply = self.send_id_token(&id_token).await.map_err(failed(exchange()))?;
        let token = token_from_reply(reply).map_err(failed_login(exchange()))?.into_token();
        let token = token.map_err(failed(exchange()))?;
        let reply = self.send_token(&token).await.map_err(failed(STEP))?;
        let reply = reply.expect_status(StatusCode::CREATED).map_err(failed(STEP))?;
        temporary_key(&reply).map_err(failed(STEP))
    }

    /// Requests an unscoped token for the ID token.
    async fn send_id_token(&self, id_token: &SecretString) -> Result<Reply, FetchError> {
        let id_token = id_token.expose_secret();
        let body = json!({"auth": {"id_token": {"id": id_token}}});
        let uri = self.identity_url.identity_uri(ID_TOKENS);
        let mut request = post(&self.identity_url, uri, &body)?;
        set_header(&mut request, "x-idp-id", &self.identity_provider, false)?;
        send(&*self.transport, request, ID_TOKENS, &[id_token]).await
    }

    /// Requests a temporary key for the unscoped token.
    async fn send_token(&self, token: &SecretString) -> Result<Reply, FetchError> {
        let token = token.expose_secret();
        let source = json!({"id": token, "duration_seconds": self.duration.as_secs()});
        let body = json!({"auth": {"identity": {"methods": ["token"], "token": source}}});
        let uri = self.identity_url.identity_uri(SECURITY_TOKENS);
        let request = post(&self.identity_url, uri, &body)?;
        send(&*self.transport, request, SECURITY_TOKENS, &[token]).await
    }
}

impl ProvideCredentials for OidcLogin {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.log_in())
    }
}

impl fmt::Debug for OidcLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcLogin")
            .field("identity_url", &self.identity_url)
            .field("identity_provider", &self.identity_provider)
            .field("id_token", &self.id_token)
            .finish_non_exhaustive()
    }
}

/// A credentials provider that assumes an agency with an ID token, at the token service (STS).
///
/// # Examples
///
/// ```no_run
/// # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use job_transport::{
///     Credentials, auth::{OidcAssume, TokenSource},
///     hyper::{HyperTransport, TlsConfig, TlsProvider},
/// };
///
/// let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let assume = OidcAssume::new(
///     "https://sts.eu-west-101.myhuaweicloud.eu".parse()?,
///     std::env::var("HUAWEICLOUD_OIDC_PROVIDER_URN")?,
///     std::env::var("HUAWEICLOUD_OIDC_AGENCY_URN")?,
///     TokenSource::file(std::env::var("HUAWEICLOUD_OIDC_TOKEN_FILE")?),
///     transport,
/// );
/// let credentials = Credentials::from_provider(assume);
/// # Ok(())
/// # }
/// ```
pub struct OidcAssume {
    sts_url: Endpoint,
    provider_urn: String,
    agency_urn: String,
    id_token: TokenSource,
    session_name: String,
    duration: Duration,
    policy: Option<String>,
    policy_ids: Vec<String>,
    transport: Box<dyn Transport>,
}

impl OidcAssume {
    /// Creates a provider from the URL of the token service, the names (URN) of the identity
    /// provider and of the agency, and an ID token of that provider.
    #[must_use]
    pub fn new(
        sts_url: Endpoint,
        provider_urn: impl Into<String>,
        agency_urn: impl Into<String>,
        id_token: TokenSource,
        transport: impl Transport + 'static,
    ) -> Self {
        Self {
            sts_url,
            provider_urn: provider_urn.into(),
            agency_urn: agency_urn.into(),
            id_token,
            session_name: SESSION_NAME.into(),
            duration: ASSUME_DURATION,
            policy: None,
            policy_ids: Vec::new(),
            transport: Box::new(transport),
        }
    }

    /// Sets the name of the session, which audit logs contain; `oidc-sts-session` by default.
    #[must_use]
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = name.into();
        self
    }

    /// Sets the lifetime of a key, in whole seconds; one hour by default.
    ///
    /// The service accepts 15 minutes up to the maximum that the agency allows.
    #[must_use]
    pub const fn duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// Limits the permissions of a key with a policy (JSON); by default it has all permissions of
    /// the agency.
    #[must_use]
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Limits the permissions of a key with the policies that have these ids; none by default.
    #[must_use]
    pub fn policy_ids<I: Into<String>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.policy_ids = ids.into_iter().map(Into::into).collect();
        self
    }

    async fn assume(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        let step = || format!("cannot assume the agency `{}` with the ID token", self.agency_urn);
        let id_token = self.id_token.get().await?;
        let reply = self.send_request(&id_token).await.map_err(failed(step()))?;
        let reply = match reply.response.status() {
            StatusCode::CREATED => reply.response,
            _ => reply.expect_status(StatusCode::OK).map_err(failed(step()))?,
        };
        temporary_key(&reply).map_err(failed(step()))
    }

    async fn send_request(&self, id_token: &SecretString) -> Result<Reply, FetchError> {
        let id_token = id_token.expose_secret();
        let mut body = json!({
            "provider_urn": self.provider_urn,
            "agency_urn": self.agency_urn,
            "agency_session_name": self.session_name,
            "id_token": id_token,
            "duration_seconds": self.duration.as_secs(),
        });
        if let Some(policy) = &self.policy {
            body["policy"] = policy.as_str().into();
        }
        if !self.policy_ids.is_empty() {
            body["policy_ids"] = self.policy_ids.clone().into();
        }
        let request = post(&self.sts_url, self.sts_url.join(ASSUME_WITH_OIDC), &body)?;
        send(&*self.transport, request, ASSUME_WITH_OIDC, &[id_token]).await
    }
}

impl ProvideCredentials for OidcAssume {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.assume())
    }
}

impl fmt::Debug for OidcAssume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcAssume")
            .field("sts_url", &self.sts_url)
            .field("agency_urn", &self.agency_urn)
            .field("id_token", &self.id_token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
