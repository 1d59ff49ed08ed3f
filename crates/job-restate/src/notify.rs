//! The Restate service `JobNotifier`, which delivers notifications. Each call makes one try, and
//! schedules the next.
//!
//! `wait` and `notify` are two services that call each other: `wait` requests the delivery, and
//! `notify` reports the result of each try back.

mod disabled;

pub(crate) use disabled::DisabledNotifier;

use std::{sync::Arc, time::Duration};

use job_notify::{Delivery, Notification, Notifier, receiver_name};
use job_poller::durable::WaitKey;
use job_transport::clock::Clock as _;
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    metrics::Metrics,
    reference_clock::ReferenceClock,
    state::FinishedWait,
    wait::{DeliveryResult, JobWaitClient},
};

/// The Restate service that delivers notifications.
pub(crate) struct JobNotifier {
    notifier: Arc<dyn Notifier>,
    clock: Arc<ReferenceClock>,
    metrics: Arc<Metrics>,
}

/// A notification, the address of its receiver, and the tries so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryRequest {
    address: String,
    notification: StoredNotification,
    /// The number of the wait, which differs between the waits of one key.
    wait_number: u64,
    #[serde(default)]
    delivery: Delivery,
}

/// What a notification is made from. Earlier versions have stored it in the same form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredNotification {
    key: WaitKey,
    outcome: String,
    body: String,
}

/// The result of a try. The engine records it in its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TryResult {
    delivery: Delivery,
    /// The delay before the next try, if there is one.
    delay: Option<Duration>,
}

impl DeliveryRequest {
    /// Creates the request to notify a receiver that a wait has finished. `seed` varies the delays
    /// between the tries.
    pub(crate) fn new(key: &WaitKey, finished: &FinishedWait, address: &str, seed: u64) -> Self {
        let (outcome, wait_number) = (finished.result.outcome.clone(), finished.tick);
        let body = &*finished.result.body;
        let shortened = Notification::new(&key.project, &key.job, &outcome, wait_number, body);
        let body = shortened.body().into();
        Self {
            address: address.into(),
            notification: StoredNotification { key: key.clone(), outcome, body },
            wait_number,
            delivery: Delivery::new().with_seed(seed),
        }
    }

    pub(crate) fn notification(&self) -> Notification {
        let StoredNotification { key, outcome, body } = &self.notification;
        Notification::new(&key.project, &key.job, outcome, self.wait_number, &**body)
    }
}

impl JobNotifier {
    pub(crate) fn new(
        notifier: Arc<dyn Notifier>,
        clock: Arc<ReferenceClock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { notifier, clock, metrics }
    }

    /// Makes one try.
    async fn try_once(&self, request: &DeliveryRequest) -> TryResult {
        let notification = request.notification();
        let gauge_key = format!("{} {}", notification.id(), request.address);
        self.metrics.undelivered.begin_try(&gauge_key, self.clock.monotonic());
        let result = self.notifier.deliver(&request.address, &notification).await;
        self.metrics.record_delivery(match &result {
            Ok(()) => "delivered",
            Err(error) if error.is_permanent() => "refused",
            Err(_) => "failed",
        });
        if let Err(error) = &result {
            let receiver = receiver_name(&request.address).unwrap_or_default();
            tracing::warn!(notification = notification.id(), receiver, %error, "notification not delivered");
        }
        let (mut delivery, now) = (request.delivery.clone(), self.clock.now());
        delivery.handle_result(result, now);
        let until_next = |next: jiff::Timestamp| next.duration_since(now).try_into().ok();
        let delay: Option<Duration> = delivery.next_try_at().and_then(until_next);
        self.metrics.undelivered.end_try(&gauge_key, self.clock.monotonic(), delay);
        TryResult { delivery, delay }
    }
}

#[restate_sdk::service(client_visibility = "pub(crate)", ingress_private)]
impl JobNotifier {
    /// Tries once to deliver a notification, reports the result to the wait, and schedules the next
    /// try. A delivery that an operator cancels at the engine is given up.
    #[handler]
    async fn deliver(
        &self,
        ctx: Context<'_>,
        Json(mut request): Json<DeliveryRequest>,
    ) -> Result<(), HandlerError> {
        let attempt = || async { Ok(Json(self.try_once(&request).await)) };
        let tried = ctx.run(attempt).name("deliver").await;
        let delay = match tried {
            Ok(Json(TryResult { delivery, delay })) => {
                request.delivery = delivery;
                delay
            }
            Err(error) => {
                request.delivery.give_up(error.message());
                None
            }
        };
        let result = DeliveryResult {
            wait_number: request.wait_number,
            address: request.address.clone(),
            delivery: request.delivery.clone(),
        };
        let key = request.notification.key.to_string();
        ctx.object_client::<JobWaitClient<'_>>(key).record_delivery(Json(result)).send();
        if let Some(delay) = delay {
            let next = ctx.service_client::<JobNotifierClient<'_>>();
            next.deliver(Json(request)).send_after(self.clock.sdk_delay(delay));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
