//! Compares a wait in a store with a machine in memory.

use job_poller::{
    durable::StoredResult,
    machine::{Action, Input, Machine},
    schedule::{Adaptive, Schedule},
};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    row::{WaitRow, WaitState},
    testing::{Cloud, TestClock},
};

/// Drives a machine without a store: what a store must do as well.
async fn drive(
    machine: Machine,
    schedule: &dyn Schedule,
    replies: &[Reply],
) -> (Vec<Duration>, String) {
    let clock = TestClock::default();
    let cloud = Cloud::new(&clock, replies);
    let client = cloud.client().project(key("a").project);
    let (mut machine, mut input) = (machine, Input::Wake);
    loop {
        let action = machine.step(schedule, clock.monotonic(), input).action;
        input = match action {
            Action::Fetch { id, timeout, last } => {
                client.clone().attempt_timeout(timeout).job_since(&id, last.as_ref()).await.into()
            }
            Action::FetchObject { id, timeout } => {
                client.clone().attempt_timeout(timeout).object(&id).await.into()
            }
            Action::SleepUntil(at) => {
                clock.advance(at.saturating_sub(clock.monotonic()));
                Input::Wake
            }
            Action::Finish(result) => {
                let result = StoredResult::new(&key("a"), &result);
                return (cloud.requests(), result.outcome);
            }
        };
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        6 => Just(RUNNING),
        1 => Just(SUCCESS),
        1 => Just(FAILED),
        1 => Just(Reply::Body(r#"{"status": {"phase": "Success"}, "spec": {"subJobs": [{"status": {"phase": "Running"}}]}}"#)),
        1 => Just(Reply::Body("not json")),
        1 => Just(Reply::Body(r#"{"metadata": {"uid": "other"}, "status": {"phase": "Running"}}"#)),
        2 => Just(Reply::Lost),
        1 => (prop_oneof![Just(404), Just(403), Just(500), Just(503)]).prop_map(|status| Reply::Status(status, None)),
        1 => (1_u32..100).prop_map(|seconds| Reply::Status(429, Some(seconds))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The machine is compared with a reference model in job-poller. A wait in a store must make the
    /// same requests at the same times, and have the same outcome.
    #[test]
    fn a_stored_wait_does_what_a_machine_in_memory_does(replies in vec(reply(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut bed = TestBed::new(&replies).await;
            bed.worker = bed.worker.requests_per_second(1e6).max_in_flight(1000);
            let minutes = WaitPolicy::new().timeout(Duration::from_secs(300));
            bed.store.watch(&key("a"), &Watch::new().policy(minutes)).await.unwrap();
            let mut transaction = bed.store.database.begin().await.unwrap();
            let row = WaitRow::lock(&mut transaction, &key("a")).await.unwrap().unwrap();
            drop(transaction);
            let WaitState::Active(wait, _) = row.state else { panic!("it is active") };
            let machine = wait.checkpoint().machine().clone();
            let (requests, expected) = drive(machine, &Adaptive::new(), &replies).await;
            bed.run_until(400).await;
            assert_eq!(outcome(&bed.store, "a").await, Some(expected));
            let stored = bed.cloud.requests();
            assert_eq!(stored.len(), requests.len());
            // Times in the database are rounded up to microseconds.
            let most = Duration::from_millis(1);
            let is_close = |(a, b): (&Duration, &Duration)| a.abs_diff(*b) <= most;
            assert!(stored.iter().zip(&requests).all(is_close), "{stored:?} {requests:?}");
        });
    }
}
