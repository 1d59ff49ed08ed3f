//! Estimates the mean remaining time of a job from observations, without the prior.

use super::{
    age_bins::{bin_end, bin_of, bin_start},
    counts::StageCounts,
    hazard::{JobPosition, MAX_STAGES},
};

/// Returns the mean remaining time of a job in this position, in seconds. Returns `None` if no job
/// was observed to end from there on.
pub(crate) fn mean_residual_life(stages: &[StageCounts], position: JobPosition) -> Option<f64> {
    let at = position.completed_steps.min(MAX_STAGES - 1);
    let mut after = None;
    for stage in stages.get(at + 1..)?.iter().rev() {
        after = mean_stage_time(stage, 0.0, after);
    }
    mean_stage_time(&stages[at], position.since_last_step, after)
}

/// Returns the mean time to the job's end from the time `from` in this stage. `after` is the mean
/// time from the start of the next stage, or `None` if the stage is followed by itself or no job
/// was observed after it.
fn mean_stage_time(stage: &StageCounts, from: f64, after: Option<f64>) -> Option<f64> {
    let [exposure, completions, transitions] = stage.bins();
    let last =
        exposure.iter().rposition(|time| *time > 0.0).filter(|last| *last >= bin_of(from))?;
    let [all_exposure, all_completions, all_transitions] =
        [exposure, completions, transitions].map(|bins| bins.iter().sum::<f64>());
    // The fraction that is still in the stage, the mean time so far, and the fraction that has
    // entered the next stage.
    let (mut within, mut elapsed, mut passed_on) = (1.0, 0.0, 0.0);
    for at in bin_of(from)..=last {
        let begins = bin_start(at).max(from);
        let width = bin_end(at).min(2.0 * begins.max(4.0)) - begins;
        let rate = if exposure[at] > 0.0 {
            (completions[at] + transitions[at]) / exposure[at]
        } else {
            0.0
        };
        // All remaining jobs leave in the last observed bin, if its rate empties it within its
        // width.
        let is_last_exit = at == last && rate * (bin_end(at) - bin_start(at)) >= 1.0;
        let part =
            if is_last_exit { 1.0 } else { (rate * width / (1.0 + rate * width / 2.0)).min(1.0) };
        let left = within * part;
        elapsed += (within - left / 2.0) * width;
        passed_on += if rate > 0.0 {
            left * transitions[at] / (completions[at] + transitions[at])
        } else {
            0.0
        };
        within -= left;
    }
    // A job that stays longer than any job before leaves at the mean rate.
    let all_exits = all_completions + all_transitions;
    (all_exits > 0.0).then_some(())?;
    elapsed += within * all_exposure / all_exits;
    passed_on += within * all_transitions / all_exits;
    match after {
        Some(after) => Some(elapsed + passed_on * after),
        None if passed_on < 0.9 => Some(elapsed / (1.0 - passed_on)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use job_model::Job;
    use job_transport::JobDigest;
    use serde_json::json;

    use crate::schedule::adaptive::{history::History, observation::JobObservation};

    #[test]
    fn stopped_waits_do_not_shorten_the_estimate() {
        let age = Duration::from_secs;
        let mut history = History::new();
        // Two of three jobs end after 60 s. The others are observed for 120 s and do not end.
        for number in 0..100_u64 {
            let (until, completed) = if number % 3 > 0 { (60, true) } else { (120, false) };
            history.record(&JobObservation::new("CreateCluster", age(0), age(until), completed));
        }
        let job = Job::from_slice(br#"{"spec": {"type": "CreateCluster"}}"#).unwrap();
        let remaining = history.remaining(&JobDigest::new(&job), age(0)).unwrap().as_secs();
        assert!((80..160).contains(&remaining), "{remaining}");
    }

    #[test]
    fn remaining_time_depends_on_age_and_finished_sub_jobs() {
        let age = Duration::from_secs;
        let mut history = History::new();
        for _ in 0..50 {
            let observation = JobObservation::new("CreateCluster", age(0), age(300), true);
            history.record(&observation.with_step_ends(vec![age(200)]));
        }
        let remaining_at = |now: u64, steps: &[u64]| {
            let at = |second: &u64| {
                format!(
                    "2020-02-02 {:02}:{:02}:{:02} +0000 UTC",
                    second / 3600,
                    second / 60 % 60,
                    second % 60
                )
            };
            let steps: Vec<_> = steps
                .iter()
                .map(|end| json!({"metadata": {"updateTimestamp": at(end)}, "status": {"phase": "Success"}}))
                .collect();
            let job = json!({"metadata": {"creationTimestamp": at(&0)},
                "spec": {"type": "CreateCluster", "subJobs": steps}});
            let job = Job::from_slice(job.to_string().as_bytes()).unwrap();
            history.remaining(&JobDigest::new(&job), age(now)).map(|remaining| remaining.as_secs())
        };
        let rows = [
            ("at the start", remaining_at(0, &[]), Some(250..350)),
            ("in the middle of the step", remaining_at(100, &[]), Some(160..240)),
            ("after the step", remaining_at(250, &[200]), Some(30..70)),
            ("later than all observed jobs", remaining_at(9000, &[1000]), None),
            ("with more steps than were observed", remaining_at(250, &[10, 200]), None),
        ];
        for (name, remaining, expected) in rows {
            let is_right = match (&remaining, expected) {
                (Some(remaining), Some(expected)) => expected.contains(remaining),
                (remaining, expected) => remaining.is_none() && expected.is_none(),
            };
            assert!(is_right, "{name}: {remaining:?}");
        }
    }
}
