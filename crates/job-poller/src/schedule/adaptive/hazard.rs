//! How likely a job is to end at which age, and after which of its steps. Pure numbers, the same bits on
//! every machine: only + − × ÷ √.

use super::{
    age_bins::{BINS, Bins, bin, end, middle, smoothed, start},
    history::Stage,
    prior::Prior,
};
use crate::schedule::Seen;

/// The law of a type of job: one stage from its beginning to its first step's end, one from there to the
/// next step's, and so on; in each, at which rate jobs end, and at which rate their steps do.
#[derive(Debug)]
pub(crate) struct Law(Vec<Rates>);

/// The rates within one stage.
#[derive(Debug)]
struct Rates {
    /// By the time since the stage began, per second.
    ends: Bins,
    passes: Bins,
    /// Whether a step was ever seen to end in it.
    passes_on: bool,
    /// Of the jobs that come into this stage, the part that ends within each of the seconds to come.
    near: Near,
}

/// How far a job is, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) age: f64,
    /// How many steps have ended.
    pub(crate) steps: usize,
    /// Since the last of them did, or since the job began.
    pub(crate) since_step: f64,
}

impl Place {
    pub(crate) fn of(seen: &Seen<'_>) -> Self {
        Self {
            age: seen.age.as_secs_f64(),
            steps: usize::try_from(seen.steps).unwrap_or(usize::MAX),
            since_step: seen.since_step.as_secs_f64(),
        }
    }
}

/// How many stages are told apart: those after more steps are taken for the last.
pub(crate) const MOST_STAGES: usize = 8;

/// For how many seconds ahead it is worked out what steps that end meanwhile mean for the job's end; after that
/// the density stays as it is.
const NEAR: usize = 64;

type Near = [f64; NEAR];

/// What is known beforehand weighs as much as 0.7 jobs in each bin. More, and a narrow law is learnt too
/// slowly; less, and the first jobs are believed too much (`cargo xtask bench schedules`).
const PSEUDO_JOBS: f64 = 0.7;

/// How densely readings are made where jobs end at some rate, per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Density {
    /// Half of what a second is worth in requests.
    half: f64,
    least: f64,
    most: f64,
}

impl Density {
    /// Returns √(rate / 2 worth), kept so that gaps stay within these bounds; all in seconds.
    pub(crate) fn new(worth: f64, floor: f64, cap: f64) -> Self {
        let floor = floor.max(f64::MIN_POSITIVE);
        Self { half: 0.5 / worth, least: 1.0 / cap.max(floor), most: 1.0 / floor }
    }

    fn of(self, rate: f64) -> f64 {
        (rate * self.half).sqrt().clamp(self.least, self.most)
    }
}

/// Returns how long it takes from an age on until the integral of the density reaches so much, in seconds.
///
/// From one bin's middle to the next's the density goes evenly: a step would be one for all waits at once.
pub(crate) fn due(rates: &Bins, age: f64, density: Density, much: f64) -> f64 {
    let dense = |at: usize| density.of(rates[at]);
    // From which middle on: none before the first, where the density is even, as it is after the last.
    let mut at = bin(age).checked_sub(usize::from(age < middle(bin(age))));
    let (mut from, mut left) = (age, much);
    loop {
        let (start, low) = at.map_or_else(|| (0.0, dense(0)), |at| (middle(at), dense(at)));
        let next = at.map_or(0, |at| at + 1);
        let (end, high) =
            if next < BINS { (middle(next), dense(next)) } else { (f64::INFINITY, low) };
        let slope = (high - low) / (end - start);
        let now = low + slope * (from - start);
        let within = (now + high) / 2.0 * (end - from);
        if within >= left {
            let root = (now * now + 2.0 * slope * left).max(0.0).sqrt();
            return from - age + 2.0 * left / (now + root);
        }
        (at, from, left) = (Some(next), end, left - within);
    }
}

impl Law {
    /// Returns what was seen, over what was known beforehand.
    pub(crate) fn of(seen: &[Stage], prior: &Prior) -> Self {
        let mut rates: Vec<Rates> = Vec::with_capacity(seen.len());
        // From the last on: each needs the one that follows it.
        for (number, stage) in seen.iter().enumerate().rev() {
            rates.push(Rates::of(stage, number, prior, rates.last()));
        }
        rates.reverse();
        Self(rates)
    }

    /// Returns the stage in which a job is, and the one that follows; `None` where no job was seen so
    /// far.
    fn at(&self, place: Place) -> Option<(&Rates, &Rates)> {
        let stage = place.steps.min(MOST_STAGES - 1);
        let rates = self.0.get(stage)?;
        Some((rates, self.0.get(stage + 1).unwrap_or(rates)))
    }

    /// Returns how long it takes until the integral of the density reaches so much, where the rate is that of
    /// the job's end, for all that is known of it; `None` where no job was seen so far.
    pub(crate) fn due(&self, place: Place, density: Density, much: f64) -> Option<f64> {
        let (rates, next) = self.at(place)?;
        if !rates.passes_on {
            return Some(due(&rates.ends, place.since_step, density, much));
        }
        let mut seconds = Seconds::new(&rates.ends, &rates.passes, Some(&next.near));
        seconds.from = place.since_step;
        let (mut left, mut alive, mut dense) = (much, 1.0, 0.0);
        for second in 0..NEAR {
            let ended = seconds.next();
            dense = density.of(ended / (alive - ended / 2.0).max(f64::MIN_POSITIVE));
            if dense >= left {
                return Some(second as f64 + left / dense);
            }
            (left, alive) = (left - dense, alive - ended);
        }
        Some(NEAR as f64 + left / dense)
    }
}

impl Rates {
    fn of(stage: &Stage, number: usize, prior: &Prior, next: Option<&Self>) -> Self {
        let [time, ended, passed] = stage.bins().map(|bins| smoothed(&bins));
        let (mut ends, mut passes) = ([0.0; BINS], [0.0; BINS]);
        for at in 0..BINS {
            // Early failures are of the beginning.
            let known = if number == 0 { prior.rates[at] } else { prior.rate };
            // How long a job stays in the bin that comes into it, or nearly so.
            let width = end(at) - start(at);
            let pseudo = PSEUDO_JOBS / (1.0 / width + known);
            ends[at] = (ended[at] + pseudo * known) / (time[at] + pseudo);
            passes[at] = passed[at] / (time[at] + pseudo);
        }
        let mut seconds = Seconds::new(&ends, &passes, next.map(|next| &next.near));
        (0..NEAR).for_each(|_| _ = seconds.next());
        let near = seconds.ended;
        let passes_on = passes.iter().any(|rate| *rate > 0.0);
        Self { ends, passes, passes_on, near }
    }
}

/// Works out, second by second, which part of the jobs within a stage ends: there, or after the step that
/// ends it.
struct Seconds<'a> {
    ends: &'a Bins,
    passes: &'a Bins,
    /// Of the stage that follows; `None`: the stage follows itself.
    next: Option<&'a Near>,
    /// When it begins, since the stage did.
    from: f64,
    /// How many are in the stage still.
    within: f64,
    passed: Near,
    ended: Near,
    second: usize,
}

impl<'a> Seconds<'a> {
    const fn new(ends: &'a Bins, passes: &'a Bins, next: Option<&'a Near>) -> Self {
        let none = [0.0; NEAR];
        Self { ends, passes, next, from: 0.0, within: 1.0, passed: none, ended: none, second: 0 }
    }

    fn next(&mut self) -> f64 {
        let second = self.second;
        let at = bin(self.from + second as f64 + 0.5);
        let (ends, passes) = (self.ends[at], self.passes[at]);
        let rate = ends + passes;
        // How many leave within the second, by the rate in its middle.
        let left = self.within * (rate / (1.0 + rate / 2.0)).min(1.0);
        self.within -= left;
        let share = if rate > 0.0 { left / rate } else { 0.0 };
        self.passed[second] = share * passes;
        let next = self.next.unwrap_or(&self.ended);
        let after = self.passed[..second].iter().zip(next[..second].iter().rev());
        let after: f64 = after.map(|(passed, ends)| passed * ends).sum();
        self.ended[second] = share * ends + after;
        self.second += 1;
        self.ended[second]
    }
}

#[cfg(test)]
mod tests;
