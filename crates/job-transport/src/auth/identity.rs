//! Requests tokens from the identity service (`POST /v3/auth/tokens`) for a user name and a
//! password.

use std::{fmt, time::Duration};

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
        CredentialsProviderError, Endpoint, FetchError, FetchErrorKind, RequestInfo, date,
        header_str, request_id, send_traced,
    },
    transport::{Transport, TransportError},
};

/// The header of the reply that contains the token.
const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// A user name and a password, and the project to log in to.
#[derive(Clone)]
pub struct PasswordLogin {
    user: String,
    password: SecretString,
    user_domain: String,
    project: Option<ProjectScope>,
}

#[derive(Clone)]
enum ProjectScope {
    Id(ProjectId),
    Name(String),
}

impl PasswordLogin {
    /// Creates a login from a user name, its password, and the name of the user's domain (account).
    #[must_use]
    pub fn new(
        user: impl Into<String>,
        password: impl Into<String>,
        user_domain: impl Into<String>,
    ) -> Self {
        let password = SecretString::from(password.into());
        Self { user: user.into(), password, user_domain: user_domain.into(), project: None }
    }

    /// Requests a token for the project with this id.
    #[must_use]
    pub fn project_id(mut self, id: ProjectId) -> Self {
        self.project = Some(ProjectScope::Id(id));
        self
    }

    /// Requests a token for the project with this name, such as `eu-de`, in the user's domain.
    ///
    /// The reply contains the project's id, so the [`Client`](crate::Client) does not need one.
    #[must_use]
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.project = Some(ProjectScope::Name(name.into()));
        self
    }

    /// Returns the login as a text, without the password, for tests.
    #[cfg(all(test, feature = "credential-chain"))]
    pub(crate) fn describe(&self) -> String {
        let project = self.project.as_ref().map(|project| match project {
            ProjectScope::Id(id) => format!("id {id}"),
            ProjectScope::Name(name) => format!("name {name}"),
        });
        format!("{} of {}, project {project:?}", self.user, self.user_domain)
    }

    /// Returns the request's body.
    fn body(&self) -> Value {
        let domain = json!({"name": self.user_domain});
        let user = json!({
            "name": self.user, "password": self.password.expose_secret(), "domain": domain,
        });
        let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
        let project = self.project.as_ref().map(|project| match project {
            ProjectScope::Id(id) => json!({"id": id.as_str()}),
            ProjectScope::Name(name) => json!({"name": name, "domain": domain}),
        });
        if let Some(project) = project {
            auth["scope"] = json!({"project": project});
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
///     Client, Cloud, Credentials, Endpoint, HyperTransport, Identity, PasswordLogin, TlsConfig, TlsProvider,
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
}

impl Identity {
    /// Creates a provider. The path of `endpoint` may end with `/v3`, or not.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        login: PasswordLogin,
        transport: impl Transport + 'static,
    ) -> Self {
        Self { endpoint, login, transport: Box::new(transport) }
    }

    async fn request_token(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        let mut request = self
            .endpoint
            .tokens_uri()
            .and_then(|uri| self.endpoint.request(uri))
            .map_err(|error| FetchError::from(TransportError::invalid_request(error)))?;
        *request.method_mut() = Method::POST;
        *request.body_mut() = Bytes::from(self.login.body().to_string());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let about = RequestInfo { template: "/v3/auth/tokens", job: None, resends: 0 };
        let password = self.login.password.expose_secret();
        let reply = send_traced(&*self.transport, request, about, &[password]).await;
        let reply = reply.map_err(FetchError::from)?;
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
