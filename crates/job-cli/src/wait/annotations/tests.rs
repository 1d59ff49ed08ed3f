//! Tests of the lines for GitHub Actions.

use std::time::Duration;

use job_poller::WaitPolicy;
use job_transport::{FetchError, FetchErrorKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    finished, first_hazard, hostile_text, job_with_text, reading_input, run_wait,
};

fn enabled() -> Annotations {
    Annotations::for_runner(AnnotationMode::Auto, Some(OsStr::new("true")))
}

fn job(phase: &str, reason: &str) -> Value {
    json!({"spec": {"type": "CreateCluster", "resourceName": "prod"},
        "status": {"phase": phase, "reason": reason}})
}

fn ended(job: &Value) -> Finished {
    finished(run_wait(WaitPolicy::new(), [reading_input(job)]))
}

fn late() -> Finished {
    let policy = WaitPolicy::new().timeout(Duration::ZERO);
    finished(run_wait(policy, [reading_input(&job("Running", ""))]))
}

fn refused() -> Finished {
    let error = FetchError::new(FetchErrorKind::Status(403));
    finished(run_wait(WaitPolicy::new(), [error.into()]))
}

fn lines(mut annotations: Annotations, waits: &[Finished]) -> Vec<String> {
    waits.iter().for_each(|wait| annotations.add(wait));
    annotations.into_lines()
}

#[test]
fn each_end_without_success_is_one_line() {
    let failed = ended(&job("Failed", "50% sold out,\r\nask: sales"));
    let shown = lines(enabled(), &[ended(&job("Success", "")), failed, late(), refused()]);
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn only_github_gets_annotations() {
    let failed = [ended(&job("Failed", "sold out"))];
    for (mode, variable, expected) in [
        (AnnotationMode::Auto, Some("true"), 1),
        (AnnotationMode::Auto, Some("false"), 0),
        (AnnotationMode::Auto, Some(""), 0),
        (AnnotationMode::Auto, None, 0),
        (AnnotationMode::None, Some("true"), 0),
    ] {
        let annotations = Annotations::for_runner(mode, variable.map(OsStr::new));
        assert_eq!(lines(annotations, &failed).len(), expected, "{mode:?} {variable:?}");
    }
}

#[test]
fn there_are_at_most_ten_annotations() {
    for (failed, lates, expected) in
        [(1, 0, 1), (10, 0, 10), (11, 0, 10), (9, 1, 10), (10, 1, 10), (99, 99, 10), (0, 2, 1)]
    {
        let failures = (0..failed).map(|_| ended(&job("Failed", "sold out")));
        let waits: Vec<_> = failures.chain((0..lates).map(|_| late())).collect();
        let lines = lines(enabled(), &waits);
        assert_eq!(lines.len(), expected, "{failed} failed, {lates} late");
        let shown = lines.iter().filter(|line| line.contains("sold out")).count();
        let more = lines.iter().find_map(|line| {
            line.split_once("title=cce-job%3A ")?.1.split_once(" more jobs failed")?.0.parse().ok()
        });
        assert_eq!(shown + more.unwrap_or(0), failed);
        assert_eq!(lines.iter().any(|line| line.contains("in time")), lates > 1);
    }
}

proptest! {
    #[test]
    fn texts_of_the_service_add_no_commands(text in hostile_text()) {
        for line in lines(enabled(), &[ended(&job_with_text(&text))]) {
            let rest = line.strip_prefix("::error title=").unwrap();
            let (title, message) = rest.split_once("::").unwrap();
            prop_assert!(!title.contains([':', ',', '\r', '\n']), "{title}");
            prop_assert!(!message.contains("::") && !message.contains(['\r', '\n']), "{message}");
            prop_assert_eq!(first_hazard(rest), None);
        }
    }
}
