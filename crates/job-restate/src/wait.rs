//! The waits: a virtual object each, ticked by the engine, one short invocation an attempt. Here the engine meets the
//! decision, which is the machine's.

mod tick;
mod half_pause;

pub(crate) use half_pause::HalfPauseSchedule;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use job_poller::{PollState, Schedule, WaitPolicy, budget::UrgencyBucket};
use job_transport::{Client, Clock};
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::tick::TickResult;
use crate::{
    budget::Lease,
    key::{WaitKey, WaitKeyError},
    notify::{DeliveryRequest, JobNotifierClient, Notifier},
    request::WatchRequest,
    serve::Metrics,
    state::{ActiveWait, Delivery, FinishedWait, WaitState, add_receiver},
    status::WaitStatus,
};

/// The waits of a deployment.
pub(crate) struct JobWait {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) schedule: Arc<dyn Schedule>,
    pub(crate) policy: WaitPolicy,
    pub(crate) notifier: Arc<dyn Notifier>,
    /// How long a wait that is over is remembered.
    pub(crate) retention: Duration,
    pub(crate) lease: Arc<Lease>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What a wait begins with, as the engine keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StartParams {
    now: Timestamp,
    policy: WaitPolicy,
    urgency: Option<UrgencyBucket>,
    epoch: u32,
}

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryResult {
    /// Which of the key's waits it told of.
    pub(crate) wait_number: u64,
    pub(crate) address: String,
    pub(crate) delivery: Delivery,
}

const STATE_KEY: &str = "wait";

/// After this, a tick that did not come is lost: somebody took it from the engine.
const TICK_LOST_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// How long until a tick is made once more that somebody cancelled at the engine.
const CANCELLED_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Engines add delays to the time of day: no tick is further off.
const MAX_TIMER_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[restate_sdk::object(client_visibility = "pub(crate)")]
impl JobWait {
    /// Waits for the job; where it is waited for already, that wait has the time that this one would have. The body
    /// says for how long, and who is to be told.
    #[handler]
    async fn watch(
        &self,
        ctx: ObjectContext<'_>,
        body: Option<Bytes>,
    ) -> Result<Json<WaitStatus>, HandlerError> {
        let key = parse_key(ctx.key())?;
        let request = parse_request(body)?;
        let state = load_state(&ctx).await?;
        let is_new = match &state {
            Some(WaitState::Waiting(_)) => false,
            Some(WaitState::Finished(over)) => !over.has_job_ended,
            None => true,
        };
        let begin = || async { self.begin(&request, is_new) };
        let Json(begun) = ctx.run(begin).name("begin").await?;
        let mut state = match state {
            Some(WaitState::Finished(over)) if over.has_job_ended => WaitState::Finished(over),
            Some(WaitState::Waiting(mut waiting)) => {
                waiting.extend(&begun.policy, begun.now);
                if begun.now.duration_since(waiting.next_tick_at) > TICK_LOST_AFTER {
                    (waiting.tick, waiting.next_tick_at) = (waiting.tick + 1, begun.now);
                    schedule_tick(&ctx, waiting.tick, Duration::ZERO);
                }
                WaitState::Waiting(waiting)
            }
            over => {
                // By the time, so that none comes again after this wait is forgotten: the engine would know its
                // notification for another's.
                let millis = begun.now.as_millisecond().try_into().unwrap_or_default();
                let number = over.map_or(0, |state| state.tick() + 1).max(millis);
                let seed = ctx.random_seed();
                let mut waiting = ActiveWait::new(&key, begun.policy, seed, number, begun.now);
                waiting.urgency = begun.urgency;
                waiting.count_key = begun.urgency.map(|urgency| (begun.epoch, urgency));
                schedule_tick(&ctx, number, Duration::ZERO);
                WaitState::Waiting(waiting.into())
            }
        };
        if let Some(to) = &request.notify {
            let added = add_receiver(state.receivers(), to).map_err(|error| bad_request(&error))?;
            if let (true, WaitState::Finished(over)) = (added, &state) {
                send_notification(&ctx, &key, over, to);
            }
        }
        let status = WaitStatus::from_state(&key, Some(&state));
        ctx.set(STATE_KEY, Json(state));
        Ok(Json(status))
    }

    /// Tells how the wait is.
    #[handler]
    async fn status(&self, ctx: SharedObjectContext<'_>) -> Result<Json<WaitStatus>, HandlerError> {
        let key = parse_key(ctx.key())?;
        let state: Option<Json<WaitState>> = ctx.get(STATE_KEY).await?;
        Ok(Json(WaitStatus::from_state(&key, state.as_ref().map(|Json(state)| state))))
    }

    /// Stops the wait; the job goes on. Nobody is sent a notification.
    #[handler]
    async fn cancel(&self, ctx: ObjectContext<'_>) -> Result<Json<WaitStatus>, HandlerError> {
        let key = parse_key(ctx.key())?;
        let mut state = load_state(&ctx).await?;
        if let Some(WaitState::Waiting(waiting)) = state {
            let stop = || async { Ok(Json(self.stop(&key, *waiting))) };
            let Json(stopped) = ctx.run(stop).name("stop").await?;
            state = Some(stopped.state.clone());
            apply(&ctx, &key, stopped);
        }
        Ok(Json(WaitStatus::from_state(&key, state.as_ref())))
    }

    /// The pause is over: asks how the job is, and plans the next tick. Comes from the wait itself.
    #[handler(ingress_private)]
    async fn tick(
        &self,
        ctx: ObjectContext<'_>,
        Json(number): Json<u64>,
    ) -> Result<(), HandlerError> {
        let key = parse_key(ctx.key())?;
        match load_state(&ctx).await? {
            Some(state) if state.tick() != number => {}
            Some(WaitState::Waiting(mut waiting)) => {
                let attempt = || async { Ok(Json(self.tick_once(&key, &waiting).await)) };
                match ctx.run(attempt).name("attempt").await {
                    Ok(Json(ticked)) => apply(&ctx, &key, ticked),
                    Err(error) => {
                        tracing::warn!(%key, %error, "a tick was cancelled at the engine");
                        waiting.tick += 1;
                        schedule_tick(&ctx, waiting.tick, CANCELLED_RETRY_DELAY);
                        ctx.set(STATE_KEY, Json(WaitState::Waiting(waiting)));
                    }
                }
            }
            Some(WaitState::Finished(_)) => ctx.clear_all(),
            None => {}
        }
        Ok(())
    }

    /// Takes note of what became of a notification.
    #[handler(ingress_private)]
    async fn record_delivery(
        &self,
        ctx: ObjectContext<'_>,
        Json(noticed): Json<DeliveryResult>,
    ) -> Result<(), HandlerError> {
        if let Some(WaitState::Finished(mut over)) = load_state(&ctx).await?
            && over.tick == noticed.wait_number
        {
            let mut receivers = over.receivers.iter_mut();
            if let Some(receiver) = receivers.find(|receiver| receiver.address == noticed.address) {
                receiver.delivery = noticed.delivery;
            }
            ctx.set(STATE_KEY, Json(WaitState::Finished(over)));
        }
        Ok(())
    }
}

impl JobWait {
    /// Checks who is to be told, and returns what a wait begins with; counts one that is new, so that the others plan
    /// for it before it has its first turn.
    fn begin(
        &self,
        request: &WatchRequest,
        is_new: bool,
    ) -> Result<Json<StartParams>, HandlerError> {
        if let Some(to) = &request.notify {
            self.notifier.check(to).map_err(|error| bad_request(&error))?;
        }
        let urgency = self
            .schedule
            .urgency(&PollState::new(Duration::ZERO, 1))
            .map(UrgencyBucket::from_urgency);
        let round = self.lease.epoch();
        if is_new {
            self.metrics.record_started();
            self.lease.update_count(None, urgency.map(|urgency| (round, urgency)));
        }
        let policy = request.policy(self.policy);
        Ok(Json(StartParams { now: self.clock.now(), policy, urgency, epoch: round }))
    }
}

/// Does what a tick came to: whoever asked for it is told of a wait that is over.
fn apply(ctx: &ObjectContext<'_>, key: &WaitKey, TickResult { state, delay: after }: TickResult) {
    if let WaitState::Finished(over) = &state {
        over.receivers
            .iter()
            .for_each(|receiver| send_notification(ctx, key, over, &receiver.address));
    }
    schedule_tick(ctx, state.tick(), after);
    ctx.set(STATE_KEY, Json(state));
}

/// Reads what a `watch` asks for.
fn parse_request(body: Option<Bytes>) -> Result<WatchRequest, TerminalError> {
    match body.filter(|body| !body.is_empty()) {
        Some(body) => serde_json::from_slice(&body).map_err(|error| bad_request(&error)),
        None => Ok(WatchRequest::default()),
    }
}

fn parse_key(text: &str) -> Result<WaitKey, TerminalError> {
    text.parse().map_err(|error| bad_request::<WaitKeyError>(&error))
}

/// Returns the error of a caller.
fn bad_request<E: ToString>(error: &E) -> TerminalError {
    TerminalError::new_with_code(400, error.to_string())
}

async fn load_state(ctx: &ObjectContext<'_>) -> Result<Option<WaitState>, TerminalError> {
    let state: Option<Json<WaitState>> = ctx.get(STATE_KEY).await?;
    Ok(state.map(|Json(state)| state))
}

fn schedule_tick(ctx: &ObjectContext<'_>, number: u64, after: Duration) {
    let wait = ctx.object_client::<JobWaitClient<'_>>(ctx.key());
    wait.tick(Json(number)).send_after(after.min(MAX_TIMER_DELAY));
}

/// Has a notification delivered. The engine, too, does so once for each wait and receiver; whose address, which may hold
/// a secret, is not shown in that.
fn send_notification(ctx: &ObjectContext<'_>, key: &WaitKey, over: &FinishedWait, to: &str) {
    let notice = over.notification(key);
    let number = over.tick;
    let receiver = URL_SAFE_NO_PAD.encode(Sha256::digest(to));
    let once = format!("{} {number} {receiver}", notice.id());
    let post = DeliveryRequest { address: to.into(), notification: notice, wait_number: number };
    ctx.service_client::<JobNotifierClient<'_>>().deliver(Json(post)).idempotency_key(once).send();
}
