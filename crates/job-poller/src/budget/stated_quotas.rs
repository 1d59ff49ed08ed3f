//! The quotas that the replies to some attempts have stated: at most one for each policy.

use serde::{Deserialize, Serialize};

use crate::machine::{QuotaPolicy, StatedQuota};

/// The rate limits that replies have stated: at most one for each policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatedQuotas([Option<StatedQuota>; POLICY_COUNT]);

const POLICY_COUNT: usize = 4;

/// Returns the place of a policy in the array.
const fn index(policy: QuotaPolicy) -> usize {
    match policy {
        QuotaPolicy::User => 0,
        QuotaPolicy::Ip => 1,
        QuotaPolicy::App => 2,
        QuotaPolicy::Other => 3,
    }
}

impl StatedQuotas {
    /// Adds a quota. If there is one for the same policy, keeps the one with the lower rate.
    #[must_use]
    pub fn with(mut self, quota: StatedQuota) -> Self {
        let place = &mut self.0[index(quota.policy)];
        if place.is_none_or(|before| per_second(&quota) <= per_second(&before)) {
            *place = Some(quota);
        }
        self
    }

    /// Returns the quotas of both sets.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        other.iter().fold(self, Self::with)
    }

    /// Returns the quotas.
    pub fn iter(&self) -> impl Iterator<Item = StatedQuota> + use<> {
        self.0.into_iter().flatten()
    }
}

fn per_second(quota: &StatedQuota) -> f64 {
    f64::from(quota.max_requests) / quota.window.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_lower_quota_of_each_policy_is_kept() {
        let quota = |policy, max_requests, seconds| {
            StatedQuota::new(policy, max_requests, Duration::from_secs(seconds))
        };
        let [high, low] =
            [(100, 60), (200, 300)].map(|(max, secs)| quota(QuotaPolicy::User, max, secs));
        let ip = quota(QuotaPolicy::Ip, 5, 5);
        let rows = [
            (vec![], vec![], vec![]),
            (vec![high], vec![], vec![high]),
            (vec![high], vec![low], vec![low]),
            (vec![low], vec![high], vec![low]),
            (vec![ip], vec![high, low], vec![low, ip]),
        ];
        let set = |quotas: Vec<StatedQuota>| {
            quotas.into_iter().fold(StatedQuotas::default(), StatedQuotas::with)
        };
        for (one, other, expected) in rows {
            let merged = set(one).merge(set(other));
            assert_eq!(merged.iter().collect::<Vec<_>>(), expected);
            let text = serde_json::to_string(&merged).unwrap();
            assert_eq!(serde_json::from_str::<StatedQuotas>(&text).unwrap(), merged);
        }
    }
}
