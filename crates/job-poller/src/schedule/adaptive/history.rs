//! Durations seen, per job type: what a schedule learns from. Reads no clock, and keeps no file.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use job_model::Job;
use serde::{Deserialize, Serialize};

use super::{
    age_bins::{BINS, Bins, bin, end, start},
    hazard::{Law, MOST_STAGES, Place},
    observation::{Lifetime, Steps},
    prior::Prior,
    remaining::remaining,
};

/// What was seen of jobs' lives, by job type: plain data of a few hundred bytes a type and step, in any
/// format of serde. Where it is kept is the caller's affair; there is no secret in it, and no job's id.
///
/// Jobs seen lately weigh more: each that ended takes 4 % off the weight of those of its type before
/// it, so that a service which has become slower is believed after some tens of jobs.
///
/// ```
/// # use std::sync::Arc;
/// # use job_sim::{Pace, Plan, Sim, SimTransport};
/// # #[cfg(not(feature = "tokio"))] fn main() {}
/// # #[cfg(feature = "tokio")] #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sim = Arc::new(Sim::new(Plan::create_cluster(), Pace::Clock));
/// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
/// # let id = sim.job().clone();
/// use job_poller::{Adaptive, History, Wait};
///
/// let mut history = History::new(); // or the one that was kept
/// let wait = Wait::new(client, id).schedule(Adaptive::new().history(&history));
/// let ended = wait.await?;
/// history.record(ended.lifetime.as_ref());
/// assert_eq!(history.jobs("CreateCluster"), 1.0);
/// let kept = serde_json::to_string(&history)?;
/// assert_eq!(serde_json::from_str::<History>(&kept)?, history);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct History {
    /// The stages of each type: from the job's beginning, and from each step's end.
    types: BTreeMap<String, Vec<Stage>>,
}

/// What was seen within a stage, by the time since it began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stage {
    /// How long jobs were watched, in seconds.
    time: Counts,
    /// How many ended.
    ended: Counts,
    /// Of how many a step did.
    passed: Counts,
}

/// A number for each bin, without the zeroes at the end.
type Counts = Vec<f32>;

/// What is left of the weight of the jobs before, with each that is recorded (`cargo xtask bench
/// schedules`: less, and a hundred jobs are not worth more than twenty; more, and a service that has become
/// slower is learnt too late).
const DECAY: f32 = 0.96;

/// How many types are told apart, and how long a name may be: a service has a few tens of some letters.
const MOST_TYPES: usize = 256;
const LONGEST: usize = 128;

impl History {
    /// Creates a history of no job.
    #[must_use]
    pub const fn new() -> Self {
        Self { types: BTreeMap::new() }
    }

    /// Takes what was seen of a job's life: from an [`Ended`](crate::Ended) or a
    /// [`WaitError`](crate::WaitError), which may have seen nothing of it.
    pub fn record<'a>(&mut self, lifetime: impl Into<Option<&'a Lifetime>>) {
        let Some(lifetime) = lifetime.into() else { return };
        let Lifetime { job_type, from, to, ended, steps } = lifetime;
        let is_empty = if *ended { to < from } else { to <= from };
        let is_known = self.types.contains_key(job_type);
        if is_empty || !is_known && (self.types.len() >= MOST_TYPES || job_type.len() > LONGEST) {
            return;
        }
        let stages = self.types.entry(job_type.clone()).or_default();
        if *ended {
            stages.iter_mut().for_each(Stage::decay);
        }
        let mut begin = Duration::ZERO;
        for number in 0..=steps.len() {
            let step = steps.get(number);
            let until = *step.unwrap_or(to);
            let at = number.min(MOST_STAGES - 1);
            if stages.len() <= at {
                stages.resize_with(at + 1, Stage::default);
            }
            // What was over before the first reading was not seen as it happened: it would count twice.
            if until > *from || step.is_none() {
                let since = |at: Duration| at.saturating_sub(begin).as_secs_f64();
                let stage = &mut stages[at];
                stage.watched(since(*from), since(until));
                match step {
                    Some(_) => add(&mut stage.passed, bin(since(until)), 1.0),
                    None if *ended => add(&mut stage.ended, bin(since(until)), 1.0),
                    None => {}
                }
            }
            begin = until;
        }
    }

    /// Adds what another history has seen, such as another process's. Jobs that both have seen count
    /// twice: where processes begin with a common history, record their lifetimes in that instead.
    pub fn merge(&mut self, other: &Self) {
        for (job_type, theirs) in &other.types {
            if !self.types.contains_key(job_type) && self.types.len() >= MOST_TYPES {
                continue;
            }
            let ours = self.types.entry(job_type.clone()).or_default();
            if ours.len() < theirs.len() {
                ours.resize_with(theirs.len(), Stage::default);
            }
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                ours.merge(theirs);
            }
        }
    }

    /// Returns how many jobs of a type were seen to end, those seen earlier counted as less than one: at
    /// most 25 by one process.
    #[must_use]
    pub fn jobs(&self, job_type: &str) -> f64 {
        let stages = self.types.get(job_type).into_iter().flatten();
        stages.flat_map(|stage| &stage.ended).fold(0.0, |sum, count| sum + f64::from(*count))
    }

    /// Returns the laws that follow from it.
    pub(crate) fn laws(&self) -> Laws {
        let law = |(job_type, stages): (&String, &Vec<Stage>)| {
            (job_type.clone(), Law::of(stages, Prior::of(Some(job_type))))
        };
        Laws(Arc::new(self.types.iter().map(law).collect()))
    }

    #[cfg(test)]
    pub(crate) fn law(&self, job_type: &str) -> Law {
        Law::of(&self.types.get(job_type).cloned().unwrap_or_default(), Prior::of(Some(job_type)))
    }

    /// Returns how long it takes on average until a job of this age ends, by its type and by the steps that
    /// have ended; `None` where too few such jobs were seen to say.
    #[must_use]
    pub fn remaining(&self, job: &Job, age: Duration) -> Option<Duration> {
        let job_type = job.job_type().unwrap_or_default();
        let place = Place::of(&Steps::of(job, age).seen(job, age));
        let stages = self.types.get(job_type).filter(|_| self.jobs(job_type) >= ENOUGH)?;
        Duration::try_from_secs_f64(remaining(stages, place)?).ok()
    }
}

/// From so many jobs on, people are told how long one takes.
const ENOUGH: f64 = 3.0;

/// The laws of a history, shared by all that go by them.
#[derive(Clone, Debug)]
pub(crate) struct Laws(Arc<BTreeMap<String, Law>>);

impl Laws {
    pub(crate) fn of(&self, job_type: Option<&str>) -> Option<&Law> {
        self.0.get(job_type.unwrap_or_default())
    }
}

impl PartialEq for Laws {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Stage {
    /// Returns its counts: time, ended, passed.
    pub(crate) fn bins(&self) -> [Bins; 3] {
        [&self.time, &self.ended, &self.passed].map(|counts| {
            let count = |at| counts.get(at).copied().map_or(0.0, f64::from);
            std::array::from_fn(count)
        })
    }

    fn counts(&mut self) -> [&mut Counts; 3] {
        [&mut self.time, &mut self.ended, &mut self.passed]
    }

    /// Adds the time between two ages.
    fn watched(&mut self, from: f64, to: f64) {
        for at in bin(from)..=bin(to) {
            let time = to.min(end(at)) - from.max(start(at));
            add(&mut self.time, at, time.max(0.0));
        }
    }

    fn decay(&mut self) {
        self.counts().into_iter().flatten().for_each(|count| *count *= DECAY);
    }

    fn merge(&mut self, other: &Self) {
        let theirs = [&other.time, &other.ended, &other.passed];
        for (ours, theirs) in self.counts().into_iter().zip(theirs) {
            for (at, count) in theirs.iter().enumerate() {
                add(ours, at, f64::from(*count));
            }
        }
    }

    fn is_sound(&self) -> bool {
        [&self.time, &self.ended, &self.passed].iter().all(|counts| {
            counts.len() <= BINS && counts.iter().all(|count| (0.0..MOST).contains(count))
        })
    }
}

/// More than any number of jobs comes to.
const MOST: f32 = 1e30;

fn add(counts: &mut Counts, at: usize, more: f64) {
    if counts.len() <= at {
        counts.resize(at + 1, 0.0);
    }
    counts[at] = (counts[at] + more as f32).min(MOST / 2.0);
}

/// A history as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    types: BTreeMap<String, Vec<Stage>>,
}

const VERSION: u32 = 1;

impl From<History> for Written {
    fn from(history: History) -> Self {
        Self { version: VERSION, types: history.types }
    }
}

impl TryFrom<Written> for History {
    type Error = String;

    fn try_from(Written { version, types }: Written) -> Result<Self, String> {
        if version != VERSION {
            return Err(format!(
                "a history of version {version}, and only {VERSION} is known here"
            ));
        }
        if types.len() > MOST_TYPES || types.keys().any(|job_type| job_type.len() > LONGEST) {
            return Err(format!(
                "a history of more than {MOST_TYPES} types, or of a type with a name longer than {LONGEST} bytes"
            ));
        }
        let is_sound =
            |stages: &Vec<Stage>| stages.len() <= MOST_STAGES && stages.iter().all(Stage::is_sound);
        match types.iter().find(|(_, stages)| !is_sound(stages)) {
            Some((job_type, _)) => {
                Err(format!("the history of {job_type:?} has no counts of jobs"))
            }
            None => Ok(Self { types }),
        }
    }
}

#[cfg(test)]
mod tests;
