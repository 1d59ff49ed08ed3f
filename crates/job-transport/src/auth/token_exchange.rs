//! Exchanges a token that belongs to no project for one that does.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    access_key::sensitive_header,
    credential::{Credential, ProvidedCredential},
    credentials::X_AUTH_TOKEN,
    identity::{Domain, TokenScope, X_SUBJECT_TOKEN, token_from_reply},
    provider::ProvideCredentials,
};
use crate::{
    request::{
        CredentialsProviderError, Endpoint, ErrorClass, FetchError, Reply, RequestInfo, send_traced,
    },
    transport::{Transport, TransportError},
};

/// The project that a token is needed for.
#[derive(Clone)]
pub(super) enum WantedProject {
    /// The id is known, so the token is used as it is until the service refuses it.
    Id(ProjectId),
    /// The name is set.
    Name(String),
    /// The name is the default for the region. A token for another project is used as it is.
    DefaultName(String),
}

/// A credentials provider that asks the identity service what a token is for
/// (`GET /v3/auth/tokens`).
///
/// A token for a project or an account is used as it is. A token for neither (unscoped) is exchanged
/// for one of the project.
pub(super) struct TokenExchange {
    endpoint: Endpoint,
    token: SecretString,
    project: WantedProject,
    transport: Arc<dyn Transport>,
    /// Whether the token was provided as it is. A second request for credentials means that the
    /// service refused it.
    was_provided: AtomicBool,
}

/// What the identity service knows about the token.
enum TokenInfo {
    /// It is for an account, or for a project. The id is that of the wanted project.
    Scoped {
        project: Option<ProjectId>,
    },
    Unscoped {
        user_domain: Option<Domain>,
    },
}

impl TokenExchange {
    pub(super) const fn new(
        endpoint: Endpoint,
        token: SecretString,
        project: WantedProject,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self { endpoint, token, project, transport, was_provided: AtomicBool::new(false) }
    }

    async fn scoped_token(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        let is_refused = self.was_provided.load(Ordering::Acquire);
        if !is_refused && matches!(self.project, WantedProject::Id(_)) {
            return Ok(self.unchanged(None));
        }
        let refused = || {
            let message = "the token was refused, and it cannot be renewed; get a new one";
            CredentialsProviderError::new(ErrorClass::Unauthorized, message)
        };
        match self.inspect().await {
            // The service decides whether the token is valid.
            Err(_) if !is_refused => Ok(self.unchanged(None)),
            Err(error) => Err(refused().with_source(error)),
            Ok(TokenInfo::Scoped { .. }) if is_refused => Err(refused()),
            Ok(TokenInfo::Scoped { project }) => Ok(self.unchanged(project)),
            Ok(TokenInfo::Unscoped { user_domain }) => self.exchange(user_domain.as_ref()).await,
        }
    }

    /// Returns the token as it is. The next call means that the service refused it.
    fn unchanged(&self, project: Option<ProjectId>) -> ProvidedCredential {
        self.was_provided.store(true, Ordering::Release);
        let provided = ProvidedCredential::new(Credential::Token(self.token.clone()));
        ProvidedCredential { project, ..provided }
    }

    /// Asks the identity service what the token is for.
    async fn inspect(&self) -> Result<TokenInfo, FetchError> {
        let reply = self.send(Method::GET, Bytes::new()).await?;
        let reply = reply.expect_status(StatusCode::OK)?;
        let body: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
        let token = &body["token"];
        // If the body does not describe the token, the token is used as it is.
        if token.is_object() && token["project"].is_null() && token["domain"].is_null() {
            let domain = token["user"]["domain"]["id"].as_str();
            return Ok(TokenInfo::Unscoped { user_domain: domain.map(|id| Domain::Id(id.into())) });
        }
        let is_other = match &self.project {
            WantedProject::Name(name) => token["project"]["name"] != **name,
            WantedProject::Id(_) | WantedProject::DefaultName(_) => false,
        };
        let id = token["project"]["id"].as_str().filter(|_| !is_other);
        Ok(TokenInfo::Scoped { project: id.and_then(|id| id.parse().ok()) })
    }

    /// Requests a token of the project.
    async fn exchange(
        &self,
        user_domain: Option<&Domain>,
    ) -> Result<ProvidedCredential, CredentialsProviderError> {
        const STEP: &str = "cannot exchange the token for one of the project";
        let scope = match &self.project {
            WantedProject::Id(id) => TokenScope::ProjectId(id.clone()),
            WantedProject::Name(name) | WantedProject::DefaultName(name) => {
                TokenScope::ProjectName(name.clone(), None)
            }
        };
        let identity = json!({"methods": ["token"], "token": {"id": self.token.expose_secret()}});
        let body = json!({"auth": {"identity": identity, "scope": scope.to_json(user_domain)}});
        let reply = self.send(Method::POST, body.to_string().into()).await;
        let failed = |error: FetchError| {
            CredentialsProviderError::new(error.class(), STEP).with_source(error)
        };
        token_from_reply(reply.map_err(failed)?)
            .map_err(|error| CredentialsProviderError::new(error.class(), STEP).with_source(error))
    }

    async fn send(&self, method: Method, body: Bytes) -> Result<Reply, FetchError> {
        let token = self.token.expose_secret();
        let header = || sensitive_header(&self.token);
        let request = self.endpoint.tokens_uri().and_then(|uri| {
            let mut request = self.endpoint.request(uri)?;
            let is_inspection = method == Method::GET;
            *request.method_mut() = method;
            *request.body_mut() = body;
            let headers = request.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if is_inspection {
                headers.insert(X_AUTH_TOKEN, header()?);
                headers.insert(X_SUBJECT_TOKEN, header()?);
            }
            Ok(request)
        });
        let request = request.map_err(TransportError::invalid_request)?;
        let about = RequestInfo { template: "/v3/auth/tokens", job: None, resends: 0 };
        Ok(send_traced(&*self.transport, request, about, &[token]).await?)
    }
}

impl ProvideCredentials for TokenExchange {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.scoped_token())
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
