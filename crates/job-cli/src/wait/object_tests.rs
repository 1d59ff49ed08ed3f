//! Tests of what each output shows of clusters and nodes.

use jiff::Timestamp;
use job_model::object::ObjectKind::{self, Cluster, Node};
use job_poller::machine::Input;
use job_transport::{FetchError, FetchErrorKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    board::WaitCounts,
    output::{json_lines, result_lines},
    progress::tree_rows::{Frame, TreeRows},
    snapshot::WaitSnapshot,
    totals::Totals,
    *,
};
use crate::{
    report::ReportFormat,
    terminal::{Styles, text},
    testing::{finished, first_hazard, hostile_text, object_input, reading_input, run_wait},
};

fn object(kind: ObjectKind, phase: &str, reason: &str) -> Input {
    let id = if kind == Cluster { "c" } else { "n1" };
    let status = json!({"phase": phase, "reason": reason, "message": ""});
    object_input(kind, &json!({"metadata": {"uid": id, "name": "blue"}, "status": status}))
}

fn not_found() -> Input {
    FetchError::new(FetchErrorKind::Status(404)).into()
}

fn create_cluster() -> Input {
    let spec = json!({"type": "CreateCluster", "clusterUID": "c"});
    reading_input(&json!({"spec": spec, "status": {"phase": "Success"}}))
}

fn create_nodes() -> Input {
    let step = |id: &str| json!({"spec": {"type": "InstallNode", "resourceID": id}});
    let steps: Vec<Value> = ["n1", "n2"].map(step).into();
    let spec = json!({"type": "CreateNode", "clusterUID": "c", "subJobs": steps});
    reading_input(&json!({"spec": spec, "status": {"phase": "Success"}}))
}

fn delete_cluster() -> Input {
    let spec = json!({"type": "DeleteCluster", "clusterUID": "c"});
    reading_input(&json!({"spec": spec, "status": {"phase": "Success"}}))
}

/// Returns the result of a wait until ready, in which the last input repeats.
fn wait_until_ready(policy: WaitPolicy, mut inputs: Vec<Input>) -> Finished {
    let last = inputs.pop().unwrap();
    finished(run_wait(policy.until_ready(), inputs.into_iter().chain(std::iter::repeat(last))))
}

/// What is printed of a finished wait: the exit code, then the lines of the result or the error.
fn printed(finished: &Finished) -> String {
    let lines = match &finished.result {
        Ok(ended) => result_lines(&finished.id, ended, true, Styles::DISABLED).join("\n"),
        Err(error) => text::sanitize_line(&error.message()),
    };
    format!("exit {:?}\n{lines}\n", finished.exit().unwrap() as u8)
}

#[test]
fn each_outcome_has_its_exit_code_and_its_line() {
    let policy = WaitPolicy::new();
    let short = policy.timeout(Duration::from_secs(60));
    let rows = [
        wait_until_ready(policy, vec![create_cluster(), object(Cluster, "Available", "")]),
        wait_until_ready(policy, vec![create_cluster(), object(Cluster, "Error", "sold out")]),
        wait_until_ready(short, vec![create_cluster(), object(Cluster, "Creating", "")]),
        wait_until_ready(policy, vec![create_cluster(), not_found()]),
        wait_until_ready(policy, vec![delete_cluster(), not_found()]),
        wait_until_ready(short, vec![delete_cluster(), object(Cluster, "Deleting", "")]),
        wait_until_ready(policy, vec![create_nodes(), object(Node, "Active", ""), not_found()]),
        wait_until_ready(policy, vec![reading_input(&json!({"status": {"phase": "Success"}}))]),
    ];
    insta::assert_snapshot!(rows.iter().map(printed).collect::<String>());
}

#[test]
fn json_lines_show_the_objects() {
    let inputs = vec![
        create_cluster(),
        object(Cluster, "Creating", ""),
        object(Cluster, "Unavailable", "no route"),
        object(Cluster, "Available", ""),
    ];
    let wait = wait_until_ready(WaitPolicy::new(), inputs);
    let events = wait
        .log
        .iter()
        .flat_map(|(at, event)| json_lines::event(Timestamp::UNIX_EPOCH, &wait.id, *at, event));
    let lines = events.chain([json_lines::finished(Timestamp::UNIX_EPOCH, &wait)]);
    let lines: Vec<_> = lines.filter(|line| line.contains("object")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_report_has_a_row_for_each_object_with_its_phases() {
    let inputs = vec![
        create_cluster(),
        object(Cluster, "Creating", ""),
        object(Cluster, "Unavailable", "no route"),
        object(Cluster, "Available", ""),
    ];
    let timeline = timeline_from_finished(&wait_until_ready(WaitPolicy::new(), inputs));
    let chart = ReportFormat::Mermaid.render(&[&timeline]);
    assert!(chart.contains("title CreateCluster, ready"), "{chart}");
    // The last number is 22 seconds after the first.
    let row = "·· cluster blue, Available, Creating for 11s, Unavailable for 11s, Available :done, \
               1580631152000, 1580631174000\n";
    assert!(chart.contains(row), "{chart}");
}

/// Returns the rows of the live tree after these inputs.
fn tree(inputs: Vec<Input>) -> String {
    let policy = WaitPolicy::new().until_ready();
    let wait = finished(run_wait(policy, inputs));
    let objects: Vec<_> = wait.objects().into_iter().cloned().collect();
    let snapshot = WaitSnapshot {
        id: wait.id.clone(),
        last: wait.result.as_ref().err().and_then(|error| error.snapshot().cloned()),
        objects: objects.into(),
        until: Until::Ready,
        elapsed: Duration::from_secs(252),
        remaining: None,
        service_time: None,
        error_run: None,
        until_next_attempt: Some(Duration::from_secs(6)),
    };
    let frame = Frame {
        snapshots: vec![snapshot],
        running: 1,
        counts: WaitCounts::default(),
        totals: Totals { total: 1, ..Totals::default() },
        elapsed: Duration::from_secs(252),
        size: (24, 80),
        styles: Styles::DISABLED,
    };
    TreeRows::default().draw(&frame).join("\n")
}

#[test]
fn the_tree_shows_the_objects_that_are_not_ready() {
    let rows = [
        tree(vec![create_cluster()]),
        tree(vec![create_cluster(), object(Cluster, "Creating", "")]),
        tree(vec![create_cluster(), object(Cluster, "Error", "sold out")]),
        tree(vec![create_nodes()]),
        tree(vec![create_nodes(), object(Node, "Active", "")]),
    ];
    insta::assert_snapshot!(rows.join("\n--\n"));
}

proptest! {
    #[test]
    fn no_output_of_an_object_contains_unprintable_characters(text in hostile_text()) {
        let body = json!({
            "metadata": {"uid": "c", "name": text},
            "status": {"phase": text, "reason": text, "message": text},
        });
        let policy = WaitPolicy::new().timeout(Duration::from_secs(60));
        let open = wait_until_ready(policy, vec![create_cluster(), object_input(Cluster, &body)]);
        let mut broken = body;
        broken["status"]["phase"] = "Error".into();
        let broken = wait_until_ready(
            WaitPolicy::new(),
            vec![create_cluster(), object_input(Cluster, &broken)],
        );
        for wait in [&open, &broken] {
            let timeline = timeline_from_finished(wait);
            let pages = [ReportFormat::Html, ReportFormat::Svg, ReportFormat::Mermaid];
            let pages = pages.map(|format| format.render(&[&timeline]).replace('\n', " "));
            let lines = wait.log.iter().map(|(_, event)| text::sanitize_line(&event.to_string()));
            let shown = printed(wait).replace('\n', " ");
            for text in lines.chain(pages).chain([shown, json_lines::finished(Timestamp::UNIX_EPOCH, wait)]) {
                prop_assert_eq!(first_hazard(&text), None);
            }
        }
        let tree = tree(vec![create_cluster(), object_input(Cluster, &json!({
            "metadata": {"uid": "c", "name": text}, "status": {"phase": text, "reason": text},
        }))]);
        let rows = tree.replace('\n', " ");
        prop_assert_eq!(first_hazard(&rows), None);
    }
}
