//! The plug point for notifications: how receivers learn that a wait has finished.

use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::key::WaitKey;

/// The notification that a wait has finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notification {
    /// The key of the wait.
    pub key: WaitKey,
    /// How it ended, in one word: `succeeded`, `failed`, or why it stopped before the job ended
    /// ([`WaitErrorKind::as_str`](job_poller::WaitErrorKind::as_str)).
    pub outcome: String,
    /// The whole story as one JSON object: `v`, `event`, `project`, `job`, and what a
    /// [`Report`](job_poller::Report) has.
    pub body: String,
}

impl Notification {
    /// Creates a notification.
    #[must_use]
    pub fn new(key: WaitKey, outcome: impl Into<String>, body: impl Into<String>) -> Self {
        Self { key, outcome: outcome.into(), body: body.into() }
    }

    /// Returns the notification's idempotency key: the project, the job and the outcome, `PROJECT:JOB:OUTCOME`. A
    /// receiver that has seen it before can ignore the notification: an engine that died between a delivery and its
    /// record delivers again.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.key, self.outcome)
    }
}

/// A notification that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotifierError {
    message: String,
    is_permanent: bool,
}

impl NotifierError {
    /// Creates a transient error: the engine tries again.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: false }
    }

    /// Creates a permanent error: the engine does not try again.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: true }
    }

    /// Whether the error is permanent, so that a retry would fail too.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.is_permanent
    }
}

/// Delivers notifications.
///
/// # For callers
///
/// The engine calls it, again and again until it succeeds, from whichever machine is up.
///
/// # For implementers
///
/// Make one delivery and no other, and return once it is certain. Give the receiver [`Notification::id`], so that
/// it knows a second delivery for what it is. Bound the delivery in time. An error's text is shown
/// by `status`: no secret in it, nor the path or query of a URL.
///
/// ```
/// use futures_core::future::BoxFuture;
/// use job_restate::{Notification, Notifier, NotifierError};
///
/// /// Writes to the log, whatever the name.
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
    /// Delivers a notification.
    ///
    /// # Errors
    ///
    /// Where it was not delivered, or that is not certain.
    fn deliver<'a>(
        &'a self,
        to: &'a str,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>>;

    /// Checks, before a wait begins, that notifications could be sent there; by default anywhere. Sends nothing.
    ///
    /// # Errors
    ///
    /// Where none could: what is wrong, and what to do.
    fn check(&self, to: &str) -> Result<(), NotifierError> {
        let _ = to;
        Ok(())
    }
}

/// The notifier of a deployment without notifications.
pub(crate) struct DisabledNotifier;

impl DisabledNotifier {
    fn error() -> NotifierError {
        NotifierError::permanent("notifications are not set up here; leave `notify` out")
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
