//! Each event's line, and the last one's.

use std::collections::BTreeSet;

use http::StatusCode;
use job_poller::{Input, WaitPolicy};
use job_transport::FetchError;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    finished as over, hostile, job_of, megabyte, reading, shown_job_of, unseen, waited,
};

fn lines(log: &[(Duration, Event)]) -> String {
    let id: JobId = "354331b2c-229a".parse().unwrap();
    log.iter().map(|(at, of)| event(&id, *at, of) + "\n").collect()
}

fn job(phase: &str, steps: &[(&str, &str)], minute: u32) -> Input {
    let steps: Vec<_> = steps
        .iter()
        .map(|(job_type, phase)| {
            json!({"metadata": {"uid": job_type}, "spec": {"type": job_type},
                "status": {"phase": phase, "reason": "sold out"}})
        })
        .collect();
    reading(&json!({
        "metadata": {"creationTimestamp": "2020-02-02 08:12:40 +0000 UTC",
            "updateTimestamp": format!("2020-02-02 08:{minute:02}:00 +0000 UTC")},
        "spec": {"type": "CreateCluster", "subJobs": steps}, "status": {"phase": phase, "note": "  1.10"},
    }))
}

fn fault(status: u16) -> Input {
    let error = FetchError::status(StatusCode::from_u16(status).unwrap(), Some("r-1".into()));
    Input::from(Err(error.with_renewed(status == 401)))
}

#[test]
fn each_event_is_a_line() {
    let policy = WaitPolicy::new()
        .heartbeat(Duration::from_secs(20))
        .stuck_after(Duration::from_secs(70))
        .settle(Duration::from_secs(60), 2);
    let (result, log) = waited(
        policy,
        [
            fault(503),
            job("Initializing", &[], 13),
            fault(401),
            fault(429),
            job("Running", &[("a", "Running")], 15),
            // Stale, then back, then odd.
            job("Running", &[("a", "Running")], 14),
            job("Initializing", &[("a", "Running")], 16),
            job("Upgrading", &[("a", "Success")], 17),
        ]
        .into_iter()
        .chain(std::iter::repeat_n(job("Running", &[("a", "Running"), ("b", "Running")], 18), 12))
        .chain([
            job("Success", &[("a", "Success"), ("b", "Running")], 19),
            job("Failed", &[("a", "Success"), ("b", "Running")], 20),
            reading(&json!({"metadata": {"uid": "b"}, "status": {"phase": "Running"}})),
        ]),
    );
    let all = lines(&log) + &finished(&over((result, log))) + "\n";
    let names = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let names: BTreeSet<_> = names.map(|line| line["event"].as_str().unwrap().to_owned()).collect();
    let expected = "fault finished heartbeat look next_attempt phase progress renewed settling stale \
        stuck sub_job";
    assert_eq!(names.into_iter().collect::<Vec<_>>().join(" "), expected);
    insta::assert_snapshot!(all);
}

#[test]
fn each_end_is_a_line() {
    let success = job("Success", &[("a", "Failed")], 20);
    let running = job("Running", &[], 13);
    let once = WaitPolicy::new().timeout(Duration::ZERO);
    let rows = [
        waited(WaitPolicy::new(), [success]),
        waited(WaitPolicy::new(), [running.clone()]),
        waited(once, [running]),
        waited(WaitPolicy::new(), [fault(401)]),
        waited(WaitPolicy::new(), std::iter::repeat_n(fault(404), 20)),
    ];
    let lines = rows.map(|ended| finished(&over(ended)) + "\n");
    insta::assert_snapshot!(lines.concat());
}

fn check_hostile(job: &Value) {
    let (result, log) = waited(WaitPolicy::new(), [reading(job)]);
    let all = lines(&log) + &finished(&over((result, log)));
    assert_eq!(unseen(&all), None);
    for line in all.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["v"], json!(1));
    }
}

#[test]
fn a_megabyte_is_written_whole() {
    check_hostile(&shown_job_of(&megabyte()));
}

proptest! {
    #[test]
    fn each_line_is_one_object_that_moves_no_cursor(text in hostile()) {
        check_hostile(&job_of(&text));
    }
}
