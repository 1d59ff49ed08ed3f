//! Tests of what a snapshot keeps, and when it decodes.

use super::*;

const BODY: &str = r#"{"metadata": {"uid": "a", "updateTimestamp": "2020-02-02T08:12:40Z"},
    "spec": {"subJobs": [{"other": 1.10},]}}"#;

#[test]
fn a_snapshot_keeps_text_digest_and_deviations_without_the_job() {
    let read = JobSnapshot::from_slice(BODY.as_bytes()).unwrap();
    let job = read.job().clone();
    assert!(read.is_decoded());
    let kept = read.clone().without_job();
    assert!(!kept.is_decoded() && read.is_decoded());
    assert_eq!((kept.text(), kept.digest()), (BODY.as_bytes(), read.digest()));
    assert_eq!(kept.deviations().len(), 1);
    assert_eq!(format!("{kept:?}"), format!("{read:?}"));
    assert!(!kept.is_decoded());
    assert_eq!(kept.job(), &job);
    assert!(kept.is_decoded());
    assert_eq!(*kept.into_job(), job);
}

#[test]
fn snapshots_are_equal_if_their_texts_are() {
    let read = JobSnapshot::from_slice(BODY.as_bytes()).unwrap();
    assert_eq!(read, JobSnapshot::from_slice(BODY.as_bytes()).unwrap());
    // The same job with a different text.
    let again = JobSnapshot::from(read.job().clone());
    assert_ne!(read, again);
    assert_eq!((read.digest(), read.job()), (again.digest(), again.job()));
    assert!(again.deviations().is_empty());
}

#[test]
fn a_snapshot_is_serialized_as_its_text() {
    let read = JobSnapshot::from_slice(BODY.as_bytes()).unwrap();
    let text = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<String>(&text).unwrap(), BODY);
    let again: JobSnapshot = serde_json::from_str(&text).unwrap();
    assert!(again == read && !again.is_decoded() && again.deviations() == read.deviations());
    let error = serde_json::from_str::<JobSnapshot>(r#""[]""#).unwrap_err().to_string();
    assert!(error.starts_with("the body is not a JSON object"), "{error}");
}

#[test]
fn a_stored_text_has_a_limit_on_its_sub_jobs() {
    for (sub_jobs, is_accepted) in [(100_000, true), (100_001, false)] {
        let text = format!(r#"{{"spec": {{"subJobs": [{}{{}}]}}}}"#, "{},".repeat(sub_jobs - 1));
        let stored = serde_json::to_string(&text).unwrap();
        assert_eq!(serde_json::from_str::<JobSnapshot>(&stored).is_ok(), is_accepted, "{sub_jobs}");
    }
}

#[test]
fn a_job_that_cannot_be_decoded_again_is_kept() {
    let nest = |depth| {
        (1..depth).fold(Job::default(), |sub_job, _| {
            let mut job = Job::default();
            job.spec.get_or_insert_default().sub_jobs = Some(vec![sub_job].into());
            job
        })
    };
    let cap = Limits::MAX_DEPTH_CAP;
    for (depth, is_kept) in [(1, false), (cap, false), (cap + 1, true)] {
        let job = nest(depth);
        let snapshot = JobSnapshot::from(job.clone()).without_job();
        assert_eq!(snapshot.is_decoded(), is_kept, "{depth}");
        assert_eq!(snapshot.job(), &job, "{depth}");
    }
}
