//! Runs a tick: one attempt, if the wait gets a slot, and the plan for the next tick.
//!
//! The engine records the result of a tick. A replay therefore sends no request and has the same
//! result, even if the settings of the service have changed since.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{JobId, object::ObjectId};
use job_poller::{
    Event, FinishedJob, WaitError, WaitErrorKind,
    budget::AttemptStats,
    machine::{Action, AttemptError, Input},
};
use job_transport::{
    ErrorClass, FetchError, FetchErrorKind, Fetched, JobSnapshot, Reading, Unchanged,
    clock::Clock as _,
};

use super::{JobWait, MAX_TIMER_DELAY};
use crate::{
    budget::{CountKey, Slot},
    key::WaitKey,
    reference_clock::TimeSource,
    state::{ActiveWait, FinishedWait, TickResult, WaitState},
};

/// What to do after the attempts of a tick.
enum TickAction {
    Sleep(Duration),
    Finish(Box<Result<FinishedJob, WaitError>>),
}

/// What an attempt reads.
enum Target {
    /// The job or a sub-job, and the last accepted snapshot of it.
    Job(JobId, Option<JobSnapshot>),
    /// A cluster or a node.
    Object(ObjectId),
}

impl JobWait {
    /// Makes the attempt that is due, if the wait gets a slot, and plans the next tick.
    pub(super) async fn tick_once(&self, key: &WaitKey, before: &ActiveWait) -> TickResult {
        let mut waiting = before.clone();
        let mut now = self.clock.now();
        let (mut events, mut action) = waiting.step(&*self.schedule, Slot::NONE, now, Input::Wake);
        let mut slot = None;
        let next = loop {
            let (target, timeout) = match action {
                Action::Fetch { id, timeout, last } => (Target::Job(id, last), timeout),
                // Each object needs a slot of its own, because a job may have hundreds of nodes.
                Action::FetchObject { .. } if slot.is_some() => {
                    break TickAction::Sleep(waiting.checkpoint.elapsed());
                }
                Action::FetchObject { id, timeout } => (Target::Object(id), timeout),
                Action::SleepUntil(at) => break TickAction::Sleep(at),
                Action::Finish(result) => break TickAction::Finish(result),
            };
            let (granted, input) = match slot {
                None => {
                    let requested = self.lease.request_slot(before.arrival(now));
                    self.metrics.record_slot(requested.is_ok());
                    let (granted, slot_guard) = match requested {
                        Ok(granted) => granted,
                        Err(after) => return reschedule(before, now, after),
                    };
                    let (input, stats) = self.fetch(key, &target, timeout).await;
                    slot_guard.complete(stats);
                    (granted, input)
                }
                // Sub-job lookups are sent at once without a slot: they are few, and the budget
                // counts them.
                Some(granted) => {
                    let (input, stats) = self.fetch(key, &target, timeout).await;
                    self.lease.record_extra(&stats);
                    (granted, input)
                }
            };
            slot = Some(granted);
            now = self.clock.now();
            let more;
            (more, action) = waiting.step(&*self.schedule, granted, now, input);
            events.extend(more);
        };
        log_events(key, &waiting, &events);
        match next {
            TickAction::Sleep(at) => {
                if let Some(Slot { epoch, .. }) = slot {
                    let count_key = waiting.urgency.map(|urgency| CountKey { epoch, urgency });
                    self.lease.update_count(waiting.count_key, count_key);
                    waiting.count_key = count_key;
                }
                waiting.has_reservation = false;
                let pause = at.saturating_sub(waiting.checkpoint.elapsed());
                schedule_next(waiting, now, pause)
            }
            TickAction::Finish(result) => self.finish(key, waiting, &result),
        }
    }

    /// Stops a wait because a caller canceled it.
    pub(super) fn stop(&self, key: &WaitKey, mut waiting: ActiveWait) -> TickResult {
        let now = self.clock.now();
        match waiting.step(&*self.schedule, Slot::NONE, now, Input::Stop).1 {
            Action::Finish(result) => self.finish(key, waiting, &result),
            // The machine always finishes on `Input::Stop`.
            Action::Fetch { .. } | Action::FetchObject { .. } | Action::SleepUntil(_) => {
                schedule_next(waiting, now, Duration::ZERO)
            }
        }
    }

    /// Finishes a wait. A wait that a caller canceled sends no notifications.
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
        let mut finished = FinishedWait::new(key, result, waiting.tick + 1, waiting.receivers);
        let delay = self.retention.min(MAX_TIMER_DELAY);
        finished.next_tick_at = self.clock.now().checked_add(delay).ok();
        self.metrics.record_finished(&finished.outcome);
        tracing::info!(%key, outcome = finished.outcome, "wait finished");
        TickResult { state: WaitState::Finished(finished.into()), delay }
    }

    async fn fetch(
        &self,
        key: &WaitKey,
        target: &Target,
        timeout: Duration,
    ) -> (Input, AttemptStats) {
        let client = self.client.clone().project(key.project.clone()).attempt_timeout(timeout);
        let began = self.clock.monotonic();
        let (input, date) = match target {
            Target::Job(id, last) => {
                let fetched = client.job_since(id, last.as_ref()).await;
                let date = date_of(&fetched, |fetched| match fetched {
                    Fetched::Reading(Reading { date, .. })
                    | Fetched::Unchanged(Unchanged { date, .. }) => *date,
                });
                (fetched.into(), date)
            }
            Target::Object(id) => {
                let fetched = client.object(id).await;
                let date = date_of(&fetched, |reading| reading.date);
                (fetched.into(), date)
            }
        };
        let latency = self.clock.monotonic().saturating_sub(began);
        if let Some(date) = date {
            self.clock.handle_reply(TimeSource::Cloud, latency, date);
        }
        self.metrics.record_attempt(result_label(&input), latency.as_secs_f64());
        let stats = AttemptStats::from_input(latency, &input);
        (input, stats)
    }
}

/// Returns the service's time when it sent the reply to this attempt.
fn date_of<T>(
    fetched: &Result<T, FetchError>,
    date: impl FnOnce(&T) -> Option<Timestamp>,
) -> Option<Timestamp> {
    match fetched {
        Ok(fetched) => date(fetched),
        // This error can be that of an earlier reply.
        Err(error) if error.kind() == FetchErrorKind::WrongSignature => None,
        Err(error) => error.date(),
    }
}

/// Plans a tick that requests a slot again: after the delay `after`, or without one when the
/// attempt is due, but no later than the deadline.
fn reschedule(waiting: &ActiveWait, now: Timestamp, after: Option<Duration>) -> TickResult {
    let mut waiting = waiting.clone();
    let until_due = waiting.due_at.duration_since(now).try_into().unwrap_or_default();
    let (machine, elapsed) = waiting.checkpoint.clone().continue_at(now);
    let remaining = machine.policy().deadline().saturating_sub(elapsed);
    let wanted = after.unwrap_or(until_due);
    let pause = if remaining.is_zero() { wanted } else { wanted.min(remaining) };
    // If the tick comes earlier than the reservation, because of the deadline, the wait must not
    // take the slot of another wait.
    waiting.has_reservation = after == Some(pause);
    schedule_next(waiting, now, pause)
}

/// Plans the next tick after this delay.
fn schedule_next(mut waiting: ActiveWait, now: Timestamp, delay: Duration) -> TickResult {
    waiting.tick += 1;
    waiting.next_tick_at = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
    TickResult { state: WaitState::Waiting(waiting.into()), delay }
}

fn log_events(key: &WaitKey, waiting: &ActiveWait, events: &[Event]) {
    let at = waiting.checkpoint.elapsed().as_secs_f64();
    for event in events {
        tracing::info!(%key, at, "{event}");
    }
}

/// Returns the metric label of an attempt.
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
