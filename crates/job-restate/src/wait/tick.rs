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
    durable::{StoredResult, WaitKey},
    machine::{Action, AttemptError, Input},
    schedule::BudgetShare,
};
use job_transport::{
    ErrorClass, FetchError, FetchErrorKind, Fetched, JobSnapshot, Reading, Unchanged,
    clock::Clock as _,
};

use super::{JobWait, MAX_TIMER_DELAY};
use crate::{
    budget::SentAway,
    reference_clock::TimeSource,
    state::{ActiveWait, FinishedWait, TickResult, WaitState},
};

/// A placeholder in steps of the machine that follow no attempt.
const NO_SHARE: BudgetShare = BudgetShare::new(Duration::ZERO, Duration::MAX);

/// How long a tick that comes early waits, at most. Then it is planned again. Ticks come early if the
/// clock of the service that planned them is ahead.
const MAX_EARLY_PAUSE: Duration = Duration::from_secs(30);

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
    pub(super) async fn tick_once(
        &self,
        key: &WaitKey,
        before: &ActiveWait,
        is_advanced: bool,
    ) -> TickResult {
        let early = before.next_tick_at.duration_since(self.clock.now()).try_into();
        if let (Ok(early), false) = (early, is_advanced) {
            let early: Duration = early;
            self.clock.sleep(early.min(MAX_EARLY_PAUSE)).await;
        }
        let mut now = self.clock.now();
        let mut before = before.clone();
        if is_advanced {
            before.stored.advance(now);
        }
        let before = &before;
        let mut waiting = before.clone();
        let step = waiting.stored.step(&*self.schedule, NO_SHARE, now, Input::Wake);
        let (mut events, mut action) = (step.events, step.action);
        let mut share = None;
        let next = loop {
            let (target, timeout) = match action {
                Action::Fetch { id, timeout, last } => (Target::Job(id, last), timeout),
                // Each object needs a slot of its own, because a job may have hundreds of nodes.
                Action::FetchObject { .. } if share.is_some() => {
                    break TickAction::Sleep(waiting.stored.checkpoint().elapsed());
                }
                Action::FetchObject { id, timeout } => (Target::Object(id), timeout),
                Action::SleepUntil(at) => break TickAction::Sleep(at),
                Action::Finish(result) => break TickAction::Finish(result),
            };
            let slot = match share {
                None => {
                    let acquired = self.budget.acquire(before.slot).await;
                    self.metrics.record_slot(acquired.is_ok());
                    match acquired {
                        Ok(slot) => Some(slot),
                        Err(sent_away) => return self.send_away(key, before, sent_away),
                    }
                }
                // Sub-job lookups are sent at once without a slot: they are few, and the budget
                // counts them.
                Some(_) => None,
            };
            let (input, stats) = self.fetch(key, &target, timeout).await;
            self.budget.record(stats, slot.is_some());
            let of_slot = slot.map(|slot| slot.share).or(share).unwrap_or(NO_SHARE);
            share = Some(of_slot);
            now = self.clock.now();
            let step = waiting.stored.step(&*self.schedule, of_slot, now, input);
            events.extend(step.events);
            action = step.action;
        };
        log_events(key, &waiting, &events);
        match next {
            TickAction::Sleep(at) => {
                waiting.slot = None;
                let pause = at.saturating_sub(waiting.stored.checkpoint().elapsed());
                self.plan_tick(key, before, waiting, now, pause)
            }
            TickAction::Finish(result) => {
                self.budget.replan(key, before.next_tick_at, None);
                self.finish(key, waiting, &result)
            }
        }
    }

    /// Plans a tick for a wait that may send no request now, but no later than its deadline.
    fn send_away(&self, key: &WaitKey, before: &ActiveWait, sent_away: SentAway) -> TickResult {
        let (mut waiting, now) = (before.clone(), self.clock.now());
        let remaining = waiting.stored.until_deadline(now);
        // It is due, so it may come back earlier if a slot would lapse.
        waiting.stored.permit_early_attempt(now);
        waiting.slot = sent_away.slot;
        let pause = sent_away.delay;
        let pause = if remaining.is_zero() { pause } else { pause.min(remaining) };
        self.plan_tick(key, before, waiting, now, pause)
    }

    /// Plans the next tick after this delay.
    fn plan_tick(
        &self,
        key: &WaitKey,
        before: &ActiveWait,
        waiting: ActiveWait,
        now: Timestamp,
        delay: Duration,
    ) -> TickResult {
        let result = schedule_next(waiting, now, delay);
        if let WaitState::Waiting(waiting) = &result.state {
            let next = (waiting.next_tick_at, waiting.planned());
            self.budget.replan(key, before.next_tick_at, Some(next));
        }
        result
    }

    /// Stops a wait because a caller canceled it.
    pub(super) fn stop(&self, key: &WaitKey, mut waiting: ActiveWait) -> TickResult {
        let now = self.clock.now();
        match waiting.stored.step(&*self.schedule, NO_SHARE, now, Input::Stop).action {
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
        if matches!(result, Err(error) if error.kind() == WaitErrorKind::Stopped) {
            waiting.receivers.clear();
        }
        let delay = self.retention.min(MAX_TIMER_DELAY);
        let finished = FinishedWait {
            tick: waiting.tick + 1,
            next_tick_at: self.clock.now().checked_add(delay).ok(),
            result: StoredResult::new(key, result),
            receivers: waiting.receivers,
        };
        self.metrics.record_finished(&finished.result.outcome);
        tracing::info!(%key, outcome = finished.result.outcome, "wait finished");
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

/// Plans the next tick after this delay.
fn schedule_next(mut waiting: ActiveWait, now: Timestamp, delay: Duration) -> TickResult {
    waiting.tick += 1;
    waiting.next_tick_at = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
    TickResult { state: WaitState::Waiting(waiting.into()), delay }
}

fn log_events(key: &WaitKey, waiting: &ActiveWait, events: &[Event]) {
    let at = waiting.stored.checkpoint().elapsed().as_secs_f64();
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
