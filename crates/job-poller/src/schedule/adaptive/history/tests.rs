//! Tests of how a history records, forgets, merges and serializes observations.

use proptest::prelude::*;

use job_model::Job;

use super::*;
use crate::schedule::adaptive::age_bins::{BIN_COUNT, Bins, bin_start};

fn age(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn observation(from: u64, until: u64, completed: bool, steps: &[u64]) -> JobObservation {
    let observation = JobObservation::new("CreateNode", age(from), age(until), completed);
    observation.with_step_ends(steps.iter().copied().map(age).collect())
}

/// Returns what a history records of an observation: per stage the exposure in seconds, the
/// completions and the transitions, by bin.
fn format_recorded(observation: &JobObservation) -> String {
    let mut history = History::new();
    history.record(observation);
    let stages = &history.types["CreateNode"];
    let shown = stages.iter().map(|stage| {
        let format_bins = |counts: Bins| {
            let bins = counts.iter().enumerate().filter(|(_, count)| **count > 0.0);
            bins.map(|(bin, count)| format!("{:.0}+:{count:.1}", bin_start(bin)))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let [exposure, completions, transitions] = stage.bins().map(format_bins);
        format!("exposure {exposure} | completions {completions} | transitions {transitions}")
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn observations_are_recorded_by_stage_and_age() {
    let rows = [
        ("observed from its start to its end", observation(0, 6, true, &[])),
        ("observed from its start, not ended", observation(0, 6, false, &[])),
        ("ended at the age of its first reading", observation(6, 6, true, &[])),
        ("observed from 5 s on", observation(5, 7, true, &[])),
        ("with one step", observation(0, 10, true, &[5])),
        ("with a step that ended before the first reading", observation(7, 10, true, &[5])),
        ("with a last step that ends with the job", observation(0, 6, true, &[6])),
        ("with two steps that end together, not ended", observation(0, 8, false, &[5, 5])),
    ];
    let rows = rows.map(|(name, observed)| format!("{name}\n{}\n", format_recorded(&observed)));
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn older_jobs_are_gradually_forgotten() {
    let mut history = History::new();
    assert_eq!(history.jobs("CreateNode"), 0.0);
    for _ in 0..500 {
        history.record(&observation(0, 100, true, &[]));
    }
    assert!((history.jobs("CreateNode") - 25.0).abs() < 0.01, "{}", history.jobs("CreateNode"));
    history.record(&observation(0, 100, false, &[]));
    for observed in [
        observation(0, 0, false, &[]),
        observation(50, 40, true, &[]),
        observation(0, 900, false, &[]),
    ] {
        history.record(&observed);
    }
    assert!(
        (history.jobs("CreateNode") - 25.0).abs() < 0.01,
        "a wait that stopped does not count as an end"
    );
    assert_eq!(history.jobs("other"), 0.0);
}

#[test]
fn histories_merge_and_round_trip_through_serde() {
    let (mut one, mut other) = (History::new(), History::new());
    one.record(&observation(0, 100, true, &[40]));
    other.record(&observation(0, 3000, true, &[]));
    other.record(&JobObservation::new("DeleteNode", age(0), age(9), true));
    let mut both = one.clone();
    both.merge(&other);
    other.merge(&one);
    assert_eq!((both.jobs("CreateNode"), both.jobs("DeleteNode")), (2.0, 1.0));
    assert_eq!(both, other);
    let text = serde_json::to_string(&both).unwrap();
    assert!(text.len() < 1000, "{}: {text}", text.len());
    assert_eq!(serde_json::from_str::<History>(&text).unwrap(), both);
    let bytes = postcard::to_allocvec(&both).unwrap();
    assert_eq!(postcard::from_bytes::<History>(&bytes).unwrap(), both);
}

#[test]
fn invalid_histories_are_rejected() {
    let rows = [
        (
            r#"{"version":2,"types":{}}"#,
            "history format version 2 is not supported, only version 1",
        ),
        (
            r#"{"version":1,"types":{"A":[{"exposure":[-1.0],"completions":[],"transitions":[]}]}}"#,
            "the history of job type \"A\" is corrupt",
        ),
        (r#"{"version":1}"#, "missing field `types`"),
        (
            &format!(r#"{{"version":1,"types":{{"{}":[]}}}}"#, "A".repeat(MAX_TYPE_NAME_LEN + 1)),
            "the history has more than 256 job types",
        ),
    ];
    for (text, expected) in rows {
        let error = serde_json::from_str::<History>(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let times = vec!["1.0"; BIN_COUNT + 1].join(",");
    let long = format!(
        r#"{{"version":1,"types":{{"A":[{{"exposure":[{times}],"completions":[],"transitions":[]}}]}}}}"#
    );
    assert!(serde_json::from_str::<History>(&long).is_err());
}

#[test]
fn job_types_and_their_name_length_are_limited() {
    let mut history = History::new();
    for number in 0..1000 {
        history.record(&JobObservation::new(format!("type {number}"), age(0), age(9), true));
    }
    assert_eq!(history.types.len(), MAX_TYPES);
    let mut long = History::new();
    long.record(&JobObservation::new("A".repeat(MAX_TYPE_NAME_LEN + 1), age(0), age(9), true));
    assert_eq!(long, History::new());
    let mut other = History::new();
    other.record(&JobObservation::new("one more", age(0), age(9), true));
    history.merge(&other);
    assert_eq!((history.types.len(), history.jobs("type 0")), (MAX_TYPES, 1.0));
}

#[test]
fn remaining_time_needs_a_minimum_number_of_jobs() {
    let mut history = History::new();
    let job = Job::from_slice(br#"{"spec": {"type": "CreateNode"}}"#).unwrap();
    for number in 0..6 {
        let is_known = history.remaining(&JobDigest::new(&job), age(100)).is_some();
        assert_eq!(is_known, number >= 4, "{number}: {}", history.jobs("CreateNode"));
        history.record(&observation(0, 200, true, &[]));
    }
    let remaining = history.remaining(&JobDigest::new(&job), age(100)).unwrap();
    assert!((60..160).contains(&remaining.as_secs()), "{remaining:?}");
}

proptest! {
    #[test]
    fn any_observation_keeps_history_serializable(
        observations in prop::collection::vec(
            ((any::<u64>(), any::<u64>(), any::<bool>()), prop::collection::vec(any::<u64>(), 0..9)),
            0..9,
        ),
    ) {
        let mut history = History::new();
        for ((from, until, completed), steps) in observations {
            history.record(&observation(from, until, completed, &steps));
        }
        let text = serde_json::to_string(&history).unwrap();
        prop_assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    }
}
