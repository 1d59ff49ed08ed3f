//! Compares digests with their jobs.

use job_model::Job;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn digest(body: &Value) -> (Job, JobDigest) {
    let job = Job::from_slice(body.to_string().as_bytes()).unwrap();
    let digest = JobDigest::new(&job);
    (job, digest)
}

fn step(phase: &str, updated: &str) -> Value {
    json!({"metadata": {"updateTimestamp": updated}, "status": {"phase": phase}})
}

#[test]
fn step_ends_are_ages_in_ascending_order_or_empty() {
    let created = "2020-02-02T08:00:00Z";
    let (early, late) = ("2020-02-02T08:00:05Z", "2020-02-02T08:01:00Z");
    let rows = [
        (vec![], vec![]),
        (vec![step("Success", late), step("Success", early)], vec![5, 60]),
        (vec![step("Success", late), step("Running", early)], vec![60]),
        (vec![step("Success", late), step("Failed", early)], vec![60]),
        // If one time is missing, unreadable or before the creation, the others cannot be trusted.
        (vec![step("Success", late), step("Success", "")], vec![]),
        (vec![step("Success", late), step("Success", "soon")], vec![]),
        (vec![step("Success", late), step("Success", "2020-02-02T07:59:59Z")], vec![]),
        // Only leaves are steps.
        (
            vec![
                json!({"spec": {"subJobs": [step("Success", early)]}, "status": {"phase": "Success"}}),
            ],
            vec![5],
        ),
    ];
    for (sub_jobs, seconds) in rows {
        let body =
            json!({"metadata": {"creationTimestamp": created}, "spec": {"subJobs": sub_jobs}});
        let (_, digest) = digest(&body);
        let ends: Vec<_> = digest.step_ends().iter().map(Duration::as_secs).collect();
        assert_eq!(ends, seconds, "{body}");
        let (_, digest) = self::digest(&json!({"spec": {"subJobs": sub_jobs}}));
        assert!(digest.step_ends().is_empty(), "without a creation time: {body}");
    }
}

#[test]
fn trees_differ_in_phases_ids_order_and_levels() {
    let node = |uid: &str, phase: &str, sub_jobs: &[Value]| json!({"metadata": {"uid": uid}, "spec": {"subJobs": sub_jobs}, "status": {"phase": phase}});
    let [a, b] = ["a", "b"].map(|uid| node(uid, "Running", &[]));
    let job = |uid, sub_jobs: &[Value]| node(uid, "Running", sub_jobs);
    let original = job("j", &[a.clone(), b.clone()]);
    let rows = [
        ("the same", original.clone(), true),
        ("the job's own uid", job("", &[a.clone(), b.clone()]), true),
        ("the job's phase", node("j", "Success", &[a.clone(), b.clone()]), false),
        ("a phase", job("j", &[a.clone(), node("b", "Success", &[])]), false),
        ("no phase", job("j", &[a.clone(), node("b", "", &[])]), false),
        ("a uid", job("j", &[a.clone(), node("c", "Running", &[])]), false),
        ("the order", job("j", &[b.clone(), a.clone()]), false),
        ("one sub-job fewer", job("j", std::slice::from_ref(&a)), false),
        ("another level", job("j", &[node("a", "Running", &[b])]), false),
    ];
    let (_, digest) = digest(&original);
    for (name, body, is_same) in rows {
        assert_eq!(digest.has_same_tree(&self::digest(&body).1), is_same, "{name}");
    }
    // Times and other fields are not part of the tree.
    let mut updated = original;
    updated["metadata"]["updateTimestamp"] = "2020-02-02T08:00:00Z".into();
    assert!(digest.has_same_tree(&self::digest(&updated).1));
}

#[test]
fn times_outside_64_bits_of_nanoseconds_are_absent() {
    let rows = [
        ("1970-01-01T00:00:00Z", true),
        ("2018-03-01T07:06:12.123456789Z", true),
        ("1677-09-22T00:00:00Z", true),
        ("2262-04-11T00:00:00Z", true),
        ("1677-09-20T00:00:00Z", false),
        ("9999-12-30T00:00:00Z", false),
        ("soon", false),
    ];
    for (text, is_present) in rows {
        let times = json!({"creationTimestamp": text, "updateTimestamp": text});
        let (_, digest) = digest(&json!({"metadata": times}));
        let expected = if is_present { text.parse::<Timestamp>().ok() } else { None };
        assert_eq!((digest.created_at(), digest.updated_at()), (expected, expected), "{text}");
    }
}

fn any_job() -> impl Strategy<Value = Value> {
    let phase =
        prop::sample::select(vec!["", "Initializing", "Running", "Success", "Failed", "Odd"]);
    let leaf = phase.clone().prop_map(|phase| json!({"status": {"phase": phase}}));
    leaf.prop_recursive(4, 24, 4, move |inner| {
        (phase.clone(), prop::collection::vec(inner, 0..4)).prop_map(|(phase, sub_jobs)| {
            json!({"spec": {"type": "CreateNode", "subJobs": sub_jobs}, "status": {"phase": phase}})
        })
    })
}

proptest! {
    #[test]
    fn a_digest_agrees_with_its_job(body in any_job()) {
        let (job, digest) = digest(&body);
        let is_active =
            |job: &Job| matches!(job.phase(), Some(Phase::Initializing | Phase::Running));
        prop_assert_eq!(digest.phase(), job.phase());
        prop_assert_eq!(digest.job_type(), job.job_type());
        prop_assert_eq!(
            digest.has_active_sub_jobs(),
            job.walk().skip(1).any(|node| is_active(node.job))
        );
        prop_assert_eq!(digest.has_failure(), job.failure().is_some());
        let direct = job.sub_jobs();
        prop_assert_eq!(
            digest.all_sub_jobs_succeeded(),
            !direct.is_empty() && direct.iter().all(|job| job.phase() == Some(&Phase::Success))
        );
    }
}
