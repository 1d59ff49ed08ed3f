//! A token in a file that somebody else renews. Keeps none.

use std::{fs, path::PathBuf};

use futures_core::future::BoxFuture;

use super::provider::{ProvideCredentials, ProvideError, Provided};
use crate::request::Class;

/// The token in a file, such as a mounted secret. It is read when it is first needed, and again when
/// the service refuses it (401): whoever renews it replaces the file.
///
/// ```
/// use job_transport::{Credentials, TokenFile};
///
/// let credentials = Credentials::provided(TokenFile::new("/run/secrets/token"));
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
    pub fn read(&self) -> Result<Provided, ProvideError> {
        let failed =
            |why: &str| ProvideError::new(Class::Transient, format!("{} {why}", self.0.display()));
        let text = fs::read_to_string(&self.0)
            .map_err(|error| failed("cannot be read").with_source(error))?;
        Provided::token(text.trim()).map_err(|error| failed("holds no token").with_source(error))
    }
}

impl ProvideCredentials for TokenFile {
    fn provide(&self) -> BoxFuture<'_, Result<Provided, ProvideError>> {
        Box::pin(async { self.read() })
    }
}

#[cfg(test)]
mod tests;
