//! A tick: one attempt, if it is the wait's turn, and the plan for the next. The decision is the machine's, and
//! the engine keeps all that came from outside: a replay asks nobody, and decides the same.

use std::time::Duration;

use jiff::Timestamp;
use job_model::JobId;
use job_poller::{Action, Attempted, Ended, Event, Fault, Input, WaitError};
use job_transport::Class;
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use super::{JobWait, STATE, key};
use crate::{
    WaitKey,
    state::{WaitState, Waiting},
    turns::Turn,
};

/// What came of a tick, as the engine keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ticked {
    at: Timestamp,
    came: Came,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Came {
    /// There was nothing to ask.
    Nothing,
    /// It was not the wait's turn; it is to come back after this, or when it is due.
    Later(Option<Duration>),
    /// It had its turn.
    Fetched(Turn, Box<Fetched>),
}

/// What an attempt gave, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fetched {
    at: Timestamp,
    input: Input,
}

/// What comes next.
enum Next {
    Sleep(Duration),
    Over(Box<Result<Ended, WaitError>>),
}

impl JobWait {
    /// Makes the attempt that is due, if it is the wait's turn, and plans the next tick.
    pub(super) async fn attempt_due(
        &self,
        ctx: &ObjectContext<'_>,
        mut waiting: Waiting,
    ) -> Result<(), HandlerError> {
        let key = key(ctx.key())?;
        let ticked = ctx.run(|| self.tick_once(&key, &waiting)).name("attempt");
        let Json(Ticked { at, came }) = ticked.await?;
        if let Came::Later(after) = came {
            self.come_back(ctx, waiting, at, after);
            return Ok(());
        }
        let mut now = at;
        let (mut events, mut action) = waiting.step(&*self.schedule, Turn::NONE, now, Input::Wake);
        let (turn, mut fetched) = match came {
            Came::Fetched(turn, fetched) => (turn, Some(*fetched)),
            _ => (Turn::NONE, None),
        };
        let next = loop {
            let (id, timeout) = match action {
                Action::Fetch { id, timeout } => (id, timeout),
                Action::SleepUntil(at) => break Next::Sleep(at),
                Action::Finish(result) => break Next::Over(result),
            };
            // Looks at sub-jobs follow at once: they are few, and the budget is told.
            let Fetched { at, input } = match fetched.take() {
                Some(fetched) => fetched,
                None => self.look(ctx, &key, &id, timeout).await?,
            };
            now = at;
            let more;
            (more, action) = waiting.step(&*self.schedule, turn, now, input);
            events.extend(more);
        };
        log(&key, &waiting, &events);
        let state = match next {
            Next::Sleep(at) => {
                waiting.place = self.lease.count(waiting.place, waiting.urgency);
                waiting.was_told = false;
                let pause = at.saturating_sub(waiting.checkpoint.elapsed());
                self.tick_after(ctx, &mut waiting, now, pause);
                WaitState::Waiting(waiting.into())
            }
            Next::Over(result) => {
                self.lease.count(waiting.place, None);
                self.finish(ctx, &key, waiting, &result)
            }
        };
        ctx.set(STATE, Json(state));
        Ok(())
    }

    /// Asks how the job is, where that is due and it is the wait's turn.
    async fn tick_once(
        &self,
        key: &WaitKey,
        waiting: &Waiting,
    ) -> Result<Json<Ticked>, HandlerError> {
        let at = self.clock.now();
        let (_, action) = waiting.clone().step(&*self.schedule, Turn::NONE, at, Input::Wake);
        let Action::Fetch { id, timeout } = action else {
            return Ok(Json(Ticked { at, came: Came::Nothing }));
        };
        let turn = self.lease.ask(waiting.coming(at));
        self.metrics.turn(turn.is_ok());
        let came = match turn {
            Err(after) => Came::Later(after),
            Ok((turn, on_turn)) => {
                let (fetched, attempted) = self.fetch(key, &id, timeout).await;
                on_turn.done(attempted);
                Came::Fetched(turn, fetched.into())
            }
        };
        Ok(Json(Ticked { at, came }))
    }

    /// Asks for a sub-job, or for the job once more, without a turn.
    async fn look(
        &self,
        ctx: &ObjectContext<'_>,
        key: &WaitKey,
        id: &JobId,
        timeout: Duration,
    ) -> Result<Fetched, HandlerError> {
        let look = || async {
            let (fetched, attempted) = self.fetch(key, id, timeout).await;
            self.lease.also(&attempted);
            Ok(Json(fetched))
        };
        let Json(fetched) = ctx.run(look).name("look").await?;
        Ok(fetched)
    }

    async fn fetch(&self, key: &WaitKey, id: &JobId, timeout: Duration) -> (Fetched, Attempted) {
        let client = self.client.clone().project(key.project.clone()).attempt_timeout(timeout);
        let began = self.clock.elapsed();
        let input = Input::from(client.job(id).await);
        let took = self.clock.elapsed().saturating_sub(began);
        self.metrics.attempted(told(&input), took.as_secs_f64());
        let attempted = Attempted::of(took, &input);
        (Fetched { at: self.clock.now(), input }, attempted)
    }

    /// Plans to come back for a turn, after this or when it is due; but to see that the deadline has passed where
    /// that is sooner.
    fn come_back(
        &self,
        ctx: &ObjectContext<'_>,
        mut waiting: Waiting,
        now: Timestamp,
        after: Option<Duration>,
    ) {
        waiting.was_told = after.is_some();
        let until_due = waiting.due.duration_since(now);
        let after = after.or_else(|| until_due.try_into().ok()).unwrap_or_default();
        let (machine, elapsed) = waiting.checkpoint.clone().go_on(now);
        let left = machine.policy().deadline().saturating_sub(elapsed);
        let after = if left.is_zero() { after } else { after.min(left) };
        self.tick_after(ctx, &mut waiting, now, after);
        ctx.set(STATE, Json(WaitState::Waiting(waiting.into())));
    }
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
