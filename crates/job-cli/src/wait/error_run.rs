//! The errors of a wait: attempts in a row that read no job.

use std::mem;

use job_poller::Event;

/// Attempts in a row that gave no job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorRun {
    pub(crate) message: String,
    pub(crate) in_a_row: u32,
    /// Whether the last one said something else than the one before.
    pub(crate) has_changed: bool,
}

/// What the attempts of a wait come to that give no job.
#[derive(Debug, Default)]
pub(crate) struct ErrorTracker {
    current: Option<ErrorRun>,
    /// Whether the attempt before the next plan gave none.
    last_attempt_failed: bool,
    /// Whether the last attempt was the first in a while that gave one.
    pub(crate) has_recovered: bool,
}

impl ErrorTracker {
    /// Takes note of what happened.
    pub(crate) fn record(&mut self, event: &Event) {
        match event {
            Event::AttemptFailed { error: fault, in_a_row, .. } => {
                // Each reply has another id, and is no news for that.
                let message = match &fault.request_id {
                    Some(id) => fault.message.replace(&format!(" (request id {id})"), ""),
                    None => fault.message.clone(),
                };
                let before = self.current.take();
                let is_news = before.is_none_or(|before| before.message != message);
                self.current =
                    Some(ErrorRun { message, in_a_row: *in_a_row, has_changed: is_news });
                self.last_attempt_failed = true;
            }
            Event::NextAttempt { .. } if !mem::take(&mut self.last_attempt_failed) => {
                self.has_recovered = self.current.take().is_some();
            }
            _ => {}
        }
    }

    /// Returns the error of the last attempts, where they gave no job.
    pub(crate) const fn current(&self) -> Option<&ErrorRun> {
        self.current.as_ref()
    }
}
