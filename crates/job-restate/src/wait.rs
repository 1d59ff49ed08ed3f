//! The waits: a virtual object each, ticked by the engine, one short invocation an attempt. Here the engine meets the
//! decision, which is the machine's.

mod tick;
mod half_pause;

pub(crate) use half_pause::Early;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use job_poller::{Schedule, Seen, Urgency, WaitPolicy};
use job_transport::{Client, Clock};
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::tick::Ticked;
use crate::{
    budget::Lease,
    key::{WaitKey, WaitKeyError},
    notify::{JobNoticeClient, Post, Sink},
    request::WatchRequest,
    serve::Metrics,
    state::{Delivery, Over, WaitState, Waiting, add_receiver},
    status::Status,
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

/// What a wait begins with, as the engine keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Begun {
    now: Timestamp,
    policy: WaitPolicy,
    urgency: Option<Urgency>,
    round: u32,
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noticed {
    /// Which of the key's waits it told of.
    pub(crate) number: u64,
    pub(crate) to: String,
    pub(crate) delivery: Delivery,
}

const STATE: &str = "wait";

/// After this, a tick that did not come is lost: somebody took it from the engine.
const LOST: SignedDuration = SignedDuration::from_mins(10);

/// How long until a tick is made once more that somebody cancelled at the engine.
const CANCELLED: Duration = Duration::from_secs(60);

/// Engines add delays to the time of day: no tick is further off.
const FURTHEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[restate_sdk::object(client_visibility = "pub(crate)")]
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
        let request = request(body)?;
        let state = load(&ctx).await?;
        let is_new = match &state {
            Some(WaitState::Waiting(_)) => false,
            Some(WaitState::Over(over)) => !over.has_ended,
            None => true,
        };
        let begin = || async { self.begin(&request, is_new) };
        let Json(begun) = ctx.run(begin).name("begin").await?;
        let mut state = match state {
            Some(WaitState::Over(over)) if over.has_ended => WaitState::Over(over),
            Some(WaitState::Waiting(mut waiting)) => {
                waiting.prolong(&begun.policy, begun.now);
                if begun.now.duration_since(waiting.next) > LOST {
                    (waiting.tick, waiting.next) = (waiting.tick + 1, begun.now);
                    tick(&ctx, waiting.tick, Duration::ZERO);
                }
                WaitState::Waiting(waiting)
            }
            over => {
                // By the time, so that none comes again after this wait is forgotten: the engine would know its
                // notice for another's.
                let millis = begun.now.as_millisecond().try_into().unwrap_or_default();
                let number = over.map_or(0, |state| state.tick() + 1).max(millis);
                let seed = ctx.random_seed();
                let mut waiting = Waiting::new(&key, begun.policy, seed, number, begun.now);
                waiting.urgency = begun.urgency;
                waiting.place = begun.urgency.map(|urgency| (begun.round, urgency));
                tick(&ctx, number, Duration::ZERO);
                WaitState::Waiting(waiting.into())
            }
        };
        if let Some(to) = &request.notify {
            let added = add_receiver(state.receivers(), to).map_err(|error| refused(&error))?;
            if let (true, WaitState::Over(over)) = (added, &state) {
                post(&ctx, &key, over, to);
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
        if let Some(WaitState::Waiting(waiting)) = state {
            let stop = || async { Ok(Json(self.stop(&key, *waiting))) };
            let Json(stopped) = ctx.run(stop).name("stop").await?;
            state = Some(stopped.state.clone());
            go_on(&ctx, &key, stopped);
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
        let key = key(ctx.key())?;
        match load(&ctx).await? {
            Some(state) if state.tick() != number => {}
            Some(WaitState::Waiting(mut waiting)) => {
                let attempt = || async { Ok(Json(self.tick_once(&key, &waiting).await)) };
                match ctx.run(attempt).name("attempt").await {
                    Ok(Json(ticked)) => go_on(&ctx, &key, ticked),
                    Err(error) => {
                        tracing::warn!(%key, %error, "a tick was cancelled at the engine");
                        waiting.tick += 1;
                        tick(&ctx, waiting.tick, CANCELLED);
                        ctx.set(STATE, Json(WaitState::Waiting(waiting)));
                    }
                }
            }
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
        if let Some(WaitState::Over(mut over)) = load(&ctx).await?
            && over.tick == noticed.number
        {
            let mut receivers = over.receivers.iter_mut();
            if let Some(receiver) = receivers.find(|receiver| receiver.to == noticed.to) {
                receiver.delivery = noticed.delivery;
            }
            ctx.set(STATE, Json(WaitState::Over(over)));
        }
        Ok(())
    }
}

impl JobWait {
    /// Checks who is to be told, and returns what a wait begins with; counts one that is new, so that the others plan
    /// for it before it has its first turn.
    fn begin(&self, request: &WatchRequest, is_new: bool) -> Result<Json<Begun>, HandlerError> {
        if let Some(to) = &request.notify {
            self.sink.check(to).map_err(|error| refused(&error))?;
        }
        let urgency = self.schedule.urgency(&Seen::new(Duration::ZERO, 1)).map(Urgency::of);
        let round = self.lease.round();
        if is_new {
            self.metrics.began();
            self.lease.count(None, urgency.map(|urgency| (round, urgency)));
        }
        let policy = request.policy(self.policy);
        Ok(Json(Begun { now: self.clock.now(), policy, urgency, round }))
    }
}

/// Does what a tick came to: whoever asked for it is told of a wait that is over.
fn go_on(ctx: &ObjectContext<'_>, key: &WaitKey, Ticked { state, after }: Ticked) {
    if let WaitState::Over(over) = &state {
        over.receivers.iter().for_each(|receiver| post(ctx, key, over, &receiver.to));
    }
    tick(ctx, state.tick(), after);
    ctx.set(STATE, Json(state));
}

/// Reads what a `watch` asks for.
fn request(body: Option<Bytes>) -> Result<WatchRequest, TerminalError> {
    match body.filter(|body| !body.is_empty()) {
        Some(body) => serde_json::from_slice(&body).map_err(|error| refused(&error)),
        None => Ok(WatchRequest::default()),
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
    wait.tick(Json(number)).send_after(after.min(FURTHEST));
}

/// Has a notice delivered. The engine, too, does so once for each wait and receiver; whose address, which may hold
/// a secret, is not shown in that.
fn post(ctx: &ObjectContext<'_>, key: &WaitKey, over: &Over, to: &str) {
    let notice = over.notice(key);
    let number = over.tick;
    let receiver = URL_SAFE_NO_PAD.encode(Sha256::digest(to));
    let once = format!("{} {number} {receiver}", notice.id());
    let post = Post { to: to.into(), notice, number };
    ctx.service_client::<JobNoticeClient<'_>>().post(Json(post)).idempotency_key(once).send();
}
