//! Tests how a job is compared, hashed and printed for debugging.

extern crate std;

use alloc::{format, vec};
use std::collections::HashSet;

use super::*;

#[test]
fn debug_output_is_one_line_unless_alternate() {
    let sub_job = Job::new().with_job_type("InstallMaster").with_reason("no quota");
    let job = Job::new()
        .with_uid("354331b2c-229a")
        .with_job_type("CreateCluster")
        .with_phase(Phase::Running)
        .with_sub_jobs(vec![sub_job; 20]);
    assert_eq!(
        format!("{job:?}"),
        "Job { uid: Some(\"354331b2c-229a\"), job_type: Some(\"CreateCluster\"), \
         phase: Some(Running), sub_jobs: 20, .. }",
    );
    assert_eq!(
        format!("{:?}", Job::new()),
        "Job { uid: None, job_type: None, phase: None, sub_jobs: 0, .. }",
    );
    let job = Job::new()
        .with_kind("Job")
        .with_phase("Upgrading")
        .with_sub_jobs([Job::new().with_uid("a")])
        .with_raw_field("x", "1.10")
        .unwrap();
    insta::assert_snapshot!(format!("{job:#?}"));
}

/// Number texts are compared as texts, so every job equals itself.
#[test]
fn equal_jobs_have_equal_hashes_and_number_texts_are_compared() {
    let bodies = [r#"{"x": 1.1}"#, r#"{"x": 1.10}"#, r#"{"x": 11e-1}"#, r#"{"x": "1.1"}"#, "{}"];
    let jobs = bodies.map(|body| Job::from_slice(body.as_bytes()).unwrap());
    let set: HashSet<&Job> = jobs.iter().collect();
    assert_eq!(set.len(), bodies.len());
    for body in bodies {
        assert!(set.contains(&Job::from_slice(body.as_bytes()).unwrap()));
    }
}
