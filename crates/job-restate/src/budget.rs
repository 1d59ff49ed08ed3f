//! The budget object, which gives the services of a deployment the slots for their requests.

mod message;
mod shared_budget;
mod service_budget;

pub(crate) use message::Slot;
pub(crate) use service_budget::{PlannedWait, SentAway, ServiceBudget};

use bytes::Bytes;
use restate_sdk::prelude::*;

use self::{
    message::{Grant, Report},
    shared_budget::{BudgetStatus, SharedBudget},
};
use crate::wait::{Advance, JobWaitClient};

/// The virtual object that holds the request budget of a deployment.
#[derive(Debug)]
pub(crate) struct JobBudget {
    per_second: f64,
    max_in_flight: usize,
}

const STATE_KEY: &str = "budget";

impl JobBudget {
    /// The path of `grant` at the engine's ingress. A deployment has one budget object, named
    /// `all`.
    pub(crate) const GRANT_PATH: &str = "JobBudget/all/grant";

    pub(crate) const fn new(per_second: f64, max_in_flight: usize) -> Self {
        Self { per_second, max_in_flight }
    }

    fn shared_budget(&self, stored: Option<Bytes>) -> SharedBudget {
        let mut budget = stored
            .and_then(|stored| serde_json::from_slice(&stored).ok())
            // If nothing is stored, or if another version has stored it, start over. The services report
            // again within seconds.
            .unwrap_or_else(|| SharedBudget::new(self.per_second, self.max_in_flight));
        budget.set_limits(self.per_second, self.max_in_flight);
        budget
    }
}

#[restate_sdk::object(client_visibility = "pub(crate)")]
impl JobBudget {
    /// Records the report of a service, and gives it the slots that its waits need. Each service
    /// calls this every second.
    ///
    /// If slots would lapse, they are given to the waits that are planned next.
    #[handler]
    async fn grant(
        &self,
        ctx: ObjectContext<'_>,
        Json(report): Json<Report>,
    ) -> Result<Json<Grant>, HandlerError> {
        let mut budget = self.shared_budget(ctx.get(STATE_KEY).await?);
        let grant = budget.grant(&report);
        for ((_, key, tick), slot) in report.candidates.iter().zip(grant.advanced_slots()) {
            let advance = Advance { tick: *tick, slot };
            ctx.object_client::<JobWaitClient<'_>>(key.to_string()).advance(Json(advance)).send();
        }
        ctx.set(STATE_KEY, Json(budget));
        Ok(Json(grant))
    }

    /// Returns the numbers of services and waits, and the current rate limit.
    #[handler]
    async fn status(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<BudgetStatus>, HandlerError> {
        Ok(Json(self.shared_budget(ctx.get(STATE_KEY).await?).status()))
    }
}
