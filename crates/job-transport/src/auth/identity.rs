//! Requests tokens from the identity service (`POST /v3/auth/tokens`) for a user name and a
//! password.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json, value::RawValue};

use super::{credential::ProvidedCredential, provider::ProvideCredentials};
use crate::{
    request::{
        CredentialsProviderError, Endpoint, ErrorClass, FetchError, FetchErrorKind, Reply,
        RequestInfo, date, header_str, request_id, send_traced,
    },
    transport::{RequestSent, Transport, TransportError},
};

/// The header of the reply that contains the token.
pub(super) const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// A user and a password, and what the token is for: a project, an account, or nothing yet.
///
/// # Examples
///
/// ```
/// use job_transport::auth::PasswordLogin;
///
/// # let (password, passcode) = ("", "123456");
/// let login = PasswordLogin::new("user", password, "OTC00000000001000000001").project_name("eu-de");
/// let with_second_factor = login.passcode(passcode);
/// ```
#[derive(Clone)]
pub struct PasswordLogin {
    user: User,
    password: SecretString,
    passcode: Option<SecretString>,
    scope: Option<TokenScope>,
}

/// The user that logs in.
#[derive(Clone)]
enum User {
    Id(String),
    Name { name: String, domain: Domain },
}

/// A domain (account).
#[derive(Clone)]
pub(super) enum Domain {
    Id(String),
    Name(String),
}

impl Domain {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name(name) => json!({"name": name}),
        }
    }
}

/// What a token is for.
#[derive(Clone)]
pub(super) enum TokenScope {
    ProjectId(ProjectId),
    /// The name of a project, and its domain if it is not that of the user.
    ProjectName(String, Option<Domain>),
    Domain(Domain),
}

impl TokenScope {
    /// Returns the `scope` of a request. `user_domain` is the domain of a project without one.
    pub(super) fn to_json(&self, user_domain: Option<&Domain>) -> Value {
        match self {
            Self::ProjectId(id) => json!({"project": {"id": id.as_str()}}),
            Self::ProjectName(name, domain) => match domain.as_ref().or(user_domain) {
                Some(domain) => json!({"project": {"name": name, "domain": domain.to_json()}}),
                None => json!({"project": {"name": name}}),
            },
            Self::Domain(domain) => json!({"domain": domain.to_json()}),
        }
    }
}

impl PasswordLogin {
    /// Creates a login from a user name, its password, and the name of the user's domain (account).
    #[must_use]
    pub fn new(
        user: impl Into<String>,
        password: impl Into<String>,
        user_domain: impl Into<String>,
    ) -> Self {
        let domain = Domain::Name(user_domain.into());
        Self::with_user(User::Name { name: user.into(), domain }, password.into())
    }

    /// Creates a login from a user name, its password, and the id of the user's domain (account).
    #[must_use]
    pub fn with_domain_id(
        user: impl Into<String>,
        password: impl Into<String>,
        user_domain_id: impl Into<String>,
    ) -> Self {
        let domain = Domain::Id(user_domain_id.into());
        Self::with_user(User::Name { name: user.into(), domain }, password.into())
    }

    /// Creates a login from the id of a user and its password.
    #[must_use]
    pub fn with_user_id(user_id: impl Into<String>, password: impl Into<String>) -> Self {
        Self::with_user(User::Id(user_id.into()), password.into())
    }

    fn with_user(user: User, password: String) -> Self {
        Self { user, password: password.into(), passcode: None, scope: None }
    }

    /// Adds a one-time passcode as the second factor (`totp`).
    ///
    /// It is valid for one login. When the token expires, the next login is an error. Huawei Cloud
    /// requires a login with the [id of the user](Self::with_user_id) for this.
    #[must_use]
    pub fn passcode(mut self, passcode: impl Into<String>) -> Self {
        self.passcode = Some(passcode.into().into());
        self
    }

    /// Requests a token for the project with this id.
    #[must_use]
    pub fn project_id(self, id: ProjectId) -> Self {
        self.scope(TokenScope::ProjectId(id))
    }

    /// Requests a token for the project with this name, such as `eu-de`, in the user's domain.
    ///
    /// The reply contains the project's id, so the [`Client`](crate::Client) does not need one.
    #[must_use]
    pub fn project_name(self, name: impl Into<String>) -> Self {
        self.scope(TokenScope::ProjectName(name.into(), None))
    }

    /// Requests a token for the project with this name in the domain with this name.
    #[must_use]
    pub fn project_name_in_domain(
        self,
        name: impl Into<String>,
        domain: impl Into<String>,
    ) -> Self {
        self.scope(TokenScope::ProjectName(name.into(), Some(Domain::Name(domain.into()))))
    }

    /// Requests a token for the project with this name in the domain with this id.
    #[must_use]
    pub fn project_name_in_domain_id(
        self,
        name: impl Into<String>,
        domain_id: impl Into<String>,
    ) -> Self {
        self.scope(TokenScope::ProjectName(name.into(), Some(Domain::Id(domain_id.into()))))
    }

    /// Requests a token for all projects of the domain (account) with this name.
    ///
    /// The reply contains no project, so the [`Client`](crate::Client) needs one.
    #[must_use]
    pub fn domain_name(self, name: impl Into<String>) -> Self {
        self.scope(TokenScope::Domain(Domain::Name(name.into())))
    }

    /// Requests a token for all projects of the domain (account) with this id.
    ///
    /// The reply contains no project, so the [`Client`](crate::Client) needs one.
    #[must_use]
    pub fn domain_id(self, id: impl Into<String>) -> Self {
        self.scope(TokenScope::Domain(Domain::Id(id.into())))
    }

    /// Requests a token of the user's account, with which an agency is assumed.
    #[cfg(feature = "credential-chain")]
    pub(crate) fn for_agency(self) -> Self {
        let scope = match (&self.scope, &self.user) {
            (Some(TokenScope::Domain(domain)), _) => Some(domain.clone()),
            (_, User::Name { domain, .. }) => Some(domain.clone()),
            (_, User::Id(_)) => None,
        };
        Self { scope: scope.map(TokenScope::Domain), ..self }
    }

    fn scope(self, scope: TokenScope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Returns whether the login states what the token is for.
    #[cfg(feature = "credential-chain")]
    pub(crate) const fn has_scope(&self) -> bool {
        self.scope.is_some()
    }

    /// Returns who logs in.
    #[cfg(feature = "credential-chain")]
    pub(super) fn user_json(&self) -> Value {
        match &self.user {
            User::Id(id) => json!({"id": id}),
            User::Name { name, domain } => json!({"name": name, "domain": domain.to_json()}),
        }
    }

    /// Returns the login as a text, without the secrets, for tests.
    #[cfg(all(test, feature = "credential-chain"))]
    pub(crate) fn describe(&self) -> String {
        let mut body = self.body();
        let identity = &mut body["auth"]["identity"];
        identity["password"]["user"]["password"] = "(set)".into();
        if self.passcode.is_some() {
            identity["totp"]["user"]["passcode"] = "(set)".into();
        }
        body["auth"].to_string()
    }

    /// Returns the request's body.
    fn body(&self) -> Value {
        let (mut user, domain) = match &self.user {
            User::Id(id) => (json!({"id": id}), None),
            User::Name { name, domain } => {
                (json!({"name": name, "domain": domain.to_json()}), Some(domain))
            }
        };
        let mut identity = json!({"methods": ["password"]});
        if let Some(passcode) = &self.passcode {
            let mut user = user.clone();
            user["passcode"] = passcode.expose_secret().into();
            identity = json!({"methods": ["password", "totp"], "totp": {"user": user}});
        }
        user["password"] = self.password.expose_secret().into();
        identity["password"] = json!({"user": user});
        let mut auth = json!({"identity": identity});
        if let Some(scope) = &self.scope {
            auth["scope"] = scope.to_json(domain);
        }
        json!({"auth": auth})
    }
}

/// Omits all fields.
impl fmt::Debug for PasswordLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordLogin").finish_non_exhaustive()
    }
}

/// A credentials provider that logs in at the identity service (IAM).
///
/// # Examples
///
/// ```no_run
/// # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use job_transport::{
///     Client, Credentials, Endpoint, auth::{Identity, PasswordLogin},
///     hyper::{HyperTransport, TlsConfig, TlsProvider}, request::Cloud,
/// };
///
/// let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let login = PasswordLogin::new("user", std::env::var("OS_PASSWORD")?, "OTC00000000001000000001")
///     .project_name("eu-de");
/// let endpoint = Endpoint::identity_for_region(Cloud::OpenTelekom, "eu-de")?;
/// let identity = Identity::new(endpoint, login, transport.clone());
/// let endpoint = Endpoint::for_region(Cloud::OpenTelekom, "eu-de")?;
/// let client = Client::new(endpoint, Credentials::from_provider(identity), transport);
/// # Ok(())
/// # }
/// ```
pub struct Identity {
    endpoint: Endpoint,
    login: PasswordLogin,
    transport: Box<dyn Transport>,
    /// Whether the passcode of the login may have been received by the service.
    passcode_is_used: Arc<AtomicBool>,
}

impl Identity {
    /// Creates a provider. The path of `endpoint` may end with `/v3`, or not.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        login: PasswordLogin,
        transport: impl Transport + 'static,
    ) -> Self {
        let transport = Box::new(transport);
        Self { endpoint, login, transport, passcode_is_used: Arc::default() }
    }

    /// Keeps in mind whether the passcode was used, if `previous` has the same one.
    #[cfg(feature = "credential-chain")]
    pub(crate) fn replacing(mut self, previous: &Self) -> Self {
        let passcodes = [&self.login, &previous.login].map(|login| login.passcode.as_ref());
        let [own, other] = passcodes.map(|passcode| passcode.map(ExposeSecret::expose_secret));
        if own == other {
            self.passcode_is_used = previous.passcode_is_used.clone();
        }
        self
    }

    async fn request_token(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        if self.passcode_is_used.load(Ordering::Acquire) {
            let message = "the one-time passcode was used; log in again with a new one";
            return Err(CredentialsProviderError::new(ErrorClass::Unauthorized, message));
        }
        let mut request = self
            .endpoint
            .tokens_uri()
            .and_then(|uri| self.endpoint.request(uri))
            .map_err(|error| FetchError::from(TransportError::invalid_request(error)))?;
        *request.method_mut() = Method::POST;
        *request.body_mut() = Bytes::from(self.login.body().to_string());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let about = RequestInfo { template: "/v3/auth/tokens", target: None, resends: 0 };
        let passcode = self.login.passcode.as_ref().map(|passcode| passcode.expose_secret());
        let secrets: Vec<&str> =
            [self.login.password.expose_secret()].into_iter().chain(passcode).collect();
        // A second attempt with the same passcode would count as a failed login. If no reply
        // arrives, or nobody waits for it any longer, the service may still have used it.
        self.passcode_is_used.store(passcode.is_some(), Ordering::Release);
        let reply = send_traced(&*self.transport, request, about, &secrets).await;
        let is_unused = match &reply {
            Ok(reply) => matches!(
                reply.response.status(),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            ),
            Err(error) => error.request_sent() == RequestSent::No,
        };
        if is_unused {
            self.passcode_is_used.store(false, Ordering::Release);
        }
        token_from_reply(reply.map_err(FetchError::from)?)
    }
}

/// Returns the token of the identity service's reply, with its lifetime and its project.
pub(super) fn token_from_reply(
    reply: Reply,
) -> Result<ProvidedCredential, CredentialsProviderError> {
    let reply = match reply.response.status() {
        // A reply with status 200 may be the page of a proxy, so it is not a refusal.
        StatusCode::OK => return Err(missing_token(&reply.response).into()),
        _ => reply.expect_status(StatusCode::CREATED)?,
    };
    let token =
        header_str(reply.headers(), &X_SUBJECT_TOKEN).ok_or_else(|| missing_token(&reply))?;
    let mut provided = ProvidedCredential::token(token)?;
    // The token is in a header, so it is usable even if the body is not.
    let body: LoginReply = serde_json::from_slice(reply.body()).unwrap_or_default();
    let token = body.token.unwrap_or_default();
    provided.lifetime = lifetime(token.expires_at, date(reply.headers()));
    provided.project = token.project.and_then(|project| project.id);
    Ok(provided)
}

fn missing_token(reply: &Response<Bytes>) -> FetchError {
    FetchError::new(FetchErrorKind::NoToken)
        .with_request_id(request_id(reply.headers()).map(String::from))
}

/// Returns the lifetime of the token. Both times are the service's own.
fn lifetime(expires_at: Option<Timestamp>, date: Option<Timestamp>) -> Option<Duration> {
    // A token that is already expired has the lifetime zero.
    Some(expires_at?.duration_since(date?).try_into().unwrap_or(Duration::ZERO))
}

/// The fields of the reply that are used. The others, such as a catalog of many services, are
/// skipped, so that they need no memory.
#[derive(Default, Deserialize)]
struct LoginReply {
    #[serde(default, deserialize_with = "if_valid")]
    token: Option<TokenFields>,
}

#[derive(Default, Deserialize)]
struct TokenFields {
    #[serde(default, deserialize_with = "if_valid")]
    expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "if_valid")]
    project: Option<ProjectFields>,
}

#[derive(Deserialize)]
struct ProjectFields {
    #[serde(default, deserialize_with = "if_valid")]
    id: Option<ProjectId>,
}

/// Reads a field; returns `None` if it has another type, because the other fields are usable then.
fn if_valid<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let json = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(json.get()).ok())
}

impl ProvideCredentials for Identity {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.request_token())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
