//! The budget object: one for a whole deployment, lends each service its part. Decides nothing itself.

mod allocator;
mod slots;
mod lease;

pub(crate) use allocator::Lent;
pub(crate) use lease::Lease;
pub(crate) use slots::{Coming, Place, Turn};

use bytes::Bytes;
use restate_sdk::prelude::*;

use self::allocator::{BudgetStatus, Said, Shares};

/// The one budget of a deployment, a virtual object.
#[derive(Debug)]
pub(crate) struct JobBudget {
    per_second: f64,
    in_flight: usize,
}

const STATE: &str = "shares";

impl JobBudget {
    /// The path of the only one, at the engine.
    pub(crate) const LEND: &str = "JobBudget/all/lend";

    pub(crate) const fn new(per_second: f64, in_flight: usize) -> Self {
        Self { per_second, in_flight }
    }

    fn shares(&self, kept: Option<Bytes>) -> Shares {
        // What another version kept may be lost: all is said anew within seconds.
        match kept.and_then(|kept| serde_json::from_slice::<Shares>(&kept).ok()) {
            Some(mut shares) => {
                shares.set_limits(self.per_second, self.in_flight);
                shares
            }
            None => Shares::new(self.per_second, self.in_flight),
        }
    }
}

#[restate_sdk::object(client_visibility = "pub(crate)")]
impl JobBudget {
    /// Takes what a service says, and lends it its part. Comes from the services themselves, every second.
    #[handler]
    async fn lend(
        &self,
        ctx: ObjectContext<'_>,
        Json(said): Json<Said>,
    ) -> Result<Json<Lent>, HandlerError> {
        let mut shares = self.shares(ctx.get(STATE).await?);
        let lent = shares.lend(&said);
        ctx.set(STATE, Json(shares));
        Ok(Json(lent))
    }

    /// Tells how many services and waits there are, and how many requests may leave.
    #[handler]
    async fn status(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<BudgetStatus>, HandlerError> {
        Ok(Json(self.shares(ctx.get(STATE).await?).status()))
    }
}
