//! The default schedule: asks most often when the job is likeliest to end. Reads no clock, and knows
//! what is likely of all jobs of a type; it learns nothing yet.

use std::time::Duration;

use crate::{Schedule, Seen, jitter::Jitter, law::Law};

/// Pauses that weigh the delay against the requests.
///
/// A request is worth a certain delay (`worth`, 250 ms unless set otherwise). Where jobs end at the
/// rate *h*, so that one that has not ended does so within the next moment *dt* with probability
/// *h dt*, mean delay and mean number of requests cost least together when the requests are
/// √(h / 2 worth) apart in density. So the next attempt is due when the integral of that density,
/// from the job's present age on, reaches one; no sooner than the floor and no later than the cap.
///
/// What is taken for likely: one job in ten fails early (mean 12 s); the others end at a constant
/// rate, with a mean of 540 s where a cluster is created, of 90 s where something is deleted, and
/// of 240 s for nodes and everything else; beyond twice that mean the rate is half, for what is late
/// is often stuck. Pauses grow so from 8 s to 23 s for a cluster, from 6 s to 15 s for a node.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{Adaptive, Schedule, Seen};
///
/// let mut seen = Seen::new(Duration::from_secs(300), 7);
/// seen.job_type = Some("CreateCluster");
/// assert_eq!(Adaptive::new().jitter(0.0).pause(&seen).as_secs(), 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    worth: Duration,
    floor: Duration,
    cap: Duration,
    jitter: Jitter,
}

impl Adaptive {
    /// Creates a schedule of pauses from 2 s to 60 s, where a request is worth 250 ms of delay.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            worth: Duration::from_millis(250),
            floor: Duration::from_secs(2),
            cap: Duration::from_secs(60),
            jitter: Jitter::DEFAULT,
        }
    }

    /// Sets how much delay a request is worth; 250 ms by default. Four times as much, and the
    /// requests are half as many.
    #[must_use]
    pub const fn worth(mut self, delay: Duration) -> Self {
        self.worth = delay;
        self
    }

    /// Sets by which part of it a pause may be longer or shorter at random, from 0 to 1; 0.1 by
    /// default. The first pause is anything from the floor to what it would be, or to twice the floor. With 0, none is
    /// random: for one who waits alone.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = Jitter::new(part);
        self
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Schedule for Adaptive {
    fn pause(&self, seen: &Seen<'_>) -> Duration {
        let gap = Law::of(seen.job_type).gap(seen.age.as_secs_f64(), self.worth.as_secs_f64());
        // Sub-jobs are listed as they start: all done is the end, or a moment before the next.
        let gap = if seen.nearly_done { gap / 2.0 } else { gap };
        let pause = Duration::try_from_secs_f64(gap).unwrap_or(self.cap);
        self.jitter.apply(pause, self.floor..=self.cap, seen)
    }
}

#[cfg(test)]
mod tests;
