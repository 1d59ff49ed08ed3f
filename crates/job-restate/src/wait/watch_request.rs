//! The checks of a `watch` request, and the values that its wait starts with.

use bytes::Bytes;
use jiff::Timestamp;
use job_poller::WaitPolicy;
use job_transport::clock::Clock as _;
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use super::{JobWait, bad_request};
use crate::{request::WatchRequest, state::ActiveWait};

/// The values that a wait starts with. The engine records them, so a replay uses the same ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StartParams {
    pub(super) now: Timestamp,
    pub(super) policy: WaitPolicy,
}

/// What a `watch` request does.
#[derive(Clone, Copy, Debug)]
pub(super) enum WatchEffect<'a> {
    /// It starts a wait.
    Start,
    /// It changes an active wait.
    Change(&'a ActiveWait),
    /// It returns the result of a finished wait.
    Answer,
}

impl JobWait {
    /// Checks the receiver of a request, if it has one.
    ///
    /// # Errors
    ///
    /// Returns an error if the notifier rejects the receiver.
    pub(super) fn check_receiver(&self, request: &WatchRequest) -> Result<(), HandlerError> {
        let checked = request.notify.as_ref().map_or(Ok(()), |to| self.notifier.check(to));
        Ok(checked.map_err(|error| bad_request(&error))?)
    }

    /// Checks that this service has the right time, if the request sets a deadline.
    ///
    /// # Errors
    ///
    /// Returns an error with status 503 if the clock is off and the request sets a deadline.
    pub(super) fn check_clock(
        &self,
        request: &WatchRequest,
        effect: WatchEffect<'_>,
    ) -> Result<(), TerminalError> {
        let sets_deadline = match effect {
            WatchEffect::Start => true,
            WatchEffect::Change(waiting) => {
                waiting.stored.is_extended_by(&request.policy(self.policy), self.clock.now())
            }
            WatchEffect::Answer => false,
        };
        match self.clock.problem() {
            Some(problem) if sets_deadline => {
                let message =
                    format!("no new deadline is set: {problem}, then send the request again");
                Err(TerminalError::new_with_code(503, message))
            }
            _ => Ok(()),
        }
    }

    /// Checks the request, and returns the values that the wait starts with.
    ///
    /// # Errors
    ///
    /// Returns an error if the notifier rejects the receiver, or if the clock is off and the request
    /// sets a deadline.
    pub(super) fn begin(
        &self,
        request: &WatchRequest,
        effect: WatchEffect<'_>,
    ) -> Result<Json<StartParams>, HandlerError> {
        self.check_receiver(request)?;
        self.check_clock(request, effect)?;
        if let WatchEffect::Start = effect {
            self.metrics.record_started();
        }
        let policy = request.policy(self.policy);
        Ok(Json(StartParams { now: self.clock.now(), policy }))
    }
}

/// Parses the body of a `watch` request.
pub(super) fn parse_request(body: Option<Bytes>) -> Result<WatchRequest, TerminalError> {
    let Some(body) = body.filter(|body| !body.trim_ascii().is_empty()) else {
        return Ok(WatchRequest::default());
    };
    let request: WatchRequest = serde_json::from_slice(&body)
        .map_err(|error| bad_request(&format!("the body is not a watch request: {error}")))?;
    request.check().map_err(|error| bad_request(&error))?;
    Ok(request)
}

/// Returns an error with status 409 if a request contradicts an active wait.
pub(super) fn check_conflict(
    request: &WatchRequest,
    waiting: &ActiveWait,
) -> Result<(), TerminalError> {
    let Some(field) = request.conflict(*waiting.stored.checkpoint().policy()) else {
        return Ok(());
    };
    let message = format!(
        "a wait for this job is active with another `{field}`; omit `{field}`, or cancel the wait first"
    );
    Err(TerminalError::new_with_code(409, message))
}
