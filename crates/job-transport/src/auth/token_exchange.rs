//! Exchanges a token that belongs to no project for one that does.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
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
    provider::{ProvideCredentials, RenewCredentials, RenewalReason},
};
use crate::{
    request::{
        CredentialsProviderError, Endpoint, ErrorClass, FetchError, Reply, RequestInfo, send_traced,
    },
    transport::{Transport, TransportError},
};

/// The timeout for reading the token, asking what it is for, and exchanging it.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

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

/// A token that may have to be exchanged.
pub(super) enum ExchangeableToken {
    Fixed(SecretString),
    /// A file may contain a new token whenever it is read.
    InFile(Box<dyn ProvideCredentials>),
}

/// A credentials provider that asks the identity service what a token is for
/// (`GET /v3/auth/tokens`).
///
/// A token for a project or an account is used as it is. A token for neither (unscoped) is exchanged
/// for one of the project. If the token is in a file, the file is read for each exchange.
pub(super) struct TokenExchange {
    endpoint: Endpoint,
    token: ExchangeableToken,
    project: WantedProject,
    transport: Arc<dyn Transport>,
    last: Mutex<Option<LastToken>>,
}

/// A token, and how it was used.
#[derive(Clone)]
struct LastToken {
    token: SecretString,
    usage: TokenUsage,
}

#[derive(Clone)]
enum TokenUsage {
    /// It was used as it is. The project is the one that the identity service named.
    Unchanged {
        project: Option<ProjectId>,
    },
    Exchanged,
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
    pub(super) fn new(
        endpoint: Endpoint,
        token: ExchangeableToken,
        project: WantedProject,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self { endpoint, token, project, transport, last: Mutex::default() }
    }

    async fn usable_token(
        &self,
        reason: RenewalReason,
    ) -> Result<ProvidedCredential, CredentialsProviderError> {
        let last = self.last().clone();
        let provided = match self.read().await {
            Ok(provided) => provided,
            Err(error) => return self.exchange_last(reason, last, error).await,
        };
        let Credential::Token(token) = &provided.credential else { return Ok(provided) };
        let last = last.filter(|last| last.token.expose_secret() == token.expose_secret());
        let usage = last.map(|last| last.usage);
        match (&usage, reason, &self.project) {
            (Some(TokenUsage::Unchanged { project }), RenewalReason::Due, _) => {
                return Ok(self.unchanged(provided, project.clone()));
            }
            // The service decides whether the token is valid for the project.
            (None, _, WantedProject::Id(_)) => return Ok(self.unchanged(provided, None)),
            _ => {}
        }
        match (self.inspect(token).await, usage) {
            (Ok(TokenInfo::Unscoped { user_domain }), _) => {
                self.exchange(token, user_domain.as_ref()).await
            }
            (Err(error), Some(TokenUsage::Exchanged)) => Err(exchange_failed(error)),
            (Err(error), Some(_)) if self.is_fixed() => Err(refused().with_source(error)),
            (Ok(TokenInfo::Scoped { .. }), Some(_)) if self.is_fixed() => Err(refused()),
            (Ok(TokenInfo::Scoped { project }), _) => Ok(self.unchanged(provided, project)),
            // The service decides whether the token is valid.
            (Err(_), _) => Ok(self.unchanged(provided, None)),
        }
    }

    /// Reads the token.
    async fn read(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        match &self.token {
            ExchangeableToken::Fixed(token) => {
                Ok(ProvidedCredential::new(Credential::Token(token.clone())))
            }
            ExchangeableToken::InFile(file) => file.provide().await,
        }
    }

    /// Exchanges the last token, if the service refused it and it is unscoped. Otherwise returns the
    /// error of reading the file, which may be a pipe that has no second token.
    async fn exchange_last(
        &self,
        reason: RenewalReason,
        last: Option<LastToken>,
        error: CredentialsProviderError,
    ) -> Result<ProvidedCredential, CredentialsProviderError> {
        if let (RenewalReason::Refused, Some(last)) = (reason, last)
            && matches!(last.usage, TokenUsage::Unchanged { .. })
            && let Ok(TokenInfo::Unscoped { user_domain }) = self.inspect(&last.token).await
        {
            return self.exchange(&last.token, user_domain.as_ref()).await;
        }
        Err(error)
    }

    /// Returns the token as it is.
    fn unchanged(
        &self,
        provided: ProvidedCredential,
        project: Option<ProjectId>,
    ) -> ProvidedCredential {
        if let Credential::Token(token) = &provided.credential {
            self.remember(token, TokenUsage::Unchanged { project: project.clone() });
        }
        ProvidedCredential { project, ..provided }
    }

    fn remember(&self, token: &SecretString, usage: TokenUsage) {
        *self.last() = Some(LastToken { token: token.clone(), usage });
    }

    fn last(&self) -> MutexGuard<'_, Option<LastToken>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn is_fixed(&self) -> bool {
        matches!(self.token, ExchangeableToken::Fixed(_))
    }

    /// Asks the identity service what the token is for.
    async fn inspect(&self, token: &SecretString) -> Result<TokenInfo, FetchError> {
        let reply = self.send(Method::GET, token, Bytes::new()).await?;
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
        token: &SecretString,
        user_domain: Option<&Domain>,
    ) -> Result<ProvidedCredential, CredentialsProviderError> {
        let scope = match &self.project {
            WantedProject::Id(id) => TokenScope::ProjectId(id.clone()),
            WantedProject::Name(name) | WantedProject::DefaultName(name) => {
                TokenScope::ProjectName(name.clone(), None)
            }
        };
        let identity = json!({"methods": ["token"], "token": {"id": token.expose_secret()}});
        let body = json!({"auth": {"identity": identity, "scope": scope.to_json(user_domain)}});
        let reply = self.send(Method::POST, token, body.to_string().into()).await;
        let exchanged = token_from_reply(reply.map_err(exchange_failed)?).map_err(|error| {
            CredentialsProviderError::new(error.class(), EXCHANGE).with_source(error)
        })?;
        self.remember(token, TokenUsage::Exchanged);
        Ok(exchanged)
    }

    async fn send(
        &self,
        method: Method,
        token: &SecretString,
        body: Bytes,
    ) -> Result<Reply, FetchError> {
        let header = || sensitive_header(token);
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
        Ok(send_traced(&*self.transport, request, about, &[token.expose_secret()]).await?)
    }
}

impl RenewCredentials for TokenExchange {
    fn renew(
        &self,
        reason: RenewalReason,
    ) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.usable_token(reason))
    }

    fn renewal_timeout(&self, reason: RenewalReason) -> Duration {
        let is_unchanged = |last: &LastToken| matches!(last.usage, TokenUsage::Unchanged { .. });
        match (&self.token, reason) {
            // The file is only read again, to see whether it has changed.
            (ExchangeableToken::InFile(file), RenewalReason::Due)
                if self.last().as_ref().is_some_and(is_unchanged) =>
            {
                file.timeout()
            }
            _ => EXCHANGE_TIMEOUT,
        }
    }
}

const EXCHANGE: &str = "cannot exchange the token for one of the project";

fn exchange_failed(error: FetchError) -> CredentialsProviderError {
    CredentialsProviderError::new(error.class(), EXCHANGE).with_source(error)
}

fn refused() -> CredentialsProviderError {
    let message = "the token was refused, and it cannot be renewed; get a new one";
    CredentialsProviderError::new(ErrorClass::Unauthorized, message)
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
