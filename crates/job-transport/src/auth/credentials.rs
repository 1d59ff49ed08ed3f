//! What proves to the service who asks. Shows no secret, in `Debug` neither.

use std::{fmt, sync::Arc};

use http::HeaderName;
use job_model::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use super::{
    access_key::AccessKey,
    provider::{ProvideCredentials, Provided},
    signature_guard::KeyGuard,
    token_cache::Renewal,
};
use crate::{clock::Clock, request::CredentialsFault};

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
/// # Ok::<(), job_transport::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Credentials(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(Arc<Grant>),
    Renewed(Arc<Renewal>),
}

/// What one request is authenticated with.
pub(crate) struct Grant {
    pub(crate) means: Means,
    /// The project that the provider named.
    pub(crate) project: Option<ProjectId>,
    /// Counts what was provided, so that a refusal of one is no refusal of the next.
    pub(crate) generation: u64,
}

pub(crate) enum Means {
    Token(SecretString),
    Key { key: AccessKey, guard: Arc<KeyGuard> },
}

/// Why a text cannot be a credential. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
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
    Character,
}

impl Credentials {
    /// Takes a user token, sent as `X-Auth-Token`. It is not renewed: when it has expired, after 24
    /// hours at most, requests are refused.
    ///
    /// # Errors
    ///
    /// Where the text is empty, has more than 16,384 bytes (reference page, table 2), or has any
    /// character but printable ASCII without blanks.
    pub fn token(token: impl Into<String>) -> Result<Self, CredentialsError> {
        Ok(Self::fixed(Provided::token(token)?))
    }

    /// Takes a key pair, which signs each request.
    ///
    /// More than five wrong signatures in a row lock a pair at the service. So until the first one is
    /// accepted, requests go one at a time, and after one that was refused none is signed any more;
    /// this holds for the pair, whatever the client, as long as the process runs.
    #[must_use]
    pub fn access_key(key: AccessKey) -> Self {
        Self::fixed(Provided::access_key(key))
    }

    /// Takes what a provider gives, when it is first needed; it is asked again before that expires,
    /// and when the service refuses it (401).
    #[must_use]
    pub fn provided(provider: impl ProvideCredentials + 'static) -> Self {
        Self(Kind::Renewed(Arc::new(Renewal::new(Box::new(provider)))))
    }

    pub(crate) fn fixed(provided: Provided) -> Self {
        Self(Kind::Fixed(Arc::new(Grant::new(provided, 0))))
    }

    /// Returns what to authenticate a request with.
    pub(crate) async fn grant(&self, clock: &dyn Clock) -> Result<Arc<Grant>, CredentialsFault> {
        match &self.0 {
            Kind::Fixed(grant) => Ok(grant.clone()),
            Kind::Renewed(renewal) => renewal.grant(clock).await,
        }
    }

    /// Returns what to try in place of a grant that the service refused, if there can be anything.
    pub(crate) async fn renew(
        &self,
        refused: &Grant,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<Grant>>, CredentialsFault> {
        match &self.0 {
            Kind::Fixed(_) => Ok(None),
            Kind::Renewed(renewal) => renewal.renew(refused.generation, clock).await,
        }
    }
}

impl Grant {
    pub(crate) fn new(provided: Provided, generation: u64) -> Self {
        Self { means: provided.means, project: provided.project, generation }
    }
}

/// Shows the kind, and an access key's id.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(grant) => grant.means.fmt(f),
            Kind::Renewed(_) => f.write_str("Provided(..)"),
        }
    }
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Key { key, .. } => key.fmt(f),
        }
    }
}

/// Takes a text as a secret if it can be one.
pub(crate) fn secret(text: String) -> Result<SecretString, CredentialsError> {
    let secret = SecretString::from(text);
    let text = secret.expose_secret();
    if text.is_empty() {
        Err(CredentialsError::Empty)
    } else if text.len() > MAX_TOKEN_BYTES {
        Err(CredentialsError::TooLong)
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(CredentialsError::Character)
    } else {
        Ok(secret)
    }
}

#[cfg(test)]
mod tests;
