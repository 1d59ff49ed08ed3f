//! How long it takes on average until a job ends, by what was seen and nothing else. Pure numbers.

use crate::{
    bins::{BINS, bin, end, middle},
    history::Stage,
    law::{MOST_STAGES, Place},
};

/// Returns how many seconds it takes on average until a job ends that is so far; `None` where none was seen
/// to end from there on.
pub(crate) fn remaining(stages: &[Stage], place: Place) -> Option<f64> {
    let at = place.steps.min(MOST_STAGES - 1);
    let mut after = None;
    for stage in stages.get(at + 1..)?.iter().rev() {
        after = whole(stage, 0.0, after);
    }
    whole(&stages[at], place.since_step, after)
}

/// Returns how long it takes from a time in a stage on, where it takes so long after it; `None` for that
/// where the stage follows itself, or nothing was seen to follow.
fn whole(stage: &Stage, from: f64, after: Option<f64>) -> Option<f64> {
    let [_, ended, passed] = stage.bins();
    let (mut time, mut all, mut on) = (0.0, 0.0, 0.0);
    for at in bin(from)..BINS {
        // Of the bin that it is in, what is left.
        let left = (middle(at) - from).max((end(at).min(2.0 * from) - from) / 2.0);
        time += (ended[at] + passed[at]) * left;
        all += ended[at] + passed[at];
        on += passed[at];
    }
    let (time, on) = (time / all, on / all);
    match after {
        _ if all <= 0.0 => None,
        Some(after) => Some(time + on * after),
        None if on < 0.9 => Some(time / (1.0 - on)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use job_model::Job;
    use serde_json::json;

    use crate::{History, Lifetime};

    #[test]
    fn how_long_it_takes_on_average() {
        let age = Duration::from_secs;
        let mut history = History::new();
        for _ in 0..50 {
            let life = Lifetime::new("CreateCluster", age(0), age(300), true);
            history.record(&life.with_steps(vec![age(200)]));
        }
        let seen = |now: u64, steps: &[u64]| {
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
                .map(|ended| json!({"metadata": {"updateTimestamp": at(ended)}, "status": {"phase": "Success"}}))
                .collect();
            let job = json!({"metadata": {"creationTimestamp": at(&0)},
                "spec": {"type": "CreateCluster", "subJobs": steps}});
            let job = Job::from_slice(job.to_string().as_bytes()).unwrap();
            history.remaining(&job, age(now)).map(|remaining| remaining.as_secs())
        };
        let rows = [
            ("from the beginning", seen(0, &[]), Some(250..350)),
            ("in the middle of its step", seen(100, &[]), Some(160..240)),
            ("after it", seen(250, &[200]), Some(30..70)),
            ("later than all", seen(9000, &[1000]), None),
            ("after more steps than were seen", seen(250, &[10, 200]), None),
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
