//! The plug point for notices: who is told how a wait ended, and how. Decides nothing about a wait.

use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::key::WaitKey;

/// That a wait is over, for whoever asked to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notice {
    /// Which wait.
    pub key: WaitKey,
    /// How it ended, in one word: `succeeded`, `failed`, or why it stopped before the job ended
    /// ([`WaitErrorKind::as_str`](job_poller::WaitErrorKind::as_str)).
    pub outcome: String,
    /// The whole story as one JSON object: `v`, `event`, `project`, `job`, and what a
    /// [`Report`](job_poller::Report) has.
    pub body: String,
}

impl Notice {
    /// Creates a notice.
    #[must_use]
    pub fn new(key: WaitKey, outcome: impl Into<String>, body: impl Into<String>) -> Self {
        Self { key, outcome: outcome.into(), body: body.into() }
    }

    /// Returns the notice's idempotency key: the project, the job and the outcome, `PROJECT:JOB:OUTCOME`. Whoever
    /// has seen it before has been told: an engine that died between a delivery and its record
    /// delivers once more.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.key, self.outcome)
    }
}

/// A notice that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    message: String,
    is_final: bool,
}

impl SinkError {
    /// Creates an error that may pass: the engine tries again.
    #[must_use]
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: false }
    }

    /// Creates an error that trying again would not mend.
    #[must_use]
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: true }
    }

    /// Whether trying again would not mend it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.is_final
    }
}

/// Delivers notices.
///
/// # For callers
///
/// The engine calls it, again and again until it succeeds, from whichever machine is up.
///
/// # For implementers
///
/// Make one delivery and no other, and return once it is certain. Give the receiver [`Notice::id`], so that
/// it knows a second delivery for what it is. Bound the delivery in time. An error's text is shown
/// by `status`: no secret in it, nor the path or query of a URL.
///
/// ```
/// use futures_core::future::BoxFuture;
/// use job_restate::{Notice, Sink, SinkError};
///
/// /// Writes to the log, whatever the name.
/// struct Log;
///
/// impl Sink for Log {
///     fn deliver<'a>(
///         &'a self,
///         to: &'a str,
///         notice: &'a Notice,
///     ) -> BoxFuture<'a, Result<(), SinkError>> {
///         println!("{to}: {}", notice.id());
///         Box::pin(async { Ok(()) })
///     }
/// }
/// ```
pub trait Sink: Send + Sync {
    /// Delivers a notice.
    ///
    /// # Errors
    ///
    /// Where it was not delivered, or that is not certain.
    fn deliver<'a>(
        &'a self,
        to: &'a str,
        notice: &'a Notice,
    ) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Checks, before a wait begins, that notices could be sent there; by default anywhere. Sends nothing.
    ///
    /// # Errors
    ///
    /// Where none could: what is wrong, and what to do.
    fn check(&self, to: &str) -> Result<(), SinkError> {
        let _ = to;
        Ok(())
    }
}

/// Where nobody can be told.
pub(crate) struct NoSink;

impl NoSink {
    fn error() -> SinkError {
        SinkError::lasting("notices are not set up here; leave `notify` out")
    }
}

impl Sink for NoSink {
    fn deliver<'a>(&'a self, _: &'a str, _: &'a Notice) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async { Err(Self::error()) })
    }

    fn check(&self, _: &str) -> Result<(), SinkError> {
        Err(Self::error())
    }
}
