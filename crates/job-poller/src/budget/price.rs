//! The price of a request at which all waits together use up their budget. Reads no clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::schedule::PollPlan;

/// The urgency of all waits, and the price that follows from it.
///
/// If the price of a request is *w*, a wait whose job ends at the rate *h* sends √(*h* / 2*w*)
/// requests per second. So the sum of √*h* over all waits determines the price at which they use up
/// the budget, its shadow price. The waits are counted by √*h*, in steps of about an eighth of an
/// octave, because the limits on the gap change the demand of some of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Price {
    #[serde(with = "counts")]
    counts: Counts,
    /// The price never falls below this, even if the budget is not used up.
    min_price: Duration,
    request_price: Duration,
}

/// An urgency ([`PollPlan::urgency`]), rounded down to one of 192 steps of about 9 % each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UrgencyBucket(u8);

/// Urgencies from 2^-16 to 2^8, in eighths of an octave.
const BUCKET_COUNT: usize = 192;

/// The number of waits in each bucket. The last entry is [`UrgencyBucket::UNKNOWN`].
type Counts = [u32; BUCKET_COUNT + 1];

/// Shortest gap of a wait, at any price.
const MIN_GAP_SECS: f64 = 2.0;

impl Price {
    pub(super) const fn new(min_price: Duration) -> Self {
        Self { counts: [0; BUCKET_COUNT + 1], min_price, request_price: min_price }
    }

    /// Returns the price of a request.
    pub(super) const fn request_price(&self) -> Duration {
        self.request_price
    }

    /// Returns how often waits poll at this price, relative to the minimum price: at most 1.
    #[cfg(feature = "tokio")]
    pub(super) fn poll_rate_factor(&self) -> f64 {
        if self.is_binding() {
            (self.min_price.as_secs_f64() / self.request_price.as_secs_f64()).sqrt()
        } else {
            1.0
        }
    }

    /// Returns whether the price is above its minimum, because the budget is used up.
    pub(super) fn is_binding(&self) -> bool {
        self.request_price > self.min_price
    }

    /// Counts a wait at its new urgency instead of its old one.
    pub(super) fn replace(&mut self, before: Option<UrgencyBucket>, now: Option<UrgencyBucket>) {
        before.into_iter().for_each(|urgency| self.adjust(urgency, -1));
        now.into_iter().for_each(|urgency| self.adjust(urgency, 1));
    }

    /// Adds `delta` to the number of waits with this urgency.
    pub(super) fn adjust(&mut self, UrgencyBucket(bucket): UrgencyBucket, delta: i64) {
        // A bucket that was deserialized may be out of range.
        if let Some(count) = self.counts.get_mut(usize::from(bucket)) {
            let sum = i64::from(*count).saturating_add(delta);
            *count = u32::try_from(sum.max(0)).unwrap_or(u32::MAX);
        }
    }

    /// Returns the number of waits that are counted.
    pub(super) fn waiters(&self) -> usize {
        self.counts.iter().map(|count| *count as usize).sum()
    }

    pub(super) const fn reset_counts(&mut self) {
        self.counts = [0; BUCKET_COUNT + 1];
    }

    /// Sets the price at which all waits together send `per_second` requests per second, each with
    /// gaps of at most `max_gap`.
    pub(super) fn reprice(&mut self, per_second: f64, max_gap: Duration) {
        let min_rate = 1.0 / max_gap.as_secs_f64().max(MIN_GAP_SECS);
        let [known @ .., unknown] = &self.counts;
        let known_waits: f64 = known.iter().map(|count| f64::from(*count)).sum();
        if known_waits <= 0.0 {
            self.request_price = self.min_price;
            return;
        }
        // The waits whose urgency is not known count like the average of the others.
        let scale = 1.0 + f64::from(*unknown) / known_waits;
        let demand = |root: f64| -> f64 {
            let counts = known.iter().enumerate().filter(|(_, count)| **count > 0);
            let rate =
                |bucket| (bucket_middle(bucket) / root).min(1.0 / MIN_GAP_SECS).max(min_rate);
            scale * counts.map(|(bucket, count)| f64::from(*count) * rate(bucket)).sum::<f64>()
        };
        let min_root = (2.0 * self.min_price.as_secs_f64()).sqrt().max(1e-6);
        let (mut low, mut high) = (min_root, min_root.max(1.0) * MAX_PRICE_ROOT);
        if demand(low) <= per_second {
            self.request_price = self.min_price;
            return;
        }
        // Bisects the square root of the price, on a logarithmic scale.
        for _ in 0..40 {
            let middle = (low * high).sqrt();
            if demand(middle) > per_second { low = middle } else { high = middle }
        }
        self.request_price =
            Duration::try_from_secs_f64(high * high / 2.0).unwrap_or(Duration::MAX);
    }
}

/// Ratio between the upper and the lower end of the search. At the upper end every wait has its
/// longest gap.
const MAX_PRICE_ROOT: f64 = 1e6;

impl UrgencyBucket {
    /// The bucket of a wait whose urgency is not known yet, because its job was never read. Such
    /// waits count like the average of the others.
    pub const UNKNOWN: Self = Self(BUCKET_COUNT as u8);

    /// Returns the bucket of an urgency, which is √*h* for a job that ends at the rate *h* per
    /// second.
    #[must_use]
    pub fn from_urgency(urgency: f64) -> Self {
        // The exponent and the first three bits of the mantissa number the eighths of octaves.
        let bits = urgency.max(0.0).to_bits() >> 49;
        let first = (1023 - 16) << 3;
        Self(bits.saturating_sub(first).min(BUCKET_COUNT as u64 - 1) as u8)
    }

    /// Returns the bucket of a plan's urgency, or `None` if the plan has no urgency.
    #[must_use]
    pub fn from_plan(plan: PollPlan) -> Option<Self> {
        plan.urgency.filter(|urgency| *urgency > 0.0).map(Self::from_urgency)
    }
}

/// Returns the urgency in the middle of a bucket.
fn bucket_middle(bucket: usize) -> f64 {
    let bits = (((1023 - 16) << 3) + bucket as u64) << 49;
    f64::from_bits(bits | 1 << 48)
}

/// Serializes only the buckets with a count, because most have none.
mod counts {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{BUCKET_COUNT, Counts};

    pub(super) fn serialize<S: Serializer>(
        counts: &Counts,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(counts.iter().enumerate().filter(|(_, count)| **count > 0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Counts, D::Error> {
        let mut counts = [0; BUCKET_COUNT + 1];
        for (bucket, count) in BTreeMap::<usize, u32>::deserialize(deserializer)? {
            if let Some(slot) = counts.get_mut(bucket) {
                *slot = count;
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgencies_map_to_their_bucket() {
        for urgency in [1e-4, 0.01, 0.0431, 0.5, 1.0, 3.0, 100.0] {
            let ratio = bucket_middle(UrgencyBucket::from_urgency(urgency).0.into()) / urgency;
            assert!((0.93..1.07).contains(&ratio), "{urgency}: {ratio}");
        }
        for (urgency, expected) in [(0.0, 0), (-1.0, 0), (f64::NAN, 0), (1e-9, 0), (1e9, 191)] {
            assert_eq!(UrgencyBucket::from_urgency(urgency).0, expected, "{urgency}");
            let plan = PollPlan::after(Duration::ZERO).with_urgency(urgency);
            let is_positive = urgency > 0.0;
            assert_eq!(UrgencyBucket::from_plan(plan).is_some(), is_positive, "{urgency}");
        }
    }

    #[test]
    fn the_price_matches_demand_to_the_budget() {
        let mut price = Price::new(Duration::from_millis(250));
        let mut add = |many, urgency| {
            for _ in 0..many {
                price.replace(None, Some(UrgencyBucket::from_urgency(urgency)));
            }
        };
        // Half of the jobs end at a rate of 1/600, half at 1/60.
        add(1000, (1.0_f64 / 600.0).sqrt());
        add(1000, (1.0_f64 / 60.0).sqrt());
        let mut at = |per_second, max_gap| {
            price.reprice(per_second, Duration::from_secs(max_gap));
            price.request_price().as_secs_f64()
        };
        let exact = |per_second: f64| (170.0_f64 / per_second).powi(2) / 2.0;
        let rows = [
            ("the budget exceeds the demand", at(1000.0, 60), 0.25),
            ("a tenth of the demand", at(24.0, 6000), exact(24.0)),
            ("a twentieth of the demand", at(12.0, 6000), exact(12.0)),
        ];
        for (name, price_secs, expected) in rows {
            assert!((price_secs / expected - 1.0).abs() < 0.08, "{name}: {price_secs} {expected}");
        }
        // The least urgent waits stay at their longest gap, so the price for the others is higher.
        assert!(at(24.0, 70) > 1.2 * exact(24.0));
        assert!(at(1.0, 60) > 1e6, "the budget is too small even for the longest gaps");
    }

    #[test]
    fn a_wait_that_changes_bucket_is_counted_once() {
        let mut price = Price::new(Duration::ZERO);
        let (before, later) =
            (Some(UrgencyBucket::from_urgency(0.1)), Some(UrgencyBucket::from_urgency(0.2)));
        price.replace(None, before);
        price.replace(before, later);
        assert_eq!(price.counts.iter().sum::<u32>(), 1);
        let text = serde_json::to_string(&price).unwrap();
        assert_eq!(serde_json::from_str::<Price>(&text).unwrap(), price);
        price.replace(later, None);
        assert_eq!(price.counts, [0; BUCKET_COUNT + 1]);
    }

    #[test]
    fn waits_with_unknown_urgency_count_like_the_average() {
        let price_of = |waits: &[(UrgencyBucket, i64)]| {
            let mut price = Price::new(Duration::from_millis(250));
            waits.iter().for_each(|(bucket, count)| price.adjust(*bucket, *count));
            price.reprice(20.0, Duration::from_secs(6000));
            price.request_price().as_secs_f64()
        };
        let [slow, fast] = [0.05, 0.2].map(UrgencyBucket::from_urgency);
        let unknown = UrgencyBucket::UNKNOWN;
        let read = price_of(&[(slow, 1500), (fast, 500)]);
        let rows = [
            ("none was read", price_of(&[(unknown, 2000)]), 0.25),
            ("a few were read", price_of(&[(slow, 3), (fast, 1), (unknown, 1996)]), read),
            ("half were read", price_of(&[(slow, 750), (fast, 250), (unknown, 1000)]), read),
        ];
        for (name, price, expected) in rows {
            assert!((price / expected - 1.0).abs() < 1e-6, "{name}: {price} {expected}");
        }
    }
}
