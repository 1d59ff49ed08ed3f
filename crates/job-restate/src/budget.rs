//! The budget object: one for a whole deployment, which grants each service a part. Decides nothing itself.

mod grant;
mod allocator;
mod slots;
mod lease;

pub(crate) use grant::{CountKey, Grant, Slot};
pub(crate) use lease::Lease;
pub(crate) use slots::Arrival;

use bytes::Bytes;
use restate_sdk::prelude::*;

use self::{
    allocator::{BudgetAllocator, BudgetStatus},
    grant::UsageReport,
};

/// The one budget of a deployment, a virtual object.
#[derive(Debug)]
pub(crate) struct JobBudget {
    per_second: f64,
    max_in_flight: usize,
}

const STATE_KEY: &str = "allocator";

impl JobBudget {
    /// The path of the only one, at the engine.
    pub(crate) const GRANT_PATH: &str = "JobBudget/all/grant";

    pub(crate) const fn new(per_second: f64, max_in_flight: usize) -> Self {
        Self { per_second, max_in_flight }
    }

    fn allocator(&self, stored: Option<Bytes>) -> BudgetAllocator {
        // The state of another version may be lost: the services report again within seconds.
        match stored.and_then(|stored| serde_json::from_slice::<BudgetAllocator>(&stored).ok()) {
            Some(mut allocator) => {
                allocator.set_limits(self.per_second, self.max_in_flight);
                allocator
            }
            None => BudgetAllocator::new(self.per_second, self.max_in_flight),
        }
    }
}

#[restate_sdk::object(client_visibility = "pub(crate)")]
impl JobBudget {
    /// Records the report of a service, and grants it a part of the budget. Called by each service every second.
    #[handler]
    async fn grant(
        &self,
        ctx: ObjectContext<'_>,
        Json(report): Json<UsageReport>,
    ) -> Result<Json<Grant>, HandlerError> {
        let mut allocator = self.allocator(ctx.get(STATE_KEY).await?);
        let grant = allocator.grant(&report);
        ctx.set(STATE_KEY, Json(allocator));
        Ok(Json(grant))
    }

    /// Returns the numbers of services and waits, and how many requests may be sent.
    #[handler]
    async fn status(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<BudgetStatus>, HandlerError> {
        Ok(Json(self.allocator(ctx.get(STATE_KEY).await?).status()))
    }
}
