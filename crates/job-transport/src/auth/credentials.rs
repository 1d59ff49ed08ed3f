//! What proves to the service who asks. Shows no secret, in `Debug` neither.

use std::{fmt, sync::Arc};

use http::HeaderName;

use super::{
    access_key::AccessKey,
    credential::{IssuedCredential, ProvidedCredential},
    credentials_cache::{CredentialsCache, RefreshError},
    provider::ProvideCredentials,
    secret::InvalidCredential,
};
use crate::clock::Clock;

/// The header that carries a token (reference page, table 2).
pub(crate) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// How requests are authenticated. Cheap to clone; clones share what was provided, so one token
/// serves many clients.
///
/// ```
/// use job_transport::Credentials;
///
/// let credentials = Credentials::token("MIIFvg...")?;
/// assert!(!format!("{credentials:?}").contains("MIIFvg"));
/// # Ok::<(), job_transport::InvalidCredential>(())
/// ```
#[derive(Clone)]
pub struct Credentials(CredentialsSource);

#[derive(Clone)]
enum CredentialsSource {
    Static(Arc<IssuedCredential>),
    Cached(Arc<CredentialsCache>),
}

impl Credentials {
    /// Takes a user token, sent as `X-Auth-Token`. It is not renewed: when it has expired, after 24
    /// hours at most, requests are refused.
    ///
    /// # Errors
    ///
    /// Where the text is empty, has more than 16,384 bytes (reference page, table 2), or has any
    /// character but printable ASCII without blanks.
    pub fn token(token: impl Into<String>) -> Result<Self, InvalidCredential> {
        Ok(Self::from_provided(ProvidedCredential::token(token)?))
    }

    /// Takes a key pair, which signs each request.
    ///
    /// More than five wrong signatures in a row lock a pair at the service. So until the first one is
    /// accepted, requests go one at a time, and after one that was refused none is signed any more;
    /// this holds for the pair, whatever the client, as long as the process runs.
    #[must_use]
    pub fn access_key(key: AccessKey) -> Self {
        Self::from_provided(ProvidedCredential::access_key(key))
    }

    /// Takes what a provider gives, when it is first needed; it is asked again before that expires,
    /// and when the service refuses it (401).
    #[must_use]
    pub fn from_provider(provider: impl ProvideCredentials + 'static) -> Self {
        Self(CredentialsSource::Cached(Arc::new(CredentialsCache::new(Box::new(provider)))))
    }

    pub(crate) fn from_provided(provided: ProvidedCredential) -> Self {
        Self(CredentialsSource::Static(Arc::new(IssuedCredential::new(provided, 0))))
    }

    /// Returns what to authenticate a request with.
    pub(crate) async fn get(
        &self,
        clock: &dyn Clock,
    ) -> Result<Arc<IssuedCredential>, RefreshError> {
        match &self.0 {
            CredentialsSource::Static(issued) => Ok(issued.clone()),
            CredentialsSource::Cached(cache) => cache.get(clock).await,
        }
    }

    /// Returns what to try in place of a credential that the service refused, if there is anything.
    pub(crate) async fn refresh(
        &self,
        refused: &IssuedCredential,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<IssuedCredential>>, RefreshError> {
        match &self.0 {
            CredentialsSource::Static(_) => Ok(None),
            CredentialsSource::Cached(cache) => cache.refresh(refused.generation, clock).await,
        }
    }
}

/// Shows the kind, and an access key's id.
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
