//! A token in a file that somebody else renews. Keeps none.

use std::{fs, path::PathBuf};

use futures_core::future::BoxFuture;

use super::{credential::ProvidedCredential, provider::ProvideCredentials};
use crate::request::{CredentialsProviderError, ErrorClass};

/// The token in a file, such as a mounted secret. It is read when it is first needed, and again when
/// the service refuses it (401): whoever renews it replaces the file.
///
/// ```
/// use job_transport::{Credentials, TokenFile};
///
/// let credentials = Credentials::from_provider(TokenFile::new("/run/secrets/token"));
/// ```
#[derive(Clone, Debug)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// Takes the file's path; reads nothing yet.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// Reads the token; blanks and line breaks around it are no part of it.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or holds no token; passing, for it may be about to be replaced.
    pub fn read(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        let failed = |why: &str| {
            CredentialsProviderError::new(
                ErrorClass::Transient,
                format!("{} {why}", self.0.display()),
            )
        };
        let text = fs::read_to_string(&self.0)
            .map_err(|error| failed("cannot be read").with_source(error))?;
        ProvidedCredential::token(text.trim())
            .map_err(|error| failed("holds no token").with_source(error))
    }
}

impl ProvideCredentials for TokenFile {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(async { self.read() })
    }
}

#[cfg(test)]
mod tests;
