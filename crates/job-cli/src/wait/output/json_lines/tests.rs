//! Tests of the line of each event, and of the `finished` line.

use std::collections::BTreeSet;

use job_poller::{WaitPolicy, machine::Input};
use job_transport::{FetchError, FetchErrorKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    finished as finished_wait, first_hazard, hostile_megabyte, hostile_text,
    job_with_displayed_text, job_with_text, reading_input, run_wait,
};

const NOW: Timestamp = Timestamp::constant(1_580_631_160, 123_987_000);

fn event_lines(log: &[(Duration, Event)]) -> String {
    let id: JobId = "354331b2c-229a".parse().unwrap();
    log.iter().flat_map(|(at, one)| event(NOW, &id, *at, one)).map(|line| line + "\n").collect()
}

fn job(phase: &str, steps: &[(&str, &str)], minute: u32) -> Input {
    let steps: Vec<_> = steps
        .iter()
        .map(|(job_type, phase)| {
            json!({"metadata": {"uid": job_type}, "spec": {"type": job_type},
                "status": {"phase": phase, "reason": "sold out"}})
        })
        .collect();
    reading_input(&json!({
        "metadata": {"creationTimestamp": "2020-02-02 08:12:40 +0000 UTC",
            "updateTimestamp": format!("2020-02-02 08:{minute:02}:00 +0000 UTC")},
        "spec": {"type": "CreateCluster", "subJobs": steps}, "status": {"phase": phase, "note": "  1.10"},
    }))
}

fn status_error(status: u16) -> Input {
    let error = FetchError::new(FetchErrorKind::Status(status)).with_request_id(Some("r-1".into()));
    Input::from(error.with_credentials_refreshed(status == 401))
}

#[test]
fn every_event_is_one_json_line() {
    let policy = WaitPolicy::new()
        .heartbeat(Duration::from_secs(20))
        .stalled_after(Duration::from_secs(70))
        .settle(Duration::from_secs(60), 2);
    let (result, log) = run_wait(
        policy,
        [
            status_error(503),
            job("Initializing", &[], 13),
            status_error(401),
            status_error(429),
            job("Running", &[("a", "Running")], 15),
            // A stale reply, then a phase that goes back, then an unknown phase.
            job("Running", &[("a", "Running")], 14),
            job("Initializing", &[("a", "Running")], 16),
            job("Upgrading", &[("a", "Success")], 17),
        ]
        .into_iter()
        .chain(std::iter::repeat_n(job("Running", &[("a", "Running"), ("b", "Running")], 18), 12))
        .chain([
            job("Success", &[("a", "Success"), ("b", "Running")], 19),
            job("Failed", &[("a", "Success"), ("b", "Running")], 20),
            reading_input(&json!({"metadata": {"uid": "b"}, "status": {"phase": "Running"}})),
        ]),
    );
    let all = event_lines(&log) + &finished(NOW, &finished_wait((result, log))) + "\n";
    let names = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let names: BTreeSet<_> = names.map(|line| line["event"].as_str().unwrap().to_owned()).collect();
    let expected = "attempt_failed credentials_refreshed deviation finished heartbeat next_attempt phase progress settling \
        stale_reply stalled sub_job sub_job_lookup";
    assert_eq!(names.into_iter().collect::<Vec<_>>().join(" "), expected);
    insta::assert_snapshot!(all);
}

#[test]
fn every_outcome_is_one_json_line() {
    let success = job("Success", &[("a", "Failed")], 20);
    let running = job("Running", &[], 13);
    let once = WaitPolicy::new().timeout(Duration::ZERO);
    let rows = [
        run_wait(WaitPolicy::new(), [success]),
        run_wait(WaitPolicy::new(), [running.clone()]),
        run_wait(once, [running]),
        run_wait(WaitPolicy::new(), [status_error(401)]),
        run_wait(WaitPolicy::new(), std::iter::repeat_n(status_error(404), 20)),
    ];
    let lines = rows.map(|ended| finished(NOW, &finished_wait(ended)) + "\n");
    insta::assert_snapshot!(lines.concat());
}

#[test]
fn missed_events_are_one_json_line() {
    let missed =
        Missed { job: "a-1".parse().unwrap(), at: Duration::from_millis(1500), events: 12 };
    assert_eq!(
        lagged(NOW, &missed),
        r#"{"v":1,"event":"lagged","job":"a-1","at":1.5,"time":"2020-02-02T08:12:40.123Z","missed":12}"#
    );
}

fn check_hostile(job: &Value) {
    let (result, log) = run_wait(WaitPolicy::new(), [reading_input(job)]);
    let all = event_lines(&log) + &finished(NOW, &finished_wait((result, log)));
    assert_eq!(first_hazard(&all), None);
    for line in all.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["v"], json!(1));
    }
}

#[test]
fn megabyte_texts_yield_valid_json_lines() {
    check_hostile(&job_with_displayed_text(&hostile_megabyte()));
}

proptest! {
    #[test]
    fn json_lines_contain_no_unprintable_characters(text in hostile_text()) {
        check_hostile(&job_with_text(&text));
    }
}
