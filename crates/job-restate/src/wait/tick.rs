//! A tick: one attempt, if it is the wait's turn, and the plan for the next. The decision is the machine's. Knows no
//! engine: that keeps what a tick came to, so a replay asks nobody and decides the same, whatever the
//! service goes by since.

use std::time::Duration;

use jiff::Timestamp;
use job_model::JobId;
use job_poller::{
    Action, AttemptError, Event, FinishedJob, Input, WaitError, WaitErrorKind, budget::AttemptStats,
};
use job_transport::ErrorClass;
use serde::{Deserialize, Serialize};

use super::JobWait;
use crate::{
    budget::Slot,
    key::WaitKey,
    state::{ActiveWait, FinishedWait, WaitState},
};

/// What a tick came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TickResult {
    pub(super) state: WaitState,
    /// When the next tick is to come.
    pub(super) delay: Duration,
}

/// What comes next.
enum TickAction {
    Sleep(Duration),
    Finish(Box<Result<FinishedJob, WaitError>>),
}

impl JobWait {
    /// Makes the attempt that is due, if it is the wait's turn, and plans the next tick.
    pub(super) async fn tick_once(&self, key: &WaitKey, before: &ActiveWait) -> TickResult {
        let mut waiting = before.clone();
        let mut now = self.clock.now();
        let (mut events, mut action) = waiting.step(&*self.schedule, Slot::NONE, now, Input::Wake);
        let mut turn = None;
        let next = loop {
            let (id, timeout) = match action {
                Action::Fetch { id, timeout } => (id, timeout),
                Action::SleepUntil(at) => break TickAction::Sleep(at),
                Action::Finish(result) => break TickAction::Finish(result),
            };
            let (given, input) = match turn {
                None => {
                    let turn = self.lease.request_slot(before.arrival(now));
                    self.metrics.record_slot(turn.is_ok());
                    let (given, slot_guard) = match turn {
                        Ok(turn) => turn,
                        Err(after) => return reschedule(before, now, after),
                    };
                    let (input, attempted) = self.fetch(key, &id, timeout).await;
                    slot_guard.complete(attempted);
                    (given, input)
                }
                // Lookups of sub-jobs follow at once: they are few, and the budget is told.
                Some(given) => {
                    let (input, attempted) = self.fetch(key, &id, timeout).await;
                    self.lease.record_extra(&attempted);
                    (given, input)
                }
            };
            turn = Some(given);
            now = self.clock.now();
            let more;
            (more, action) = waiting.step(&*self.schedule, given, now, input);
            events.extend(more);
        };
        log_events(key, &waiting, &events);
        match next {
            TickAction::Sleep(at) => {
                if let Some(turn) = turn {
                    let place = waiting.urgency.map(|urgency| (turn.epoch, urgency));
                    self.lease.update_count(waiting.count_key, place);
                    waiting.count_key = place;
                }
                waiting.has_reservation = false;
                let pause = at.saturating_sub(waiting.checkpoint.elapsed());
                schedule_next(waiting, now, pause)
            }
            TickAction::Finish(result) => self.finish(key, waiting, &result),
        }
    }

    /// Stops a wait.
    pub(super) fn stop(&self, key: &WaitKey, mut waiting: ActiveWait) -> TickResult {
        let now = self.clock.now();
        match waiting.step(&*self.schedule, Slot::NONE, now, Input::Stop).1 {
            Action::Finish(result) => self.finish(key, waiting, &result),
            // No machine goes on that is told to stop.
            Action::Fetch { .. } | Action::SleepUntil(_) => {
                schedule_next(waiting, now, Duration::ZERO)
            }
        }
    }

    /// Ends a wait. Of one that was stopped, nobody is told.
    fn finish(
        &self,
        key: &WaitKey,
        mut waiting: ActiveWait,
        result: &Result<FinishedJob, WaitError>,
    ) -> TickResult {
        self.lease.update_count(waiting.count_key, None);
        if matches!(result, Err(error) if error.kind() == WaitErrorKind::Stopped) {
            waiting.receivers.clear();
        }
        let over = FinishedWait::new(key, result, waiting.tick + 1, waiting.receivers);
        self.metrics.record_finished(&over.outcome);
        tracing::info!(%key, outcome = over.outcome, "over");
        TickResult { state: WaitState::Finished(over.into()), delay: self.retention }
    }

    async fn fetch(&self, key: &WaitKey, id: &JobId, timeout: Duration) -> (Input, AttemptStats) {
        let client = self.client.clone().project(key.project.clone()).attempt_timeout(timeout);
        let began = self.clock.monotonic();
        let input = Input::from(client.job(id).await);
        let took = self.clock.monotonic().saturating_sub(began);
        self.metrics.record_attempt(result_label(&input), took.as_secs_f64());
        let attempted = AttemptStats::from_input(took, &input);
        (input, attempted)
    }
}

/// Plans to come back for a turn, after this or when it is due; but to see that the deadline has passed where that is
/// sooner.
fn reschedule(waiting: &ActiveWait, now: Timestamp, after: Option<Duration>) -> TickResult {
    let mut waiting = waiting.clone();
    let until_due = waiting.due_at.duration_since(now).try_into().unwrap_or_default();
    let (machine, elapsed) = waiting.checkpoint.clone().continue_at(now);
    let left = machine.policy().deadline().saturating_sub(elapsed);
    let wish = after.unwrap_or(until_due);
    let pause = if left.is_zero() { wish } else { wish.min(left) };
    // Sooner than it was told, it takes nobody else's turn.
    waiting.has_reservation = after == Some(pause);
    schedule_next(waiting, now, pause)
}

/// Plans the next tick.
fn schedule_next(mut waiting: ActiveWait, now: Timestamp, after: Duration) -> TickResult {
    waiting.tick += 1;
    waiting.next_tick_at = now.saturating_add(after).unwrap_or(Timestamp::MAX);
    TickResult { state: WaitState::Waiting(waiting.into()), delay: after }
}

fn log_events(key: &WaitKey, waiting: &ActiveWait, events: &[Event]) {
    let at = waiting.checkpoint.elapsed().as_secs_f64();
    for event in events {
        tracing::info!(%key, at, "{event}");
    }
}

/// Tells what an attempt came to, in a word.
const fn result_label(input: &Input) -> &'static str {
    match input {
        Input::Error(AttemptError { class, .. }) => match class {
            ErrorClass::Transient => "transient",
            ErrorClass::Throttled => "throttled",
            ErrorClass::Unauthorized => "unauthorized",
            ErrorClass::NotFound => "not_found",
            ErrorClass::Permanent => "permanent",
        },
        _ => "job",
    }
}

#[cfg(test)]
mod tests;
