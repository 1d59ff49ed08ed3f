//! Jitter: the random part of a delay, which keeps many waits from polling at the same time. The
//! random number is an argument.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

/// The fraction of a delay by which it may be shorter or longer, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Jitter(f64);

impl Jitter {
    pub(crate) const DEFAULT: Self = Self(0.1);

    /// Limits the fraction to the range from 0 to 1. NaN counts as 0.
    pub(crate) const fn new(part: f64) -> Self {
        Self(if part > 1.0 {
            1.0
        } else if part > 0.0 {
            part
        } else {
            0.0
        })
    }

    /// Returns the fraction.
    pub(crate) const fn get(self) -> f64 {
        self.0
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0 <= 0.0
    }

    /// Returns the longest delay that jitter does not raise above `max`.
    pub(crate) fn max_base(self, max: Duration) -> Duration {
        Duration::try_from_secs_f64(max.as_secs_f64() / (1.0 + self.0)).unwrap_or(max)
    }

    /// Returns delay number `count` with jitter, within `bounds`. The first delay is multiplied by
    /// a factor from 1 to 2, and later delays vary by the fraction.
    pub(crate) fn apply(
        self,
        pause: Duration,
        bounds: RangeInclusive<Duration>,
        count: u32,
        random: u64,
    ) -> Duration {
        let factors = if count <= 1 { 1.0..=2.0 } else { self.factor_range() };
        self.apply_factor(factors, pause, bounds, random)
    }

    /// Returns a delay with jitter by the fraction, within `bounds`.
    pub(crate) fn apply_symmetric(
        self,
        pause: Duration,
        bounds: RangeInclusive<Duration>,
        random: u64,
    ) -> Duration {
        self.apply_factor(self.factor_range(), pause, bounds, random)
    }

    fn factor_range(self) -> RangeInclusive<f64> {
        1.0 - self.0..=1.0 + self.0
    }

    /// Multiplies a delay by a random factor. A delay near the cap is first shortened, so that the
    /// factor does not raise it above the cap. If it were cut off at the cap instead, many delays
    /// would be equal. An upper bound below the lower bound counts as the lower bound.
    fn apply_factor(
        self,
        factors: RangeInclusive<f64>,
        pause: Duration,
        bounds: RangeInclusive<Duration>,
        random: u64,
    ) -> Duration {
        let (floor, cap) = (*bounds.start(), *bounds.end());
        if self.is_zero() {
            return pause.min(cap).max(floor);
        }
        let pause = pause.min(self.max_base(cap)).max(floor);
        let seconds =
            pause.as_secs_f64() * lerp(*factors.start(), *factors.end(), unit_interval(random));
        Duration::try_from_secs_f64(seconds).unwrap_or(cap).min(cap).max(floor)
    }
}

pub(crate) fn lerp(start: f64, end: f64, fraction: f64) -> f64 {
    start + (end - start) * fraction
}

/// Returns the upper 53 bits of a number as a fraction, from 0 to just below 1.
pub(crate) fn unit_interval(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a pseudo-random number for a seed and a counter (splitmix64).
pub(crate) const fn splitmix64(seed: u64, number: u32) -> u64 {
    let mut z = seed.wrapping_add((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
