//! The plug point for credentials that change. Caches nothing; that is done for whoever provides.

use std::time::Duration;

use futures_core::future::BoxFuture;

use super::{credential::ProvidedCredential, secret::InvalidCredential};
use crate::request::{CredentialsProviderError, ErrorClass};

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

/// What was provided cannot be a credential: another one must be.
impl From<InvalidCredential> for CredentialsProviderError {
    fn from(error: InvalidCredential) -> Self {
        Self::new(ErrorClass::Permanent, "what was provided is no credential").with_source(error)
    }
}
