//! The three forms, of saved replies and of waits.

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use job_poller::{Input, WaitPolicy};
use job_transport::{FetchError, Reading, RequestSent, TransportError, TransportErrorKind};
use proptest::prelude::*;
use roxmltree::Document;
use serde_json::{Value, json};

use super::*;
use crate::testing::{finished, hostile, job_of, megabyte, reading, shown_job_of, unseen, waited};

const FORMS: [Format; 3] = [Format::Html, Format::Svg, Format::Mermaid];

fn saved(body: impl Into<Bytes>) -> Timeline {
    Timeline::of_reading(&Reading::from_response(Response::new(body.into())).unwrap())
}

fn fixture(name: &str) -> Timeline {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/jobs");
    saved(fs::read(jobs.join(name)).unwrap())
}

fn cluster(phase: &str, reason: &str) -> Value {
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

fn fault(status: u16) -> Input {
    Err(FetchError::status(StatusCode::from_u16(status).unwrap(), Some("r-1".into()))).into()
}

/// A wait with faults, whose job failed.
fn wait() -> Timeline {
    let reset = TransportError::new(TransportErrorKind::Closed, RequestSent::Maybe);
    let inputs = [
        reading(&cluster("Running", "")),
        fault(503),
        fault(503),
        Err(FetchError::from(reset)).into(),
        reading(&cluster("Failed", "flavor c3.large.2 is <sold out>")),
    ];
    Timeline::of_wait(&finished(waited(WaitPolicy::new(), inputs)))
}

#[test]
fn a_failed_wait_in_each_form() {
    for format in FORMS {
        insta::assert_snapshot!(page(&[&wait()], format).unwrap());
    }
}

#[test]
fn saved_replies_as_charts() {
    let names =
        ["reference-example.json", "scale-up.json", "nested-without-status.json", "bare.json"];
    let charts = names.map(|name| page(&[&fixture(name)], Format::Mermaid).unwrap());
    insta::assert_snapshot!(charts.concat());
}

#[test]
fn several_jobs_are_one_report() {
    let stopped = waited(WaitPolicy::new().timeout(Duration::ZERO), [fault(503)]);
    let timelines = [wait(), Timeline::of_wait(&finished(stopped)), fixture("bare.json")];
    let html = page(&timelines.each_ref(), Format::Html).unwrap();
    assert_eq!(html.matches("<article>").count(), 3);
    assert!(html.contains("<title>CreateCluster: failed, and 2 more</title>"), "{html}");
    assert!(html.contains("the wait stopped"), "{html}");
    let svg = page(&timelines.each_ref(), Format::Svg).unwrap();
    let svg = Document::parse(&svg).unwrap();
    let height: f64 = svg.root_element().attribute("height").unwrap().parse().unwrap();
    let ys = svg.descendants().filter_map(|node| node.attribute("y")?.parse::<f64>().ok());
    assert!(ys.fold(0.0, f64::max) < height, "all of it is in the picture");
}

#[test]
fn a_page_asks_for_nothing_beyond_itself() {
    for format in FORMS {
        let page = page(&[&wait()], format).unwrap();
        for outside in ["http:", "https:", "url(", "src=", "href=", "@import", "<script", "<link"] {
            let own = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!own.contains(outside), "{format:?} has {outside}");
        }
    }
}

fn check_hostile(job: &Value) {
    let ended = waited(WaitPolicy::new(), [fault(503), reading(job)]);
    let timelines = [saved(job.to_string()), Timeline::of_wait(&finished(ended))];
    for format in FORMS {
        let page = page(&timelines.each_ref(), format).unwrap();
        assert_eq!(unseen(&page), None, "{format:?}");
        assert!(!page.contains("<svg onload"), "{format:?}");
        // Each text is cut, and stands in a page a few times.
        assert!(page.len() < 1 << 20, "{format:?} has {}", page.len());
    }
    let svg = page(&timelines.each_ref(), Format::Svg).unwrap();
    assert!(Document::parse(&svg).is_ok(), "{:?}", Document::parse(&svg).err());
    let mermaid = page(&timelines.each_ref(), Format::Mermaid).unwrap();
    // A row is: bullets, a text without colons, a colon, two numbers.
    for row in mermaid.lines().filter(|line| line.trim_start().starts_with('·')) {
        let (text, times) = row.split_once(" :").unwrap();
        assert!(!text.contains(':') && !times.contains(':'), "{row}");
    }
}

#[test]
fn a_megabyte_is_cut() {
    check_hostile(&shown_job_of(&megabyte()));
}

proptest! {
    #[test]
    fn nothing_of_the_services_is_markup_or_unseen(text in hostile()) {
        check_hostile(&job_of(&text));
    }
}
