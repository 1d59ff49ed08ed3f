//! The trait for credentials that change.

use std::{sync::Arc, time::Duration};

use futures_core::future::BoxFuture;

use super::{credential::ProvidedCredential, secret::InvalidCredential};
use crate::{
    clock::Clock,
    request::{CredentialsProviderError, ErrorClass},
};

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
/// use job_transport::{
///     Credentials, ErrorClass,
///     auth::{CredentialsProviderError, ProvideCredentials, ProvidedCredential},
/// };
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

/// Why new credentials are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RenewalReason {
    /// There are none, or they expire soon, or their source may have changed.
    Due,
    /// The service refused them (401).
    Refused,
    /// The service refused them because the temporary key has expired. It will refuse the same key
    /// again.
    Expired,
    /// The service accepted them, but not for the job (403).
    Forbidden,
}

impl RenewalReason {
    /// Returns the reason after a 401.
    pub(crate) const fn from_refusal(has_expired: bool) -> Self {
        if has_expired { Self::Expired } else { Self::Refused }
    }
}

/// A provider that needs to know why it is called, and the time.
pub(super) trait RenewCredentials: Send + Sync {
    fn renew<'a>(
        &'a self,
        reason: RenewalReason,
        clock: &'a dyn Clock,
    ) -> BoxFuture<'a, Result<ProvidedCredential, CredentialsProviderError>>;

    /// Returns the timeout of a call.
    fn renewal_timeout(&self) -> Duration;

    /// Returns whether a 403 may have another reason than the permissions of the caller.
    fn is_renewed_after_forbidden(&self) -> bool {
        false
    }
}

impl<P: ProvideCredentials> RenewCredentials for P {
    fn renew<'a>(
        &'a self,
        _: RenewalReason,
        _: &'a dyn Clock,
    ) -> BoxFuture<'a, Result<ProvidedCredential, CredentialsProviderError>> {
        self.provide()
    }

    fn renewal_timeout(&self) -> Duration {
        self.timeout()
    }
}

impl<P: ProvideCredentials + ?Sized> ProvideCredentials for Arc<P> {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        (**self).provide()
    }

    fn timeout(&self) -> Duration {
        (**self).timeout()
    }
}

impl<P: ProvideCredentials + ?Sized> ProvideCredentials for Box<P> {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        (**self).provide()
    }

    fn timeout(&self) -> Duration {
        (**self).timeout()
    }
}

/// Creates a permanent error, because the provider must return other credentials.
impl From<InvalidCredential> for CredentialsProviderError {
    fn from(error: InvalidCredential) -> Self {
        Self::new(ErrorClass::Permanent, "the provider returned an invalid token or key")
            .with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider with its own timeout, which returns always the same token.
    struct Fixed;

    impl ProvideCredentials for Fixed {
        fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
            Box::pin(async { Ok(ProvidedCredential::token("MIIF")?) })
        }

        fn timeout(&self) -> Duration {
            Duration::from_secs(7)
        }
    }

    #[tokio::test]
    async fn pointers_to_a_provider_are_providers() {
        async fn provided(provider: impl ProvideCredentials) -> (bool, Duration) {
            (provider.provide().await.is_ok(), provider.timeout())
        }
        let expected = (true, Duration::from_secs(7));
        assert_eq!(provided(Arc::new(Fixed)).await, expected);
        assert_eq!(provided(Box::new(Fixed)).await, expected);
        assert_eq!(provided(Arc::new(Fixed) as Arc<dyn ProvideCredentials>).await, expected);
        assert_eq!(provided(Box::new(Fixed) as Box<dyn ProvideCredentials>).await, expected);
    }
}
