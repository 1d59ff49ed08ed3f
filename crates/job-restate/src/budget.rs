//! The budget object: one for a whole deployment, lends each service its part. Decides nothing itself.

mod allocator;
mod slots;
mod lease;

pub(crate) use allocator::Grant;
pub(crate) use lease::Lease;
pub(crate) use slots::{Arrival, CountKey, Slot};

use bytes::Bytes;
use restate_sdk::prelude::*;

use self::allocator::{BudgetAllocator, BudgetStatus, UsageReport};

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

    fn allocator(&self, kept: Option<Bytes>) -> BudgetAllocator {
        // What another version kept may be lost: all is said anew within seconds.
        match kept.and_then(|kept| serde_json::from_slice::<BudgetAllocator>(&kept).ok()) {
            Some(mut shares) => {
                shares.set_limits(self.per_second, self.max_in_flight);
                shares
            }
            None => BudgetAllocator::new(self.per_second, self.max_in_flight),
        }
    }
}

#[restate_sdk::object(client_visibility = "pub(crate)")]
impl JobBudget {
    /// Takes what a service says, and lends it its part. Comes from the services themselves, every second.
    #[handler]
    async fn grant(
        &self,
        ctx: ObjectContext<'_>,
        Json(said): Json<UsageReport>,
    ) -> Result<Json<Grant>, HandlerError> {
        let mut shares = self.allocator(ctx.get(STATE_KEY).await?);
        let lent = shares.grant(&said);
        ctx.set(STATE_KEY, Json(shares));
        Ok(Json(lent))
    }

    /// Tells how many services and waits there are, and how many requests may leave.
    #[handler]
    async fn status(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<BudgetStatus>, HandlerError> {
        Ok(Json(self.allocator(ctx.get(STATE_KEY).await?).status()))
    }
}
