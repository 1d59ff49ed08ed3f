//! The [`Notifier`] trait, which delivers notifications of finished waits.

use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::key::WaitKey;

/// A notification that a wait has finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notification {
    /// The key of the wait.
    pub key: WaitKey,
    /// The outcome in one word: `succeeded`, `failed`, or why the wait stopped before the job ended
    /// (see [`WaitErrorKind::as_str`](job_poller::WaitErrorKind::as_str)).
    pub outcome: String,
    /// The result as a JSON object: `v`, `event`, `project`, `job`, and the fields of a
    /// [`Report`](job_poller::Report).
    pub body: String,
}

impl Notification {
    /// Creates a notification.
    #[must_use]
    pub fn new(key: WaitKey, outcome: impl Into<String>, body: impl Into<String>) -> Self {
        Self { key, outcome: outcome.into(), body: body.into() }
    }

    /// Returns the idempotency key of the notification, `PROJECT:JOB:OUTCOME`.
    ///
    /// A crash between a delivery and its record repeats the delivery. A receiver can ignore a
    /// notification whose id it has seen before.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.key, self.outcome)
    }
}

/// The error if a notification could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotifierError {
    message: String,
    is_permanent: bool,
}

impl NotifierError {
    /// Creates a transient error, after which the engine retries the delivery.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: false }
    }

    /// Creates a permanent error, after which the engine does not retry.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: true }
    }

    /// Returns whether the error is permanent, so that a retry would fail too.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.is_permanent
    }
}

/// Delivers notifications.
///
/// # For callers
///
/// The engine calls [`deliver`](Self::deliver) in any process of the deployment, and retries for
/// three days, until the call succeeds or returns a permanent error.
///
/// # For implementers
///
/// - Attempt a single delivery, without retries, and return when its result is certain.
/// - Limit how long a delivery may take.
/// - Send [`Notification::id`] along, so that the receiver can recognize a repeated delivery.
/// - Keep secrets out of errors, including the path and the query of a URL, because `status` shows
///   the error.
///
/// # Examples
///
/// ```
/// use futures_core::future::BoxFuture;
/// use job_restate::{Notification, Notifier, NotifierError};
///
/// /// Prints the notification's id, and accepts any address.
/// struct Log;
///
/// impl Notifier for Log {
///     fn deliver<'a>(
///         &'a self,
///         to: &'a str,
///         notification: &'a Notification,
///     ) -> BoxFuture<'a, Result<(), NotifierError>> {
///         println!("{to}: {}", notification.id());
///         Box::pin(async { Ok(()) })
///     }
/// }
/// ```
pub trait Notifier: Send + Sync {
    /// Delivers a notification to the address `to`, the `notify` of a
    /// [`WatchRequest`](crate::WatchRequest).
    ///
    /// # Errors
    ///
    /// Returns an error if the notification was not delivered, or if that is uncertain.
    fn deliver<'a>(
        &'a self,
        to: &'a str,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>>;

    /// Checks an address before a wait starts, without sending anything.
    ///
    /// The default implementation accepts any address.
    ///
    /// # Errors
    ///
    /// Returns an error if notifications cannot be sent to `to`. The caller of `watch` receives its
    /// text, which should explain how to fix the request.
    fn check(&self, to: &str) -> Result<(), NotifierError> {
        let _ = to;
        Ok(())
    }
}

/// The notifier of a deployment that has none configured. Rejects every address.
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
