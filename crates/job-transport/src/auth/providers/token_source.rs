//! A token that a provider exchanges for temporary credentials: a text, or a file that is renewed.

use std::{fmt, path::PathBuf};

use secrecy::SecretString;

use super::failed;
use crate::{
    auth::{
        provider::ProvideCredentials,
        secret::{InvalidCredential, parse_secret},
        token_file::TokenFile,
    },
    request::CredentialsProviderError,
};

/// An ID token, or the token of a Kubernetes service account: a text, or a file that contains it.
///
/// A file is read again for each login, because the token in it is renewed. `Debug` prints no
/// secret.
///
/// # Examples
///
/// ```
/// use job_transport::auth::TokenSource;
///
/// let token = TokenSource::file("/var/run/secrets/tokens/oidc");
/// let token = TokenSource::text("eyJhbGciOi...")?;
/// assert!(!format!("{token:?}").contains("eyJ"));
/// # Ok::<(), job_transport::auth::InvalidCredential>(())
/// ```
#[derive(Clone)]
pub struct TokenSource(Source);

#[derive(Clone)]
enum Source {
    Text(SecretString),
    File(TokenFile),
}

impl TokenSource {
    /// Creates a source from the token itself. It is not renewed.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a valid token; see
    /// [`Credentials::token`](crate::Credentials::token).
    pub fn text(token: impl Into<String>) -> Result<Self, InvalidCredential> {
        Ok(Self(Source::Text(parse_secret(token.into())?)))
    }

    /// Creates a source from a file, without reading it. The rules of [`TokenFile`] apply.
    #[must_use]
    pub fn file(file: impl Into<PathBuf>) -> Self {
        Self(Source::File(TokenFile::new(file)))
    }

    /// Returns the current token.
    pub(super) async fn get(&self) -> Result<SecretString, CredentialsProviderError> {
        let file = match &self.0 {
            Source::Text(token) => return Ok(token.clone()),
            Source::File(file) => file,
        };
        let token = file.provide().await?.into_token();
        token.map_err(failed("the token file contains no token"))
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Text(_) => f.write_str("Text(..)"),
            Source::File(file) => file.fmt(f),
        }
    }
}
