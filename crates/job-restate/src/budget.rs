//! The budget object, which grants each service of a deployment a part of the request budget.

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

/// The virtual object that holds the request budget of a deployment.
#[derive(Debug)]
pub(crate) struct JobBudget {
    per_second: f64,
    max_in_flight: usize,
}

const STATE_KEY: &str = "allocator";

impl JobBudget {
    /// The path of `grant` at the engine's ingress. A deployment has one budget object, named
    /// `all`.
    pub(crate) const GRANT_PATH: &str = "JobBudget/all/grant";

    pub(crate) const fn new(per_second: f64, max_in_flight: usize) -> Self {
        Self { per_second, max_in_flight }
    }

    fn allocator(&self, stored: Option<Bytes>) -> BudgetAllocator {
        // If the stored state is from another version and cannot be decoded, start over: the
        // services report again within seconds.
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
    /// Records the report of a service, and grants it a part of the budget. Each service calls this
    /// every second.
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

    /// Returns the numbers of services and waits, and the current rate limit.
    #[handler]
    async fn status(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<BudgetStatus>, HandlerError> {
        Ok(Json(self.allocator(ctx.get(STATE_KEY).await?).status()))
    }
}
