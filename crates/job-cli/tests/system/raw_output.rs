//! `--raw` prints the bytes of the last accepted reply.

use job_sim::{Fault, Plan};
use serde_json::Value;

use crate::session::{ENDPOINT_ARG, FAST_POLL_ARGS, Transcript};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_output_is_the_reply_byte_for_byte() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let get = session.run(&format!("get {ENDPOINT_ARG} --raw JOB")).await;
    let job: job_model::Job = serde_json::from_str(&get.stdout).unwrap();
    assert_eq!(serde_json::to_string(&job).unwrap(), get.stdout, "not even a line break is added");
    let wait = session.run(&format!("wait {FAST_POLL_ARGS} --raw JOB")).await;
    assert!(wait.stdout.ends_with(r#""status":{"phase":"Success","reason":""}}"#), "{wait:?}");
}

/// The second run reads the same reply again, and does not decode it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_output_is_complete_after_a_resume() {
    let mut session = Transcript::new(Plan::create_cluster().slower(1000)).await;
    let line = format!("wait {ENDPOINT_ARG} --timeout 0 --checkpoint wait.json --raw JOB");
    let (first, second) = (session.run(&line).await, session.run(&line).await);
    assert_eq!((first.code, second.code), (Some(3), Some(3)), "{second:?}");
    assert!(first.stdout.contains("CreateCluster"), "{first:?}");
    assert_eq!(first.stdout, second.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_output_is_the_last_accepted_reply() {
    let mut session = Transcript::new(Plan::create_cluster().slower(1000)).await;
    session.sim.inject_faults(Fault::parse_script("ok, wrong-uid").unwrap());
    let line = format!("wait {ENDPOINT_ARG} --schedule fixed:1500ms --raw --timeout 2s JOB");
    let ran = session.run(&line).await;
    let job: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &job["metadata"]["uid"]), (Some(3), &session.sim.job().as_str().into()));
}
