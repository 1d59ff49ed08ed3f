//! The Restate service `JobWait`, with a virtual object for each wait.
//!
//! The engine calls `tick` after each delay. A tick is a short call that makes at most one
//! attempt, plus lookups of sub-jobs; [`Machine`](job_poller::machine::Machine) decides what
//! follows.
//!
//! `wait` and `notify` are two services that call each other: `wait` requests the delivery of
//! notifications, and `notify` reports the result of each delivery back.

mod watch_request;
mod tick;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use jiff::Timestamp;
use job_notify::{Delivery, Notifier};
use job_poller::{
    WaitPolicy,
    durable::{WaitKey, WaitKeyError},
    schedule::Schedule,
};
use job_transport::{Client, clock::Clock as _};
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use self::watch_request::{WatchEffect, check_conflict, parse_request};
use crate::{
    budget::{ServiceBudget, Slot},
    metrics::Metrics,
    notify::{DeliveryRequest, JobNotifierClient},
    reference_clock::ReferenceClock,
    request::WatchRequest,
    state::{ActiveWait, FinishedWait, TickResult, TickTask, WaitState, add_receiver},
    status::WaitStatus,
};

/// The Restate service that runs the waits of a deployment.
pub(crate) struct JobWait {
    pub(crate) client: Client,
    /// All times of a wait are by this clock.
    pub(crate) clock: Arc<ReferenceClock>,
    pub(crate) schedule: Arc<dyn Schedule>,
    pub(crate) policy: WaitPolicy,
    pub(crate) notifier: Arc<dyn Notifier>,
    /// How long the state of a finished wait is kept.
    pub(crate) retention: Duration,
    pub(crate) budget: Arc<ServiceBudget>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The request to make an attempt before it is due, because a slot would lapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Advance {
    /// The number of the tick that is planned.
    pub(crate) tick: u64,
    pub(crate) slot: Slot,
}

/// The result of a try to deliver a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryResult {
    /// The number of the wait, which differs between the waits of one key.
    pub(crate) wait_number: u64,
    pub(crate) address: String,
    pub(crate) delivery: Delivery,
}

const STATE_KEY: &str = "wait";

/// The delay after which a tick is repeated if an operator canceled it at the engine.
const CANCELLED_RETRY_DELAY: Duration = Duration::from_secs(60);

/// How long `watch` and `cancel` wait for an attempt in flight before they answer.
const MAX_ANSWER_DELAY: Duration = Duration::from_millis(500);

/// The longest delay of a tick: ten years. Delays are added to the current time, so huge delays
/// would overflow.
const MAX_TIMER_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[restate_sdk::object(client_visibility = "pub(crate)")]
impl JobWait {
    /// Starts a wait for the job, and returns its status. The optional body is a `WatchRequest`.
    ///
    /// If a wait for the job is active, its deadline is extended to that of this request, if that
    /// is later, and the receiver is added. If the job has ended, the status contains the result,
    /// unless the request is for objects that were not read yet.
    ///
    /// While an attempt is in flight, the wait is changed after it. The status is returned at once.
    #[handler]
    async fn watch(
        &self,
        ctx: SharedObjectContext<'_>,
        body: Option<Bytes>,
    ) -> Result<Json<Box<RawValue>>, HandlerError> {
        let key = parse_key(ctx.key())?;
        let request = parse_request(body)?;
        let state: Option<Json<WaitState>> = ctx.get(STATE_KEY).await?;
        let wait = ctx.object_client::<JobWaitClient<'_>>(ctx.key());
        let started = wait.start(Json(request.clone())).call();
        let Some(Json(WaitState::Waiting(mut waiting))) = state else {
            // Nothing is in flight, so the answer comes at once.
            return Ok(started.await?);
        };
        let paused = wait.pause().call();
        restate_sdk::select! {
            started = started => Ok(started?),
            paused = paused => {
                paused?;
                check_conflict(&request, &waiting)?;
                let check = || async {
                    self.check_receiver(&request)?;
                    Ok(self.check_clock(&request, WatchEffect::Change(&waiting))?)
                };
                ctx.run(check).name("check").await?;
                if let Some(to) = &request.notify {
                    add_receiver(&mut waiting.receivers, to).map_err(|error| bad_request(&error))?;
                }
                let state = WaitState::Waiting(waiting);
                Ok(status_json(&WaitStatus::from_state(&key, Some(&state))))
            }
        }
    }

    /// Starts or extends a wait. The handler `watch` calls this.
    #[handler(ingress_private)]
    async fn start(
        &self,
        ctx: ObjectContext<'_>,
        Json(request): Json<WatchRequest>,
    ) -> Result<Json<Box<RawValue>>, HandlerError> {
        let key = parse_key(ctx.key())?;
        let state = load_state(&ctx).await?;
        if let Some(WaitState::Waiting(waiting)) = &state {
            check_conflict(&request, waiting)?;
        }
        let effect = match &state {
            Some(WaitState::Waiting(waiting)) => WatchEffect::Change(waiting),
            Some(WaitState::Finished(finished)) if finished.result.answers(request.until) => {
                WatchEffect::Answer
            }
            Some(WaitState::Finished(_)) | None => WatchEffect::Start,
        };
        let begin = || async { self.begin(&request, effect) };
        let Json(params) = ctx.run(begin).name("begin").await?;
        let mut state = match state {
            Some(WaitState::Finished(finished)) if finished.result.answers(request.until) => {
                WaitState::Finished(finished)
            }
            Some(WaitState::Waiting(mut waiting)) => {
                waiting.stored.extend(&params.policy, params.now);
                if waiting.is_stalled(params.now) {
                    (waiting.tick, waiting.next_tick_at) = (waiting.tick + 1, params.now);
                    self.schedule_tick(&ctx, waiting.tick, Duration::ZERO);
                }
                WaitState::Waiting(waiting)
            }
            previous => {
                // Derive the number from the time, so that it is not used again after this wait is
                // deleted. Otherwise the engine would drop the notification as a duplicate.
                let millis = params.now.as_millisecond().try_into().unwrap_or_default();
                let number = previous.map_or(0, |state| state.tick() + 1).max(millis);
                let seed = ctx.random_seed();
                let waiting = ActiveWait::new(&key, params.policy, seed, number, params.now);
                self.schedule_tick(&ctx, number, Duration::ZERO);
                WaitState::Waiting(waiting.into())
            }
        };
        if let Some(to) = &request.notify {
            let added = add_receiver(state.receivers(), to).map_err(|error| bad_request(&error))?;
            if let (true, WaitState::Finished(finished)) = (added, &state) {
                send_notification(&ctx, &key, finished, to);
            }
        }
        let status = WaitStatus::from_state(&key, Some(&state));
        ctx.set(STATE_KEY, Json(state));
        Ok(status_json(&status))
    }

    /// Returns the status of the wait.
    #[handler]
    async fn status(&self, ctx: SharedObjectContext<'_>) -> Result<Json<WaitStatus>, HandlerError> {
        let key = parse_key(ctx.key())?;
        let state: Option<Json<WaitState>> = ctx.get(STATE_KEY).await?;
        let state = state.as_ref().map(|Json(state)| state);
        let status = WaitStatus::from_state(&key, state);
        let Some(WaitState::Waiting(waiting)) = state else { return Ok(Json(status)) };
        let now = || async { Ok(Json(self.clock.now())) };
        let Json(now) = ctx.run(now).name("now").await?;
        Ok(Json(if waiting.is_stalled(now) { status.stalled() } else { status }))
    }

    /// Stops the wait, without a notification. The job itself continues.
    ///
    /// While an attempt is in flight, the state in the reply is `stopping`. If this attempt reads the
    /// end of the job, the wait ends with it.
    #[handler]
    async fn cancel(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<Box<RawValue>>, HandlerError> {
        let key = parse_key(ctx.key())?;
        let state: Option<Json<WaitState>> = ctx.get(STATE_KEY).await?;
        let state = state.map(|Json(state)| state);
        let status = WaitStatus::from_state(&key, state.as_ref());
        if !matches!(state, Some(WaitState::Waiting(_))) {
            return Ok(status_json(&status));
        }
        let wait = ctx.object_client::<JobWaitClient<'_>>(ctx.key());
        let (stopped, paused) = (wait.stop_wait().call(), wait.pause().call());
        restate_sdk::select! {
            stopped = stopped => Ok(stopped?),
            paused = paused => {
                paused?;
                Ok(status_json(&status.stopping()))
            }
        }
    }

    /// Stops the wait. The handler `cancel` calls this.
    #[handler(ingress_private)]
    async fn stop_wait(&self, ctx: ObjectContext<'_>) -> Result<Json<Box<RawValue>>, HandlerError> {
        let key = parse_key(ctx.key())?;
        let mut state = load_state(&ctx).await?;
        if let Some(WaitState::Waiting(waiting)) = state {
            let stop = || async { Ok(Json(self.stop(&key, *waiting))) };
            let Json(stopped) = ctx.run(stop).name("stop").await?;
            state = Some(stopped.state.clone());
            self.apply(&ctx, &key, stopped);
        }
        Ok(status_json(&WaitStatus::from_state(&key, state.as_ref())))
    }

    /// Returns after [`MAX_ANSWER_DELAY`]. The handlers `watch` and `cancel` call this.
    ///
    /// A timer of the SDK would add the delay to the wall-clock time, so it would fire late if the
    /// clock of the service is ahead.
    #[handler(ingress_private)]
    async fn pause(&self, ctx: SharedObjectContext<'_>) -> Result<(), HandlerError> {
        Ok(ctx.run(|| self.pause_answer()).name("pause").await?)
    }

    /// Makes an attempt, and schedules the next tick. The wait itself calls this after each delay.
    #[handler(ingress_private)]
    async fn tick(
        &self,
        ctx: ObjectContext<'_>,
        Json(number): Json<u64>,
    ) -> Result<(), HandlerError> {
        self.run_tick(&ctx, number, None).await
    }

    /// Makes an attempt before it is due, if the tick is still planned. The budget object calls this
    /// if a slot would lapse.
    #[handler(ingress_private)]
    async fn advance(
        &self,
        ctx: ObjectContext<'_>,
        Json(Advance { tick, slot }): Json<Advance>,
    ) -> Result<(), HandlerError> {
        self.run_tick(&ctx, tick, Some(slot)).await
    }

    /// Schedules the next tick of a wait again. The watchdog calls this if the engine has none.
    ///
    /// The number of the tick does not change, so if the engine still has a tick, only the first of
    /// the two has an effect.
    #[handler]
    async fn revive(&self, ctx: ObjectContext<'_>) -> Result<(), HandlerError> {
        if let Some(state) = load_state(&ctx).await? {
            let delay = state.until_tick(self.clock.now()).unwrap_or(self.retention);
            self.schedule_tick(&ctx, state.tick(), delay);
        }
        Ok(())
    }

    /// Records the result of a try to deliver a notification. The service `JobNotifier` calls this.
    #[handler(ingress_private)]
    async fn record_delivery(
        &self,
        ctx: ObjectContext<'_>,
        Json(result): Json<DeliveryResult>,
    ) -> Result<(), HandlerError> {
        if let Some(WaitState::Finished(mut finished)) = load_state(&ctx).await?
            && finished.tick == result.wait_number
        {
            let mut receivers = finished.receivers.iter_mut();
            if let Some(receiver) = receivers.find(|receiver| receiver.address == result.address) {
                receiver.record(result.delivery);
            }
            ctx.set(STATE_KEY, Json(WaitState::Finished(finished)));
        }
        Ok(())
    }
}

impl JobWait {
    /// Waits by the monotonic clock, which a wrong wall clock does not change.
    async fn pause_answer(&self) -> Result<(), HandlerError> {
        self.clock.sleep(MAX_ANSWER_DELAY).await;
        Ok(())
    }

    /// Does what [`WaitState::tick_task`] returns. An advanced tick has a slot.
    async fn run_tick(
        &self,
        ctx: &ObjectContext<'_>,
        number: u64,
        advanced: Option<Slot>,
    ) -> Result<(), HandlerError> {
        let key = parse_key(ctx.key())?;
        let state = load_state(ctx).await?;
        match state.map(|state| state.tick_task(number, advanced.is_some())) {
            Some(TickTask::Attempt(mut waiting)) => {
                waiting.slot = advanced.or(waiting.slot);
                let attempt =
                    || async { Ok(Json(self.tick_once(&key, &waiting, advanced.is_some()).await)) };
                match ctx.run(attempt).name("attempt").await {
                    Ok(Json(result)) => self.apply(ctx, &key, result),
                    Err(error) => {
                        tracing::warn!(%key, %error, "attempt canceled at the engine; it is repeated in a minute");
                        waiting.tick += 1;
                        waiting.slot = None;
                        let next = waiting.next_tick_at.saturating_add(CANCELLED_RETRY_DELAY);
                        waiting.next_tick_at = next.unwrap_or(Timestamp::MAX);
                        self.schedule_tick(ctx, waiting.tick, CANCELLED_RETRY_DELAY);
                        ctx.set(STATE_KEY, Json(WaitState::Waiting(waiting)));
                    }
                }
            }
            Some(TickTask::Delete) => ctx.clear_all(),
            Some(TickTask::Nothing) | None => {}
        }
        Ok(())
    }

    /// Applies the result of a tick: schedules the next tick, and notifies the receivers of a
    /// finished wait.
    fn apply(
        &self,
        ctx: &ObjectContext<'_>,
        key: &WaitKey,
        TickResult { state, delay }: TickResult,
    ) {
        if let WaitState::Finished(finished) = &state {
            finished
                .receivers
                .iter()
                .for_each(|receiver| send_notification(ctx, key, finished, &receiver.address));
        }
        self.schedule_tick(ctx, state.tick(), delay);
        ctx.set(STATE_KEY, Json(state));
    }

    fn schedule_tick(&self, ctx: &ObjectContext<'_>, number: u64, delay: Duration) {
        let wait = ctx.object_client::<JobWaitClient<'_>>(ctx.key());
        let tick = wait.tick(Json(number));
        let delay = self.clock.sdk_delay(delay.min(MAX_TIMER_DELAY));
        if delay.is_zero() {
            // Without a time, so that a wrong clock does not delay it. If it comes too early, it waits.
            tick.send();
        } else {
            tick.send_after(delay);
        }
    }
}

/// Returns a status as JSON text, which handlers can also return to each other.
fn status_json(status: &WaitStatus) -> Json<Box<RawValue>> {
    // Serialization can only fail for a map whose keys are not strings, and a status has no such map.
    Json(serde_json::value::to_raw_value(status).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}

fn parse_key(text: &str) -> Result<WaitKey, TerminalError> {
    text.parse().map_err(|error| bad_request::<WaitKeyError>(&error))
}

/// Returns an error with status 400, which the engine does not retry.
fn bad_request<E: ToString>(error: &E) -> TerminalError {
    TerminalError::new_with_code(400, error.to_string())
}

async fn load_state(ctx: &ObjectContext<'_>) -> Result<Option<WaitState>, TerminalError> {
    let state: Option<Json<WaitState>> = ctx.get(STATE_KEY).await?;
    Ok(state.map(|Json(state)| state))
}

/// Calls `JobNotifier` to deliver a notification. The idempotency key makes the engine do this once
/// for each wait and receiver. The key contains a hash of the address, because the address may
/// contain a secret.
fn send_notification(ctx: &ObjectContext<'_>, key: &WaitKey, finished: &FinishedWait, to: &str) {
    let request = DeliveryRequest::new(key, finished, to, ctx.random_seed());
    let receiver = URL_SAFE_NO_PAD.encode(Sha256::digest(to));
    let idempotency_key = format!("{} {receiver}", request.notification().id());
    ctx.service_client::<JobNotifierClient<'_>>()
        .deliver(Json(request))
        .idempotency_key(idempotency_key)
        .send();
}
