//! The random part of pauses, so that many waits do not ask on the same tick. The random number is an
//! argument.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

/// By which part of it a pause may be longer or shorter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Jitter(f64);

impl Jitter {
    pub(crate) const DEFAULT: Self = Self(0.1);

    /// Anything outside of 0 to 1 counts as the nearer of the two, what is no number as 0.
    pub(crate) const fn new(part: f64) -> Self {
        Self(if part > 1.0 {
            1.0
        } else if part > 0.0 {
            part
        } else {
            0.0
        })
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0 <= 0.0
    }

    /// Returns the longest pause that is not above this however it is moved.
    pub(crate) fn max_base(self, max: Duration) -> Duration {
        Duration::try_from_secs_f64(max.as_secs_f64() / (1.0 + self.0)).unwrap_or(max)
    }

    /// Returns the pause of this number, moved at random within the bounds: the first to anywhere between
    /// itself and twice itself, a later one by its part.
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

    /// Returns the pause, moved at random within the bounds by its part.
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

    /// A pause is not moved against the cap, or those that are there would all be on one tick. An upper bound
    /// below the lower one counts as the lower.
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

/// Returns a number's upper 53 bits as a fraction, from 0 to just below 1.
pub(crate) fn unit_interval(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a number that has no visible relation to the seed and the number of the pause
/// (splitmix64).
pub(crate) const fn splitmix64(seed: u64, number: u32) -> u64 {
    let mut z = seed.wrapping_add((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
