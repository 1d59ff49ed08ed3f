//! The service that delivers notifications: the engine calls it until it succeeds. Knows no wait but by its key.

mod webhook;
mod sink;

pub(crate) use sink::DisabledNotifier;
pub use sink::{Notification, Notifier, NotifierError};
pub use webhook::{Webhook, WebhookKey, WebhookKeyError};

use std::{sync::Arc, time::Duration};

use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    metrics::Metrics,
    state::Delivery,
    wait::{DeliveryResult, JobWaitClient},
};

/// Delivers notifications.
pub(crate) struct JobNotifier {
    notifier: Arc<dyn Notifier>,
    metrics: Arc<Metrics>,
}

/// A notification, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryRequest {
    pub(crate) address: String,
    pub(crate) notification: Notification,
    /// Which of the key's waits it tells of.
    pub(crate) wait_number: u64,
}

/// A receiver that is away for a weekend is told all the same.
const MAX_DELIVERY_DURATION: Duration = Duration::from_secs(3 * 24 * 3600);

impl JobNotifier {
    pub(crate) const fn new(notifier: Arc<dyn Notifier>, metrics: Arc<Metrics>) -> Self {
        Self { notifier, metrics }
    }

    async fn deliver_once(
        &self,
        DeliveryRequest { address: to, notification: notice, .. }: &DeliveryRequest,
    ) -> Result<(), HandlerError> {
        let delivered = self.notifier.deliver(to, notice).await;
        self.metrics.record_delivery(delivered.as_ref().err());
        delivered.map_err(|error| {
            tracing::warn!(notice = notice.id(), %error, "a notification was not delivered");
            // A lasting one ends the retries.
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
    /// Delivers a notification; again and again, for three days, and then gives it up.
    #[handler]
    async fn deliver(
        &self,
        ctx: Context<'_>,
        Json(post): Json<DeliveryRequest>,
    ) -> Result<(), HandlerError> {
        let retries = RunRetryPolicy::new()
            .initial_delay(Duration::from_secs(1))
            .exponentiation_factor(2.0)
            .max_delay(Duration::from_secs(5 * 60))
            .max_duration(MAX_DELIVERY_DURATION);
        let delivered =
            ctx.run(|| self.deliver_once(&post)).name("deliver").retry_policy(retries).await;
        let delivery = match delivered {
            Ok(()) => Delivery::Delivered,
            Err(error) => Delivery::Failed(error.message().into()),
        };
        let noticed = DeliveryResult {
            wait_number: post.wait_number,
            address: post.address.clone(),
            delivery,
        };
        let wait = ctx.object_client::<JobWaitClient<'_>>(post.notification.key.to_string());
        wait.record_delivery(Json(noticed)).send();
        Ok(())
    }
}
