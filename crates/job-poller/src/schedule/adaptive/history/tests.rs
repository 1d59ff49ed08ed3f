//! What is recorded of a life, and what becomes of it.

use proptest::prelude::*;

use super::*;

fn age(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn life(from: u64, to: u64, ended: bool, steps: &[u64]) -> Lifetime {
    let life = Lifetime::new("CreateNode", age(from), age(to), ended);
    life.with_steps(steps.iter().copied().map(age).collect())
}

/// Returns what one life is recorded as: for each stage the time in seconds, by bin, and where it ended.
fn recorded(life: &Lifetime) -> String {
    let mut history = History::new();
    history.record(life);
    let stages = &history.types["CreateNode"];
    let shown = stages.iter().map(|stage| {
        let at = |counts: &Counts| {
            let at = counts.iter().enumerate().filter(|(_, count)| **count > 0.0);
            at.map(|(at, count)| format!("{:.0}+:{count:.1}", start(at)))
                .collect::<Vec<_>>()
                .join(" ")
        };
        format!(
            "time {} | ended {} | passed {}",
            at(&stage.time),
            at(&stage.ended),
            at(&stage.passed)
        )
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_recorded_of_a_life() {
    let rows = [
        ("from its beginning to its end", life(0, 6, true, &[])),
        ("not to its end", life(0, 6, false, &[])),
        ("at its end, as it was last seen to go on", life(6, 6, true, &[])),
        ("from the middle on: what was before is not known", life(5, 7, true, &[])),
        ("with a step", life(0, 10, true, &[5])),
        ("whose step was over before it was seen", life(7, 10, true, &[5])),
        ("whose last step is the end", life(0, 6, true, &[6])),
        ("with two steps at once, not to its end", life(0, 8, false, &[5, 5])),
    ];
    let rows = rows.map(|(name, life)| format!("{name}\n{}\n", recorded(&life)));
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn jobs_before_weigh_less_with_each() {
    let mut history = History::new();
    assert_eq!(history.jobs("CreateNode"), 0.0);
    for _ in 0..500 {
        history.record(&life(0, 100, true, &[]));
    }
    assert!((history.jobs("CreateNode") - 25.0).abs() < 0.01, "{}", history.jobs("CreateNode"));
    history.record(&life(0, 100, false, &[]));
    for seen in [life(0, 0, false, &[]), life(50, 40, true, &[]), life(0, 900, false, &[])] {
        history.record(&seen);
    }
    assert!((history.jobs("CreateNode") - 25.0).abs() < 0.01, "a wait that stopped is no end");
    assert_eq!(history.jobs("other"), 0.0);
}

#[test]
fn histories_are_merged_and_kept() {
    let (mut one, mut other) = (History::new(), History::new());
    one.record(&life(0, 100, true, &[40]));
    other.record(&life(0, 3000, true, &[]));
    other.record(&Lifetime::new("DeleteNode", age(0), age(9), true));
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
fn what_is_no_history_is_refused() {
    let rows = [
        (r#"{"version":2,"types":{}}"#, "a history of version 2, and only 1 is known here"),
        (
            r#"{"version":1,"types":{"A":[{"time":[-1.0],"ended":[],"passed":[]}]}}"#,
            "the history of \"A\" has no counts of jobs",
        ),
        (r#"{"version":1}"#, "missing field `types`"),
        (
            &format!(r#"{{"version":1,"types":{{"{}":[]}}}}"#, "A".repeat(LONGEST + 1)),
            "a history of more than 256",
        ),
    ];
    for (text, expected) in rows {
        let error = serde_json::from_str::<History>(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let times = vec!["1.0"; BINS + 1].join(",");
    let long =
        format!(r#"{{"version":1,"types":{{"A":[{{"time":[{times}],"ended":[],"passed":[]}}]}}}}"#);
    assert!(serde_json::from_str::<History>(&long).is_err());
}

#[test]
fn types_are_told_apart_up_to_a_limit() {
    let mut history = History::new();
    for number in 0..1000 {
        history.record(&Lifetime::new(format!("type {number}"), age(0), age(9), true));
    }
    assert_eq!(history.types.len(), MOST_TYPES);
    let mut long = History::new();
    long.record(&Lifetime::new("A".repeat(LONGEST + 1), age(0), age(9), true));
    assert_eq!(long, History::new());
    let mut other = History::new();
    other.record(&Lifetime::new("one more", age(0), age(9), true));
    history.merge(&other);
    assert_eq!((history.types.len(), history.jobs("type 0")), (MOST_TYPES, 1.0));
}

#[test]
fn how_long_it_takes_is_told_once_enough_were_seen() {
    let mut history = History::new();
    let job = Job::from_slice(br#"{"spec": {"type": "CreateNode"}}"#).unwrap();
    for number in 0..6 {
        let told = history.remaining(&job, age(100)).is_some();
        assert_eq!(told, number >= 4, "{number}: {}", history.jobs("CreateNode"));
        history.record(&life(0, 200, true, &[]));
    }
    let remaining = history.remaining(&job, age(100)).unwrap();
    assert!((60..160).contains(&remaining.as_secs()), "{remaining:?}");
}

proptest! {
    #[test]
    fn no_life_makes_a_history_that_cannot_be_read_again(
        lives in prop::collection::vec(
            ((any::<u64>(), any::<u64>(), any::<bool>()), prop::collection::vec(any::<u64>(), 0..9)),
            0..9,
        ),
    ) {
        let mut history = History::new();
        for ((from, to, ended), steps) in lives {
            history.record(&life(from, to, ended, &steps));
        }
        let text = serde_json::to_string(&history).unwrap();
        prop_assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    }
}
