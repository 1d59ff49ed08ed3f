//! The results of attempts, as far as a budget needs them.

use std::time::Duration;

use job_transport::{ErrorClass, FetchErrorKind};
use serde::{Deserialize, Serialize};

use super::stated_quotas::StatedQuotas;
use crate::machine::Input;

/// The results of one or more attempts, as far as a budget needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptStats {
    /// Number of attempts.
    pub attempts: u32,
    /// Sum of their latencies.
    pub latency: Duration,
    /// Number of additional requests. An attempt that refreshed credentials has two: the login and
    /// the repeated request.
    pub extra_requests: u32,
    /// Whether the service throttled (429) or was unavailable (503).
    pub throttled: bool,
    /// The longest `Retry-After`, or zero. It applies to the whole service.
    pub retry_after: Duration,
    /// The rate limits that replies have stated, if they apply to this caller.
    #[serde(default)]
    pub stated_quotas: StatedQuotas,
}

impl AttemptStats {
    /// Returns the stats of one attempt, from its latency and its result.
    #[must_use]
    pub fn from_input(latency: Duration, input: &Input) -> Self {
        let (error, credentials_refreshed) = match input {
            Input::Error(error) => (Some(error), error.credentials_refreshed),
            Input::Reading { credentials_refreshed, .. }
            | Input::Unchanged { credentials_refreshed, .. }
            | Input::Object { credentials_refreshed, .. } => (None, *credentials_refreshed),
            Input::Wake | Input::Stop => (None, false),
        };
        let stated_quota = error.and_then(|error| error.stated_quota);
        let in_trouble =
            |class, kind| class == ErrorClass::Throttled || kind == FetchErrorKind::Status(503);
        Self {
            attempts: 1,
            latency,
            // The login, and the repeated request.
            extra_requests: if credentials_refreshed { 2 } else { 0 },
            throttled: error.is_some_and(|error| in_trouble(error.class, error.kind)),
            retry_after: error.and_then(|error| error.retry_after).unwrap_or_default(),
            stated_quotas: stated_quota
                .map(|quota| StatedQuotas::default().with(quota))
                .unwrap_or_default(),
        }
    }

    /// Returns the stats of both sets of attempts together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            attempts: self.attempts.saturating_add(other.attempts),
            latency: self.latency.saturating_add(other.latency),
            extra_requests: self.extra_requests.saturating_add(other.extra_requests),
            throttled: self.throttled || other.throttled,
            retry_after: self.retry_after.max(other.retry_after),
            stated_quotas: self.stated_quotas.merge(other.stated_quotas),
        }
    }
}
