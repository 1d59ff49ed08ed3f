//! Tests that the machine decodes the job, which it keeps as text, only if necessary.

use std::time::Duration;

use job_model::Job;
use job_transport::Reading;

use super::super::{
    checkpoint::Checkpoint,
    script::setup,
    step::{Action, Input},
};
use crate::schedule::Adaptive;

#[test]
fn printing_stopping_and_checkpoints_decode_nothing() {
    let body = r#"{"metadata": {"creationTimestamp": "2020-02-02T08:00:00Z"},
        "spec": {"type": "CreateCluster", "subJobs": [{"status": {"phase": "Success"}},]},
        "status": {"phase": "Running"}}"#;
    let schedule = Adaptive::new();
    let mut machine = setup().machine();
    let reading = || Input::from(Reading::new(Job::from_slice(body.as_bytes()).unwrap()));
    let _ = machine.step(&schedule, Duration::ZERO, Input::Wake);
    let _ = machine.step(&schedule, Duration::from_secs(1), reading());
    let kept = machine.snapshot().expect("a reading was accepted").clone();
    assert!(!kept.is_decoded(), "the decoded job is dropped after the step");

    let checkpoint = Checkpoint::new(machine.clone(), Duration::from_secs(2));
    serde_json::to_string(&checkpoint).unwrap();
    let texts = [format!("{checkpoint:?}"), format!("{:?}", machine.observation())];
    let unchanged = Input::Unchanged { date: None, credentials_refreshed: false };
    let _ = machine.step(&schedule, Duration::from_secs(11), Input::Wake);
    let _ = machine.step(&schedule, Duration::from_secs(12), unchanged);
    let stopped = machine.step(&schedule, Duration::from_secs(13), Input::Stop);
    let Action::Finish(result) = stopped.action else { panic!("{stopped:?}") };
    let error = result.unwrap_err();
    let texts = [texts.concat(), error.to_string(), format!("{error:?}")].concat();
    assert!(texts.contains("last seen Running"), "{texts}");
    assert!(error.observation().is_some() && error.deviations().is_empty());
    assert!(!kept.is_decoded(), "{texts}");

    let job = error.job().expect("the job was read");
    assert_eq!(job.job_type(), Some("CreateCluster"));
    assert!(!kept.is_decoded(), "a caller's copy is not kept");
}

/// A step of a fleet holds its lock, so it must not decode the job that it finishes with.
#[test]
fn a_settling_wait_keeps_its_decoded_job() {
    let bodies = [
        (
            r#"{"spec": {"subJobs": [{"status": {"phase": "Running"}}]}, "status": {"phase": "Running"}}"#,
            false,
        ),
        (
            r#"{"spec": {"subJobs": [{"status": {"phase": "Running"}}]}, "status": {"phase": "Success"}}"#,
            true,
        ),
    ];
    let schedule = Adaptive::new();
    let mut machine = setup().machine();
    for (second, (body, is_decoded)) in (0..).step_by(20).zip(bodies) {
        let reading = Reading::new(Job::from_slice(body.as_bytes()).unwrap());
        let _ = machine.step(&schedule, Duration::from_secs(second), Input::Wake);
        let _ = machine.step(&schedule, Duration::from_secs(second + 1), reading.into());
        let kept = machine.snapshot().expect("a reading was accepted");
        assert_eq!(kept.is_decoded(), is_decoded, "{body}");
    }
}
