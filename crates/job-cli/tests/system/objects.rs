//! Transcripts of waits until clusters and nodes are ready or gone. Each reading of an object advances
//! the service by half a second.

use std::time::Duration;

use job_sim::{Fault, ObjectPlan, Plan};
use serde_json::Value;

use crate::session::{FAST_POLL_ARGS, Transcript};

const CLUSTER: &str = "4d1ecb2c-229a-11e8-9c75-0255ac100ceb";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_until_the_cluster_is_ready() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    session.sim.set_object_plan(CLUSTER, ObjectPlan::ready_after(Duration::from_secs(1)));
    session.run(&format!("wait {FAST_POLL_ARGS} --until ready JOB")).await;
    session.run(&format!("wait {FAST_POLL_ARGS} --until ready -q --summary JOB")).await;
    let object = session.run(&format!("wait {FAST_POLL_ARGS} --cluster {CLUSTER} -o json")).await;
    let object: Value = serde_json::from_str(&object.stdout).unwrap();
    assert_eq!((&object["phase"], &object["state"]), (&"Available".into(), &"ready".into()));
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_for_a_cluster_that_is_not_ready() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    session.sim.set_object_plan(CLUSTER, ObjectPlan::never_ready());
    let args = format!("wait {FAST_POLL_ARGS} --timeout 2s -q");
    for rest in [
        "--until ready JOB",
        &format!("--cluster {CLUSTER}"),
        &format!("--cluster {CLUSTER} --until gone"),
        "--cluster nobody",
        &format!("--cluster {CLUSTER} --node nobody --node nobody"),
        "--cluster nobody --until ended",
        "--cluster nobody JOB",
        "--node nobody",
        "--until open JOB",
    ] {
        session.run(&format!("{args} {rest}")).await;
    }
    session.text = session.text.replace(CLUSTER, "CLUSTER");
    let lines = session.text.lines().map(hide_attempts);
    session.text = lines.map(|line| line + "\n").collect();
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_wait_needs_no_job_if_the_job_has_ended() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    session.sim.set_object_plan(CLUSTER, ObjectPlan::never_ready());
    let args = format!("wait {FAST_POLL_ARGS} --until ready --checkpoint wait.json");
    let ran = session.run(&format!("{args} --timeout 2s JOB")).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("--checkpoint wait.json"), "{ran:?}");
    assert!(!ran.stderr.contains("still running"), "{ran:?}");
    // A request for the job would end the wait. The cluster becomes ready.
    session.sim.inject_faults(Fault::parse_script("20*410").unwrap());
    session.sim.set_object_plan(CLUSTER, ObjectPlan::ready());
    let ran = session.run(&format!("{args} --timeout 1h -o jsonl")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["outcome"], &last["job_outcome"]), (&"ready".into(), &"succeeded".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_until_a_cluster_is_gone() {
    let mut session = Transcript::new(Plan::delete_cluster()).await;
    let ran = session.run(&format!("wait {FAST_POLL_ARGS} --until gone -o jsonl JOB")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["outcome"], "gone");
    // Two replies that are at least ten seconds apart.
    assert!(last["elapsed"].as_f64().unwrap() >= 10.0, "{last}");
}

/// Replaces the number of attempts, which depends on the time.
fn hide_attempts(line: &str) -> String {
    match line.split_once(" attempts in ") {
        Some((start, end)) => {
            let start = start.trim_end_matches(|c: char| c.is_ascii_digit());
            format!("{start}<number> attempts in {end}")
        }
        None => line.into(),
    }
}
