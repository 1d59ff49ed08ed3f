//! Tests of what a snapshot keeps, and when it decodes.

use std::sync::mpsc;

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
    assert_eq!((&kept.text()[..], kept.digest()), (BODY.as_bytes(), read.digest()));
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

/// Returns a body of about `bytes` with this phase, and one failed sub-job after an empty one.
fn large_body(uid: &str, phase: &str, bytes: usize) -> String {
    let padding = "x".repeat(bytes);
    format!(
        r#"{{"metadata": {{"uid": "{uid}"}}, "spec": {{"type": "CreateNode", "padding": "{padding}",
            "subJobs": [{{}}, {{"spec": {{"type": "InstallNode"}},
                "status": {{"phase": "Failed", "reason": "sold out"}}}}]}},
            "status": {{"phase": "{phase}"}}}}"#
    )
}

fn counted(body: &str, limit: &MemoryLimit) -> JobSnapshot {
    let mut snapshot = JobSnapshot::from_slice(body.as_bytes()).unwrap();
    snapshot.count_toward(limit);
    snapshot.without_job()
}

#[test]
fn above_the_limit_the_largest_texts_of_running_jobs_are_dropped() {
    let limit = MemoryLimit::new(200_000);
    let bodies = [60_000, 90_000, 40_000].map(|bytes| large_body("a", "Running", bytes));
    let kept = [&bodies[0], &bodies[1], &bodies[2]].map(|body| counted(body, &limit));
    assert_eq!([false; 3], [0, 1, 2].map(|index| kept[index].is_truncated()));
    let next = counted(&large_body("b", "Running", 30_000), &limit);
    assert_eq!([false, true, false], [0, 1, 2].map(|index| kept[index].is_truncated()));
    assert!(!next.is_truncated() && limit.used_bytes() < limit.max_bytes());

    // The digest, the failed step and the identity of the text are kept.
    let full = JobSnapshot::from_slice(bodies[1].as_bytes()).unwrap();
    let dropped = &kept[1];
    assert_eq!(dropped.digest(), full.digest());
    assert_eq!(dropped.failure(), full.failure());
    assert_eq!(dropped.failure_summary(), full.failure_summary());
    assert!(dropped.failure_summary().is_some());
    assert_eq!(dropped.failure().unwrap().path.to_string(), "spec.subJobs[1]");
    assert!(dropped.has_text(bodies[1].as_bytes()));
    assert!(!dropped.has_text(bodies[0].as_bytes()));
    assert_eq!((dropped, &full), (&full, dropped));
    assert_ne!(dropped, &kept[0]);
    assert_eq!(
        std::str::from_utf8(&dropped.text()).unwrap(),
        r#"{"metadata":{"uid":"a"},"spec":{"type":"CreateNode"},"status":{"phase":"Running"}}"#
    );
    assert_eq!(*dropped.job(), full.job().summary());
    drop((kept, next));
    assert_eq!(limit.used_bytes(), 0);
}

#[test]
fn a_job_that_has_ended_keeps_its_text_or_is_a_summary_from_the_beginning() {
    let limit = MemoryLimit::new(300_000);
    let ended = counted(&large_body("a", "Failed", 60_000), &limit);
    assert!(limit.used_bytes() > 120_000, "the decoded job counts");
    // Only this text can be dropped.
    let running = counted(&large_body("b", "Running", 200_000), &limit);
    assert!(running.is_truncated() && !ended.is_truncated());
    // There is room for one of two more.
    let more = ["c", "d"].map(|uid| counted(&large_body(uid, "Failed", 60_000), &limit));
    assert_eq!([false, true], [more[0].is_truncated(), more[1].is_truncated()]);
    assert_eq!(more[1].job().phase(), more[0].job().phase());
    assert_eq!(more[1].failure(), more[0].failure());
    assert!(limit.used_bytes() <= limit.max_bytes());
}

#[test]
fn a_text_that_cannot_fit_drops_no_other_text() {
    let limit = MemoryLimit::new(100_000);
    let kept = counted(&large_body("a", "Running", 60_000), &limit);
    for phase in ["Running", "Failed"] {
        assert!(counted(&large_body("b", phase, 200_000), &limit).is_truncated());
    }
    assert!(!kept.is_truncated());
}

#[test]
fn a_small_result_is_kept_although_the_limit_is_exceeded() {
    let limit = MemoryLimit::new(10_000);
    let body_in_flight = limit.count(1_000_000);
    for phase in ["Success", "Failed"] {
        let result = counted(&large_body("a", phase, 3_000), &limit);
        assert!(!result.is_truncated());
        assert_eq!(result.job().sub_jobs().len(), 2);
    }
    let large = counted(&large_body("a", "Success", 100_000), &limit);
    assert!(large.is_truncated());
    let kinds: Vec<_> = large.inconsistencies().iter().map(ToString::to_string).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    drop(body_in_flight);
}

#[test]
fn deviations_count_as_well() {
    let limit = MemoryLimit::new(1_000_000);
    let body = format!(r#"{{"spec": {{"subJobs": [{}]}}}}"#, vec![r#"{"kind": 7}"#; 500].join(","));
    let snapshot = counted(&body, &limit);
    assert_eq!(snapshot.deviations().len(), 500);
    assert!(limit.used_bytes() > body.len() + 500 * 20, "{limit:?}");
}

#[test]
fn small_texts_are_not_kept_either_if_the_limit_is_exceeded() {
    let limit = MemoryLimit::new(10_000);
    let body = large_body("a", "Running", 4_000);
    let kept = [(); 3].map(|()| counted(&body, &limit));
    assert_eq!([false, false, true], [0, 1, 2].map(|index| kept[index].is_truncated()));
    assert!(kept[2].has_text(body.as_bytes()) && limit.used_bytes() < limit.max_bytes());
    // Nothing is gained by dropping a text that is shorter than its summary.
    let short = r#"{"status":{"phase":"Running"}}"#;
    assert!(!counted(short, &MemoryLimit::new(1)).is_truncated());
}

#[test]
fn a_snapshot_counts_once_and_a_shared_one_does_not() {
    let (limit, other) = (MemoryLimit::new(100_000), MemoryLimit::new(1));
    for bytes in [1_000, 50_000] {
        let body = large_body("a", "Running", bytes);
        let mut snapshot = JobSnapshot::from_slice(body.as_bytes()).unwrap();
        let clone = snapshot.clone();
        snapshot.count_toward(&limit);
        assert_eq!(limit.used_bytes(), 0);
        drop(clone);
        snapshot.count_toward(&limit);
        snapshot.count_toward(&other);
        let counted = limit.used_bytes();
        // A large text has a summary of less than 1 KiB.
        assert!((body.len()..body.len() + 1024).contains(&counted), "{counted}");
        assert_eq!(other.used_bytes(), 0);
        assert!(!snapshot.is_truncated());
        // A clone without the job shares the text.
        let clone = snapshot.clone().without_job();
        drop(snapshot);
        assert_eq!(limit.used_bytes(), counted);
        drop(clone);
        assert_eq!(limit.used_bytes(), 0);
    }
}

#[test]
fn large_texts_are_decoded_on_another_thread() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (release, released) = mpsc::channel::<()>();
        let hanging = tokio::task::spawn_blocking(move || released.recv());
        let large = large_body("a", "Running", 300_000);
        let large = JobSnapshot::from_slice(large.as_bytes()).unwrap().without_job();
        let mut decoding = Box::pin(large.decode());
        // The only other thread is busy, so nothing is decoded until it is free.
        assert!(futures_util::poll!(&mut decoding).is_pending());
        assert!(!large.is_decoded());
        drop(release);
        decoding.await;
        assert!(large.is_decoded());
        hanging.await.unwrap().unwrap_err();
    });
}
