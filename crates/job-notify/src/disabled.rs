//! The notifier of a driver that has none configured.

use crate::{
    notification::Notification,
    notifier::{Notifier, NotifierError},
};
use futures_core::future::BoxFuture;

/// Rejects every address, because no notifier is configured.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DisabledNotifier;

impl DisabledNotifier {
    /// Creates the notifier.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    fn error() -> NotifierError {
        NotifierError::permanent("notifications are not configured for this service; omit `notify`")
    }
}

impl Notifier for DisabledNotifier {
    fn deliver<'a>(
        &'a self,
        _: &'a str,
        _: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>> {
        Box::pin(async { Err(Self::error()) })
    }

    fn check(&self, _: &str) -> Result<(), NotifierError> {
        Err(Self::error())
    }
}
