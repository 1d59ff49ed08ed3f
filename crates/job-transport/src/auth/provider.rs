//! The trait for credentials that change.

use std::time::Duration;

use futures_core::future::BoxFuture;

use super::{credential::ProvidedCredential, secret::InvalidCredential};
use crate::request::{CredentialsProviderError, ErrorClass};

/// Returns a token or a key pair on demand, for example from a vault.
///
/// # For callers
///
/// Pass the provider to [`Credentials::from_provider`](crate::Credentials::from_provider). It
/// caches the result until it expires, and never makes two calls at the same time.
///
/// # For implementers
///
/// - Return new credentials on each call. Do not cache, because a call means that the previous ones
///   expire soon, have expired, or were refused.
/// - Do not retry. The class of the error determines whether the caller tries again.
/// - The call is dropped after [`timeout`](ProvideCredentials::timeout).
///
/// # Examples
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
    /// Returns new credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no credentials. Its class determines how the caller reacts.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped after the timeout, or together with the request that waits for it. The
    /// next request then calls the provider again. If the old credentials are still valid, the
    /// future is dropped after half the timeout.
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>>;

    /// Returns the timeout of a call; 20 s by default.
    ///
    /// It should be less than the timeout of the attempts that wait for the call (30 s in a wait).
    /// Otherwise each attempt ends before the call does.
    fn timeout(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// Creates a permanent error, because the provider must return other credentials.
impl From<InvalidCredential> for CredentialsProviderError {
    fn from(error: InvalidCredential) -> Self {
        Self::new(ErrorClass::Permanent, "the provider returned an invalid token or key")
            .with_source(error)
    }
}
