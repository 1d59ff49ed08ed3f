//! What proves to the service who asks. Shows no secret, in `Debug` neither.

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// The header that carries a token (reference page, table 2).
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The most bytes a token may have (reference page, table 2).
const MAX_TOKEN_BYTES: usize = 16_384;

/// How a request is authenticated.
///
/// ```
/// use job_transport::Credentials;
///
/// let credentials = Credentials::token("MIIFvg...")?;
/// assert!(!format!("{credentials:?}").contains("MIIFvg"));
/// # Ok::<(), job_transport::CredentialsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Credentials {
    token: SecretString,
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
    /// Takes a user token, sent as `X-Auth-Token`.
    ///
    /// # Errors
    ///
    /// Where the text is empty, has more than 16,384 bytes (reference page, table 2), or has any
    /// character but printable ASCII without blanks.
    pub fn token(token: impl Into<String>) -> Result<Self, CredentialsError> {
        secret(token.into()).map(|token| Self { token })
    }

    /// Adds the authenticating header, marked sensitive.
    pub(crate) fn authenticate(&self, headers: &mut HeaderMap) -> Result<(), http::Error> {
        let mut token = HeaderValue::from_str(self.token.expose_secret())?;
        token.set_sensitive(true);
        headers.insert(X_AUTH_TOKEN, token);
        Ok(())
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
