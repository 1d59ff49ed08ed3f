//! Credentials for requests: a token, a key pair, or a provider. `Debug` prints no secrets.

use std::{fmt, sync::Arc};

use http::HeaderName;

use super::{
    access_key::AccessKey,
    credential::{IssuedCredential, ProvidedCredential},
    credentials_cache::{CredentialsCache, RefreshError},
    provider::{ProvideCredentials, RenewCredentials, RenewalReason},
    secret::InvalidCredential,
};
use crate::clock::Clock;

/// The header that carries a token (reference page, table 2).
pub(crate) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The credentials of a [`Client`](crate::Client): a token, a key pair, or a provider.
///
/// Credentials are cheap to clone. Clones share the provider's result, so many clients can use one
/// token.
///
/// # Examples
///
/// ```
/// use job_transport::Credentials;
///
/// let credentials = Credentials::token("MIIFvg...")?;
/// assert!(!format!("{credentials:?}").contains("MIIFvg"));
/// # Ok::<(), job_transport::auth::InvalidCredential>(())
/// ```
#[derive(Clone)]
pub struct Credentials(CredentialsSource);

#[derive(Clone)]
enum CredentialsSource {
    Static(Arc<IssuedCredential>),
    Cached(Arc<CredentialsCache>),
}

impl Credentials {
    /// Creates credentials from a user token, which is sent as `X-Auth-Token`.
    ///
    /// The token is not refreshed. When it expires, after at most 24 hours, the service refuses
    /// requests.
    ///
    /// Each request sends the whole token. Over HTTP/2 this takes about 2 µs of processor time per
    /// KiB on each side, because the header is Huffman-coded. A key pair takes a third of the
    /// processor time of a token of 16 KiB, and sends 1/66 of the bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is empty, longer than 16,384 bytes (reference page, table 2),
    /// or contains a character that is not printable ASCII, or is a space.
    pub fn token(token: impl Into<String>) -> Result<Self, InvalidCredential> {
        Ok(Self::from_provided(ProvidedCredential::token(token)?))
    }

    /// Creates credentials from a key pair, which signs each request.
    ///
    /// The service locks a key pair after more than five wrong signatures in a row. Therefore,
    /// until it has accepted a signature, and again after it has refused one, requests are sent one
    /// at a time. After a wrong signature, no request is signed with this pair for five minutes.
    /// Both rules apply to all clients in the process, and to other processes if the clients share
    /// [`KeyRecords`](crate::auth::KeyRecords).
    #[must_use]
    pub fn access_key(key: AccessKey) -> Self {
        Self::from_provided(ProvidedCredential::access_key(key))
    }

    /// Creates credentials from a provider.
    ///
    /// The provider is called for the first request, before its credentials expire, and when the
    /// service refuses them (401).
    #[must_use]
    pub fn from_provider(provider: impl ProvideCredentials + 'static) -> Self {
        Self::renewed_by(provider)
    }

    pub(super) fn renewed_by(provider: impl RenewCredentials + 'static) -> Self {
        Self(CredentialsSource::Cached(Arc::new(CredentialsCache::new(Box::new(provider)))))
    }

    pub(crate) fn from_provided(provided: ProvidedCredential) -> Self {
        Self(CredentialsSource::Static(Arc::new(IssuedCredential::new(provided, 0))))
    }

    /// Returns the credentials for a request.
    pub(crate) async fn get(
        &self,
        clock: &dyn Clock,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        match &self.0 {
            CredentialsSource::Static(issued) => Ok(issued.clone()),
            CredentialsSource::Cached(cache) => cache.get(clock).await,
        }
    }

    /// Returns the credentials of the last request, if there was one.
    pub(crate) fn last_issued(&self) -> Option<Arc<IssuedCredential>> {
        match &self.0 {
            CredentialsSource::Static(issued) => Some(issued.clone()),
            CredentialsSource::Cached(cache) => cache.last_issued(),
        }
    }

    /// Returns whether a 403 may have another reason than the permissions of the caller.
    pub(crate) fn is_renewed_after_forbidden(&self) -> bool {
        match &self.0 {
            CredentialsSource::Static(_) => false,
            CredentialsSource::Cached(cache) => cache.is_renewed_after_forbidden(),
        }
    }

    /// Returns the replacement for credentials that the service refused, if there is one.
    pub(crate) async fn refresh(
        &self,
        refused: &IssuedCredential,
        reason: RenewalReason,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<IssuedCredential>>, RefreshError> {
        match &self.0 {
            CredentialsSource::Static(_) => Ok(None),
            CredentialsSource::Cached(cache) => {
                cache.refresh(refused.generation, reason, clock).await
            }
        }
    }
}

/// Prints the kind, and the access key of a pair.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            CredentialsSource::Static(issued) => issued.credential.fmt(f),
            CredentialsSource::Cached(_) => f.write_str("Provided(..)"),
        }
    }
}

#[cfg(test)]
mod tests;
