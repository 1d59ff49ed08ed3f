//! The error of a credentials provider. It is in this module because a
//! [`FetchError`](super::FetchError) contains it.

use std::{error::Error, fmt, sync::Arc};

use super::error_class::ErrorClass;

/// The error of a provider that returned no credentials.
///
/// It is cheap to clone, because all requests that waited for the provider receive it.
#[derive(Clone, Debug)]
pub struct CredentialsProviderError {
    class: ErrorClass,
    revokes: bool,
    message: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl CredentialsProviderError {
    /// Creates an error from its class and a message.
    ///
    /// The message is a lower-case fragment that does not contain the text of the cause.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl Into<Arc<str>>) -> Self {
        Self { class, revokes: false, message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// Also withdraws the credentials that the provider returned before, although they are valid.
    pub(crate) const fn revoking(mut self) -> Self {
        self.revokes = true;
        self
    }

    /// Returns whether the credentials that the provider returned before must not be used either.
    pub(crate) const fn revokes(&self) -> bool {
        self.revokes
    }

    /// Returns how a caller should react.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        self.class
    }

    /// Returns the message of an attempt that failed because of this error.
    pub(crate) const fn summary(&self) -> &'static str {
        match self.class {
            ErrorClass::Unauthorized => "the credentials were refused",
            _ => NO_CREDENTIALS,
        }
    }
}

/// The message of an attempt without credentials that were not refused.
pub(crate) const NO_CREDENTIALS: &str = "cannot get credentials";

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
