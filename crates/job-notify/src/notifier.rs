//! The [`Notifier`] trait, which makes one try to deliver a notification, and its error.

use std::{sync::Arc, time::Duration};

use futures_core::future::BoxFuture;

use crate::notification::Notification;

/// The error of a try to deliver a notification.
///
/// Its message names the receiver, and contains no secrets, because drivers show it in the status of
/// a wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotifierError {
    message: String,
    is_permanent: bool,
    retry_after: Option<Duration>,
}

impl NotifierError {
    /// Creates a transient error, after which the notification is sent again.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: false, retry_after: None }
    }

    /// Creates a permanent error, which ends the delivery.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: true, retry_after: None }
    }

    /// Sets the minimum delay before the next try, as requested by the receiver.
    #[must_use]
    pub const fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.retry_after = delay;
        self
    }

    /// Returns whether the error is permanent, so that another try would fail too.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.is_permanent
    }

    /// Returns the minimum delay before the next try, if the receiver requested one.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// Delivers notifications.
///
/// # For callers
///
/// A driver calls [`check`](Self::check) before a wait starts, and [`deliver`](Self::deliver) after
/// it has ended. It passes each result to a [`Delivery`](crate::Delivery), which decides whether and
/// when to try again.
///
/// # For implementers
///
/// - Make a single try, without retries, and return when its result is certain.
/// - Limit how long a try may take.
/// - Send [`Notification::id`] along, so that the receiver can recognize a repeated delivery.
/// - Keep secrets out of errors, such as the query of a URL, because drivers show them.
///
/// # Examples
///
/// ```
/// use futures_core::future::BoxFuture;
/// use job_notify::{Notification, Notifier, NotifierError};
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
    /// Tries once to deliver a notification to the receiver with the address `to`.
    ///
    /// # Errors
    ///
    /// Returns an error if the notification was not delivered, or if that is uncertain.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the notification may or may not be delivered.
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
    /// Returns an error if notifications cannot be sent to `to`. Its message should explain how to
    /// fix the request for the wait.
    fn check(&self, to: &str) -> Result<(), NotifierError> {
        let _ = to;
        Ok(())
    }
}

impl<T: Notifier + ?Sized> Notifier for Arc<T> {
    fn deliver<'a>(
        &'a self,
        to: &'a str,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>> {
        (**self).deliver(to, notification)
    }

    fn check(&self, to: &str) -> Result<(), NotifierError> {
        (**self).check(to)
    }
}

impl<T: Notifier + ?Sized> Notifier for Box<T> {
    fn deliver<'a>(
        &'a self,
        to: &'a str,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifierError>> {
        (**self).deliver(to, notification)
    }

    fn check(&self, to: &str) -> Result<(), NotifierError> {
        (**self).check(to)
    }
}
