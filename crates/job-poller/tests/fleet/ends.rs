//! Tests that each wait ends in time, even if subscribers, the source or the fleet's task fail.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use http::{Response, header::RETRY_AFTER};
use job_model::JobId;
use job_poller::{
    Checkpoint, Fixed, Fleet, JobSource, Machine, Outcome, WaitErrorKind, WaitPolicy,
};
use job_sim::{Plan, Sim, TimeSource};
use job_transport::{FetchError, Reading};

use crate::service::{REPLY_LATENCY, SECOND, Service, sleep_for};

#[tokio::test(start_paused = true)]
async fn a_backpressured_wait_continues_without_its_event_reader() {
    for finishes in [true, false] {
        let service = Service::new(Sim::new(Plan::create_cluster().slower(10), TimeSource::Clock));
        let policy = WaitPolicy::new().no_timeout();
        let fleet =
            Fleet::builder(service.client()).schedule(Fixed::new(SECOND)).policy(policy).start();
        let watch = || fleet.watch(service.sim.job().clone());
        let (mut slow, other) = (watch().events(), tokio::spawn(watch()));
        assert!(slow.next().await.is_some());
        // More events than are buffered.
        sleep_for(100 * SECOND).await;
        let before = service.request_count();
        sleep_for(100 * SECOND).await;
        assert_eq!(service.request_count(), before, "the wait is paused");
        let ended = if finishes {
            slow.finish().await
        } else {
            drop(slow);
            other.await.unwrap()
        };
        assert_eq!(ended.unwrap().outcome, Outcome::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_buffered_for_a_stream_created_immediately() {
    let service = Service::with_default_plan();
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(SECOND)).start();
    let mut events = fleet.watch(service.sim.job().clone()).events();
    // The stream is not polled, and there are more events than are buffered before one is
    // requested.
    sleep_for(8 * SECOND).await;
    let (at, _) = events.next().await.unwrap();
    assert!(at <= REPLY_LATENCY, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn repeated_watches_extend_the_deadline_by_one_timeout() {
    let seconds = |seconds: f64| Duration::from_secs_f64(seconds);
    // The timeout, the times of further watches, and when the wait ends. With a zero timeout the
    // wait makes one attempt.
    let rows = [
        (10.0, vec![6.0, 12.0, 13.0], 23.0),
        (10.0, vec![0.0, 0.0], 10.0),
        (0.0, vec![0.0, 0.001], 0.02),
    ];
    for (timeout, again, expected) in rows {
        let service =
            Service::new(Sim::new(Plan::create_cluster().slower(1000), TimeSource::Clock));
        let policy = WaitPolicy::new().timeout(seconds(timeout));
        let fleet = Fleet::builder(service.client()).policy(policy).start();
        let watch = || fleet.watch(service.sim.job().clone());
        let (mut watches, mut now) = (vec![watch()], 0.0);
        for at in again {
            sleep_for(seconds(at - now)).await;
            now = at;
            watches.push(watch());
        }
        for result in join_all(watches).await {
            let error = result.unwrap_err();
            let elapsed = error.elapsed().as_secs_f64();
            assert!((elapsed - expected).abs() < 2.01, "{timeout}: {elapsed}");
            assert!(error.attempts() > 0, "{timeout}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_later_of_two_deadlines_applies() {
    let service = Service::new(Sim::new(Plan::create_cluster().slower(1000), TimeSource::Clock));
    let fleet = |seconds: u32| {
        let policy = WaitPolicy::new().timeout(seconds * SECOND);
        Fleet::builder(service.client()).policy(policy).start()
    };
    let job = || service.sim.job().clone();
    for (resumed, own, expected) in [(100, 50, 100), (50, 100, 120)] {
        let first = fleet(resumed).watch(job());
        sleep_for(20 * SECOND).await;
        let checkpoint = first.checkpoint().unwrap();
        drop(first);
        let again = fleet(own);
        let watches = [again.resume(checkpoint.clone()), again.watch(job())];
        for result in join_all(watches).await {
            let elapsed = result.unwrap_err().elapsed().as_secs_f64();
            assert!((elapsed - f64::from(expected)).abs() < 2.01, "{resumed} {own}: {elapsed}");
        }
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
    let error = fleet.watch_new(add(), "CreateCluster").await.unwrap_err();
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
