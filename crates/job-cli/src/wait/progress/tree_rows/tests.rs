//! Tests of the rows on terminals of several sizes.

use console::measure_text_width;
use job_model::JobId;
use job_transport::JobSnapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    first_hazard, hostile_megabyte, hostile_text, job_with_displayed_text, job_with_text,
};

fn job(value: &Value) -> Job {
    Job::from_slice(value.to_string().as_bytes()).unwrap()
}

fn id() -> JobId {
    "354331b2c-229a-11e8-9c75-0255ac100ceb".parse().unwrap()
}

fn snapshot<'a>(id: &'a JobId, job: Option<&'a Job>) -> WaitSnapshot<'a> {
    WaitSnapshot {
        id,
        last: job.cloned().map(JobSnapshot::from),
        elapsed: Duration::from_secs(252),
        remaining: None,
        service_time: "2020-02-02T08:16:52Z".parse().ok(),
        error_run: None,
        until_next_attempt: Some(Duration::from_millis(6_400)),
    }
}

/// A cluster that is being created, with steps that are running, done, failed, not started, and in
/// an unknown phase.
fn running_job() -> Job {
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

fn render(snapshots: &[WaitSnapshot<'_>], total: usize, size: (usize, usize)) -> String {
    let totals = Totals {
        total,
        finished: total - snapshots.len(),
        failed: usize::from(total > snapshots.len()),
    };
    let rows = tree_rows(snapshots, Duration::from_secs(252), totals, size, Styles::DISABLED);
    assert!(rows.len() < size.0.max(3), "{} rows of {}", rows.len(), size.0);
    for row in &rows {
        assert!(measure_text_width(row) <= size.1, "{row:?} is wider than {}", size.1);
    }
    rows.iter().map(|row| format!("|{row}\n")).collect()
}

#[test]
fn only_visible_rows_are_decoded() {
    let id = id();
    let body = running_job();
    let undecoded = || JobSnapshot::from(body.clone()).without_job();
    let snapshots: [_; 20] =
        std::array::from_fn(|_| WaitSnapshot { last: Some(undecoded()), ..snapshot(&id, None) });
    render(&snapshots, 20, (10, 80));
    let decoded = snapshots.iter().filter(|s| s.last.as_ref().is_some_and(JobSnapshot::is_decoded));
    // Eight rows: the number of jobs, two jobs with three steps each, and a row for the others.
    assert_eq!(decoded.count(), 2);
}

#[test]
fn one_job_at_three_sizes() {
    let (id, job) = (id(), running_job());
    let sizes = [(24, 80), (10, 40), (4, 20)];
    let table =
        sizes.map(|size| format!("{size:?}\n{}", render(&[snapshot(&id, Some(&job))], 1, size)));
    insta::assert_snapshot!(table.concat());
}

#[test]
fn many_jobs_at_three_sizes() {
    let (id, job) = (id(), running_job());
    let error_run =
        ErrorRun { message: "no reply within 30s".into(), in_a_row: 3, has_changed: false };
    let failing = WaitSnapshot { error_run: Some(&error_run), ..snapshot(&id, Some(&job)) };
    let snapshots =
        [snapshot(&id, None), failing, snapshot(&id, Some(&job)), snapshot(&id, Some(&job))];
    let sizes = [(40, 120), (10, 60), (4, 30)];
    let table = sizes.map(|size| format!("{size:?}\n{}", render(&snapshots, 5, size)));
    insta::assert_snapshot!(table.concat());
}

#[test]
fn unknown_values_are_omitted() {
    let id = id();
    let none = WaitSnapshot { service_time: None, until_next_attempt: None, ..snapshot(&id, None) };
    let bare = job(&json!({"status": {"phase": "Running"}}));
    let no_phase = job(&json!({"spec": {"subJobs": [{}]}}));
    // The service's time is before the creation of the job, because of a wrong clock or time zone.
    let early =
        WaitSnapshot { service_time: "2020-02-02T08:00:00Z".parse().ok(), ..snapshot(&id, None) };
    let early = WaitSnapshot { last: Some(JobSnapshot::from(bare.clone())), ..early };
    let rows = [
        none,
        WaitSnapshot { service_time: None, until_next_attempt: None, ..snapshot(&id, Some(&bare)) },
        WaitSnapshot { until_next_attempt: None, ..snapshot(&id, Some(&no_phase)) },
        early,
    ];
    let table: Vec<_> = rows.into_iter().map(|snapshot| render(&[snapshot], 1, (24, 80))).collect();
    insta::assert_snapshot!(table.join("--\n"));
}

#[test]
fn remaining_time_is_rounded_up_coarsely() {
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
        assert_eq!(format_remaining(Duration::from_secs(seconds)), expected, "{seconds}");
    }
    let (id, job) = (id(), running_job());
    let estimated =
        WaitSnapshot { remaining: Some(Duration::from_secs(170)), ..snapshot(&id, Some(&job)) };
    let shown = render(&[estimated], 1, (24, 80));
    assert!(shown.starts_with("|CreateCluster Running  1/5  4m 12s, about 3m left\n"), "{shown}");
}

fn check_hostile(value: &Value, text: &str) {
    let (id, job) = (id(), job(value));
    let error_run = ErrorRun { message: text.into(), in_a_row: 3, has_changed: false };
    for total in [1, 2] {
        let failing = WaitSnapshot { error_run: Some(&error_run), ..snapshot(&id, Some(&job)) };
        assert_eq!(first_hazard(&render(&[failing], total, (24, 80))), None);
    }
}

#[test]
fn megabyte_texts_fit_in_one_row() {
    let text = hostile_megabyte();
    check_hostile(&job_with_displayed_text(&text), &text);
}

proptest! {
    #[test]
    fn tree_rows_contain_no_unprintable_characters(text in hostile_text()) {
        check_hostile(&job_with_text(&text), &text);
    }
}
