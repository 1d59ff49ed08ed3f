//! The plug point for credentials that change. Caches nothing; that is done for whoever provides.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use job_model::ProjectId;

use super::{
    access_key::AccessKey,
    credentials::{Credential, InvalidCredential, parse_secret},
};
use crate::request::{ErrorClass, FetchError};

/// Provides a token or a key pair, from wherever the caller keeps them.
///
/// # For callers
///
/// Give it to [`Credentials::from_provider`](crate::Credentials::from_provider), which asks when it must, one
/// at a time however many wait, and keeps what it got until it expires.
///
/// # For implementers
///
/// Get a new one each time: who asks has reason to. Keep no cache and retry nothing. Say in the
/// error's class what it means for asking again. What takes longer than [`timeout`] is dropped.
///
/// [`timeout`]: ProvideCredentials::timeout
///
/// ```
/// use futures_core::future::BoxFuture;
/// use job_transport::{Credentials, CredentialsProviderError, ErrorClass, ProvideCredentials, ProvidedCredential};
///
/// struct Vault;
///
/// impl ProvideCredentials for Vault {
///     fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
///         Box::pin(async {
///             let token = std::fs::read_to_string("/run/secrets/token").map_err(|error| {
///                 CredentialsProviderError::new(ErrorClass::Transient, "no token in /run/secrets").with_source(error)
///             })?;
///             Ok(ProvidedCredential::token(token.trim())?)
///         })
///     }
/// }
///
/// let credentials = Credentials::from_provider(Vault);
/// ```
pub trait ProvideCredentials: Send + Sync {
    /// Gets new credentials.
    ///
    /// # Errors
    ///
    /// Where there are none, with what that means for asking again.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped after its timeout, or when the request that waits for it is; then
    /// another one is made for the next request. Where the old credentials still hold, it is dropped
    /// after half of the timeout.
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>>;

    /// Returns how long providing may take; 20 s by default. Keep it below the timeout of the attempts
    /// that wait for it (a wait's have 30 s), or none of them sees its end.
    fn timeout(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// What a provider gives.
#[derive(Debug)]
pub struct ProvidedCredential {
    pub(crate) credential: Credential,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) project: Option<ProjectId>,
}

impl ProvidedCredential {
    /// Provides a user token, sent as `X-Auth-Token`.
    ///
    /// # Errors
    ///
    /// Where the text cannot be a token; see [`Credentials::token`](crate::Credentials::token).
    pub fn token(token: impl Into<String>) -> Result<Self, InvalidCredential> {
        Ok(Self::new(Credential::Token(parse_secret(token.into())?)))
    }

    /// Provides a key pair.
    #[must_use]
    pub fn access_key(key: AccessKey) -> Self {
        let guard = key.guard();
        Self::new(Credential::Key { key, guard })
    }

    /// Says for how long it will be accepted, from now on. It is renewed early, between eight and
    /// nine tenths of that. Without a lifetime it is renewed only when the service refuses it.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Says to which project it belongs, for clients that were given none.
    #[must_use]
    pub fn project(mut self, project: ProjectId) -> Self {
        self.project = Some(project);
        self
    }

    pub(crate) const fn new(credential: Credential) -> Self {
        Self { credential, lifetime: None, project: None }
    }
}

/// Why a provider gave no credentials. Cheap to clone, since all who waited are told.
#[derive(Clone, Debug)]
pub struct CredentialsProviderError {
    class: ErrorClass,
    message: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl CredentialsProviderError {
    /// Creates an error: what it means for asking again, and what went wrong, as a lower-case
    /// fragment.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl Into<Arc<str>>) -> Self {
        Self { class, message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// Returns what it means for asking again.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        self.class
    }
}

impl fmt::Display for CredentialsProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CredentialsProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}

/// What was provided cannot be a credential: another one must be.
impl From<InvalidCredential> for CredentialsProviderError {
    fn from(error: InvalidCredential) -> Self {
        Self::new(ErrorClass::Permanent, "what was provided is no credential").with_source(error)
    }
}

/// A request for credentials that failed means what its reply means.
impl From<FetchError> for CredentialsProviderError {
    fn from(error: FetchError) -> Self {
        Self::new(error.class(), "the identity service gave no token").with_source(error)
    }
}
