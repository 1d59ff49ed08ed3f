//! Why a provider of credentials failed. Here and not beside the provider, because a [`FetchError`](super::FetchError)
//! carries it.

use std::{error::Error, fmt, sync::Arc};

use super::error_class::ErrorClass;

/// Why a provider gave no credentials. Cheap to clone, since all who waited are told.
#[derive(Clone, Debug)]
pub struct CredentialsProviderError {
    class: ErrorClass,
    message: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl CredentialsProviderError {
    /// Creates an error: what it means for asking again, and what went wrong, as a lower-case
    /// fragment.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl Into<Arc<str>>) -> Self {
        Self { class, message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// Returns what it means for asking again.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        self.class
    }
}

impl fmt::Display for CredentialsProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CredentialsProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}
