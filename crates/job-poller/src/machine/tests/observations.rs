//! Tests of what a wait observes of its job.

use jiff::Timestamp;
use serde_json::json;

use super::*;

/// A reading: the job's age at the reply's `Date` (if it has one), the phases of the job and its
/// sub-job, and the job's age at its `updateTimestamp` (if it has one).
type ReadingRow = (Option<u64>, &'static str, &'static str, Option<u64>);

/// Returns what is observed of a job by readings 20 s apart. If `is_resumed`, the wait is resumed
/// before the third reading.
fn format_observation(readings: &[ReadingRow], is_resumed: bool) -> String {
    let at = |age: u64| 1_580_631_000 + i64::try_from(age).unwrap();
    let time = |age: u64| Timestamp::from_second(at(age)).unwrap();
    let mut machine = Machine::new("a".parse().unwrap(), WaitPolicy::new());
    let mut observation = None;
    for (number, (date, phase, sub_job, updated)) in (0_u64..).zip(readings) {
        if is_resumed && number == 2 {
            machine = machine.resume();
        }
        let mut job = json!({
            "metadata": {"creationTimestamp": time(0).to_string()},
            "spec": {"type": "CreateCluster", "subJobs": [{"status": {"phase": sub_job}}]},
            "status": {"phase": phase},
        });
        if let Some(updated) = updated {
            job["metadata"]["updateTimestamp"] = time(*updated).to_string().into();
        }
        let job = Job::from_slice(job.to_string().as_bytes()).unwrap();
        let (date, elapsed) = (date.map(time), Duration::from_secs(20 * number));
        let input = Input::Reading { snapshot: job.into(), date, credentials_refreshed: false };
        observation = match machine.step(&Adaptive::new(), elapsed, input).action {
            Action::Finish(result) => result.unwrap().observation,
            _ => machine.observation(),
        };
    }
    observation.map_or_else(
        || "nothing".into(),
        |JobObservation { from, until, completed, .. }| {
            format!("{from:?} to {until:?}, {}", if completed { "ended" } else { "active" })
        },
    )
}

#[test]
fn readings_determine_the_job_observation() {
    let runs = |age| (Some(age), "Running", "Running", None);
    let completed = |date, updated| (date, "Success", "Success", updated);
    let timeless = (None, "Running", "Running", None);
    let settles = (Some(140), "Success", "Running", None);
    let rows: [(&str, Vec<ReadingRow>, &str); 10] = [
        (
            "until its updateTimestamp",
            vec![runs(100), runs(120), completed(Some(140), Some(130))],
            "100s to 130s, ended",
        ),
        (
            "not before the last active reading",
            vec![runs(100), runs(120), completed(Some(140), Some(90))],
            "100s to 120s, ended",
        ),
        (
            "not after the first finished reading",
            vec![runs(100), runs(120), completed(Some(140), Some(900))],
            "100s to 140s, ended",
        ),
        (
            "without an updateTimestamp, the middle",
            vec![runs(100), runs(120), completed(Some(140), None)],
            "100s to 130s, ended",
        ),
        (
            "without a Date, by the time of the wait",
            vec![timeless, timeless, completed(None, Some(130))],
            "0ns to 30s, ended",
        ),
        ("a job that has not ended", vec![runs(100), runs(120)], "100s to 120s, active"),
        (
            "a job that had ended at the first reading",
            vec![completed(Some(140), Some(130))],
            "nothing",
        ),
        (
            "until its first Success",
            vec![runs(100), runs(120), settles, completed(Some(160), None)],
            "100s to 130s, ended",
        ),
        (
            "until its first Success, even if it is updated later",
            vec![runs(100), runs(120), settles, completed(Some(160), Some(155))],
            "100s to 140s, ended",
        ),
        (
            "with a Date that goes backward",
            vec![runs(120), runs(100), completed(Some(110), Some(105))],
            "120s to 120s, ended",
        ),
    ];
    for (name, readings, expected) in rows {
        assert_eq!(format_observation(&readings, false), expected, "{name}");
    }
    // The stopped wait has already reported what it observed.
    let rows = [
        ("still active", vec![runs(100), runs(120), runs(140), runs(160)], "140s to 160s, active"),
        (
            "ended in the meantime",
            vec![runs(100), runs(120), completed(Some(140), None)],
            "nothing",
        ),
    ];
    for (name, readings, expected) in rows {
        assert_eq!(format_observation(&readings, true), expected, "resumed: {name}");
    }
}
