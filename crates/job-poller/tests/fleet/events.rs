//! Tests of the event streams: a slow reader loses events, and harms nobody.

use std::time::Duration;

use futures_util::future::join_all;
use job_model::Phase;
use job_poller::{Event, FinishedJob, Fleet, Outcome, fleet::Lagged, schedule::Fixed};
use job_sim::{Plan, Sim, TimeSource};

use crate::service::{SECOND, Service, sleep_for};

/// Returns a service whose job takes some minutes, and a fleet that reads it every second.
fn slow_job() -> (Service, Fleet) {
    let service = Service::new(Sim::new(Plan::create_cluster().slower(60), TimeSource::Clock));
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(SECOND)).start();
    (service, fleet)
}

#[tokio::test(start_paused = true)]
async fn an_unread_stream_does_not_delay_the_wait() {
    let (service, fleet) = slow_job();
    let undisturbed = fleet.watch(service.sim.job().clone()).await.unwrap();
    assert!(undisturbed.elapsed > 100 * SECOND, "{undisturbed:?}");

    let (service, fleet) = slow_job();
    let watch = || fleet.watch(service.sim.job().clone());
    let (mut unread, other) = (watch().events(), watch());
    let other = other.await.unwrap();
    let ended = |job: &FinishedJob| (job.outcome.clone(), job.elapsed, job.attempts);
    assert_eq!(ended(&other), ended(&undisturbed));
    // The oldest events are lost. The stream reports how many, and goes on with the others.
    let mut events = Vec::new();
    while let Some(event) = unread.next().await {
        events.push(event);
    }
    let Err(Lagged(lost)) = events[0] else { panic!("{:?}", events[0]) };
    assert!(lost > 100, "{lost}");
    assert!((32..64).contains(&(events.len() - 1)), "{}", events.len());
    assert!(events[1..].iter().all(Result::is_ok));
    let ended = events
        .iter()
        .flatten()
        .find(|(_, event)| matches!(event, Event::Phase { to: Some(Phase::Success), .. }));
    assert!(ended.is_some());
    assert_eq!(unread.finish().await.unwrap(), other);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_read_once_a_reading_loses_nothing() {
    let (service, fleet) = slow_job();
    let watch = || fleet.watch(service.sim.job().clone());
    let (mut slow, mut fast) = (watch().events(), watch().events());
    let fast = tokio::spawn(async move {
        let mut events = Vec::new();
        while let Some(event) = fast.next().await {
            events.push(event.unwrap());
        }
        events
    });
    let mut events = Vec::new();
    while fleet.stats().jobs > 0 {
        sleep_for(SECOND).await;
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(slow.next()) {
            events.push(event.unwrap());
        }
    }
    assert_eq!(events, fast.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn one_stream_has_the_events_of_all_waits() {
    let service = Service::with_default_plan();
    let fleet = Fleet::builder(service.client()).start();
    let mut merged = fleet.events();
    let jobs = service.add_jobs(5);
    let watches: Vec<_> = jobs.iter().map(|(id, _)| fleet.watch(id.clone())).collect();
    let singles = jobs.iter().map(|(id, _)| {
        let mut events = fleet.watch(id.clone()).events();
        async move {
            let mut read = Vec::new();
            while let Some(event) = events.next().await {
                read.push(event.unwrap().1);
            }
            read
        }
    });
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        while let Some(event) = merged.next().await {
            read.push(event.unwrap());
        }
        read
    });
    let singles = join_all(singles).await;
    drop((watches, fleet));
    // The stream ends with the fleet.
    let merged = reader.await.unwrap();
    for ((id, _), single) in jobs.iter().zip(singles) {
        let of_job = merged.iter().filter(|(job, _)| job == id).map(|(_, event)| event.clone());
        assert_eq!(of_job.collect::<Vec<_>>(), single, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unread_stream_of_all_events_delays_no_wait() {
    let service = Service::with_default_plan();
    let fleet = Fleet::builder(service.client()).schedule(Fixed::new(SECOND)).start();
    let mut merged = fleet.events();
    let watches = service.add_jobs(100).into_iter().map(|(id, _)| fleet.watch(id));
    let ended = join_all(watches).await;
    let succeeded = |result: &Result<FinishedJob, _>| {
        result.as_ref().is_ok_and(|ended| ended.outcome == Outcome::Succeeded)
    };
    assert_eq!(ended.iter().filter(|result| succeeded(result)).count(), 75);
    fleet.shutdown().await;
    let mut events = Vec::new();
    while let Some(event) = merged.next().await {
        events.push(event);
    }
    assert!(matches!(events[0], Err(Lagged(lost)) if lost > 1000), "{:?}", events[0]);
    assert!((1024..1100).contains(&events.len()), "{}", events.len());
    let longest = ended.iter().flatten().map(|ended| ended.elapsed).max();
    assert!(longest < Some(Duration::from_secs(600)), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn events_that_are_left_are_returned_after_the_fleet_was_dropped() {
    let (service, fleet) = slow_job();
    let mut merged = fleet.events();
    let ended = fleet.watch(service.sim.job().clone()).await.unwrap();
    assert_eq!(ended.outcome, Outcome::Succeeded);
    drop(fleet);
    let mut last_phase = None;
    while let Some(event) = merged.next().await {
        if let Ok((_, Event::Phase { to, .. })) = event {
            last_phase = to;
        }
    }
    assert_eq!(last_phase, Some(Phase::Success));
}
