//! The Restate service `JobNotifier`, which delivers notifications. The engine calls it until it
//! succeeds.
//!
//! `wait` and `notify` are two services that call each other: `wait` requests the delivery, and
//! `notify` reports the result of the delivery back.

mod webhook;
mod notifier;

pub(crate) use notifier::DisabledNotifier;
pub use notifier::{Notification, Notifier, NotifierError};
pub use webhook::{Webhook, WebhookKey, WebhookKeyError};

use std::{sync::Arc, time::Duration};

use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    key::WaitKey,
    metrics::Metrics,
    state::{Delivery, FinishedWait},
    wait::{DeliveryResult, JobWaitClient},
};

/// The Restate service that delivers notifications.
pub(crate) struct JobNotifier {
    notifier: Arc<dyn Notifier>,
    metrics: Arc<Metrics>,
}

/// A notification, and the address of its receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryRequest {
    pub(crate) address: String,
    pub(crate) notification: Notification,
    /// The number of the wait, which differs between the waits of one key.
    pub(crate) wait_number: u64,
}

/// How long a delivery is retried: long enough for a receiver that is down over a weekend.
const MAX_DELIVERY_DURATION: Duration = Duration::from_secs(3 * 24 * 3600);

impl Notification {
    /// Creates the notification for a finished wait.
    pub(crate) fn from_finished(key: &WaitKey, finished: &FinishedWait) -> Self {
        Self::new(key.clone(), finished.outcome.clone(), finished.body.clone())
    }
}

impl JobNotifier {
    pub(crate) const fn new(notifier: Arc<dyn Notifier>, metrics: Arc<Metrics>) -> Self {
        Self { notifier, metrics }
    }

    async fn deliver_once(
        &self,
        DeliveryRequest { address, notification, .. }: &DeliveryRequest,
    ) -> Result<(), HandlerError> {
        let delivered = self.notifier.deliver(address, notification).await;
        self.metrics.record_delivery(match &delivered {
            Ok(()) => "delivered",
            Err(error) if error.is_permanent() => "refused",
            Err(_) => "failed",
        });
        delivered.map_err(|error| {
            tracing::warn!(notification = notification.id(), %error, "notification not delivered");
            // A `TerminalError` ends the retries.
            if error.is_permanent() {
                TerminalError::new(error.to_string()).into()
            } else {
                error.into()
            }
        })
    }
}

#[restate_sdk::service(client_visibility = "pub(crate)", ingress_private)]
impl JobNotifier {
    /// Delivers a notification, and retries for up to three days.
    #[handler]
    async fn deliver(
        &self,
        ctx: Context<'_>,
        Json(request): Json<DeliveryRequest>,
    ) -> Result<(), HandlerError> {
        let retries = RunRetryPolicy::new()
            .initial_delay(Duration::from_secs(1))
            .exponentiation_factor(2.0)
            .max_delay(Duration::from_secs(5 * 60))
            .max_duration(MAX_DELIVERY_DURATION);
        let delivered =
            ctx.run(|| self.deliver_once(&request)).name("deliver").retry_policy(retries).await;
        let delivery = match delivered {
            Ok(()) => Delivery::Delivered,
            Err(error) => Delivery::Failed(error.message().into()),
        };
        let result = DeliveryResult {
            wait_number: request.wait_number,
            address: request.address.clone(),
            delivery,
        };
        let wait = ctx.object_client::<JobWaitClient<'_>>(request.notification.key.to_string());
        wait.record_delivery(Json(result)).send();
        Ok(())
    }
}
