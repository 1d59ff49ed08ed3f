//! Trees as they stand on terminals of several sizes.

use console::measure_text_width;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{hostile, job_of, megabyte, shown_job_of, unseen};

fn job(value: &Value) -> Job {
    Job::from_slice(value.to_string().as_bytes()).unwrap()
}

fn id() -> JobId {
    "354331b2c-229a-11e8-9c75-0255ac100ceb".parse().unwrap()
}

fn sight<'a>(id: &'a JobId, job: Option<&'a Job>) -> Sight<'a> {
    Sight {
        id,
        job: job.cloned().map(Box::new),
        elapsed: Duration::from_secs(252),
        remaining: None,
        service_time: "2020-02-02T08:16:52Z".parse().ok(),
        faults: None,
        until_next: Some(Duration::from_millis(6_400)),
    }
}

/// A cluster that is created: one step done, one under way, one failed, one to come.
fn under_way() -> Job {
    let step = |job_type: &str, phase: &str, reason: &str| {
        json!({"spec": {"type": job_type, "resourceName": "n"},
            "metadata": {"creationTimestamp": "2020-02-02 08:14:00 +0000 UTC",
                "updateTimestamp": "2020-02-02 08:15:10 +0000 UTC"},
            "status": {"phase": phase, "reason": reason}})
    };
    job(&json!({
        "metadata": {"creationTimestamp": "2020-02-02 08:12:40 +0000 UTC"},
        "spec": {"type": "CreateCluster", "subJobs": [
            step("InstallMaster", "Running", ""), step("CreatePSMCert", "Success", ""),
            step("CreateNode", "Failed", "flavor c3.large.2 is sold out in eu-de-01"),
            step("ConfigureNetwork", "Initializing", ""), step("Migrate", "Paused", "")]},
        "status": {"phase": "Running"},
    }))
}

fn shown(sights: &[Sight<'_>], all: usize, size: (usize, usize)) -> String {
    let tally = Tally { all, ended: all - sights.len(), bad: usize::from(all > sights.len()) };
    let rows = rows(sights, Duration::from_secs(252), tally, size, Paint::NONE);
    assert!(rows.len() < size.0.max(3), "{} rows of {}", rows.len(), size.0);
    for row in &rows {
        assert!(measure_text_width(row) <= size.1, "{row:?} is wider than {}", size.1);
    }
    rows.iter().map(|row| format!("|{row}\n")).collect()
}

#[test]
fn one_job_at_three_sizes() {
    let (id, job) = (id(), under_way());
    let sizes = [(24, 80), (10, 40), (4, 20)];
    let table =
        sizes.map(|size| format!("{size:?}\n{}", shown(&[sight(&id, Some(&job))], 1, size)));
    insta::assert_snapshot!(table.concat());
}

#[test]
fn many_jobs_at_three_sizes() {
    let (id, job) = (id(), under_way());
    let faults = FaultRun { message: "no reply within 30s".into(), in_a_row: 3, is_news: false };
    let faulty = Sight { faults: Some(&faults), ..sight(&id, Some(&job)) };
    let sights = [sight(&id, None), faulty, sight(&id, Some(&job)), sight(&id, Some(&job))];
    let sizes = [(40, 120), (10, 60), (4, 30)];
    let table = sizes.map(|size| format!("{size:?}\n{}", shown(&sights, 5, size)));
    insta::assert_snapshot!(table.concat());
}

#[test]
fn what_is_not_known_is_not_made_up() {
    let id = id();
    let none = Sight { service_time: None, until_next: None, ..sight(&id, None) };
    let bare = job(&json!({"status": {"phase": "Running"}}));
    let no_phase = job(&json!({"spec": {"subJobs": [{}]}}));
    // The service's time is before the job's: its clock, or its time zone, is another.
    let early = Sight { service_time: "2020-02-02T08:00:00Z".parse().ok(), ..sight(&id, None) };
    let early = Sight { job: Some(Box::new(bare.clone())), ..early };
    let rows = [
        none,
        Sight { service_time: None, until_next: None, ..sight(&id, Some(&bare)) },
        Sight { until_next: None, ..sight(&id, Some(&no_phase)) },
        early,
    ];
    let table: Vec<_> = rows.into_iter().map(|sight| shown(&[sight], 1, (24, 80))).collect();
    insta::assert_snapshot!(table.join("--\n"));
}

#[test]
fn how_long_it_takes_is_rounded_as_who_does_not_know() {
    let rows = [
        (0, "about 10s left"),
        (11, "about 20s left"),
        (59, "about 1m left"),
        (61, "about 2m left"),
        (599, "about 10m left"),
        (601, "about 15m left"),
        (7000, "about 2h left"),
    ];
    for (seconds, expected) in rows {
        assert_eq!(left(Duration::from_secs(seconds)), expected, "{seconds}");
    }
    let (id, job) = (id(), under_way());
    let sight = Sight { remaining: Some(Duration::from_secs(170)), ..sight(&id, Some(&job)) };
    let shown = shown(&[sight], 1, (24, 80));
    assert!(shown.starts_with("|CreateCluster Running  1/5  4m 12s, about 3m left\n"), "{shown}");
}

fn check_hostile(value: &Value, text: &str) {
    let (id, job) = (id(), job(value));
    let faults = FaultRun { message: text.into(), in_a_row: 3, is_news: false };
    for all in [1, 2] {
        let sight = Sight { faults: Some(&faults), ..sight(&id, Some(&job)) };
        assert_eq!(unseen(&shown(&[sight], all, (24, 80))), None);
    }
}

#[test]
fn a_megabyte_is_no_more_than_a_row() {
    let text = megabyte();
    check_hostile(&shown_job_of(&text), &text);
}

proptest! {
    #[test]
    fn nothing_unseen_stands_in_a_tree(text in hostile()) {
        check_hostile(&job_of(&text), &text);
    }
}
