//! Tests of step ends whose times are plausible, and of those whose times are not.

use job_model::Job;
use serde_json::{Value, json};

use super::*;

fn job(steps: &[(&str, &str)]) -> Job {
    let steps: Vec<Value> = steps
        .iter()
        .map(|(phase, updated)| {
            json!({"metadata": {"updateTimestamp": updated}, "status": {"phase": phase}})
        })
        .collect();
    let job = json!({"metadata": {"creationTimestamp": "2020-02-02 08:00:00 +0000 UTC"},
        "spec": {"subJobs": steps}});
    Job::from_slice(job.to_string().as_bytes()).unwrap()
}

/// A name, the phases and times of sub-jobs, and the expected ages at which steps ended.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a [u64]);

#[test]
fn step_ends_need_success_and_a_plausible_time() {
    let at = |second: u32| format!("2020-02-02 08:00:{second:02}.5 +0000 UTC");
    let [one, two, three] = [5, 20, 40].map(at);
    let rows: [Case<'_>; 7] = [
        ("no steps", vec![], &[]),
        (
            "successful steps, in ascending order",
            vec![("Success", &two), ("Running", &three), ("Success", &one)],
            &[5, 20],
        ),
        ("a failed step does not count", vec![("Failed", &one)], &[]),
        ("a step without a time: no step counts", vec![("Success", &one), ("Success", "")], &[]),
        (
            "a step that ended before the job began",
            vec![("Success", "2020-02-02 03:00:00 +0000 UTC")],
            &[],
        ),
        ("a step that ends in the future", vec![("Success", "2020-02-02 09:00:00 +0000 UTC")], &[]),
        (
            "a step that ended in the same second as the reply",
            vec![("Success", "2020-02-02 08:00:50.9 +0000 UTC")],
            &[50],
        ),
    ];
    let age = Duration::from_secs(50);
    for (name, steps, expected) in rows {
        let digest = JobDigest::new(&job(&steps));
        let seconds: Vec<u64> = step_ends(&digest, age).iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, expected, "{name}");
        let steps = CompletedSteps::from_digest(&digest, age);
        let last = expected.last().copied().unwrap_or_default();
        assert_eq!(
            (steps.count as usize, steps.last_end.as_secs()),
            (expected.len(), last),
            "{name}"
        );
    }
}
