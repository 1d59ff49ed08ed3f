//! Changes the settings of a simulation before it is used.

use std::time::Duration;

use jiff::SignedDuration;

use super::{RateLimiter, Sim, lock};
use crate::plan::{ObjectPlan, Plan};

impl Sim {
    /// Sets how far the service's clock is ahead of this machine's.
    ///
    /// A negative offset sets it back.
    #[must_use]
    pub const fn clock_offset(mut self, offset: SignedDuration) -> Self {
        self.clock_offset = offset;
        self
    }

    /// Sets the lifetime of tokens and temporary keys that are issued from now on; 24 hours by
    /// default.
    #[must_use]
    pub fn token_lifetime(self, lifetime: SignedDuration) -> Self {
        self.authenticator().set_token_lifetime(lifetime);
        self
    }

    /// Requires the passcode besides the password for a login; by default the password is enough.
    #[must_use]
    pub fn require_passcode(self) -> Self {
        self.identity().requires_passcode = true;
        self
    }

    /// Lets the metadata service issue no session tokens, as older ones; by default it requires
    /// one.
    #[must_use]
    pub fn without_metadata_sessions(self) -> Self {
        self.identity().has_sessions = false;
        self
    }

    /// Lets the machine of the metadata service have no agency; by default it has one.
    #[must_use]
    pub fn without_machine_agency(self) -> Self {
        self.identity().has_agency = false;
        self
    }

    /// Adds a project to those that the identity service lists. It has no jobs.
    #[must_use]
    pub fn listed_project(self, id: &str, name: &str) -> Self {
        self.identity().add_project(id, name);
        self
    }

    /// Sets the maximum number of requests per second to the job API.
    ///
    /// By default there is no limit. Requests above the limit are throttled, with a `Retry-After`
    /// of one second.
    #[must_use]
    pub fn rate_limit(self, per_second: u32) -> Self {
        *lock(&self.rate_limiter) = RateLimiter::new(per_second);
        self
    }

    /// Sets a function that changes the plan of each submitted job; none by default.
    ///
    /// For example, `|plan| plan.slower(100).with_random_durations(7)`.
    #[must_use]
    pub fn map_submitted(self, map: impl Fn(Plan) -> Plan + Send + Sync + 'static) -> Self {
        Self { map_submitted: Box::new(map), ..self }
    }

    /// Sets how long after its end a job is kept; for ever by default.
    ///
    /// Afterwards the service answers as for an unknown job, with 404, and the list of jobs does not
    /// have it. With zero, no client ever sees the end of a job.
    #[must_use]
    pub fn forget_jobs_after(self, retention: Duration) -> Self {
        self.jobs().retention = Some(retention);
        self
    }

    /// Sets the plan of each cluster and node that a job creates or deletes, unless it has a plan of
    /// [its own](Self::set_object_plan); [`ObjectPlan::ready`] by default.
    #[must_use]
    pub fn default_object_plan(self, plan: ObjectPlan) -> Self {
        self.jobs().objects.set_default_plan(plan);
        self
    }
}
