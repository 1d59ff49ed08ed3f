//! A tick: one attempt, if it is the wait's turn, and the plan for the next. The decision is the machine's. Knows no
//! engine: that keeps what a tick came to, so a replay asks nobody and decides the same, whatever the
//! service goes by since.

use std::time::Duration;

use jiff::Timestamp;
use job_model::JobId;
use job_poller::{Action, Attempted, Ended, Event, Fault, Input, WaitError, WaitErrorKind};
use job_transport::Class;
use serde::{Deserialize, Serialize};

use super::JobWait;
use crate::{
    budget::Turn,
    key::WaitKey,
    state::{Over, WaitState, Waiting},
};

/// What a tick came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ticked {
    pub(super) state: WaitState,
    /// When the next tick is to come.
    pub(super) after: Duration,
}

/// What comes next.
enum Next {
    Sleep(Duration),
    Over(Box<Result<Ended, WaitError>>),
}

impl JobWait {
    /// Makes the attempt that is due, if it is the wait's turn, and plans the next tick.
    pub(super) async fn tick_once(&self, key: &WaitKey, before: &Waiting) -> Ticked {
        let mut waiting = before.clone();
        let mut now = self.clock.now();
        let (mut events, mut action) = waiting.step(&*self.schedule, Turn::NONE, now, Input::Wake);
        let mut turn = None;
        let next = loop {
            let (id, timeout) = match action {
                Action::Fetch { id, timeout } => (id, timeout),
                Action::SleepUntil(at) => break Next::Sleep(at),
                Action::Finish(result) => break Next::Over(result),
            };
            let (given, input) = match turn {
                None => {
                    let turn = self.lease.ask(before.coming(now));
                    self.metrics.turn(turn.is_ok());
                    let (given, on_turn) = match turn {
                        Ok(turn) => turn,
                        Err(after) => return come_back(before, now, after),
                    };
                    let (input, attempted) = self.fetch(key, &id, timeout).await;
                    on_turn.done(attempted);
                    (given, input)
                }
                // Looks at sub-jobs follow at once: they are few, and the budget is told.
                Some(given) => {
                    let (input, attempted) = self.fetch(key, &id, timeout).await;
                    self.lease.also(&attempted);
                    (given, input)
                }
            };
            turn = Some(given);
            now = self.clock.now();
            let more;
            (more, action) = waiting.step(&*self.schedule, given, now, input);
            events.extend(more);
        };
        log(key, &waiting, &events);
        match next {
            Next::Sleep(at) => {
                if let Some(turn) = turn {
                    let place = waiting.urgency.map(|urgency| (turn.round, urgency));
                    self.lease.count(waiting.place, place);
                    waiting.place = place;
                }
                waiting.was_told = false;
                let pause = at.saturating_sub(waiting.checkpoint.elapsed());
                planned(waiting, now, pause)
            }
            Next::Over(result) => self.over(key, waiting, &result),
        }
    }

    /// Stops a wait.
    pub(super) fn stop(&self, key: &WaitKey, mut waiting: Waiting) -> Ticked {
        let now = self.clock.now();
        match waiting.step(&*self.schedule, Turn::NONE, now, Input::Stop).1 {
            Action::Finish(result) => self.over(key, waiting, &result),
            // No machine goes on that is told to stop.
            Action::Fetch { .. } | Action::SleepUntil(_) => planned(waiting, now, Duration::ZERO),
        }
    }

    /// Ends a wait. Of one that was stopped, nobody is told.
    fn over(
        &self,
        key: &WaitKey,
        mut waiting: Waiting,
        result: &Result<Ended, WaitError>,
    ) -> Ticked {
        self.lease.count(waiting.place, None);
        if matches!(result, Err(error) if error.kind() == WaitErrorKind::Stopped) {
            waiting.receivers.clear();
        }
        let over = Over::new(key, result, waiting.tick + 1, waiting.receivers);
        self.metrics.over(&over.outcome);
        tracing::info!(%key, outcome = over.outcome, "over");
        Ticked { state: WaitState::Over(over.into()), after: self.keep }
    }

    async fn fetch(&self, key: &WaitKey, id: &JobId, timeout: Duration) -> (Input, Attempted) {
        let client = self.client.clone().project(key.project.clone()).attempt_timeout(timeout);
        let began = self.clock.elapsed();
        let input = Input::from(client.job(id).await);
        let took = self.clock.elapsed().saturating_sub(began);
        self.metrics.attempted(told(&input), took.as_secs_f64());
        let attempted = Attempted::of(took, &input);
        (input, attempted)
    }
}

/// Plans to come back for a turn, after this or when it is due; but to see that the deadline has passed where that is
/// sooner.
fn come_back(waiting: &Waiting, now: Timestamp, after: Option<Duration>) -> Ticked {
    let mut waiting = waiting.clone();
    let until_due = waiting.due.duration_since(now).try_into().unwrap_or_default();
    let (machine, elapsed) = waiting.checkpoint.clone().go_on(now);
    let left = machine.policy().deadline().saturating_sub(elapsed);
    let wish = after.unwrap_or(until_due);
    let pause = if left.is_zero() { wish } else { wish.min(left) };
    // Sooner than it was told, it takes nobody else's turn.
    waiting.was_told = after == Some(pause);
    planned(waiting, now, pause)
}

/// Plans the next tick.
fn planned(mut waiting: Waiting, now: Timestamp, after: Duration) -> Ticked {
    waiting.tick += 1;
    waiting.next = now.saturating_add(after).unwrap_or(Timestamp::MAX);
    Ticked { state: WaitState::Waiting(waiting.into()), after }
}

fn log(key: &WaitKey, waiting: &Waiting, events: &[Event]) {
    let at = waiting.checkpoint.elapsed().as_secs_f64();
    for event in events {
        tracing::info!(%key, at, "{event}");
    }
}

/// Tells what an attempt came to, in a word.
const fn told(input: &Input) -> &'static str {
    match input {
        Input::Fault(Fault { class, .. }) => match class {
            Class::Transient => "transient",
            Class::Throttled => "throttled",
            Class::Unauthorized => "unauthorized",
            Class::NotFound => "not_found",
            Class::Permanent => "permanent",
        },
        _ => "job",
    }
}

#[cfg(test)]
mod tests;
