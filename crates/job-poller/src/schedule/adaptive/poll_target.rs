//! Decides from the hazard when the next poll is due. Uses only + − × ÷ √, which give the same bits
//! on every machine.

use super::age_bins::{BIN_COUNT, Bins, bin_middle, bin_of};

/// The rule by which the hazard decides when the next poll is due.
#[derive(Clone, Copy, Debug, PartialEq)]
enum PollRule {
    /// When the integral of the poll rate √(hazard / 2 request price) reaches its target. The
    /// integral grows alike for all waits, so waits that poll at different times stay apart.
    KeepPhase,
    /// When the expected delay reaches its target: the detection delay of a poll at that time,
    /// averaged over all jobs that were active at the last poll. An active job counts as zero.
    LeastCost,
}

/// When the next poll is due. Times are in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollTarget {
    rule: PollRule,
    /// Half of the inverse of the request price.
    half_inverse_price: f64,
    target: f64,
    min_gap: f64,
    max_gap: f64,
}

impl PollTarget {
    /// Creates the target of a poll that is at least `floor` and at most `cap` after the last one.
    /// Waits that began at different times stay apart.
    pub(crate) fn keep_phase(request_price: f64, floor: f64, cap: f64) -> Self {
        let min_gap = floor.max(f64::MIN_POSITIVE);
        Self {
            rule: PollRule::KeepPhase,
            half_inverse_price: 0.5 / request_price,
            target: 1.0,
            min_gap,
            max_gap: cap.max(min_gap),
        }
    }

    /// Creates the target of a single wait.
    pub(crate) fn least_cost(request_price: f64, floor: f64, cap: f64) -> Self {
        let target = Self::keep_phase(request_price, floor, cap);
        Self { rule: PollRule::LeastCost, target: request_price, ..target }
    }

    /// Returns the target that is reached after this fraction of the gap, if the hazard is constant.
    pub(crate) fn fraction(self, of_gap: f64) -> Self {
        let factor = match self.rule {
            PollRule::KeepPhase => of_gap,
            PollRule::LeastCost => of_gap * of_gap,
        };
        Self { target: self.target * factor, ..self }
    }

    /// Returns what is integrated: the poll rate or the hazard.
    pub(crate) fn integrand(self, hazard: f64) -> f64 {
        match self.rule {
            PollRule::KeepPhase => (hazard * self.half_inverse_price)
                .sqrt()
                .clamp(1.0 / self.max_gap, 1.0 / self.min_gap),
            PollRule::LeastCost => hazard,
        }
    }

    /// Limits the gap of the rule that ignores the bounds until then.
    pub(crate) const fn bound(self, gap: f64) -> f64 {
        match self.rule {
            PollRule::KeepPhase => gap,
            PollRule::LeastCost => gap.max(self.min_gap).min(self.max_gap),
        }
    }
}

/// The integrals since the last poll.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Time since the last poll, in seconds.
    gap: f64,
    /// The integral, and the integral of the integral. If the hazard is integrated, they are the
    /// expected number of ends and the expected delay.
    first: f64,
    second: f64,
}

impl Progress {
    /// Returns the integrals `time` later. The integrand begins with `value` and grows by `slope`
    /// per second.
    pub(crate) fn later(self, time: f64, value: f64, slope: f64) -> Self {
        Self {
            gap: self.gap + time,
            first: self.first + time * (value + time * slope / 2.0),
            second: self.second + time * (self.first + time * (value / 2.0 + time * slope / 6.0)),
        }
    }

    pub(crate) const fn has_reached(self, poll: PollTarget) -> bool {
        match poll.rule {
            PollRule::KeepPhase => self.first >= poll.target,
            PollRule::LeastCost => self.second >= poll.target,
        }
    }

    /// Returns the gap at which the target is reached, which is at most `max_gap`.
    pub(crate) fn gap_at_target(
        self,
        poll: PollTarget,
        value: f64,
        slope: f64,
        max_gap: f64,
    ) -> f64 {
        match poll.rule {
            PollRule::KeepPhase => {
                let left = poll.target - self.first;
                let root = (value * value + 2.0 * slope * left).max(0.0).sqrt();
                self.gap + 2.0 * left / (value + root)
            }
            PollRule::LeastCost if slope == 0.0 => {
                let left = poll.target - self.second;
                let root = (self.first * self.first + 2.0 * value * left).sqrt();
                self.gap + 2.0 * left / (self.first + root)
            }
            PollRule::LeastCost => {
                // The delay grows faster and faster, so Newton's method finds the gap from above.
                let mut gap = max_gap;
                for _ in 0..MAX_NEWTON_STEPS {
                    let there = self.later(gap - self.gap, value, slope);
                    let step = (there.second - poll.target) / there.first;
                    gap -= step;
                    if step <= 1e-6 {
                        break;
                    }
                }
                gap
            }
        }
    }
}

/// Maximum number of steps of Newton's method. Each step removes at least a third of the error, so
/// that less than a microsecond of a day is left.
const MAX_NEWTON_STEPS: u32 = 64;

/// Returns the time from `age` until the next poll is due, in seconds.
///
/// The integrand is interpolated between the middles of the bins. Steps in it would make the
/// requests of many waits coincide.
pub(crate) fn gap_at(rates: &Bins, age: f64, poll: PollTarget) -> f64 {
    let value_at = |at: usize| poll.integrand(rates[at]);
    // The bin whose middle is the last one before the age, if any. The value is constant before the
    // first middle and after the last.
    let mut at = bin_of(age).checked_sub(usize::from(age < bin_middle(bin_of(age))));
    let (mut from, mut now) = (age, Progress::default());
    loop {
        let (start, low) =
            at.map_or_else(|| (0.0, value_at(0)), |at| (bin_middle(at), value_at(at)));
        let next = at.map_or(0, |at| at + 1);
        if next == BIN_COUNT {
            return poll.bound(now.gap_at_target(poll, low, 0.0, f64::INFINITY));
        }
        let (end, high) = (bin_middle(next), value_at(next));
        let slope = (high - low) / (end - start);
        let value = low + slope * (from - start);
        let later = now.later(end - from, value, slope);
        if later.has_reached(poll) {
            return poll.bound(now.gap_at_target(poll, value, slope, later.gap));
        }
        (at, from, now) = (Some(next), end, later);
    }
}
