//! The notifier of a deployment that has none configured.

use futures_core::future::BoxFuture;
use job_notify::{Notification, Notifier, NotifierError};

/// Rejects every address.
pub(crate) struct DisabledNotifier;

impl DisabledNotifier {
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
