//! Tests of the formats with saved replies and with waits.

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use http::Response;
use job_poller::{WaitPolicy, machine::Input};
use job_transport::{
    FetchError, FetchErrorKind, Reading,
    transport::{RequestSent, TransportError, TransportErrorKind},
};
use proptest::prelude::*;
use roxmltree::Document;
use serde_json::{Value, json};

use super::*;
use crate::{
    testing::{
        finished, first_hazard, hostile_megabyte, hostile_text, job_with_displayed_text,
        job_with_text, reading_input, run_wait,
    },
    wait::timeline_from_finished,
};

const FORMATS: [ReportFormat; 4] =
    [ReportFormat::Html, ReportFormat::Svg, ReportFormat::Mermaid, ReportFormat::Markdown];

fn timeline_from_body(body: impl Into<Bytes>) -> Timeline {
    timeline_from_reading(&Reading::from_response(Response::new(body.into())).unwrap())
}

fn timeline_from_fixture(name: &str) -> Timeline {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/jobs");
    timeline_from_body(fs::read(jobs.join(name)).unwrap())
}

fn cluster_job(phase: &str, reason: &str) -> Value {
    let at = |second: u32| format!("2020-02-02 08:12:{second} +0000 UTC");
    let step = |job_type: &str, phase: &str, from, to, reason: &str| {
        json!({"metadata": {"creationTimestamp": at(from), "updateTimestamp": at(to)},
            "spec": {"type": job_type}, "status": {"phase": phase, "reason": reason}})
    };
    json!({
        "metadata": {"uid": "354331b2c-229a", "creationTimestamp": at(35), "updateTimestamp": at(55)},
        "spec": {"type": "CreateCluster", "resourceName": "cluster-name", "subJobs": [
            step("InstallMaster", phase, 40, 54, reason),
            step("CreatePSMCert", "Success", 36, 40, "")]},
        "status": {"phase": phase, "reason": ""},
    })
}

fn status_error(status: u16) -> Input {
    let error = FetchError::new(FetchErrorKind::Status(status));
    error.with_request_id(Some("r-1".into())).into()
}

/// A wait with attempt errors, whose job failed.
fn failed_wait_timeline() -> Timeline {
    let reset = TransportError::new(TransportErrorKind::Closed, RequestSent::Maybe);
    let inputs = [
        reading_input(&cluster_job("Running", "")),
        status_error(503),
        status_error(503),
        FetchError::from(reset).into(),
        reading_input(&cluster_job("Failed", "flavor c3.large.2 is <sold out>")),
    ];
    timeline_from_finished(&finished(run_wait(WaitPolicy::new(), inputs)))
}

#[test]
fn a_failed_wait_in_every_format() {
    for format in FORMATS {
        insta::assert_snapshot!(format.render(&[&failed_wait_timeline()]));
    }
}

#[test]
fn saved_replies_as_charts() {
    let names =
        ["reference-example.json", "scale-up.json", "nested-without-status.json", "bare.json"];
    let charts = names.map(|name| ReportFormat::Mermaid.render(&[&timeline_from_fixture(name)]));
    insta::assert_snapshot!(charts.concat());
}

/// The timeline of a wait that never read its job.
fn unread_timeline() -> Timeline {
    let stopped = run_wait(WaitPolicy::new().timeout(Duration::ZERO), [status_error(503)]);
    timeline_from_finished(&finished(stopped))
}

#[test]
fn several_jobs_are_one_report() {
    let timelines = [timeline_from_fixture("bare.json"), unread_timeline(), failed_wait_timeline()];
    for format in FORMATS {
        insta::assert_snapshot!(format.render(&timelines.each_ref()));
    }
}

#[test]
fn an_unread_job_is_explained_in_every_format() {
    for format in FORMATS {
        insta::assert_snapshot!(format.render(&[&unread_timeline()]));
    }
}

/// A job with this number of steps, one of which has failed. Each step has its own name.
fn large_job(steps: usize, failed: Option<usize>) -> Value {
    let at =
        |second: usize| format!("2020-02-02 08:{:02}:{:02} +0000 UTC", second / 60, second % 60);
    let step = |index: usize| {
        let is_failed = failed == Some(index);
        let phase = if is_failed { "Failed" } else { "Success" };
        json!({"metadata": {"creationTimestamp": at(index), "updateTimestamp": at(index + 9)},
            "spec": {"type": "InstallNode", "resourceName": format!("pool-blue-node-{index:05}")},
            "status": {"phase": phase, "reason": if is_failed { "no quota" } else { "" }}})
    };
    let steps: Vec<_> = (0..steps).map(step).collect();
    let phase = if failed.is_some() { "Failed" } else { "Success" };
    json!({"metadata": {"uid": "354331b2c-229a", "creationTimestamp": at(0), "updateTimestamp": at(600)},
        "spec": {"type": "ScaleUp", "resourceName": "blue", "subJobs": steps},
        "status": {"phase": phase, "reason": ""}})
}

#[test]
fn finished_steps_fold_but_the_failed_path_does_not() {
    let page = |steps| {
        let timeline = timeline_from_body(large_job(steps, Some(40)).to_string());
        ReportFormat::Html.render(&[&timeline])
    };
    for (steps, folded) in [(59, 0), (60, 2), (500, 2)] {
        let page = page(steps);
        assert_eq!(page.matches("<details>").count(), folded, "{steps}");
        assert_eq!(page.matches("<li ").count(), steps + 1, "{steps}");
        // The link in the banner leads to a row that is not folded.
        let before = page.split("id=\"r41\"").next().unwrap();
        assert!(page.contains("<a href=\"#r41\">"), "{steps}");
        assert_eq!(before.matches("<details>").count(), before.matches("</details>").count());
        assert!(page.find("class=\"axis\"") < page.find("<li "), "the axis is on top");
    }
    let svg = timeline_from_body(large_job(500, Some(40)).to_string());
    let svg = ReportFormat::Svg.render(&[&svg]);
    assert!(svg.contains("40 finished steps") && svg.contains("459 finished steps"), "{svg}");
}

/// A failed job with 300 nodes that are running. The one that failed started after them.
fn late_failure(name: &str) -> Timeline {
    let mut job = large_job(301, Some(300));
    for step in &mut job["spec"]["subJobs"].as_array_mut().unwrap()[..300] {
        step["status"]["phase"] = "Running".into();
        let node = step["spec"]["resourceName"].as_str().unwrap();
        step["spec"]["resourceName"] = format!("{name}{node}").into();
    }
    job["spec"]["subJobs"][300]["spec"]["resourceName"] = "late".into();
    timeline_from_body(job.to_string())
}

#[test]
fn a_late_failure_among_many_running_nodes_is_in_every_format() {
    // With long names, the space of a chart ends before its maximum number of rows.
    for name in ["", "<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<"] {
        let timeline = late_failure(name);
        for jobs in [1, 2] {
            let timelines = vec![&timeline; jobs];
            let page = |format: ReportFormat| format.render(&timelines);
            let html = page(ReportFormat::Html);
            let prefixes = if jobs == 1 { &["r"][..] } else { &["j0r", "j1r"] };
            for id in prefixes.iter().map(|prefix| format!("{prefix}301")) {
                assert!(html.contains(&format!("<a href=\"#{id}\">")), "{jobs} {id}");
                assert!(html.contains(&format!("id=\"{id}\"")), "{jobs} {id}");
            }
            // The job and the step are marked.
            let marks = page(ReportFormat::Svg).matches('✗').count();
            assert_eq!(marks, 2 * jobs, "{jobs} {name}");
            for format in [ReportFormat::Mermaid, ReportFormat::Markdown] {
                let chart = page(format);
                let rows = chart.matches("·· InstallNode late, Failed, no quota :crit").count();
                // With long names, the first job may take all of the space.
                let least = if name.is_empty() { jobs } else { 1 };
                assert!((least..=jobs).contains(&rows), "{format:?} {jobs} {name}: {rows}");
                assert!(chart.len() < 50_000 && chart.contains("more steps are left out"));
            }
        }
    }
}

/// Ten failed jobs, ten that were not read, and many that succeeded.
fn many_timelines(number: usize) -> Vec<Timeline> {
    let timeline = |index: usize| {
        let failed = (index % 500 == 7).then_some(2);
        let timeline = timeline_from_body(large_job(8, failed).to_string());
        let timeline = timeline
            .with_id(&format!("{index:08x}-229a-11e8-9c75-0255ac100ceb"))
            .with_name(&format!("cluster-of-the-team-{index}"));
        if index % 500 == 13 {
            unread_timeline().with_name(&format!("{index:08x}"))
        } else {
            timeline
        }
    };
    (0..number).map(timeline).collect()
}

#[test]
fn five_thousand_jobs_are_small_pages_with_an_overview() {
    let timelines = many_timelines(5_000);
    let timelines: Vec<_> = timelines.iter().collect();
    for (format, max) in [
        (ReportFormat::Html, 3_000_000),
        (ReportFormat::Svg, 1_000_000),
        (ReportFormat::Mermaid, 50_000),
        (ReportFormat::Markdown, 60_000),
    ] {
        let page = format.render(&timelines);
        assert!(page.len() < max, "{format:?} has {} bytes", page.len());
        for text in ["10 failed", "10 could not be read", "4980 succeeded", "cluster-of-the-team-7"]
        {
            assert!(page.contains(text), "{format:?}: {text}");
        }
        let (failed, other) = (page.find("cluster-of-the-team-4507"), page.find("team-0"));
        assert!(failed.is_some() && (other.is_none() || failed < other), "failed jobs come first");
    }
}

#[test]
fn reports_reference_no_external_resources() {
    for format in FORMATS {
        let page = format.render(&[&failed_wait_timeline()]);
        for outside in
            ["http:", "https:", "url(", "src=", "href=\"h", "@import", "<script", "<link"]
        {
            let own = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!own.contains(outside), "{format:?} has {outside}");
        }
    }
}

fn check_hostile(job: &Value) {
    let ended = run_wait(WaitPolicy::new(), [status_error(503), reading_input(job)]);
    let timelines = [timeline_from_body(job.to_string()), timeline_from_finished(&finished(ended))];
    for format in FORMATS {
        let page = format.render(&timelines.each_ref());
        assert_eq!(first_hazard(&page), None, "{format:?}");
        assert!(!page.contains("<svg onload"), "{format:?}");
        // Texts are truncated. Each occurs a few times in a page.
        assert!(page.len() < 1 << 20, "{format:?} has {}", page.len());
    }
    let svg = ReportFormat::Svg.render(&timelines.each_ref());
    assert!(Document::parse(&svg).is_ok(), "{:?}", Document::parse(&svg).err());
    let mermaid = ReportFormat::Mermaid.render(&timelines.each_ref());
    // A row consists of bullets, a text without colons, a colon, and two numbers.
    for row in mermaid.lines().filter(|line| line.trim_start().starts_with('·')) {
        let (text, times) = row.split_once(" :").unwrap();
        assert!(!text.contains(':') && !times.contains(':'), "{row}");
    }
}

#[test]
fn megabyte_texts_are_truncated() {
    check_hostile(&job_with_displayed_text(&hostile_megabyte()));
}

proptest! {
    #[test]
    fn service_texts_are_escaped_in_every_format(text in hostile_text()) {
        check_hostile(&job_with_text(&text));
    }
}
