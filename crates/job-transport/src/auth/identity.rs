//! Tokens from the identity service, for a user and a password (`POST /v3/auth/tokens`). Keeps none.

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{credential::ProvidedCredential, provider::ProvideCredentials};
use crate::{
    request::{
        CredentialsProviderError, Endpoint, FetchError, FetchErrorKind, RequestInfo, date,
        header_str, request_id, send_traced,
    },
    transport::{Transport, TransportError},
};

/// The header that carries the token in the identity service's reply.
const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Who logs in, and to which project.
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
    /// Takes a user's name and password, and the name of the domain (account) that the user belongs
    /// to.
    #[must_use]
    pub fn new(
        user: impl Into<String>,
        password: impl Into<String>,
        user_domain: impl Into<String>,
    ) -> Self {
        let password = SecretString::from(password.into());
        Self { user: user.into(), password, user_domain: user_domain.into(), project: None }
    }

    /// Asks for a token of this project.
    #[must_use]
    pub fn project_id(mut self, id: ProjectId) -> Self {
        self.project = Some(ProjectScope::Id(id));
        self
    }

    /// Asks for a token of the project with this name, such as `eu-de`, in the user's domain. The
    /// reply names its id, so that a client need not be given one.
    #[must_use]
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.project = Some(ProjectScope::Name(name.into()));
        self
    }

    /// Returns who logs in, for a test.
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

/// Shows nothing of who logs in.
impl fmt::Debug for PasswordLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordLogin").finish_non_exhaustive()
    }
}

/// The identity service, as a provider of tokens.
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
    /// Creates a provider that asks the identity service at this endpoint, whether or not that ends
    /// in `/v3`.
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
        // As the request has it, where it is repeated as a text.
        let escaped = SecretString::from(json!(password).to_string());
        let secrets = [escaped.expose_secret().trim_matches('"'), password];
        let reply = send_traced(&*self.transport, request, about, &secrets).await;
        let reply = reply.map_err(FetchError::from)?;
        let reply = match reply.response.status() {
            // Some other page in its place, such as a proxy's: no refusal.
            StatusCode::OK => return Err(missing_token(&reply.response).into()),
            _ => reply.expect_status(StatusCode::CREATED)?,
        };
        let token =
            header_str(reply.headers(), &X_SUBJECT_TOKEN).ok_or_else(|| missing_token(&reply))?;
        let mut provided = ProvidedCredential::token(token)?;
        // A body that cannot be read is no reason to do without the token.
        let body: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
        let token = &body["token"];
        provided.lifetime = lifetime(token, date(reply.headers()));
        let project = token["project"]["id"].as_str();
        provided.project = project.and_then(|id| id.parse().ok());
        Ok(provided)
    }
}

fn missing_token(reply: &Response<Bytes>) -> FetchError {
    FetchError::new(FetchErrorKind::NoToken)
        .with_request_id(request_id(reply.headers()).map(String::from))
}

/// Returns for how long the token holds, both ends by the service's own time.
fn lifetime(token: &Value, date: Option<Timestamp>) -> Option<Duration> {
    let expires: Timestamp = token["expires_at"].as_str()?.parse().ok()?;
    // A token that has expired already is one that is refused when it is used.
    Some(expires.duration_since(date?).try_into().unwrap_or(Duration::ZERO))
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
