//! The service that delivers notices: the engine calls it until it succeeds. Knows no wait but by its key.

mod webhook;
mod sink;

pub(crate) use sink::NoSink;
pub use sink::{Notice, Sink, SinkError};
pub use webhook::{Webhook, WebhookKey, WebhookKeyError};

use std::{sync::Arc, time::Duration};

use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    serve::Metrics,
    state::Delivery,
    wait::{JobWaitClient, Noticed},
};

/// Delivers notices.
pub(crate) struct JobNotice {
    sink: Arc<dyn Sink>,
    metrics: Arc<Metrics>,
}

/// A notice, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) to: String,
    pub(crate) notice: Notice,
    /// Which of the key's waits it tells of.
    pub(crate) number: u64,
}

/// A receiver that is away for a weekend is told all the same.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

impl JobNotice {
    pub(crate) const fn new(sink: Arc<dyn Sink>, metrics: Arc<Metrics>) -> Self {
        Self { sink, metrics }
    }

    async fn deliver(&self, Post { to, notice, .. }: &Post) -> Result<(), HandlerError> {
        let delivered = self.sink.deliver(to, notice).await;
        self.metrics.noticed(delivered.as_ref().err());
        delivered.map_err(|error| {
            tracing::warn!(notice = notice.id(), %error, "a notice was not delivered");
            // A lasting one ends the retries.
            if error.is_final() {
                TerminalError::new(error.to_string()).into()
            } else {
                error.into()
            }
        })
    }
}

#[restate_sdk::service(client_visibility = "pub(crate)", ingress_private)]
impl JobNotice {
    /// Delivers a notice; again and again, for three days, and then gives it up.
    #[handler]
    async fn post(&self, ctx: Context<'_>, Json(post): Json<Post>) -> Result<(), HandlerError> {
        let retries = RunRetryPolicy::new()
            .initial_delay(Duration::from_secs(1))
            .exponentiation_factor(2.0)
            .max_delay(Duration::from_secs(5 * 60))
            .max_duration(GIVE_UP_AFTER);
        let delivered = ctx.run(|| self.deliver(&post)).name("deliver").retry_policy(retries).await;
        let delivery = match delivered {
            Ok(()) => Delivery::Delivered,
            Err(error) => Delivery::GivenUp(error.message().into()),
        };
        let noticed = Noticed { number: post.number, to: post.to.clone(), delivery };
        let wait = ctx.object_client::<JobWaitClient<'_>>(post.notice.key.to_string());
        wait.noticed(Json(noticed)).send();
        Ok(())
    }
}
