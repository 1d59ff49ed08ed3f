//! The waits: a virtual object each, ticked by the engine, one short invocation an attempt. Here time,
//! requests and the engine meet the decision, which is the machine's.

mod tick;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use job_poller::{Action, Ended, Input, Schedule, WaitError, WaitErrorKind, WaitPolicy};
use job_transport::{Client, Clock};
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Sink, Status, WaitKey, WaitKeyError, WatchRequest,
    lease::Lease,
    metrics::Metrics,
    notify::{JobNoticeClient, Post},
    state::{Delivery, Over, WaitState, Waiting, add_receiver},
    turns::Turn,
};

/// The waits of a deployment.
pub(crate) struct JobWait {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) schedule: Arc<dyn Schedule>,
    pub(crate) policy: WaitPolicy,
    pub(crate) sink: Arc<dyn Sink>,
    /// How long a wait that is over is remembered.
    pub(crate) keep: Duration,
    pub(crate) lease: Arc<Lease>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noticed {
    pub(crate) to: String,
    pub(crate) delivery: Delivery,
}

const STATE: &str = "wait";

/// After this, a tick that did not come is lost: somebody cancelled it at the engine.
const LOST: SignedDuration = SignedDuration::from_mins(10);

#[restate_sdk::object(
    client_visibility = "pub(crate)",
    journal_retention = "0s",
    invocation_retry_policy(
        initial_interval = "50ms",
        factor = 2.0,
        max_interval = "10s",
        max_attempts = 1000000000
    )
)]
impl JobWait {
    /// Waits for the job; where it is waited for already, that wait has the time that this one would have. The body
    /// says for how long, and who is to be told.
    #[handler]
    async fn watch(
        &self,
        ctx: ObjectContext<'_>,
        body: Option<Bytes>,
    ) -> Result<Json<Status>, HandlerError> {
        let key = key(ctx.key())?;
        let request = self.request(body)?;
        let policy = request.policy(self.policy);
        let now = self.now(&ctx).await?;
        let mut state = match load(&ctx).await? {
            Some(WaitState::Over(over)) if over.has_ended => WaitState::Over(over),
            Some(WaitState::Waiting(mut waiting)) => {
                waiting.prolong(&policy, now);
                if now.duration_since(waiting.next) > LOST {
                    self.tick_after(&ctx, &mut waiting, now, Duration::ZERO);
                }
                WaitState::Waiting(waiting)
            }
            over => {
                let tick = over.map_or(0, |state| state.tick());
                self.metrics.began();
                let mut waiting = Waiting::new(&key, policy, ctx.random_seed(), tick, now);
                // The others plan for this one, too, before it has its first turn.
                waiting.urgency = waiting.first_urgency(&*self.schedule);
                waiting.place = self.lease.count(None, waiting.urgency);
                self.tick_after(&ctx, &mut waiting, now, Duration::ZERO);
                WaitState::Waiting(waiting.into())
            }
        };
        if let Some(to) = &request.notify {
            let is_new = add_receiver(state.receivers(), to);
            match &state {
                WaitState::Over(over) if is_new => post(&ctx, &key, over, to),
                _ => {}
            }
        }
        let status = Status::of(&key, Some(&state));
        ctx.set(STATE, Json(state));
        Ok(Json(status))
    }

    /// Tells how the wait is.
    #[handler]
    async fn status(&self, ctx: SharedObjectContext<'_>) -> Result<Json<Status>, HandlerError> {
        let key = key(ctx.key())?;
        let state: Option<Json<WaitState>> = ctx.get(STATE).await?;
        Ok(Json(Status::of(&key, state.as_ref().map(|Json(state)| state))))
    }

    /// Stops the wait; the job goes on. Nobody is sent a notice.
    #[handler]
    async fn cancel(&self, ctx: ObjectContext<'_>) -> Result<Json<Status>, HandlerError> {
        let key = key(ctx.key())?;
        let mut state = load(&ctx).await?;
        if let Some(WaitState::Waiting(mut waiting)) = state {
            let now = self.now(&ctx).await?;
            let before = waiting.clone();
            let (_, action) = waiting.step(&*self.schedule, Turn::NONE, now, Input::Stop);
            if let Action::Finish(result) = action {
                self.lease.count(before.place, None);
                state = Some(self.finish(&ctx, &key, *waiting, &result));
            } else {
                // No machine goes on that is told to stop.
                state = Some(WaitState::Waiting(before));
            }
            ctx.set(STATE, Json(state.clone()));
        }
        Ok(Json(Status::of(&key, state.as_ref())))
    }

    /// The pause is over: asks how the job is, and plans the next tick. Comes from the wait itself.
    #[handler(ingress_private)]
    async fn tick(
        &self,
        ctx: ObjectContext<'_>,
        Json(number): Json<u64>,
    ) -> Result<(), HandlerError> {
        match load(&ctx).await? {
            Some(state) if state.tick() != number => {}
            Some(WaitState::Waiting(waiting)) => self.attempt_due(&ctx, *waiting).await?,
            Some(WaitState::Over(_)) => ctx.clear_all(),
            None => {}
        }
        Ok(())
    }

    /// Takes note of what became of a notice.
    #[handler(ingress_private)]
    async fn noticed(
        &self,
        ctx: ObjectContext<'_>,
        Json(noticed): Json<Noticed>,
    ) -> Result<(), HandlerError> {
        if let Some(mut state) = load(&ctx).await? {
            let mut receivers = state.receivers().iter_mut();
            if let Some(receiver) = receivers.find(|receiver| receiver.to == noticed.to) {
                receiver.delivery = noticed.delivery;
            }
            ctx.set(STATE, Json(state));
        }
        Ok(())
    }
}

impl JobWait {
    /// Reads what a `watch` asks for.
    fn request(&self, body: Option<Bytes>) -> Result<WatchRequest, TerminalError> {
        let request = match body.filter(|body| !body.is_empty()) {
            Some(body) => serde_json::from_slice(&body).map_err(|error| refused(&error))?,
            None => WatchRequest::default(),
        };
        if let Some(to) = &request.notify {
            self.sink.check(to).map_err(|error| refused(&error))?;
        }
        Ok(request)
    }

    /// Returns the time of day, the same in a replay.
    async fn now(&self, ctx: &ObjectContext<'_>) -> Result<Timestamp, HandlerError> {
        let Json(now) = ctx.run(|| async { Ok(Json(self.clock.now())) }).name("now").await?;
        Ok(now)
    }

    /// Plans the next tick.
    fn tick_after(
        &self,
        ctx: &ObjectContext<'_>,
        waiting: &mut Waiting,
        now: Timestamp,
        after: Duration,
    ) {
        waiting.tick += 1;
        waiting.next = now.saturating_add(after).unwrap_or(Timestamp::MAX);
        tick(ctx, waiting.tick, after);
    }

    /// Ends a wait: whoever asked for it is told, but for a wait that was cancelled.
    fn finish(
        &self,
        ctx: &ObjectContext<'_>,
        key: &WaitKey,
        waiting: Waiting,
        result: &Result<Ended, WaitError>,
    ) -> WaitState {
        let over = Over::new(key, result, waiting.tick + 1, waiting.receivers);
        self.metrics.over(&over.outcome);
        tracing::info!(%key, outcome = over.outcome, "over");
        let is_cancelled = matches!(result, Err(error) if error.kind() == WaitErrorKind::Stopped);
        for receiver in over.receivers.iter().filter(|_| !is_cancelled) {
            post(ctx, key, &over, &receiver.to);
        }
        tick(ctx, over.tick, self.keep);
        WaitState::Over(over.into())
    }
}

fn key(text: &str) -> Result<WaitKey, TerminalError> {
    text.parse().map_err(|error| refused::<WaitKeyError>(&error))
}

/// Returns the error of a caller.
fn refused<E: ToString>(error: &E) -> TerminalError {
    TerminalError::new_with_code(400, error.to_string())
}

async fn load(ctx: &ObjectContext<'_>) -> Result<Option<WaitState>, TerminalError> {
    let state: Option<Json<WaitState>> = ctx.get(STATE).await?;
    Ok(state.map(|Json(state)| state))
}

fn tick(ctx: &ObjectContext<'_>, number: u64, after: Duration) {
    let wait = ctx.object_client::<JobWaitClient<'_>>(ctx.key());
    wait.tick(Json(number)).send_after(after);
}

/// Has a notice delivered; the engine, too, does so once for each receiver and outcome.
fn post(ctx: &ObjectContext<'_>, key: &WaitKey, over: &Over, to: &str) {
    let notice = over.notice(key);
    let once = format!("{} {to}", notice.id());
    let post = Post { to: to.into(), notice };
    ctx.service_client::<JobNoticeClient<'_>>().post(Json(post)).idempotency_key(once).send();
}
