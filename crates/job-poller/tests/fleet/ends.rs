//! Tests that each wait ends in time, even if subscribers, the source or the fleet's task fail.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use http::{Response, header::RETRY_AFTER};
use job_model::JobId;
use job_poller::{
    Checkpoint, Fleet, Outcome, WaitErrorKind, WaitPolicy,
    fleet::WaitRequest,
    machine::Machine,
    schedule::Fixed,
    source::{JobSource, source_fn},
};
use job_sim::{Plan, Sim, TimeSource};
use job_transport::{FetchError, Reading};
use tokio::time::Instant;

use crate::service::{REPLY_LATENCY, SECOND, Service, sleep_for};

#[tokio::test(start_paused = true)]
async fn events_are_buffered_for_a_stream_created_immediately() {
    let service = Service::with_default_plan();
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(SECOND)).start();
    let mut events = fleet.watch(service.sim.job().clone()).events();
    // The stream is not polled, and there are more events than are buffered before one is
    // requested.
    sleep_for(8 * SECOND).await;
    let (at, _) = events.next().await.unwrap().unwrap();
    assert!(at <= REPLY_LATENCY, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn each_watch_of_a_job_ends_at_its_own_deadline() {
    // For each watch: when it begins and its timeout, in milliseconds. 0 means one attempt. Then
    // when it ends, if the job does not: 20 ms after the beginning of the last attempt, which is
    // made two seconds before the deadline, or a tenth of the timeout if that is shorter.
    type Row = &'static [(u64, Option<u64>, Option<u64>)];
    let rows: [Row; 9] = [
        &[(0, Some(30_000), Some(28_020)), (6_000, Some(30_000), Some(34_020))],
        &[
            (0, Some(30_000), Some(28_020)),
            (6_000, Some(30_000), Some(34_020)),
            (33_000, Some(30_000), Some(61_020)),
        ],
        &[(0, Some(10_000), Some(9_020)), (0, Some(10_000), Some(9_020))],
        // A shorter timeout does not shorten the others, and a longer one does not lengthen them.
        &[(0, Some(60_000), Some(58_020)), (5_000, Some(10_000), Some(14_020))],
        &[(0, Some(10_000), Some(9_020)), (5_000, Some(60_000), Some(63_020))],
        &[(0, None, None), (5_000, Some(10_000), Some(14_020))],
        &[(0, Some(10_000), Some(9_020)), (5_000, None, None)],
        // One attempt: the one that is in flight, or one that is made now.
        &[(0, Some(0), Some(20)), (0, Some(0), Some(20)), (1, Some(0), Some(20))],
        &[(0, Some(60_000), Some(58_020)), (9_000, Some(0), Some(9_020))],
    ];
    for (number, row) in rows.into_iter().enumerate() {
        let service =
            Service::new(Sim::new(Plan::create_cluster().slower(1000), TimeSource::Clock));
        let fleet = Fleet::builder(service.client()).schedule(Fixed::new(300 * SECOND)).start();
        let (mut watches, mut now) = (Vec::new(), 0);
        for (at, timeout, _) in row {
            sleep_for(Duration::from_millis(at - now)).await;
            now = *at;
            let policy = match timeout {
                Some(timeout) => WaitPolicy::new().timeout(Duration::from_millis(*timeout)),
                None => WaitPolicy::new().no_timeout(),
            };
            let request = WaitRequest::new(service.sim.job().clone()).policy(policy);
            watches.push(tokio::spawn(fleet.watch_with(request)));
        }
        for ((began, timeout, expected), watch) in row.iter().zip(watches) {
            let Some(expected) = expected else {
                watch.abort();
                continue;
            };
            let error = watch.await.unwrap().unwrap_err();
            let elapsed = error.elapsed();
            assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded, "row {number}");
            assert_eq!(elapsed.as_millis(), u128::from(*expected), "row {number}: {error:?}");
            assert!(error.attempts() > 0, "row {number}");
            // Its checkpoint has its own timeout, as a time since the wait began.
            if *timeout > Some(0) {
                let deadline = Duration::from_millis(began + timeout.unwrap());
                assert_eq!(error.checkpoint().policy().deadline(), deadline, "row {number}");
            }
        }
        tokio::task::yield_now().await;
        assert_eq!(fleet.stats().jobs, 0, "row {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_last_attempt_is_made_before_the_deadline_of_each_watch() {
    let service = Service::new(Sim::new(Plan::create_cluster().slower(100_000), TimeSource::Clock));
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(300 * SECOND)).start();
    let watch = |seconds| {
        let policy = WaitPolicy::new().timeout(seconds * SECOND);
        fleet.watch_with(WaitRequest::new(service.sim.job().clone()).policy(policy))
    };
    let (long, short) = (watch(1000), watch(100));
    let first = short.await.unwrap_err();
    assert_eq!((first.attempts(), first.elapsed()), (2, 98 * SECOND + REPLY_LATENCY));
    // Without other watches, the wait goes on with the deadline of the first one.
    let last = long.await.unwrap_err();
    assert_eq!(last.elapsed(), 998 * SECOND + REPLY_LATENCY);
    let asked = service.requests.lock().unwrap();
    let asked: Vec<_> = asked.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(asked, [0, 98, 398, 698, 998]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_ended_is_not_a_missed_deadline_of_one_watch() {
    let rows = [
        // It settles until the deadline.
        (r#""Success""#, "Running", true),
        // The lookup of its failed step takes until the deadline.
        (r#""Failed""#, "Failed", false),
    ];
    for (phase, sub_job, succeeds) in rows {
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        let started_at = Instant::now();
        let source = source_fn(move |id: JobId| async move {
            if id.as_str() == "step" {
                sleep_for(1000 * SECOND).await;
            }
            let is_running = started_at.elapsed() < Duration::from_millis(57_900);
            let phase = if is_running { r#""Running""# } else { phase };
            let body = format!(
                r#"{{"status": {{"phase": {phase}}}, "spec": {{"subJobs": [
                    {{"metadata": {{"uid": "step"}}, "status": {{"phase": "{sub_job}"}}}}]}}}}"#
            );
            Reading::from_response(Response::new(body.into()))
        });
        let policy = WaitPolicy::new().timeout(60 * SECOND);
        let fleet = Fleet::builder(source).schedule(Fixed::new(20 * SECOND)).policy(policy).start();
        let watch = fleet.watch("a".parse().unwrap());
        // This gives the first watch a deadline of its own.
        drop(fleet.watch("a".parse().unwrap()));
        let _longer = fleet.watch_with(
            WaitRequest::new("a".parse().unwrap()).policy(WaitPolicy::new().no_timeout()),
        );
        let ended = watch.await.unwrap();
        assert_eq!(ended.outcome == Outcome::Succeeded, succeeds, "{phase}");
        assert!(ended.elapsed <= 60 * SECOND, "{phase}: {:?}", ended.elapsed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_of_each_watch_has_its_own_deadline() {
    let service = Service::new(Sim::new(Plan::create_cluster().slower(1000), TimeSource::Clock));
    let fleet = Fleet::builder(service.client()).start();
    let watch = |seconds| {
        let policy = WaitPolicy::new().timeout(seconds * SECOND);
        fleet.watch_with(WaitRequest::new(service.sim.job().clone()).policy(policy))
    };
    let first = watch(600);
    sleep_for(100 * SECOND).await;
    let second = watch(3600);
    let deadline = |checkpoint: &Checkpoint| checkpoint.policy().deadline().as_secs();
    assert_eq!(deadline(&first.checkpoint().unwrap()), 600);
    fleet.shutdown().await;
    assert_eq!(deadline(&first.checkpoint().unwrap()), 600);
    assert_eq!(deadline(&second.checkpoint().unwrap()), 3700);
    let [first, second] = [first.await.unwrap_err(), second.await.unwrap_err()];
    assert_eq!([deadline(first.checkpoint()), deadline(second.checkpoint())], [600, 3700]);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_watch_keeps_its_deadline_beside_another_watch() {
    let service = Service::new(Sim::new(Plan::create_cluster().slower(1000), TimeSource::Clock));
    let fleet = |seconds: u32| {
        let policy = WaitPolicy::new().timeout(seconds * SECOND);
        Fleet::builder(service.client()).policy(policy).start()
    };
    let job = || service.sim.job().clone();
    // The timeouts of the resumed watch and of the other one. Both count from the beginning of the
    // resumed wait, at whose 20th second the other watch begins.
    for (resumed, own, expected) in [(100, 50, [98, 68]), (50, 100, [48, 118])] {
        let first = fleet(resumed).watch(job());
        sleep_for(20 * SECOND).await;
        let checkpoint = first.checkpoint().unwrap();
        drop(first);
        let again = fleet(own);
        let watches = [again.resume(checkpoint.clone()), again.watch(job())];
        let ended = join_all(watches).await.into_iter();
        let elapsed = ended.map(|result| result.unwrap_err().elapsed().as_secs());
        assert_eq!(elapsed.collect::<Vec<_>>(), expected, "{resumed} {own}");
    }
}

/// Panics when job `b` is read.
struct PanickingSource;

impl JobSource for PanickingSource {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            assert_ne!(id.as_str(), "b", "the source is broken");
            let body = Bytes::from_static(br#"{"status": {"phase": "Running"}}"#);
            Reading::from_response(Response::new(body))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn waits_end_as_stopped_when_the_fleet_task_panics() {
    let fleet = Fleet::builder(PanickingSource).start();
    let sound = fleet.watch("a".parse().unwrap());
    sleep_for(SECOND).await;
    let broken = fleet.watch("b".parse().unwrap());
    let results = join_all([sound, broken]).await;
    let later = fleet.watch("a".parse().unwrap()).await;
    for result in results.into_iter().chain([later]) {
        assert_eq!(result.unwrap_err().kind(), WaitErrorKind::Stopped);
    }
    assert_eq!(fleet.stats().jobs, 0);
}

#[test]
fn waits_end_as_stopped_when_the_runtime_is_dropped() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let first = runtime();
    let within = first.enter();
    let watch = Fleet::builder(PanickingSource).start().watch("a".parse().unwrap());
    drop(within);
    drop(first);
    let error = runtime().block_on(watch).unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_new_job_gets_an_attempt_before_its_deadline() {
    let service = Service::with_default_plan();
    let add = || service.sim.add(Plan::create_cluster().slower(100_000));
    let policy = WaitPolicy::new().timeout(30 * SECOND);
    let fleet = Fleet::builder(service.client()).requests_per_second(1.0).policy(policy).start();
    // These waits have no deadline, so they use up the budget all the time.
    let machine = || Machine::new(add(), WaitPolicy::new().no_timeout());
    let other = || fleet.resume(Checkpoint::new(machine(), Duration::ZERO));
    let _others: Vec<_> = (0..300).map(|_| other()).collect();
    // Each of them was read once.
    sleep_for(320 * SECOND).await;
    let error =
        fleet.watch_with(WaitRequest::new(add()).submitted("CreateCluster")).await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded);
    assert!(error.elapsed() <= 31 * SECOND && error.attempts() > 0, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_last_attempt_is_made_before_the_deadline() {
    let service = Service::new(Sim::new(Plan::create_cluster().slower(100_000), TimeSource::Clock));
    // The 100 other waits are due every second, and the budget is one request per second.
    let fleet = Fleet::builder(service.client())
        .schedule(Fixed::new(SECOND))
        .requests_per_second(1.0)
        .policy(WaitPolicy::new().no_timeout())
        .start();
    let minute = WaitPolicy::new().timeout(60 * SECOND);
    let machine = Machine::new(service.sim.job().clone(), minute);
    let watch = fleet.resume(Checkpoint::new(machine, Duration::ZERO));
    let add = || service.sim.add(Plan::create_cluster().slower(100_000));
    let _others: Vec<_> = (0..100).map(|_| fleet.watch(add())).collect();
    assert_eq!(watch.await.unwrap_err().kind(), WaitErrorKind::DeadlineExceeded);
    let asked = service.requests.lock().unwrap();
    let of = asked.iter().filter(|(_, id)| id == service.sim.job().as_str());
    assert_eq!(of.map(|(at, _)| at.as_secs()).collect::<Vec<_>>(), [0, 58]);
}

/// The job `failed` has failed, and its failed step must be looked up. Other jobs get a 502 with a
/// `Retry-After` of five minutes.
struct FailingSource;

impl JobSource for FailingSource {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            if id.as_str() == "failed" {
                sleep_for(SECOND).await;
                let body = br#"{"status": {"phase": "Failed"}, "spec": {"subJobs": [
                    {"metadata": {"uid": "step"}, "status": {"phase": "Failed"}}]}}"#;
                return Reading::from_response(Response::new(Bytes::from_static(body)));
            }
            let reply = Response::builder().status(502).header(RETRY_AFTER, "300");
            Reading::from_response(reply.body(Bytes::new()).unwrap())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_does_not_delay_a_known_failure() {
    let fleet = Fleet::builder(FailingSource).start();
    let [failed, _other] = ["failed", "other"].map(|id| fleet.watch(id.parse().unwrap()));
    let ended = failed.await.unwrap();
    assert!(matches!(ended.outcome, Outcome::Failed(_)));
    assert!((10 * SECOND..12 * SECOND).contains(&ended.elapsed), "{:?}", ended.elapsed);
    // The `Retry-After` applies to all jobs.
    let third = fleet.watch("third".parse().unwrap());
    sleep_for(280 * SECOND).await;
    assert_eq!((fleet.stats().requests, third.elapsed()), (2, 280 * SECOND));
    sleep_for(20 * SECOND).await;
    assert!(fleet.stats().requests > 2);
}
