//! Tests of the three formats with saved replies and with waits.

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
use crate::testing::{
    finished, first_hazard, hostile_megabyte, hostile_text, job_with_displayed_text, job_with_text,
    reading_input, run_wait,
};

const FORMATS: [ReportFormat; 3] = [ReportFormat::Html, ReportFormat::Svg, ReportFormat::Mermaid];

fn timeline_from_body(body: impl Into<Bytes>) -> Timeline {
    Timeline::from_reading(&Reading::from_response(Response::new(body.into())).unwrap())
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
    Timeline::from_finished(&finished(run_wait(WaitPolicy::new(), inputs)))
}

#[test]
fn a_failed_wait_in_every_format() {
    for format in FORMATS {
        insta::assert_snapshot!(render(&[&failed_wait_timeline()], format).unwrap());
    }
}

#[test]
fn saved_replies_as_charts() {
    let names =
        ["reference-example.json", "scale-up.json", "nested-without-status.json", "bare.json"];
    let charts =
        names.map(|name| render(&[&timeline_from_fixture(name)], ReportFormat::Mermaid).unwrap());
    insta::assert_snapshot!(charts.concat());
}

#[test]
fn several_jobs_are_one_report() {
    let stopped = run_wait(WaitPolicy::new().timeout(Duration::ZERO), [status_error(503)]);
    let timelines = [
        failed_wait_timeline(),
        Timeline::from_finished(&finished(stopped)),
        timeline_from_fixture("bare.json"),
    ];
    let html = render(&timelines.each_ref(), ReportFormat::Html).unwrap();
    assert_eq!(html.matches("<article>").count(), 3);
    assert!(html.contains("<title>CreateCluster: failed, and 2 more</title>"), "{html}");
    assert!(html.contains("the wait stopped"), "{html}");
    let svg = render(&timelines.each_ref(), ReportFormat::Svg).unwrap();
    let svg = Document::parse(&svg).unwrap();
    let height: f64 = svg.root_element().attribute("height").unwrap().parse().unwrap();
    let ys = svg.descendants().filter_map(|node| node.attribute("y")?.parse::<f64>().ok());
    assert!(ys.fold(0.0, f64::max) < height, "everything is inside the image");
}

#[test]
fn reports_reference_no_external_resources() {
    for format in FORMATS {
        let page = render(&[&failed_wait_timeline()], format).unwrap();
        for outside in ["http:", "https:", "url(", "src=", "href=", "@import", "<script", "<link"] {
            let own = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!own.contains(outside), "{format:?} has {outside}");
        }
    }
}

fn check_hostile(job: &Value) {
    let ended = run_wait(WaitPolicy::new(), [status_error(503), reading_input(job)]);
    let timelines =
        [timeline_from_body(job.to_string()), Timeline::from_finished(&finished(ended))];
    for format in FORMATS {
        let page = render(&timelines.each_ref(), format).unwrap();
        assert_eq!(first_hazard(&page), None, "{format:?}");
        assert!(!page.contains("<svg onload"), "{format:?}");
        // Texts are truncated. Each occurs a few times in a page.
        assert!(page.len() < 1 << 20, "{format:?} has {}", page.len());
    }
    let svg = render(&timelines.each_ref(), ReportFormat::Svg).unwrap();
    assert!(Document::parse(&svg).is_ok(), "{:?}", Document::parse(&svg).err());
    let mermaid = render(&timelines.each_ref(), ReportFormat::Mermaid).unwrap();
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
