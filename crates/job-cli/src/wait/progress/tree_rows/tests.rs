//! Tests of the rows on terminals of several sizes.

use console::measure_text_width;
use job_model::JobId;
use job_poller::Until;
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

fn snapshot(job: Option<&Job>) -> WaitSnapshot {
    WaitSnapshot {
        id: id(),
        last: job.cloned().map(JobSnapshot::from),
        objects: Default::default(),
        until: Until::Ended,
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

/// Returns a frame with these waits, the first of which may be visible.
fn frame(snapshots: Vec<WaitSnapshot>, total: usize, size: (usize, usize)) -> Frame {
    let running = snapshots.len();
    let mut counts = WaitCounts::default();
    for WaitSnapshot { last, .. } in &snapshots {
        match last {
            None => counts.not_read += 1,
            Some(_) => counts.running += 1,
        }
    }
    let finished = total - running;
    Frame {
        snapshots: snapshots.into_iter().take(max_rows(size.0)).collect(),
        running,
        counts,
        totals: Totals { total, finished, failed: usize::from(finished > 0) },
        elapsed: Duration::from_secs(252),
        size,
        styles: Styles::DISABLED,
    }
}

fn render(snapshots: Vec<WaitSnapshot>, total: usize, size: (usize, usize)) -> String {
    let rows = TreeRows::default().draw(&frame(snapshots, total, size));
    assert!(rows.len() < size.0.max(3), "{} rows of {}", rows.len(), size.0);
    for row in &rows {
        assert!(measure_text_width(row) <= size.1, "{row:?} is wider than {}", size.1);
    }
    rows.iter().map(|row| format!("|{row}\n")).collect()
}

#[test]
fn only_visible_rows_that_changed_are_decoded() {
    let snapshots = |changed: Option<usize>| {
        let one = |index: usize| {
            let mut value = serde_json::to_value(running_job()).unwrap();
            value["spec"]["resourceName"] = format!("{index} {}", changed == Some(index)).into();
            let last = Some(JobSnapshot::from(job(&value)).without_job());
            WaitSnapshot { id: format!("job-{index}").parse().unwrap(), last, ..snapshot(None) }
        };
        (0..20).map(one).collect::<Vec<_>>()
    };
    let mut rows = TreeRows::default();
    let mut decoded = |changed: Option<usize>, size: (usize, usize)| {
        let before: Vec<_> = rows.jobs.values().map(|rows| rows.steps.clone()).collect();
        let frame = frame(snapshots(changed), 20, size);
        rows.draw(&frame);
        let is_kept = frame.snapshots.iter().any(|one| one.last.as_ref().unwrap().is_decoded());
        assert!(!is_kept, "only the rows are kept");
        let is_new = |rows: &&JobRows| !before.iter().any(|one| Arc::ptr_eq(one, &rows.steps));
        (rows.jobs.values().filter(is_new).count(), rows.jobs.len())
    };
    // Eight rows: the number of jobs, two jobs with three steps each, and a row for the others.
    assert_eq!(decoded(None, (10, 80)), (2, 2));
    assert_eq!(decoded(None, (10, 80)), (0, 2));
    assert_eq!(decoded(None, (10, 40)), (0, 2), "another width");
    assert_eq!(decoded(Some(1), (10, 80)), (1, 2));
    assert_eq!(decoded(Some(9), (10, 80)), (1, 2), "job 1 is as before, and job 9 is not visible");
    assert_eq!(decoded(Some(9), (14, 80)), (3, 3), "another height");
}

#[test]
fn the_header_shows_counts_by_phase() {
    let rows = [
        (WaitCounts::default(), "4 of 9 jobs ended, 1 failed  4m 12s"),
        (
            WaitCounts { not_read: 1, running: 4, unreadable: 3, ..WaitCounts::default() },
            "4 of 9 jobs ended, 1 failed  4m 12s  4 Running, 1 not read yet; 3 cannot be read",
        ),
        (
            WaitCounts {
                initializing: 1,
                running: 2,
                ending: 3,
                other: 4,
                ..WaitCounts::default()
            },
            "4 of 9 jobs ended, 1 failed  4m 12s  1 Initializing, 2 Running, 3 ending, 4 in other phases",
        ),
    ];
    for (counts, expected) in rows {
        let frame = frame((0..5).map(|_| snapshot(None)).collect(), 9, (24, 200));
        assert_eq!(header(&Frame { counts, ..frame }), expected);
    }
}

#[test]
fn one_job_at_three_sizes() {
    let job = running_job();
    let sizes = [(24, 80), (10, 40), (4, 20)];
    let table =
        sizes.map(|size| format!("{size:?}\n{}", render(vec![snapshot(Some(&job))], 1, size)));
    insta::assert_snapshot!(table.concat());
}

#[test]
fn many_jobs_at_three_sizes() {
    let job = running_job();
    let error_run =
        ErrorRun { message: "no reply within 30s".into(), in_a_row: 3, has_changed: false };
    let sizes = [(40, 120), (10, 60), (4, 30)];
    let table = sizes.map(|size| {
        let failing = WaitSnapshot { error_run: Some(error_run.clone()), ..snapshot(Some(&job)) };
        let named = |id: &str, one| WaitSnapshot { id: id.parse().unwrap(), ..one };
        let snapshots = vec![
            named("a", snapshot(None)),
            named("b", failing),
            named("c", snapshot(Some(&job))),
            named("d", snapshot(Some(&job))),
        ];
        format!("{size:?}\n{}", render(snapshots, 5, size))
    });
    insta::assert_snapshot!(table.concat());
}

/// A node pool that grows: each step of a node has a name that differs from the others only at its
/// end.
fn growing_pool(cluster: &str, first: usize, nodes: usize) -> Job {
    let node = |index: usize| {
        let (phase, reason) = match index % 7 {
            0 => ("Failed", "flavor c3.large.2 is sold out in eu-de-01"),
            1 | 3 => ("Running", ""),
            5 => ("Initializing", ""),
            _ => ("Success", ""),
        };
        let vm = json!({"metadata": {"uid": format!("{:08x}-229a", 0x2f4b_5d6e + index)},
            "spec": {"type": "CreateNodeVM"}, "status": {"phase": phase, "reason": reason}});
        json!({"spec": {"type": "CreateNode", "subJobs": [vm],
                "resourceName": format!("pool-with-a-very-long-name-{index:03}")},
            "metadata": {"creationTimestamp": "2020-02-02 08:14:00 +0000 UTC",
                "updateTimestamp": format!("2020-02-02 08:15:{:02} +0000 UTC", index % 60)},
            "status": {"phase": phase, "reason": reason}})
    };
    let nodes: Vec<_> = (first..first + nodes).map(node).collect();
    job(&json!({
        "metadata": {"creationTimestamp": "2020-02-02 08:12:40 +0000 UTC"},
        "spec": {"type": "ScaleupCluster", "resourceName": cluster, "subJobs": nodes},
        "status": {"phase": "Running"},
    }))
}

/// Returns these jobs: some are not read yet, some have no steps, and some cannot be read.
fn many_jobs(count: usize) -> Vec<WaitSnapshot> {
    let one = |index: usize| {
        let id = format!("354331b2-{index:04}-11e8-9c75-0255ac100ceb").parse().unwrap();
        let cluster = format!("production-cluster-eu-de-{index:03}-blue");
        let job = match index % 5 {
            _ if count == 1 => Some(growing_pool(&cluster, 35, 40)),
            0 => Some(growing_pool(&cluster, 40, 4)),
            1 => Some(job(&json!({
                "spec": {"type": "DeleteNode", "resourceName": cluster},
                "metadata": {"creationTimestamp": "2020-02-02 08:16:38.1 +0000 UTC"},
                "status": {"phase": "Running"}}))),
            2 => Some(job(&json!({
                "spec": {"type": "CreateCluster"}, "status": {"phase": "Initializing"}}))),
            3 => Some(growing_pool(&cluster, 120, 2)),
            _ => None,
        };
        let error_run = (index % 10 == 2).then(|| ErrorRun {
            message: "no reply within 30s".into(),
            in_a_row: 3,
            has_changed: false,
        });
        let remaining = index.is_multiple_of(5).then(|| Duration::from_secs(170));
        WaitSnapshot { id, error_run, remaining, ..snapshot(job.as_ref()) }
    };
    (0..count).map(one).collect()
}

/// Returns the tree with this number of running jobs on 40, 80 and 200 columns.
fn at_three_widths(jobs: usize) -> String {
    let total = if jobs == 1 { 1 } else { jobs + 3 };
    let sizes = [(24, 40), (24, 80), (30, 200)];
    let table = sizes.map(|size| format!("{size:?}\n{}", render(many_jobs(jobs), total, size)));
    table.concat()
}

#[test]
fn the_tree_with_one_job() {
    insta::assert_snapshot!(at_three_widths(1));
}

#[test]
fn the_tree_with_20_jobs() {
    insta::assert_snapshot!(at_three_widths(20));
}

#[test]
fn the_tree_with_300_jobs() {
    insta::assert_snapshot!(at_three_widths(300));
}

#[test]
fn unknown_values_are_omitted() {
    let none = WaitSnapshot { service_time: None, until_next_attempt: None, ..snapshot(None) };
    let bare = job(&json!({"status": {"phase": "Running"}}));
    let no_phase = job(&json!({"spec": {"subJobs": [{}]}}));
    // The service's time is before the creation of the job, because of a wrong clock or time zone.
    let early =
        WaitSnapshot { service_time: "2020-02-02T08:00:00Z".parse().ok(), ..snapshot(None) };
    let early = WaitSnapshot { last: Some(JobSnapshot::from(bare.clone())), ..early };
    let rows = [
        none,
        WaitSnapshot { service_time: None, until_next_attempt: None, ..snapshot(Some(&bare)) },
        WaitSnapshot { until_next_attempt: None, ..snapshot(Some(&no_phase)) },
        early,
    ];
    let table: Vec<_> =
        rows.into_iter().map(|snapshot| render(vec![snapshot], 1, (24, 80))).collect();
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
    let job = running_job();
    let estimated =
        WaitSnapshot { remaining: Some(Duration::from_secs(170)), ..snapshot(Some(&job)) };
    let shown = render(vec![estimated], 1, (24, 80));
    assert!(
        shown.starts_with(
            "|CreateCluster    354331b2  Running   1 of 5 so far  4m 12s  about 3m left\n"
        ),
        "{shown}"
    );
}

fn check_hostile(value: &Value, text: &str) {
    let job = job(value);
    let error_run = ErrorRun { message: text.into(), in_a_row: 3, has_changed: false };
    for total in [1, 2] {
        let failing = WaitSnapshot { error_run: Some(error_run.clone()), ..snapshot(Some(&job)) };
        assert_eq!(first_hazard(&render(vec![failing], total, (24, 80))), None);
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

#[test]
fn names_have_no_backslash_before_a_quote() {
    let named = job(&json!({"spec": {"type": "CreateCluster", "resourceName": "it's \"a\"\n-b"}}));
    let row = StepRow::new(&named.walk().next().unwrap());
    assert_eq!(row.name.as_deref(), Some("it's \"a\"\\u{a}-b"));
}
