//! The default schedule: asks most often when the job is likeliest to end. Reads no clock, and keeps no
//! state but the laws it was made with.

mod observation;
mod age_bins;
mod prior;
mod history;
mod hazard;
mod remaining;

pub use history::History;
pub use observation::Lifetime;
pub(crate) use observation::{Steps, created, step_ends, updated};

use std::time::Duration;

use self::{
    hazard::{Density, Place},
    history::Laws,
    prior::Prior,
};
use super::{
    Schedule, Seen,
    jitter::{Jitter, random, unit},
};

/// Pauses that weigh the delay against the requests.
///
/// A request is worth a certain delay *w* ([`worth`](Self::worth), 250 ms unless set otherwise). What a
/// wait costs is its delay (from the job's end until that is seen) and *w* for each request; this schedule
/// makes the mean of that as small as it can be:
///
/// Jobs that have not ended at age *t* end at the rate *h(t)*. Where requests are 1/*r* apart, an end is seen
/// 1/2*r* late on average, so the moment *dt* costs *h dt* / 2*r* for the delay, and *w r dt* for the requests,
/// of each job that goes on. The sum is smallest where *r* = √(*h* / 2*w*). So the next attempt is due when the
/// integral of that density, from the job's present age on, reaches one; no sooner than the floor and no
/// later than the cap.
///
/// Where *h* is constant, so is the gap: with no history there is little to gain over asking at equal
/// gaps, only to know which. With a [`history`](Self::history) of the type, *h* is how often jobs were
/// seen to end at that age and after so many of their steps, and the gaps are wide where none ended and
/// narrow where most did. For many waits under one budget *w* is the budget's shadow price
/// ([`Share`](crate::Share)): all of them are asked for by √*h* again.
///
/// The picture shows jobs that create a cluster (log-normal, median 540 s, σ 0.5; one in ten fails early).
/// The dotted curve is all ways to ask at equal gaps; along the straight line everything costs as much as
/// this schedule does once it has seen a hundred jobs.
///
#[doc = include_str!("adaptive/schedules.svg")]
///
/// `cargo xtask bench schedules` compares them under twenty laws, with the least that any could cost.
///
/// What is taken for likely before anything was seen: one job in ten fails early (mean 12 s); the others end
/// at a constant rate, with a mean of 540 s where a cluster is created, of 90 s where something is deleted,
/// and of 240 s for nodes and everything else; beyond twice that mean the rate is half, for what is late
/// is often stuck. Pauses grow so from 8 s to 23 s for a cluster, from 6 s to 15 s for a node. A history outweighs
/// this wherever it has seen a job or two: at each age it counts as 0.7 jobs.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{Adaptive, Schedule, Seen};
///
/// let mut seen = Seen::new(Duration::from_secs(300), 7);
/// seen.job_type = Some("CreateCluster");
/// assert_eq!(Adaptive::new().jitter(0.0).pause(&seen).as_secs(), 16);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adaptive {
    pub(crate) worth: Duration,
    floor: Duration,
    cap: Duration,
    jitter: Jitter,
    laws: Option<Laws>,
}

impl Adaptive {
    /// Creates a schedule of pauses from 2 s to 60 s, where a request is worth 250 ms of delay, with no
    /// history.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            worth: Duration::from_millis(250),
            floor: Duration::from_secs(2),
            cap: Duration::from_secs(60),
            jitter: Jitter::DEFAULT,
            laws: None,
        }
    }

    /// Goes by what was seen of jobs before. What the history learns later does not change this schedule:
    /// the same wait can be replayed with it.
    #[must_use]
    pub fn history(mut self, history: &History) -> Self {
        self.laws = Some(history.laws());
        self
    }

    /// Sets how much delay a request is worth; 250 ms by default, at least a microsecond. Four times as much, and
    /// the requests are half as many.
    #[must_use]
    pub const fn worth(mut self, delay: Duration) -> Self {
        self.worth = if delay.as_nanos() < 1000 { Duration::from_micros(1) } else { delay };
        self
    }

    /// Sets by which part of it a pause may be longer or shorter at random, from 0 to 1; 0.1 by
    /// default. Many waits that begin at once are spread over the first gap then, and keep their distance.
    /// With 0, nothing is random: for one who waits alone.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = Jitter::new(part);
        self
    }

    /// Returns how many seconds it takes until the integral reaches so much.
    fn due(&self, seen: &Seen<'_>, density: Density, much: f64) -> f64 {
        let place = Place::of(seen);
        let law = self.laws.as_ref().and_then(|laws| laws.of(seen.job_type));
        let learnt = law.and_then(|law| law.due(place, density, much));
        let prior = |much| hazard::due(&Prior::of(seen.job_type).rates, place.age, density, much);
        match learnt {
            // Sub-jobs are listed as they start: all done is the end, or a moment before the next. Whatever was
            // learnt, that is the time to ask.
            _ if seen.nearly_done => prior(much / 2.0).min(learnt.unwrap_or(f64::INFINITY)),
            Some(learnt) => learnt,
            None => prior(much),
        }
    }

    /// Returns what a request is worth, in seconds.
    fn worth_under(&self, seen: &Seen<'_>) -> f64 {
        seen.share.map_or(self.worth, |share| share.worth.max(self.worth)).as_secs_f64()
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Schedule for Adaptive {
    fn pause(&self, seen: &Seen<'_>) -> Duration {
        // Where a shared budget is spent it bounds the gaps, and keeps all apart: chance would only cost delay.
        let is_spent = seen.share.is_some_and(|share| share.worth > self.worth);
        let cap = match seen.share {
            Some(share) if is_spent => share.longest.max(self.floor),
            Some(share) => share.longest.max(self.cap),
            None => self.cap,
        };
        let jitter = if is_spent { Jitter::new(0.0) } else { self.jitter };
        let worth = self.worth_under(seen);
        let density =
            |cap: Duration| Density::new(worth, self.floor.as_secs_f64(), cap.as_secs_f64());
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(cap);
        if jitter.is_none() || seen.count > 1 || seen.nearly_done {
            let pause = seconds(self.due(seen, density(cap), 1.0));
            return jitter.moved(pause, self.floor..=cap, seen.random);
        }
        // Many may have begun at once: each has a phase of its own, from the floor on, and keeps it, since
        // the integral grows alike for all. It is moved as later pauses are, or there would be a seam.
        let (age, since_step) = (seen.age + self.floor, seen.since_step + self.floor);
        let later = Seen { age, since_step, ..*seen };
        let left = jitter.below(cap.saturating_sub(self.floor));
        let gap = seconds(self.due(&later, density(left), unit(seen.random)));
        let other = random(seen.random, 0);
        self.floor.saturating_add(jitter.moved(gap, Duration::ZERO..=cap, other))
    }

    fn urgency(&self, seen: &Seen<'_>) -> Option<f64> {
        let worth = self.worth_under(seen);
        let unbound = Density::new(worth, 0.0, f64::INFINITY);
        Some((2.0 * worth).sqrt() / self.due(seen, unbound, 1.0))
    }
}

#[cfg(test)]
mod tests;
