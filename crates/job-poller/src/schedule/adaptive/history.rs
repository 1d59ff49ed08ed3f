//! Collects the observations of jobs from which the adaptive schedule learns. Reads no clock and
//! writes no file.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use job_transport::JobDigest;
use serde::{Deserialize, Serialize};

use super::{
    counts::StageCounts,
    hazard::{HazardModel, JobPosition, MAX_STAGES},
    observation::{CompletedSteps, JobObservation},
    prior::Prior,
    remaining::mean_residual_life,
};

/// Observations of jobs, by job type. The [`Adaptive`](crate::schedule::Adaptive) schedule learns
/// from them.
///
/// A history is plain data, a few hundred bytes per type and step, and can be stored in any serde
/// format. It contains no secrets and no job ids.
///
/// Recent jobs count more: each job that ends reduces the weight of the earlier jobs of its type by
/// 4 %. If the service becomes slower, the schedule adapts within some tens of jobs.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
/// # #[cfg(not(feature = "tokio"))] fn main() {}
/// # #[cfg(feature = "tokio")] #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
/// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
/// # let id = sim.job().clone();
/// use job_poller::{
///     Wait,
///     schedule::{Adaptive, History},
/// };
///
/// let mut history = History::new(); // or one that was saved earlier
/// let wait = Wait::new(client, id).schedule(Adaptive::new().history(&history));
/// let ended = wait.await?;
/// history.record(ended.observation.as_ref());
/// assert_eq!(history.jobs("CreateCluster"), 1.0);
/// let saved = serde_json::to_string(&history)?;
/// assert_eq!(serde_json::from_str::<History>(&saved)?, history);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "HistoryV1", into = "HistoryV1")]
pub struct History {
    /// The stages of each type. The first begins with the job, each other one with the end of a
    /// step.
    types: BTreeMap<String, Vec<StageCounts>>,
}

/// Maximum number of types, and maximum length of a type's name in bytes. The service has a few
/// tens of types with short names.
const MAX_TYPES: usize = 256;
const MAX_TYPE_NAME_LEN: usize = 128;

impl History {
    /// Creates an empty history.
    #[must_use]
    pub const fn new() -> Self {
        Self { types: BTreeMap::new() }
    }

    /// Records the observation of a [`FinishedJob`](crate::FinishedJob) or a
    /// [`WaitError`](crate::WaitError).
    ///
    /// Does nothing if the wait has observed nothing. Ignores new job types when there are 256
    /// types already, and names longer than 128 bytes.
    pub fn record<'a>(&mut self, observation: impl Into<Option<&'a JobObservation>>) {
        let Some(observation) = observation.into() else { return };
        let JobObservation { job_type, from, until, completed, step_ends } = observation;
        let is_empty = if *completed { until < from } else { until <= from };
        let is_known = self.types.contains_key(job_type);
        if is_empty
            || !is_known && (self.types.len() >= MAX_TYPES || job_type.len() > MAX_TYPE_NAME_LEN)
        {
            return;
        }
        let stages = self.types.entry(job_type.clone()).or_default();
        if *completed {
            stages.iter_mut().for_each(StageCounts::forget);
        }
        let mut stage_start = Duration::ZERO;
        for number in 0..=step_ends.len() {
            let step_end = step_ends.get(number);
            let stage_end = *step_end.unwrap_or(until);
            let at = number.min(MAX_STAGES - 1);
            if stages.len() <= at {
                stages.resize_with(at + 1, StageCounts::default);
            }
            // A stage that ended before the first reading was not observed, so it is not counted.
            if stage_end > *from || step_end.is_none() {
                let since = |at: Duration| at.saturating_sub(stage_start).as_secs_f64();
                let stage = &mut stages[at];
                stage.add_exposure(since(*from), since(stage_end));
                match step_end {
                    Some(_) => stage.add_transition(since(stage_end)),
                    None if *completed => stage.add_completion(since(stage_end)),
                    None => {}
                }
            }
            stage_start = stage_end;
        }
    }

    /// Adds the observations of another history, for example from another process.
    ///
    /// Jobs that are in both histories count twice. If two processes start with the same history,
    /// record the observations of both in one history instead.
    pub fn merge(&mut self, other: &Self) {
        for (job_type, theirs) in &other.types {
            if !self.types.contains_key(job_type) && self.types.len() >= MAX_TYPES {
                continue;
            }
            let ours = self.types.entry(job_type.clone()).or_default();
            if ours.len() < theirs.len() {
                ours.resize_with(theirs.len(), StageCounts::default);
            }
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                ours.merge(theirs);
            }
        }
    }

    /// Returns whether nothing was recorded yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Returns the weight of the jobs of a type that were observed to end.
    ///
    /// The latest job counts as one and earlier jobs count less, so the weight is at most 25 unless
    /// histories were merged.
    #[must_use]
    pub fn jobs(&self, job_type: &str) -> f64 {
        let stages = self.types.get(job_type).into_iter().flatten();
        stages.flat_map(StageCounts::completions).fold(0.0, |sum, count| sum + count)
    }

    /// Builds the hazard models from the history.
    pub(crate) fn hazard_models(&self) -> HazardModels {
        let model = |(job_type, stages): (&String, &Vec<StageCounts>)| {
            (job_type.clone(), HazardModel::from_counts(stages, Prior::for_type(Some(job_type))))
        };
        HazardModels(Arc::new(self.types.iter().map(model).collect()))
    }

    #[cfg(test)]
    pub(crate) fn hazard_model(&self, job_type: &str) -> HazardModel {
        HazardModel::from_counts(
            &self.types.get(job_type).cloned().unwrap_or_default(),
            Prior::for_type(Some(job_type)),
        )
    }

    /// Returns the mean remaining time of a job with this age, given its type and its finished
    /// steps.
    ///
    /// The digest is that of a [`JobSnapshot`](job_transport::JobSnapshot), or [`JobDigest::new`]
    /// of a job.
    ///
    /// Returns `None` if too few such jobs were observed.
    #[must_use]
    pub fn remaining(&self, digest: &JobDigest, age: Duration) -> Option<Duration> {
        let job_type = digest.job_type().unwrap_or_default();
        let steps = CompletedSteps::from_digest(digest, age);
        let position = JobPosition::from_poll_state(&steps.poll_state(digest.job_type(), age));
        let stages =
            self.types.get(job_type).filter(|_| self.jobs(job_type) >= MIN_JOBS_FOR_ESTIMATE)?;
        Duration::try_from_secs_f64(mean_residual_life(stages, position)?).ok()
    }
}

/// Minimum weight of the observed jobs for an estimate of the remaining time.
const MIN_JOBS_FOR_ESTIMATE: f64 = 3.0;

/// The hazard models of a history, shared by the schedules that use them.
#[derive(Clone, Debug)]
pub(crate) struct HazardModels(Arc<BTreeMap<String, HazardModel>>);

impl HazardModels {
    pub(crate) fn get(&self, job_type: Option<&str>) -> Option<&HazardModel> {
        self.0.get(job_type.unwrap_or_default())
    }
}

impl PartialEq for HazardModels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The serialized form of a history.
#[derive(Serialize, Deserialize)]
struct HistoryV1 {
    version: u32,
    types: BTreeMap<String, Vec<StageCounts>>,
}

const VERSION: u32 = 1;

impl From<History> for HistoryV1 {
    fn from(history: History) -> Self {
        Self { version: VERSION, types: history.types }
    }
}

impl TryFrom<HistoryV1> for History {
    type Error = String;

    fn try_from(HistoryV1 { version, types }: HistoryV1) -> Result<Self, String> {
        if version != VERSION {
            return Err(format!(
                "history format version {version} is not supported, only version {VERSION}"
            ));
        }
        if types.len() > MAX_TYPES
            || types.keys().any(|job_type| job_type.len() > MAX_TYPE_NAME_LEN)
        {
            return Err(format!(
                "the history has more than {MAX_TYPES} job types, or a type name longer than {MAX_TYPE_NAME_LEN} bytes"
            ));
        }
        let is_valid = |stages: &Vec<StageCounts>| {
            stages.len() <= MAX_STAGES && stages.iter().all(StageCounts::is_valid)
        };
        match types.iter().find(|(_, stages)| !is_valid(stages)) {
            Some((job_type, _)) => Err(format!("the history of job type {job_type:?} is corrupt")),
            None => Ok(Self { types }),
        }
    }
}

#[cfg(test)]
mod tests;
