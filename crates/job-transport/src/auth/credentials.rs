//! What proves to the service who asks. Shows no secret, in `Debug` neither.

use std::{fmt, sync::Arc};

use http::HeaderName;
use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use super::{
    access_key::AccessKey,
    provider::{ProvideCredentials, ProvidedCredential},
    signature_guard::SignatureGuard,
    token_cache::CredentialsCache,
};
use crate::{clock::Clock, request::AuthError};

/// The header that carries a token (reference page, table 2).
pub(crate) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The most bytes a token may have (reference page, table 2).
const MAX_TOKEN_BYTES: usize = 16_384;

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

/// What one request is authenticated with.
pub(crate) struct IssuedCredential {
    pub(crate) credential: Credential,
    /// The project that the provider named.
    pub(crate) project: Option<ProjectId>,
    /// Counts what was provided, so that a refusal of one is no refusal of the next.
    pub(crate) generation: u64,
}

pub(crate) enum Credential {
    Token(SecretString),
    Key { key: AccessKey, guard: Arc<SignatureGuard> },
}

/// Why a text cannot be a credential. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCredential {
    /// The text is empty.
    #[error("the token or key is empty")]
    Empty,
    /// The text is longer than the service takes.
    #[error("the token or key has more than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// The text has a character that no token and no key has.
    #[error(
        "the token or key has a blank, a line break or another character that none has; was it copied whole and alone?"
    )]
    InvalidCharacter,
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
    pub(crate) async fn get(&self, clock: &dyn Clock) -> Result<Arc<IssuedCredential>, AuthError> {
        match &self.0 {
            CredentialsSource::Static(grant) => Ok(grant.clone()),
            CredentialsSource::Cached(renewal) => renewal.get(clock).await,
        }
    }

    /// Returns what to try in place of a grant that the service refused, if there can be anything.
    pub(crate) async fn refresh(
        &self,
        refused: &IssuedCredential,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<IssuedCredential>>, AuthError> {
        match &self.0 {
            CredentialsSource::Static(_) => Ok(None),
            CredentialsSource::Cached(renewal) => renewal.refresh(refused.generation, clock).await,
        }
    }
}

impl IssuedCredential {
    pub(crate) fn new(provided: ProvidedCredential, generation: u64) -> Self {
        Self { credential: provided.credential, project: provided.project, generation }
    }
}

/// Shows the kind, and an access key's id.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            CredentialsSource::Static(grant) => grant.credential.fmt(f),
            CredentialsSource::Cached(_) => f.write_str("Provided(..)"),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Key { key, .. } => key.fmt(f),
        }
    }
}

/// Takes a text as a secret if it can be one.
pub(crate) fn parse_secret(text: String) -> Result<SecretString, InvalidCredential> {
    let secret = SecretString::from(text);
    let text = secret.expose_secret();
    if text.is_empty() {
        Err(InvalidCredential::Empty)
    } else if text.len() > MAX_TOKEN_BYTES {
        Err(InvalidCredential::TooLong)
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(InvalidCredential::InvalidCharacter)
    } else {
        Ok(secret)
    }
}

#[cfg(test)]
mod tests;
