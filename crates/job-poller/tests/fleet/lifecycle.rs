//! Tests of the calls that control a fleet: cancel, get, jobs, shutdown, and settings of one watch.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use job_model::Phase;
use job_poller::{Fleet, Outcome, WaitErrorKind, WaitPolicy, fleet::WaitRequest, schedule::Fixed};
use job_sim::{Plan, Sim, TimeSource};
use tokio::runtime::Handle;

use crate::service::{REPLY_LATENCY, SECOND, Service, sleep_for};

/// Returns a service whose jobs do not end within an hour.
fn endless() -> Service {
    Service::new(Sim::new(Plan::create_cluster().slower(100_000), TimeSource::Clock))
}

#[tokio::test(start_paused = true)]
async fn cancel_ends_all_watches_of_one_job() {
    let service = endless();
    let other = service.sim.add(Plan::create_cluster().slower(60));
    let fleet = Fleet::builder(service.client()).start();
    let job = service.sim.job();
    // In the queue, during an attempt, during a pause.
    for at in [Duration::ZERO, REPLY_LATENCY / 2, 5 * SECOND] {
        let watches = [fleet.watch(job.clone()), fleet.watch(job.clone())];
        sleep_for(at).await;
        assert!(fleet.cancel(job), "{at:?}");
        assert!(!fleet.cancel(job), "{at:?}");
        for result in join_all(watches).await {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), WaitErrorKind::Stopped, "{at:?}");
            assert_eq!(error.checkpoint().job_id(), job, "{at:?}");
        }
        assert_eq!((fleet.stats().jobs, fleet.stats().in_flight), (0, 0), "{at:?}");
    }
    let watch = fleet.watch(other);
    assert!(!fleet.cancel(job));
    assert_eq!(watch.await.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_reports_the_state_of_each_job() {
    let service = endless();
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(10 * SECOND)).start();
    let job = service.sim.job();
    assert!(fleet.get(job).is_none());
    let watches = [fleet.watch(job.clone()), fleet.watch(job.clone())];
    // When the figures are read, then the phase, the number of attempts, and the seconds until the
    // next attempt.
    let rows = [
        (0, None, 0, Some(0)),
        (1, None, 1, None),
        (3_020, Some(Phase::Initializing), 1, Some(7)),
        (10_010, Some(Phase::Initializing), 1, Some(0)),
        (10_030, Some(Phase::Initializing), 2, None),
    ];
    let mut now = 0;
    for (at, phase, attempts, next) in rows {
        sleep_for(Duration::from_millis(at - now)).await;
        now = at;
        let status = fleet.get(job).unwrap();
        assert_eq!(status.phase(), phase.as_ref(), "{at}");
        assert_eq!((status.attempts, status.watches), (attempts, 2), "{at}");
        assert_eq!(status.next_attempt_in.map(|left| left.as_secs()), next, "{at}");
        assert_eq!(status.elapsed, Duration::from_millis(at), "{at}");
    }
    drop(watches);
    assert!(fleet.get(job).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_fleet_lists_its_jobs() {
    let service = endless();
    let fleet = Fleet::builder(service.client()).start();
    let ids: BTreeSet<_> = service.add_jobs(50).into_iter().map(|(id, _)| id).collect();
    let mut watches: Vec<_> = ids.iter().map(|id| fleet.watch(id.clone())).collect();
    assert_eq!(fleet.jobs().collect::<BTreeSet<_>>(), ids);
    watches.truncate(20);
    let left: BTreeSet<_> = watches.iter().map(|watch| watch.job_id().clone()).collect();
    assert_eq!(fleet.jobs().collect::<BTreeSet<_>>(), left);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_all_waits_and_the_task() {
    let service = endless();
    let before = Handle::current().metrics().num_alive_tasks();
    let fleet =
        Fleet::builder(service.client()).requests_per_second(1000.0).max_in_flight(3).start();
    let watches: Vec<_> = service.add_jobs(10).into_iter().map(|(id, _)| fleet.watch(id)).collect();
    let mut events = fleet.events();
    // Some attempts are in flight, and some waits are queued.
    sleep_for(REPLY_LATENCY / 2).await;
    assert_eq!((fleet.stats().in_flight, fleet.stats().queued), (3, 7));
    let other = fleet.clone();
    tokio::join!(fleet.shutdown(), other.shutdown());
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    assert_eq!((fleet.stats().jobs, fleet.stats().in_flight), (0, 0));
    for result in join_all(watches).await {
        assert_eq!(result.unwrap_err().kind(), WaitErrorKind::Stopped);
    }
    // A later wait is rejected at once, and a second shutdown has nothing to do.
    let requests = service.request_count();
    let error = fleet.watch(service.sim.job().clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (WaitErrorKind::Stopped, 0));
    assert_eq!(service.request_count(), requests);
    fleet.shutdown().await;
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_can_have_its_own_policy_and_schedule() {
    let service = endless();
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(10 * SECOND)).start();
    let add = || service.sim.add(Plan::create_cluster().slower(100_000));
    let minute = WaitPolicy::new().timeout(60 * SECOND);
    let second = Fixed::new(SECOND);
    // The request, and how many attempts are made in a minute. The last one is made two seconds
    // before the deadline.
    let rows = [
        (WaitRequest::new(add()).policy(minute), 7),
        (WaitRequest::new(add()).policy(minute).schedule(second), 59),
        (WaitRequest::new(add()).policy(minute.max_consecutive_errors(1)), 7),
    ];
    let watches: Vec<_> =
        rows.iter().map(|(request, _)| fleet.watch_with(request.clone())).collect();
    let _default = fleet.watch(add());
    let mut checkpoints = Vec::new();
    for (result, (request, attempts)) in join_all(watches).await.into_iter().zip(rows) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded, "{request:?}");
        assert!(error.attempts().abs_diff(attempts) <= 2, "{request:?}: {}", error.attempts());
        checkpoints.push(error.into_checkpoint());
    }
    // A checkpoint can be resumed with other settings.
    let policy = WaitPolicy::new().timeout(90 * SECOND);
    let again = WaitRequest::resume(checkpoints.swap_remove(0)).policy(policy).schedule(second);
    let error = fleet.watch_with(again).await.unwrap_err();
    assert_eq!(error.elapsed().as_secs(), 88);
    // The delays have a jitter.
    assert!((34..=40).contains(&error.attempts()), "{}", error.attempts());
    assert_eq!(fleet.stats().jobs, 1);
}

#[tokio::test(start_paused = true)]
async fn stats_report_how_long_the_service_throttles() {
    let sim = Sim::new(Plan::create_cluster().slower(100_000), TimeSource::Clock);
    sim.inject_faults([None, Some(job_sim::Fault::Throttled(60 * SECOND))]);
    let service = Service::new(sim);
    let fleet = Fleet::builder(service.client()).start();
    let _watches: Vec<_> = service.add_jobs(2).into_iter().map(|(id, _)| fleet.watch(id)).collect();
    assert_eq!(fleet.stats().throttled_for, Duration::ZERO);
    sleep_for(SECOND).await;
    let throttled = fleet.stats().throttled_for;
    assert!((55 * SECOND..80 * SECOND).contains(&throttled), "{throttled:?}");
    sleep_for(throttled).await;
    assert_eq!(fleet.stats().throttled_for, Duration::ZERO);
}
