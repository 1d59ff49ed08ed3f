//! Reads a token from a file that another process updates.

use std::{fs, path::PathBuf};

use futures_core::future::BoxFuture;

use super::{credential::ProvidedCredential, provider::ProvideCredentials};
use crate::request::{CredentialsProviderError, ErrorClass};

/// A credentials provider that reads a token from a file, such as a mounted secret.
///
/// The file is read for the first request, and again when the service refuses the token (401).
/// Another process must replace the file before the token expires.
///
/// # Examples
///
/// ```
/// use job_transport::{Credentials, TokenFile};
///
/// let credentials = Credentials::from_provider(TokenFile::new("/run/secrets/token"));
/// ```
#[derive(Clone, Debug)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// Creates a provider without reading the file.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// Reads the token, without surrounding whitespace.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or does not contain a valid token. The error is
    /// transient, because another process may be replacing the file.
    pub fn read(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        let failed = |what: &str| {
            CredentialsProviderError::new(
                ErrorClass::Transient,
                format!("{what} {}", self.0.display()),
            )
        };
        let text = fs::read_to_string(&self.0)
            .map_err(|error| failed("cannot read").with_source(error))?;
        ProvidedCredential::token(text.trim())
            .map_err(|error| failed("no valid token in").with_source(error))
    }
}

impl ProvideCredentials for TokenFile {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(async { self.read() })
    }
}

#[cfg(test)]
mod tests;
