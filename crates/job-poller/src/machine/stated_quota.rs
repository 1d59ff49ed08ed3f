//! A rate limit that the service has stated, as plain data.

use std::time::Duration;

use job_model::reply::{RateLimit, RateLimitPolicy};
use serde::{Deserialize, Serialize};

/// A rate limit that the service has stated in a reply with status 429, and that applies to this
/// caller.
///
/// A [`Budget`](crate::budget::Budget) sends fewer requests because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatedQuota {
    /// Whose requests are counted.
    pub policy: QuotaPolicy,
    /// The maximum number of requests in a window; at least 1.
    pub max_requests: u32,
    /// The length of a window; at most one hour.
    pub window: Duration,
}

/// Whose requests a [`StatedQuota`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuotaPolicy {
    /// The requests of one user or account.
    User,
    /// The requests from one address.
    Ip,
    /// The requests with one key of the gateway.
    App,
    /// The requests of another group of callers. All such groups count as one policy.
    Other,
}

/// The longest window that is respected. With a longer one, a single burst would silence all waits
/// for hours.
const MAX_WINDOW: Duration = Duration::from_secs(3600);

impl StatedQuota {
    /// Creates a quota, for example in a test.
    #[must_use]
    pub const fn new(policy: QuotaPolicy, max_requests: u32, window: Duration) -> Self {
        Self { policy, max_requests, window }
    }

    /// Returns the quota of a rate limit.
    ///
    /// Returns `None` if the limit is of the policy `api`, which all callers share, or if its window
    /// is longer than one hour.
    #[must_use]
    pub fn from_rate_limit(limit: &RateLimit) -> Option<Self> {
        let policy = match &limit.policy {
            RateLimitPolicy::User => QuotaPolicy::User,
            RateLimitPolicy::Ip => QuotaPolicy::Ip,
            RateLimitPolicy::App => QuotaPolicy::App,
            RateLimitPolicy::Api => return None,
            RateLimitPolicy::Unknown(_) => QuotaPolicy::Other,
        };
        let quota = Self::new(policy, limit.max_requests, limit.window);
        Some(quota).filter(|quota| quota.is_usable())
    }

    /// Returns whether a budget can respect the quota. One that was deserialized may have any values.
    pub(crate) fn is_usable(&self) -> bool {
        self.max_requests > 0 && !self.window.is_zero() && self.window <= MAX_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limits_of_this_caller_become_quotas() {
        let rows = [
            (
                "policy user over ratelimit,limit:200,time:5 minute",
                Some((QuotaPolicy::User, 200, 300)),
            ),
            ("policy ip over ratelimit,limit:5,time:5 second", Some((QuotaPolicy::Ip, 5, 5))),
            ("policy app over ratelimit,limit:9,time:1 hour", Some((QuotaPolicy::App, 9, 3600))),
            ("policy site over ratelimit,limit:9,time:1 minute", Some((QuotaPolicy::Other, 9, 60))),
            ("policy api over ratelimit,limit:2000,time:1 minute", None),
            ("policy user over ratelimit,limit:9,time:61 minute", None),
            ("policy user over ratelimit,limit:9,time:1 day", None),
        ];
        for (text, expected) in rows {
            let limit = RateLimit::from_message(text).unwrap();
            let expected = expected.map(|(policy, max_requests, seconds)| {
                StatedQuota::new(policy, max_requests, Duration::from_secs(seconds))
            });
            assert_eq!(StatedQuota::from_rate_limit(&limit), expected, "{text}");
        }
    }
}
