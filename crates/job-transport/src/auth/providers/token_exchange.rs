//! Exchanges an unscoped token for a token of the wanted project.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_core::future::BoxFuture;
use http::{Method, StatusCode};
use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    failed, failed_login,
    request::{post, request, send, set_header},
};
use crate::{
    auth::{
        credential::ProvidedCredential,
        identity::{Domain, TokenScope, token_from_reply},
        provider::{ProvideCredentials, RenewCredentials, RenewalReason},
    },
    clock::{Clock, timeout},
    request::{CredentialsProviderError, Endpoint, ErrorClass},
    transport::Transport,
};

const TOKENS: &str = "/v3/auth/tokens";

/// The timeout for reading the token, asking what it is for, and exchanging it.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// The timeout for asking what a token is for. The token may be usable without the answer.
const INSPECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// An exchanged token is renewed after this share of its lifetime.
const RENEWAL_SHARE: f64 = 0.8;

/// The project that a token is needed for.
#[derive(Clone)]
pub(in crate::auth) enum WantedProject {
    /// The id is known, so the token is used as it is until the service refuses it.
    Id(ProjectId),
    /// The name is set, and perhaps the domain of the project.
    Name(String, Option<Domain>),
    /// The name is the default for the region. A token for another project is used as it is.
    DefaultName(String),
}

/// A token that may have to be exchanged.
pub(in crate::auth) enum ExchangeableToken {
    Fixed(SecretString),
    /// A file may contain a new token whenever it is read.
    InFile(Box<dyn ProvideCredentials>),
}

/// A credentials provider that asks the identity service what a token is for
/// (`GET /v3/auth/tokens`).
///
/// A token for a project or an account is used as it is. An unscoped token is exchanged for a token
/// of the wanted project.
pub(in crate::auth) struct TokenExchange {
    endpoint: Endpoint,
    token: ExchangeableToken,
    project: WantedProject,
    transport: Arc<dyn Transport>,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    /// The token that was read last.
    token: Option<SecretString>,
    /// How this token was used. `None` if that is not decided.
    usage: Option<TokenUsage>,
    /// The project of the first token that was for one. The job belongs to this project.
    project: Option<ProjectId>,
}

#[derive(Clone)]
enum TokenUsage {
    /// As it is. If it was not inspected, it may still be unscoped.
    Unchanged {
        is_inspected: bool,
    },
    Exchanged(ExchangedToken),
}

/// A token of the wanted project. Times are monotonic times of the clock.
#[derive(Clone)]
struct ExchangedToken {
    token: SecretString,
    renew_at: Option<Duration>,
    expires_at: Option<Duration>,
}

/// A token that was read, and when to read its source again.
struct ReadToken {
    token: SecretString,
    recheck_after: Option<Duration>,
}

/// What the identity service knows about the token.
enum TokenInfo {
    /// It is for an account, or for a project. The id is set if the wanted project has no id and
    /// perhaps this name.
    Scoped {
        project: Option<ProjectId>,
    },
    Unscoped {
        user_domain: Option<Domain>,
    },
}

type Provided = Result<ProvidedCredential, CredentialsProviderError>;

impl TokenExchange {
    pub(in crate::auth) fn new(
        endpoint: Endpoint,
        token: ExchangeableToken,
        project: WantedProject,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self { endpoint, token, project, transport, state: Mutex::default() }
    }

    async fn usable_token(&self, reason: RenewalReason, clock: &dyn Clock) -> Provided {
        let read = self.read(reason, clock).await?;
        let usage = self.state().usage.clone();
        match (&usage, reason) {
            (Some(TokenUsage::Unchanged { .. }), RenewalReason::Due) => {
                return Ok(self.unchanged(&read));
            }
            // The service refused it although it is not unscoped.
            (Some(TokenUsage::Unchanged { is_inspected: true }), _) => {
                return self.refused(&read, reason, None);
            }
            (Some(TokenUsage::Exchanged(token)), RenewalReason::Due)
                if token.renew_at.is_none_or(|at| clock.monotonic() < at) =>
            {
                return Ok(self.exchanged(token, &read, clock));
            }
            (None, _) if matches!(self.project, WantedProject::Id(_)) => {
                return Ok(self.use_unchanged(&read, false));
            }
            _ => {}
        }
        let inspected = timeout(clock, INSPECTION_TIMEOUT, self.inspect(&read.token)).await;
        let inspected = inspected.unwrap_or_else(|| {
            let message = "the identity service did not answer within 5s";
            Err(CredentialsProviderError::new(ErrorClass::Transient, message))
        });
        match (inspected, usage) {
            (Ok(TokenInfo::Unscoped { user_domain }), _) => {
                self.exchange(&read, user_domain.as_ref(), clock).await
            }
            (Ok(TokenInfo::Scoped { project }), usage) => {
                self.check_project(project)?;
                let unchanged = self.use_unchanged(&read, true);
                if usage.is_some() { self.refused(&read, reason, None) } else { Ok(unchanged) }
            }
            (Err(error), Some(TokenUsage::Exchanged(_))) => Err(error),
            (Err(error), Some(TokenUsage::Unchanged { .. })) => {
                self.refused(&read, reason, Some(error))
            }
            // The service decides whether the token is valid.
            (Err(error), None) => Ok(self.use_unchanged(&read, is_answer(&error))),
        }
    }

    /// Reads the token. If a file cannot be read, returns the last token if its use is not decided,
    /// because a pipe is read only once.
    async fn read(
        &self,
        reason: RenewalReason,
        clock: &dyn Clock,
    ) -> Result<ReadToken, CredentialsProviderError> {
        let (token, recheck_after) = match &self.token {
            ExchangeableToken::Fixed(token) => (token.clone(), None),
            ExchangeableToken::InFile(file) => {
                let provided = timeout(clock, file.timeout(), file.provide()).await;
                let provided = provided.unwrap_or_else(|| {
                    let message = "still waiting for the file with the token";
                    Err(CredentialsProviderError::new(ErrorClass::Transient, message))
                });
                match provided {
                    Ok(provided) => {
                        let recheck_after = provided.recheck_after;
                        (provided.into_token().map_err(failed("no token"))?, recheck_after)
                    }
                    Err(error) if error.revokes() => return Err(error),
                    Err(error) => (self.undecided(reason).ok_or(error)?, None),
                }
            }
        };
        let mut state = self.state();
        let last = state.token.as_ref().map(ExposeSecret::expose_secret);
        if last != Some(token.expose_secret()) {
            state.token = Some(token.clone());
            state.usage = None;
        }
        drop(state);
        Ok(ReadToken { token, recheck_after })
    }

    /// Returns the last token, if it may have to be exchanged.
    fn undecided(&self, reason: RenewalReason) -> Option<SecretString> {
        let state = self.state();
        let is_undecided = match state.usage {
            None => true,
            Some(TokenUsage::Unchanged { is_inspected }) => {
                !is_inspected && reason != RenewalReason::Due
            }
            Some(TokenUsage::Exchanged(_)) => false,
        };
        state.token.clone().filter(|_| is_undecided)
    }

    fn use_unchanged(&self, read: &ReadToken, is_inspected: bool) -> ProvidedCredential {
        self.state().usage = Some(TokenUsage::Unchanged { is_inspected });
        self.unchanged(read)
    }

    /// Returns the token as it is.
    fn unchanged(&self, read: &ReadToken) -> ProvidedCredential {
        self.provided(read.token.clone(), read)
    }

    fn exchanged(
        &self,
        exchanged: &ExchangedToken,
        read: &ReadToken,
        clock: &dyn Clock,
    ) -> ProvidedCredential {
        let lifetime = exchanged.expires_at.map(|at| at.saturating_sub(clock.monotonic()));
        ProvidedCredential { lifetime, ..self.provided(exchanged.token.clone(), read) }
    }

    fn provided(&self, token: SecretString, read: &ReadToken) -> ProvidedCredential {
        ProvidedCredential {
            recheck_after: read.recheck_after,
            project: self.state().project.clone(),
            ..ProvidedCredential::from_token(token)
        }
    }

    /// Returns the token that the service refused, or an error if there can be no other.
    fn refused(
        &self,
        read: &ReadToken,
        reason: RenewalReason,
        inspection: Option<CredentialsProviderError>,
    ) -> Provided {
        let message = match (reason, &self.token, &inspection) {
            (RenewalReason::Refused, ExchangeableToken::Fixed(_), None) => {
                "the token was refused, and it cannot be renewed; get a new one"
            }
            (RenewalReason::Refused, ExchangeableToken::Fixed(_), Some(_)) => {
                "the token was refused, and the identity service does not say what it is for"
            }
            _ => return Ok(self.unchanged(read)),
        };
        let error = CredentialsProviderError::new(ErrorClass::Unauthorized, message);
        Err(match inspection {
            Some(inspection) => error.with_source(inspection),
            None => error,
        })
    }

    /// Keeps the project of a token. Returns an error if the last token was for another one.
    fn check_project(&self, project: Option<ProjectId>) -> Result<(), CredentialsProviderError> {
        let (mut state, Some(now)) = (self.state(), project) else { return Ok(()) };
        match &state.project {
            Some(was) if *was != now => {
                let message = format!(
                    "the new token is for the project `{now}`, no longer for `{was}`; start again to use it"
                );
                Err(CredentialsProviderError::new(ErrorClass::Permanent, message).revoking())
            }
            _ => {
                state.project = Some(now);
                Ok(())
            }
        }
    }

    /// Asks the identity service what the token is for.
    async fn inspect(&self, token: &SecretString) -> Result<TokenInfo, CredentialsProviderError> {
        const STEP: &str = "cannot ask what the token is for";
        let uri = self.endpoint.tokens_uri();
        let mut get = request(&self.endpoint, Method::GET, uri).map_err(failed(STEP))?;
        for name in ["x-auth-token", "x-subject-token"] {
            set_header(&mut get, name, token.expose_secret(), true).map_err(failed(STEP))?;
        }
        let reply = send(&*self.transport, get, TOKENS, &[]).await.map_err(failed(STEP))?;
        let reply = reply.expect_status(StatusCode::OK).map_err(failed(STEP))?;
        let body: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
        let token = &body["token"];
        // If the body does not describe the token, the token is used as it is.
        if token.is_object() && token["project"].is_null() && token["domain"].is_null() {
            let domain = token["user"]["domain"]["id"].as_str();
            return Ok(TokenInfo::Unscoped { user_domain: domain.map(|id| Domain::Id(id.into())) });
        }
        let is_wanted = match &self.project {
            WantedProject::Id(_) => false,
            WantedProject::Name(name, _) => token["project"]["name"] == **name,
            WantedProject::DefaultName(_) => true,
        };
        let id = token["project"]["id"].as_str().filter(|_| is_wanted);
        Ok(TokenInfo::Scoped { project: id.and_then(|id| id.parse().ok()) })
    }

    /// Requests a token of the project.
    async fn exchange(
        &self,
        read: &ReadToken,
        user_domain: Option<&Domain>,
        clock: &dyn Clock,
    ) -> Provided {
        const STEP: &str = "cannot exchange the unscoped token for a token of the project";
        let scope = match &self.project {
            WantedProject::Id(id) => TokenScope::ProjectId(id.clone()),
            WantedProject::Name(name, domain) => {
                TokenScope::ProjectName(name.clone(), domain.clone())
            }
            WantedProject::DefaultName(name) => TokenScope::ProjectName(name.clone(), None),
        };
        let token = read.token.expose_secret();
        let identity = json!({"methods": ["token"], "token": {"id": token}});
        let body = json!({"auth": {"identity": identity, "scope": scope.to_json(user_domain)}});
        let sent = async {
            let post = post(&self.endpoint, self.endpoint.tokens_uri(), &body)?;
            send(&*self.transport, post, TOKENS, &[token]).await
        };
        let reply = sent.await.map_err(failed(STEP))?;
        let provided = token_from_reply(reply).map_err(failed_login(STEP))?;
        self.check_project(provided.project.clone())?;
        let lifetime = provided.remaining_lifetime(clock);
        let after =
            |share| lifetime.map(|span| clock.monotonic().saturating_add(span.mul_f64(share)));
        let (renew_at, expires_at) = (after(RENEWAL_SHARE), after(1.0));
        let token = provided.into_token().map_err(failed(STEP))?;
        let exchanged = ExchangedToken { token, renew_at, expires_at };
        self.state().usage = Some(TokenUsage::Exchanged(exchanged.clone()));
        Ok(self.exchanged(&exchanged, read, clock))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether asking the identity service again would not help.
const fn is_answer(error: &CredentialsProviderError) -> bool {
    !matches!(error.class(), ErrorClass::Transient | ErrorClass::Throttled)
}

impl RenewCredentials for TokenExchange {
    fn renew<'a>(&'a self, reason: RenewalReason, clock: &'a dyn Clock) -> BoxFuture<'a, Provided> {
        Box::pin(self.usable_token(reason, clock))
    }

    fn renewal_timeout(&self) -> Duration {
        EXCHANGE_TIMEOUT
    }

    /// A service may answer an unscoped token with 403.
    fn is_renewed_after_forbidden(&self) -> bool {
        matches!(self.state().usage, Some(TokenUsage::Unchanged { is_inspected: false }))
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
