//! Tracks consecutive failed attempts of a wait.

use std::mem;

use job_poller::{Event, machine::AttemptError};

/// A run of consecutive failed attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorRun {
    pub(crate) message: String,
    pub(crate) in_a_row: u32,
    /// Whether the last message differs from the previous one.
    pub(crate) has_changed: bool,
}

/// Follows the failed attempts of a wait.
#[derive(Debug, Default)]
pub(crate) struct ErrorTracker {
    current: Option<ErrorRun>,
    /// Whether an attempt failed since the last `NextAttempt` event.
    last_attempt_failed: bool,
    /// Whether the last attempt succeeded after a run of errors.
    pub(crate) has_recovered: bool,
}

impl ErrorTracker {
    /// Records an event.
    pub(crate) fn record(&mut self, event: &Event) {
        match event {
            Event::AttemptFailed { error, in_a_row, .. } => {
                let message = message_without_request_id(error);
                let before = self.current.take();
                let has_changed = before.is_none_or(|before| before.message != message);
                self.current = Some(ErrorRun { message, in_a_row: *in_a_row, has_changed });
                self.last_attempt_failed = true;
            }
            Event::NextAttempt { .. } if !mem::take(&mut self.last_attempt_failed) => {
                self.has_recovered = self.current.take().is_some();
            }
            _ => {}
        }
    }

    /// Returns the current run of errors, if the last attempt failed.
    pub(crate) const fn current(&self) -> Option<&ErrorRun> {
        self.current.as_ref()
    }
}

/// Returns the message of an error. Each reply has a different request id, which alone is not a
/// change.
pub(crate) fn message_without_request_id(error: &AttemptError) -> String {
    match &error.request_id {
        Some(id) => error.message.replace(&format!(" (request id {id})"), ""),
        None => error.message.clone(),
    }
}
